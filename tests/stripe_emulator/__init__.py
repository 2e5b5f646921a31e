"""localstripe, an emulator of Stripe that others wrote, made to answer as Stripe does.

What it does otherwise than Stripe, as far as our adapter meets it, is put right in `corrections`,
one cause at a time, each with where Stripe says so; `requests` adds what lies around every
request: idempotency keys, and failures on demand.

    python -m tests.stripe_emulator 8420
"""

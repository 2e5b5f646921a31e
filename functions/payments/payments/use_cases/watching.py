"""What nobody asks about any more: authorizations that lapse, confirmations that never came,
refunds that a crash left promised. A schedule takes them up."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from payments.model import (
    CaptureRefusedError,
    Part,
    Payment,
    PaymentDeclinedError,
    PaymentStatus,
    RefundRefusedError,
)
from payments.ports import Orders, PaymentProvider, PaymentRepository, ProviderKeys
from payments.use_cases.authorizing import asked_payment, void_payment
from payments.use_cases.capturing import capture_part
from payments.use_cases.refunding import sent_refund
from payments.use_cases.settling import settle_payment
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import DomainError, UnavailableError

# One that was begun and broke off is taken up again after this.
_TAKEN_UP_AFTER = timedelta(minutes=1)


def watch_authorizations(
    *, payments: PaymentRepository, provider: PaymentProvider, orders: Orders, now: Clock
) -> dict[str, str]:
    """Look after every open payment that is due.

    Returns those that could not be looked after, with the code of what was in the way: they stay
    due, and none of them keeps the others waiting.
    """
    left = {}
    for order_id, edit in payments.due_payments(now()):
        try:
            look_after(
                order_id, edit=edit, payments=payments, provider=provider, orders=orders, now=now
            )
        except (DomainError, UnavailableError) as error:
            left[order_id] = error.code
    return left


def look_after(
    order_id: str,
    *,
    edit: int = 0,
    payments: PaymentRepository,
    provider: PaymentProvider,
    orders: Orders,
    now: Clock,
) -> None:
    """Keep the money of one open payment set aside for as long as its order wants it.

    What the provider knows is entered first. An authorization about to lapse is then made anew,
    or freed if nobody wants it. Safe to repeat, and beside the checkout.
    """
    payment = settle_payment(order_id, edit=edit, payments=payments, provider=provider, now=now)
    if payment.watch_at is None or payment.watch_at > now():
        return
    if not orders.want_money(order_id):
        void_payment(
            order_id,
            currency=payment.amount.currency,
            correlation_id=payment.correlation_id,
            edit=edit,
            payments=payments,
            provider=provider,
            now=now,
        )
        return
    if payment.asked_for is not None:
        _finish_part(payment, payment.asked_for, payments, provider, now)
        return
    if payment.captured.amount_minor > 0:
        # Another charge would leave the refunds of this one nowhere: the rest stands until it
        # lapses, and the parcel that waits for it is stopped then.
        return
    if payment.status is PaymentStatus.AUTHORIZED:
        payment = _opened_anew(payment, payments, provider, now)
    if payment.status is PaymentStatus.OPENED:
        # The refusal was entered and told; the order comes to its end by that.
        with contextlib.suppress(PaymentDeclinedError):
            asked_payment(payment, payments, provider, now)


def _finish_part(
    payment: Payment, part: Part, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> None:
    """Capture the part that somebody began to, before the charge it is asked of is replaced."""
    with contextlib.suppress(CaptureRefusedError):
        capture_part(
            payment.order_id,
            part.part_id,
            amount_minor=part.amount.amount_minor,
            payments=payments,
            provider=provider,
            now=now,
        )


def _opened_anew(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Payment:
    """Write down the next attempt, and with it that the charge before is to be freed.

    From here on no capture begins; one that is on its way to the charge before is found when
    that is freed.
    """
    keys = ProviderKeys(payment.order_id, payment.attempt + 1, payment.edit)
    reference = provider.open(keys.open, order_id=payment.order_id, amount=payment.amount)
    anew = payment.opened_anew(reference, watch_at=now() + _TAKEN_UP_AFTER)
    payments.move(anew)
    return anew


def settle_refunds(
    *, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> dict[str, str]:
    """Send the refunds that were promised and not heard of since.

    Returns those that could not be sent, by their id with the code of what was in the way.
    """
    left = {}
    for refund in payments.due_refunds(now()):
        payment = payments.get(refund.order_id, refund.edit)
        assert payment is not None  # a refund is promised by its payment
        try:
            # A refusal is an end, too: the promise is taken back.
            with contextlib.suppress(RefundRefusedError):
                sent_refund(refund, payment, payments, provider, now)
        except (DomainError, UnavailableError) as error:
            left[refund.refund_id] = error.code
    return left

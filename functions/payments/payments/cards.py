"""The simulated provider's test cards: each treats its holder in one way, and always in that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from payments.model import InsufficientFundsError, PaymentDeclinedError

# As card networks have it: Visa, Mastercard and others let go of a hold after about a week.
_A_WEEK = timedelta(days=7)


class Webhooks(StrEnum):
    """What becomes of the messages about a card's charges."""

    ARRIVE = "arrive"
    ARE_LOST = "are_lost"
    ARRIVE_TWICE = "arrive_twice"
    ARRIVE_LATE = "arrive_late"  # each after the next one, so that the order is turned round


@dataclass(frozen=True, slots=True)
class Card:
    """How the provider treats a means of payment."""

    declines: type[PaymentDeclinedError] | None = None
    declines_again: bool = False  # a second authorization for the same order
    asks_to_confirm: bool = False
    refuses_confirmation: bool = False
    slow: bool = False
    fails_first: frozenset[str] = frozenset()  # operations answered with an error, not done
    answers_lost: frozenset[str] = frozenset()  # operations done, their first answer lost
    never_answers: frozenset[str] = frozenset()  # operations that are neither done nor answered
    refuses_capture: bool = False
    refuses_refund: bool = False
    authorized_for: timedelta = _A_WEEK
    webhooks: Webhooks = Webhooks.ARRIVE


# A means of payment that is not listed is declined, as an unknown card is.
CARDS: dict[str, Card] = {
    "pm_card_ok": Card(),
    "pm_card_declined": Card(declines=PaymentDeclinedError),
    "pm_card_insufficient_funds": Card(declines=InsufficientFundsError),
    "pm_slow": Card(slow=True),
    "pm_rate_limited": Card(fails_first=frozenset({"authorize", "capture"})),
    "pm_timeout_before": Card(never_answers=frozenset({"authorize"})),
    "pm_timeout_after": Card(answers_lost=frozenset({"authorize", "capture", "refund"})),
    "pm_capture_timeout": Card(never_answers=frozenset({"capture"})),
    "pm_capture_refused": Card(refuses_capture=True),
    "pm_refund_refused": Card(refuses_refund=True),
    "pm_3ds": Card(asks_to_confirm=True),
    "pm_3ds_refused": Card(asks_to_confirm=True, refuses_confirmation=True),
    "pm_3ds_webhook_lost": Card(asks_to_confirm=True, webhooks=Webhooks.ARE_LOST),
    "pm_expires_soon": Card(authorized_for=timedelta(hours=1)),
    "pm_expires_soon_then_declined": Card(authorized_for=timedelta(hours=1), declines_again=True),
    "pm_webhook_lost": Card(webhooks=Webhooks.ARE_LOST),
    "pm_webhook_twice": Card(webhooks=Webhooks.ARRIVE_TWICE),
    "pm_webhook_late": Card(webhooks=Webhooks.ARRIVE_LATE),
}
NO_CARD = Card(declines=PaymentDeclinedError)

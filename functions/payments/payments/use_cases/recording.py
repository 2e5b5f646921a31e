"""Writing down what the provider has done: each in one transaction with the event it makes."""

from __future__ import annotations

from datetime import datetime, timedelta

from payments.model import (
    DeclineReason,
    Payment,
    PaymentStatus,
    capture_entry,
)
from payments.ports import Charge, ChargeStatus, PaymentRepository
from tradepost.contracts.event import event_id
from tradepost.contracts.payments import PaymentAuthorizedV1, PaymentCapturedV1, PaymentDeclinedV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money

# How often a use case decides anew when others write the same payment.
ATTEMPTS_MAX = 4

# How long a customer has to confirm with their bank. A hold of stock lives longer than that, so
# that what is paid for is still there.
CONFIRMATION_WINDOW = timedelta(minutes=20)

_LAPSED = DeclineReason.AUTHORIZATION_EXPIRED


def kept_changing(order_id: str) -> StaleError:
    return StaleError(f"the payment of {order_id} kept changing")


def next_version(payment: Payment, payments: PaymentRepository) -> int:
    """Count an event about a payment: those of supplements are counted by the order's own."""
    own = payments.get(payment.order_id) if payment.edit else payment
    assert own is not None  # a supplement comes after it
    return own.version + 1


def recorded_authorization(
    payment: Payment, charge: Charge, payments: PaymentRepository, now: Clock
) -> Payment:
    """Enter that the charge is AUTHORIZED, or that it waits for the customer.

    An authorization that was waited for is told to the world, because nobody stands by for it.
    """
    at = now()
    if charge.status is ChargeStatus.REQUIRES_ACTION:
        late = at + CONFIRMATION_WINDOW
        waiting = payment.requiring_action(charge.action_url, min(late, charge.expires_at or late))
        payments.move(waiting)
        return waiting
    authorized = payment.authorized_until(
        charge.expires_at, watch_at=_before_the_end(at, charge.expires_at)
    )
    if payment.status is PaymentStatus.REQUIRES_ACTION:
        version = next_version(payment, payments)
        event = PaymentAuthorizedV1(
            event_id=event_id(PaymentAuthorizedV1.TYPE, payment.order_id, version),
            occurred_at=at,
            correlation_id=payment.correlation_id,
            version=version,
            order_id=payment.order_id,
            amount_minor=authorized.authorized.amount_minor,
            currency=authorized.authorized.currency,
        )
        payments.move(authorized, event)
    else:
        payments.move(authorized)
    return authorized


def _before_the_end(at: datetime, expires_at: datetime | None) -> datetime | None:
    """Choose when to look at an authorization again: with a quarter of its life left."""
    return None if expires_at is None else at + (expires_at - at) * 3 / 4


def recorded_decline(
    payment: Payment, reason: DeclineReason, payments: PaymentRepository, now: Clock
) -> Payment:
    """Enter that there will be no money.

    The checkout's own request is answered where it is made; of everything else nobody stands by
    to hear, so the world is told. What was authorized before and cannot be again has lapsed.
    """
    is_made_anew = payment.attempt > 1
    declined = payment.declined_because(_LAPSED if is_made_anew else reason)
    if not is_made_anew and payment.status is PaymentStatus.OPENED:
        payments.move(declined)
        return declined
    version = next_version(payment, payments)
    event = PaymentDeclinedV1(
        event_id=event_id(PaymentDeclinedV1.TYPE, payment.order_id, version),
        occurred_at=now(),
        correlation_id=payment.correlation_id,
        version=version,
        order_id=payment.order_id,
        reason=declined.declined or reason,
    )
    payments.move(declined, event)
    return declined


def recorded_capture(
    payment: Payment,
    total: Money,
    payments: PaymentRepository,
    now: Clock,
    *,
    reference: str,
    is_last: bool = True,
) -> Payment:
    """Enter what the provider has captured in all on the charge `reference`.

    What our book has of it already is neither entered nor told again.
    """
    captured = payment.capturing(total, reference, is_last=is_last)
    more = total - payment.captured
    if more.amount_minor == 0:
        payments.move(captured)
        return captured
    version = next_version(payment, payments)
    event = PaymentCapturedV1(
        event_id=event_id(PaymentCapturedV1.TYPE, payment.order_id, version),
        occurred_at=now(),
        correlation_id=payment.correlation_id,
        version=version,
        order_id=payment.order_id,
        amount_minor=more.amount_minor,
        currency=more.currency,
    )
    entry = capture_entry(payment, more, _part_id(payment, captured))
    payments.record_capture(captured, entry, event)
    return captured


def _part_id(before: Payment, after: Payment) -> str | None:
    """Name what was captured: the part that was asked for, or all there is."""
    if len(after.parts) > len(before.parts):
        return after.parts[-1]
    is_all = before.captured.amount_minor == 0 and after.status is PaymentStatus.CAPTURED
    return None if is_all else f"by-hand-{after.captured.amount_minor}"

"""Finding out what is true: the provider is asked, and our book follows.

Whoever hears or suspects something, a webhook, a customer's browser, the watch over
authorizations or the reconciliation, comes here. The provider's book is read back and applied in
one direction only: what it says is ranked, and our book never moves to a lower rank. So it does
not matter who comes first, how often, or in which order.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum

from payments.model import (
    AlreadyCapturedError,
    ChargeMismatchError,
    DeclineReason,
    Payment,
    PaymentNotFoundError,
    PaymentStatus,
    RefundRefusedError,
    RefundStatus,
    UnknownChargeError,
)
from payments.ports import (
    Charge,
    ChargeStatus,
    PaymentProvider,
    PaymentRepository,
    ProviderEvent,
    ProviderKeys,
)
from payments.use_cases.recording import (
    ATTEMPTS_MAX,
    kept_changing,
    recorded_authorization,
    recorded_capture,
    recorded_decline,
)
from payments.use_cases.refunding import enter_foreign_refund, sent_refund
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError

# How far a payment has come, by what the provider may say of its charge.
_RANK = {
    ChargeStatus.OPENED: 0,
    ChargeStatus.REQUIRES_ACTION: 1,
    ChargeStatus.AUTHORIZED: 2,
    ChargeStatus.DECLINED: 3,
    ChargeStatus.VOIDED: 3,
    ChargeStatus.CAPTURED: 4,
}
_RANK_IN_OUR_BOOK = {
    PaymentStatus.OPENED: 0,
    PaymentStatus.REQUIRES_ACTION: 1,
    PaymentStatus.AUTHORIZED: 2,
    PaymentStatus.DECLINED: 3,
    PaymentStatus.VOIDED: 3,
    PaymentStatus.CAPTURED: 4,
    PaymentStatus.REFUNDED: 4,
}
# Why a charge that waited for its customer was freed, by whether anybody stood by for them.
_UNCONFIRMED = {
    True: DeclineReason.CONFIRMATION_EXPIRED,
    False: DeclineReason.CONFIRMATION_REQUIRED,
}
assert set(_RANK) == set(ChargeStatus)
assert set(_RANK_IN_OUR_BOOK) == set(PaymentStatus)


class Heard(StrEnum):
    """What came of a webhook."""

    NOTHING_NEW = "nothing_new"
    LOOKED_INTO = "looked_into"
    NOT_OURS = "not_ours"  # no payment of ours has that charge
    DOES_NOT_FIT = "does_not_fit"  # the charge is not the one our book describes


def hear_provider(
    event: ProviderEvent, *, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Heard:
    """Look into what a webhook hints at, unless our book has passed it already.

    A charge that does not fit changes nothing: to send it again would not make it fit, so it is
    an outcome and no refusal; the reconciliation goes on telling of it.

    Raises
    ------
    ProviderUnavailableError, StaleError
        Let it be sent again.
    """
    payment = payment_behind(event.order_id, event.reference, payments)
    if payment is None:
        return Heard.NOT_OURS
    if _has_passed(payment, event):
        return Heard.NOTHING_NEW
    try:
        settle_payment(
            event.order_id, edit=payment.edit, payments=payments, provider=provider, now=now
        )
    except (ChargeMismatchError, UnknownChargeError):
        return Heard.DOES_NOT_FIT
    return Heard.LOOKED_INTO


def payment_behind(order_id: str, reference: str, payments: PaymentRepository) -> Payment | None:
    """Find the payment of an order that has a charge of the provider's; None if none has."""
    own = payments.get(order_id)
    if own is None or _has_charge(own, reference):
        return own
    # Few orders have a supplement, so that is read for only when it must be one.
    for payment in payments.of_order(order_id):
        if _has_charge(payment, reference):
            return payment
    return None


def _has_charge(payment: Payment, reference: str) -> bool:
    return reference in (payment.provider_reference, payment.replaces)


def _has_passed(payment: Payment, event: ProviderEvent) -> bool:
    if event.status is None:
        return False
    has_come_as_far = _RANK[event.status] <= _RANK_IN_OUR_BOOK[payment.status]
    return has_come_as_far and event.refunded_minor <= payment.refunded.amount_minor


def settle_payment(
    order_id: str,
    *,
    edit: int = 0,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Read back what the provider has, and enter what our book does not know yet.

    A confirmation that is overdue is given up. Safe to repeat, and beside any other use case.

    Raises
    ------
    PaymentNotFoundError
    ChargeMismatchError
        Order, currency or amount differ, or money was taken for a payment that had ended.
    ProviderUnavailableError
        Nothing is known: repeat it.
    """
    for _ in range(ATTEMPTS_MAX):
        payment = payments.get(order_id, edit)
        if payment is None:
            raise PaymentNotFoundError(order_id)
        if not payment.provider_reference:
            return payment
        charge = provider.charge(payment.provider_reference)
        _require_the_same(payment, charge)
        try:
            settled = _followed(payment, charge, payments, provider, now)
            if charge.refunded > settled.refunded:
                return _refunds_followed(settled, charge, payments, provider, now)
        except StaleError:
            continue
        return settled
    raise kept_changing(order_id)


def _require_the_same(payment: Payment, charge: Charge) -> None:
    is_the_same = (
        charge.order_id == payment.order_id
        and charge.authorized.currency == payment.amount.currency
        and charge.authorized.amount_minor in (0, payment.amount.amount_minor)
        and charge.captured <= payment.amount
        and payment.captured.amount_minor in (0, charge.captured.amount_minor)
        and charge.refunded <= charge.captured
    )
    if not is_the_same:
        raise ChargeMismatchError(payment.order_id, charge.reference)


def _followed(
    payment: Payment,
    charge: Charge,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Bring our book as far as the charge has come."""
    match charge.status:
        case ChargeStatus.CAPTURED:
            if payment.status in (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED):
                return payment
            if not payment.is_open:
                raise ChargeMismatchError(payment.order_id, charge.reference)
            return recorded_capture(
                payment, charge.captured, payments, now, reference=charge.reference
            )
        case ChargeStatus.AUTHORIZED | ChargeStatus.REQUIRES_ACTION:
            return _followed_before_capture(payment, charge, payments, provider, now)
        case ChargeStatus.DECLINED | ChargeStatus.VOIDED:
            return _followed_to_its_end(payment, charge, payments, now)
        case ChargeStatus.OPENED:
            return payment


def _followed_before_capture(
    payment: Payment,
    charge: Charge,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    keys = ProviderKeys.of(payment)
    if payment.status in (PaymentStatus.DECLINED, PaymentStatus.VOIDED):
        # Ended in our book, so nobody will ever capture it: free what it holds.
        with contextlib.suppress(AlreadyCapturedError):
            provider.void(keys.void, reference=charge.reference)
        return payment
    if charge.captured > payment.captured:
        # A part, whose capture nobody lived to enter.
        return recorded_capture(
            payment, charge.captured, payments, now, reference=charge.reference, is_last=False
        )
    if _RANK[charge.status] > _RANK_IN_OUR_BOOK[payment.status]:
        return recorded_authorization(payment, charge, payments, now)
    if charge.status is ChargeStatus.REQUIRES_ACTION and payment.is_overdue(now()):
        provider.void(keys.void, reference=charge.reference)
        return recorded_decline(payment, DeclineReason.CONFIRMATION_EXPIRED, payments, now)
    return payment


def _followed_to_its_end(
    payment: Payment, charge: Charge, payments: PaymentRepository, now: Clock
) -> Payment:
    was_waited_for = payment.status is PaymentStatus.REQUIRES_ACTION
    if was_waited_for or (
        charge.status is ChargeStatus.DECLINED and payment.status is PaymentStatus.OPENED
    ):
        reason = (
            DeclineReason.PAYMENT_DECLINED
            if charge.status is ChargeStatus.DECLINED
            else _UNCONFIRMED[payment.can_wait]
        )
        return recorded_decline(payment, reason, payments, now)
    # A lapsed authorization of ours is the watch's to replace; everything else was freed by us,
    # and whoever freed it writes that down.
    return payment


def _refunds_followed(
    payment: Payment,
    charge: Charge,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Finish the refunds that were promised, and enter those made at the provider by hand."""
    for refund in payments.refunds(payment.order_id):
        if refund.edit == payment.edit and refund.status is RefundStatus.PENDING:
            # What the provider refuses is taken back, and is no fault of this use case.
            with contextlib.suppress(RefundRefusedError):
                sent_refund(refund, payment, payments, provider, now)
    current = payments.get(payment.order_id, payment.edit) or payment
    unknown = charge.refunded - current.refunded
    if unknown.amount_minor > 0:
        enter_foreign_refund(current, unknown, charge, payments, now)
    return payments.get(payment.order_id, payment.edit) or current

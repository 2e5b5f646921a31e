"""Sending captured money back."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from payments.model import (
    CurrencyMismatchError,
    Payment,
    PaymentNotFoundError,
    Refund,
    RefundRefusedError,
    RefundStatus,
    refund_entry,
)
from payments.ports import Charge, PaymentProvider, PaymentRepository, ProviderKeys
from payments.use_cases.recording import kept_changing
from tradepost.contracts.payments import PaymentRefundedV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money

# Every refund of a payment makes its next version, so many at once get into each other's way.
SETTLE_ATTEMPTS_MAX = 12


def refund_payment(
    order_id: str,
    amount: Money,
    *,
    reason: str,
    reference: str,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Refund:
    """Send part or all of a captured payment back, once per `reference`.

    The amount is promised first, in the condition that never lets refunds exceed the capture; a
    crash leaves the refund PENDING, and the same `reference` takes it up again.

    Raises
    ------
    RefundTooLargeError
        More than what is left of the capture.
    RefundRefusedError
        The provider said no; the promise is taken back.
    ProviderUnavailableError
        Nothing is known: repeat it with the same `reference`.
    PaymentNotFoundError, CurrencyMismatchError
    """
    payment = payments.get(order_id)
    if payment is None:
        raise PaymentNotFoundError(order_id)
    if payment.captured.currency != amount.currency:
        raise CurrencyMismatchError(f"the payment is in {payment.captured.currency}")
    refund = payments.promise_refund(
        Refund(
            refund_id=derived_id("rfd", order_id, reference),
            order_id=order_id,
            amount=amount,
            reason=reason,
            status=RefundStatus.PENDING,
            promised_at=now(),
        )
    )
    if refund.status is RefundStatus.FAILED:
        raise RefundRefusedError(f"refund {refund.refund_id} was refused by the provider")
    if refund.status is RefundStatus.SUCCEEDED:
        return refund
    return sent_refund(refund, payment, payments, provider, now)


def sent_refund(
    refund: Refund,
    payment: Payment,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Refund:
    """Have the provider send a refund that was promised, and enter it. Safe to repeat.

    Raises RefundRefusedError, after the promise was taken back; ProviderUnavailableError.
    """
    try:
        provider.refund(
            ProviderKeys(refund.order_id).refund(refund.refund_id),
            reference=payment.provider_reference,
            amount=refund.amount,
        )
    except RefundRefusedError:
        payments.withdraw_refund(refund)
        raise
    return entered_refund(refund, payment, payments, now)


def entered_refund(
    refund: Refund, payment: Payment, payments: PaymentRepository, now: Clock
) -> Refund:
    """Enter a refund that the provider has sent. Safe to repeat."""
    for _ in range(SETTLE_ATTEMPTS_MAX):
        current = payments.get(refund.order_id) or payment
        try:
            payments.settle_refund(refund, refund_entry(refund), _refunded(current, refund, now))
        except StaleError:
            continue
        return replace(refund, status=RefundStatus.SUCCEEDED)
    raise kept_changing(refund.order_id)


def enter_foreign_refund(
    payment: Payment, amount: Money, charge: Charge, payments: PaymentRepository, now: Clock
) -> None:
    """Enter money that went back without our asking, by a hand at the provider.

    It is never a promise, not for a moment: a promise that a crash leaves is sent by whoever
    finds it, and this money has been sent. Raises StaleError: read both books again.
    """
    refund = Refund(
        refund_id=derived_id("rfd", charge.reference, str(charge.refunded.amount_minor)),
        order_id=payment.order_id,
        amount=amount,
        reason="made at the provider",
        status=RefundStatus.SUCCEEDED,
        promised_at=now(),
    )
    payments.add_foreign_refund(refund, refund_entry(refund), _refunded(payment, refund, now))


def _refunded(payment: Payment, refund: Refund, now: Clock) -> PaymentRefundedV1:
    return PaymentRefundedV1(
        event_id=derived_id("evt", PaymentRefundedV1.TYPE, refund.refund_id),
        occurred_at=now(),
        correlation_id=payment.correlation_id,
        version=payment.version + 1,
        order_id=refund.order_id,
        refund_id=refund.refund_id,
        amount_minor=refund.amount.amount_minor,
        refunded_minor=(payment.refunded + refund.amount).amount_minor,
        currency=refund.amount.currency,
    )


def refund_the_rest(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> None:
    """Finish every refund that was begun, and refund what is left of the capture.

    A refund that a crash left PENDING is promised, not sent: without it the customer would not
    get everything back. The reference counts the refunds that went through, so a repetition meets
    its own refund, and what a refusal put back afterwards gets one of its own.
    """
    for refund in payments.refunds(payment.order_id):
        if refund.status is RefundStatus.PENDING:
            # What is refused here is left again, and asked for as part of the rest.
            with contextlib.suppress(RefundRefusedError):
                sent_refund(refund, payment, payments, provider, now)
    sent = [
        refund
        for refund in payments.refunds(payment.order_id)
        if refund.status is RefundStatus.SUCCEEDED
    ]
    current = payments.get(payment.order_id) or payment
    if current.refundable.amount_minor > 0:
        refund_payment(
            payment.order_id,
            current.refundable,
            reason="the order was cancelled",
            reference=f"undo#{len(sent)}",
            payments=payments,
            provider=provider,
            now=now,
        )

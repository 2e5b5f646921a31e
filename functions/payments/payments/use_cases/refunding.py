"""Sending captured money back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from payments.model import (
    CurrencyMismatchError,
    Payment,
    PaymentNotFoundError,
    Refund,
    RefundRefusedError,
    RefundStatus,
    RefundTooLargeError,
    refund_entry,
    refundable_of,
    spread,
)
from payments.ports import Charge, PaymentProvider, PaymentRepository, ProviderKeys
from payments.use_cases.recording import kept_changing
from tradepost.contracts.payments import PaymentRefundedV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money, total_of

# Every refund of a payment makes its next version, so many at once get into each other's way.
SETTLE_ATTEMPTS_MAX = 12

_UNDONE = "the order was cancelled"


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
    """Send part or all of what an order has paid back, once per `reference`.

    The amount is promised first, in the condition that never lets refunds exceed the capture; a
    crash leaves the refund PENDING, and the same `reference` takes it up again. What one payment
    has not enough for is spread over the order's others, promised together and sent one by one:
    the answer is of the sum.

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
    charged, promised = _promised(order_id, amount, reason, reference, payments, now)
    _all_sent(promised, charged, payments, provider, now)
    return replace(promised[0], amount=amount, status=RefundStatus.SUCCEEDED)


def refund_up_to(
    order_id: str,
    most: Money,
    *,
    reason: str,
    reference: str,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Money:
    """Send an amount back, or what is left of what the order has paid, once per `reference`.

    Returns what went back by this reference, which may be nothing: for what somebody has promised
    without knowing what is left. Raises as `refund_payment` does, but for RefundTooLargeError.
    """
    for _ in range(SETTLE_ATTEMPTS_MAX):
        paid = payments.of_order(order_id)
        if not paid:
            raise PaymentNotFoundError(order_id)
        amount = _promised_before(order_id, reference, most.currency, payments)
        amount = amount or min(most, refundable_of(paid))
        if amount.amount_minor == 0:
            return amount
        try:
            refund_payment(
                order_id,
                amount,
                reason=reason,
                reference=reference,
                payments=payments,
                provider=provider,
                now=now,
            )
        except RefundTooLargeError:
            continue
        return amount
    raise kept_changing(order_id)


def _promised_before(
    order_id: str, reference: str, currency: str, payments: PaymentRepository
) -> Money | None:
    stored = {refund.refund_id: refund for refund in payments.refunds(order_id)}
    first = stored.get(_refund_id(order_id, reference, 0))
    if first is None:
        return None
    others = [stored[refund_id].amount for refund_id in first.besides]
    return total_of([first.amount, *others], currency)


def _promised(
    order_id: str,
    amount: Money,
    reason: str,
    reference: str,
    payments: PaymentRepository,
    now: Clock,
) -> tuple[dict[int, Payment], list[Refund]]:
    """Promise an amount, of as many of the order's payments as it takes; return those, by edit.

    Spread anew where another refund was faster at one of them.
    """
    for _ in range(SETTLE_ATTEMPTS_MAX):
        paid = payments.of_order(order_id)
        if not paid:
            raise PaymentNotFoundError(order_id)
        if paid[0].amount.currency != amount.currency:
            raise CurrencyMismatchError(f"the payment is in {paid[0].amount.currency}")
        left = refundable_of(paid)
        asked = [
            Refund(
                refund_id=_refund_id(order_id, reference, number),
                order_id=order_id,
                amount=part,
                reason=reason,
                status=RefundStatus.PENDING,
                promised_at=now(),
                edit=payment.edit,
            )
            for number, (payment, part) in enumerate(spread(amount, paid))
        ]
        asked[0] = replace(asked[0], besides=tuple(one.refund_id for one in asked[1:]))
        try:
            promised = payments.promise_refunds(asked)
        except RefundTooLargeError as error:
            if amount > left:
                raise RefundTooLargeError(order_id, left.amount_minor) from error
            continue
        return {payment.edit: payment for payment in paid}, promised
    raise kept_changing(order_id)


def _refund_id(order_id: str, reference: str, number: int) -> str:
    """Derive a refund's id; those promised with the first bear its reference and a number."""
    told = (reference, str(number)) if number else (reference,)
    return derived_id("rfd", order_id, *told)


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
    return entered_refund(refund, payments, now)


def entered_refund(refund: Refund, payments: PaymentRepository, now: Clock) -> Refund:
    """Enter a refund that the provider has sent. Safe to repeat."""
    for _ in range(SETTLE_ATTEMPTS_MAX):
        told = _refunded(refund, payments.of_order(refund.order_id), now)
        try:
            payments.settle_refund(refund, refund_entry(refund), told)
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
        edit=payment.edit,
    )
    paid = payments.of_order(payment.order_id)
    if payment not in paid:
        raise StaleError(f"the payment of {payment.order_id} moved on")
    payments.add_foreign_refund(refund, refund_entry(refund), _refunded(refund, paid, now))


def _refunded(refund: Refund, paid: Sequence[Payment], now: Clock) -> PaymentRefundedV1:
    """Tell of a refund of the order's payments as read, with the sum of all that went back.

    The order's own is read before the others and counts every refund, theirs too: what is told
    at its next version is the sum at that.
    """
    before = total_of([one.refunded for one in paid], refund.amount.currency)
    return PaymentRefundedV1(
        event_id=derived_id("evt", PaymentRefundedV1.TYPE, refund.refund_id),
        occurred_at=now(),
        correlation_id=paid[0].correlation_id,
        version=paid[0].version + 1,
        order_id=refund.order_id,
        refund_id=refund.refund_id,
        amount_minor=refund.amount.amount_minor,
        refunded_minor=(before + refund.amount).amount_minor,
        currency=refund.amount.currency,
    )


def refund_the_rest(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> None:
    """Finish every refund of a payment that was begun, and refund what is left of its capture.

    A refund that a crash left PENDING is promised, not sent: without it the customer would not
    get everything back. The reference counts the refunds that went through, so a repetition meets
    its own refund, and what a refusal put back afterwards gets one of its own.
    """
    for refund in _refunds_of(payment, payments):
        if refund.status is RefundStatus.PENDING:
            # What is refused here is left again, and asked for as part of the rest.
            with contextlib.suppress(RefundRefusedError):
                sent_refund(refund, payment, payments, provider, now)
    sent = [
        refund
        for refund in _refunds_of(payment, payments)
        if refund.status is RefundStatus.SUCCEEDED
    ]
    current = payments.get(payment.order_id, payment.edit) or payment
    if current.refundable.amount_minor == 0:
        return
    of_which = f"+{payment.edit}" if payment.edit else ""
    rest = Refund(
        refund_id=_refund_id(payment.order_id, f"undo{of_which}#{len(sent)}", 0),
        order_id=payment.order_id,
        amount=current.refundable,
        reason=_UNDONE,
        status=RefundStatus.PENDING,
        promised_at=now(),
        edit=payment.edit,
    )
    _all_sent(payments.promise_refunds([rest]), {payment.edit: payment}, payments, provider, now)


def _refunds_of(payment: Payment, payments: PaymentRepository) -> list[Refund]:
    refunds = payments.refunds(payment.order_id)
    return [refund for refund in refunds if refund.edit == payment.edit]


def _all_sent(
    promised: Sequence[Refund],
    charged: Mapping[int, Payment],
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> None:
    """Send what was promised together, one after the other. Raises as `sent_refund` does."""
    for refund in promised:
        if refund.status is RefundStatus.FAILED:
            raise RefundRefusedError(f"refund {refund.refund_id} was refused by the provider")
        if refund.status is RefundStatus.PENDING:
            sent_refund(refund, charged[refund.edit], payments, provider, now)

"""What is done with money: authorize, capture, reverse, refund.

The provider is asked first and our books follow, because the order itself (PENDING, CAPTURING)
is the written intent: whoever finds it so repeats the call under the same key. A refund has no
such order state, so its promise is written before the provider is asked (rule R9).
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from payments.model import (
    AlreadyCapturedError,
    CaptureRefusedError,
    CaptureTooLargeError,
    CurrencyMismatchError,
    Payment,
    PaymentNotFoundError,
    PaymentStatus,
    PaymentVoidedError,
    Refund,
    RefundRefusedError,
    RefundStatus,
    capture_entry,
    refund_entry,
)
from payments.ports import PaymentProvider, PaymentRepository, ProviderKeys
from tradepost.contracts.event import event_id
from tradepost.contracts.payments import PaymentCapturedV1, PaymentRefundedV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money

_ATTEMPTS_MAX = 3


def authorize_payment(
    order_id: str,
    amount: Money,
    method: str,
    *,
    correlation_id: str,
    payments: PaymentRepository,
    provider: PaymentProvider,
) -> Payment:
    """Set the order's money aside with the provider, once. Safe to repeat.

    Raises
    ------
    PaymentDeclinedError, InsufficientFundsError
        A definite no.
    PaymentVoidedError
        The payment was voided first; what was just authorized is freed again.
    ProviderUnavailableError
        Nothing is known: repeat it, or void it.
    """
    keys = ProviderKeys(order_id)
    reference = provider.authorize(keys.authorize, order_id=order_id, amount=amount, method=method)
    nothing = Money(0, amount.currency)
    stored = payments.add(
        Payment(
            order_id=order_id,
            status=PaymentStatus.AUTHORIZED,
            authorized=amount,
            captured=nothing,
            refundable=nothing,
            provider_reference=reference,
            correlation_id=correlation_id,
            version=1,
        )
    )
    if stored.status is PaymentStatus.VOIDED:
        provider.void(keys.void, authorize_key=keys.authorize)
        raise PaymentVoidedError(order_id)
    return stored


def capture_payment(
    order_id: str,
    *,
    amount_minor: int | None = None,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Take the money that was set aside, or a part of it and leave the rest, once.

    Safe to repeat: the first capture stands, whatever part a repetition names.

    Raises
    ------
    CaptureTooLargeError
        More than was authorized.
    CaptureRefusedError
        A definite no: nothing was taken, or the payment was voided.
    ProviderUnavailableError
        Nothing is known: only a repetition tells.
    """
    payment = payments.get(order_id)
    if payment is None or payment.status is PaymentStatus.VOIDED:
        raise CaptureRefusedError(order_id)
    if payment.status is not PaymentStatus.AUTHORIZED:
        return payment
    authorized = payment.authorized
    amount = authorized if amount_minor is None else Money(amount_minor, authorized.currency)
    if amount > authorized:
        raise CaptureTooLargeError(order_id, authorized.amount_minor)
    provider.capture(
        ProviderKeys(order_id).capture, reference=payment.provider_reference, amount=amount
    )
    return _recorded_capture(payment, amount, payments, now)


def _recorded_capture(
    payment: Payment, amount: Money, payments: PaymentRepository, now: Clock
) -> Payment:
    """Enter in our books what the provider has captured."""
    captured = replace(
        payment,
        status=PaymentStatus.CAPTURED,
        captured=amount,
        refundable=amount,
        version=payment.version + 1,
    )
    event = PaymentCapturedV1(
        event_id=event_id(PaymentCapturedV1.TYPE, payment.order_id, captured.version),
        occurred_at=now(),
        correlation_id=payment.correlation_id,
        version=captured.version,
        order_id=payment.order_id,
        amount_minor=captured.captured.amount_minor,
        currency=captured.captured.currency,
    )
    entry = capture_entry(payment.order_id, captured.captured)
    try:
        payments.record_capture(captured, entry, event)
    except StaleError:
        # Another execution recorded the same capture: the key is the same, so it is one capture.
        stored = payments.get(payment.order_id)
        if stored is None or stored.status is PaymentStatus.VOIDED:
            raise
        return stored
    return captured


def void_payment(
    order_id: str,
    *,
    currency: str,
    correlation_id: str,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> None:
    """Give the customer's money back, whatever became of it, and bar an authorization to come.

    Voids what is only authorized, refunds what was captured, and leaves a tombstone where nothing
    was. The provider is asked before our books call a payment VOIDED: a capture whose answer was
    lost is known to the provider alone. Safe to repeat; a crash between the provider and our
    books is mended by repeating.

    Raises
    ------
    RefundRefusedError
        It was captured, and the provider refuses to send it back.
    ProviderUnavailableError
        Nothing is known: repeat it.
    """
    keys = ProviderKeys(order_id)
    for _ in range(_ATTEMPTS_MAX):
        payment = payments.get(order_id) or payments.add(
            _tombstone(order_id, currency, correlation_id)
        )
        try:
            match payment.status:
                case PaymentStatus.AUTHORIZED:
                    _void_or_refund(payment, payments, provider, now)
                case PaymentStatus.VOIDED:
                    provider.void(keys.void, authorize_key=keys.authorize)
                case PaymentStatus.CAPTURED | PaymentStatus.REFUNDED:
                    _refund_the_rest(payment, payments, provider, now)
        except StaleError:
            continue
        return
    raise StaleError(f"the payment of {order_id} kept changing")


def _void_or_refund(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> None:
    keys = ProviderKeys(payment.order_id)
    try:
        provider.void(keys.void, authorize_key=keys.authorize)
    except AlreadyCapturedError as error:
        amount = Money(error.captured_minor, payment.authorized.currency)
        captured = _recorded_capture(payment, amount, payments, now)
        _refund_the_rest(captured, payments, provider, now)
    else:
        payments.void(payment)


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
        )
    )
    if refund.status is RefundStatus.FAILED:
        raise RefundRefusedError(f"refund {refund.refund_id} was refused by the provider")
    if refund.status is RefundStatus.SUCCEEDED:
        return refund
    return _send(refund, payment, payments, provider, now)


def _send(
    refund: Refund,
    payment: Payment,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Refund:
    try:
        provider.refund(
            ProviderKeys(refund.order_id).refund(refund.refund_id),
            reference=payment.provider_reference,
            amount=refund.amount,
        )
    except RefundRefusedError:
        payments.withdraw_refund(refund)
        raise
    for _ in range(_ATTEMPTS_MAX):
        current = payments.get(refund.order_id) or payment
        event = PaymentRefundedV1(
            event_id=derived_id("evt", PaymentRefundedV1.TYPE, refund.refund_id),
            occurred_at=now(),
            correlation_id=payment.correlation_id,
            version=current.version + 1,
            order_id=refund.order_id,
            refund_id=refund.refund_id,
            amount_minor=refund.amount.amount_minor,
            refunded_minor=current.refunded.amount_minor,
            currency=refund.amount.currency,
        )
        try:
            payments.settle_refund(refund, refund_entry(refund), event)
        except StaleError:
            continue
        return replace(refund, status=RefundStatus.SUCCEEDED)
    raise StaleError(f"the payment of {refund.order_id} kept changing")


def _refund_the_rest(
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
                _send(refund, payment, payments, provider, now)
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


def _tombstone(order_id: str, currency: str, correlation_id: str) -> Payment:
    nothing = Money(0, currency)
    return Payment(
        order_id=order_id,
        status=PaymentStatus.VOIDED,
        authorized=nothing,
        captured=nothing,
        refundable=nothing,
        provider_reference="",
        correlation_id=correlation_id,
        version=1,
    )

"""Setting an order's money aside, and giving it back whatever became of it."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from payments.model import (
    AlreadyCapturedError,
    ConfirmationExpiredError,
    ConfirmationRequiredError,
    DeclineReason,
    InsufficientFundsError,
    Payment,
    PaymentDeclinedError,
    PaymentStatus,
    PaymentVoidedError,
)
from payments.ports import ChargeStatus, PaymentProvider, PaymentRepository, ProviderKeys
from payments.use_cases.recording import (
    ATTEMPTS_MAX,
    kept_changing,
    recorded_authorization,
    recorded_capture,
    recorded_decline,
)
from payments.use_cases.refunding import refund_the_rest
from payments.use_cases.settling import settle_payment
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money


def authorize_payment(
    order_id: str,
    amount: Money,
    method: str,
    *,
    customer_id: str,
    correlation_id: str,
    edit: int = 0,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Set the order's money aside with the provider, once: AUTHORIZED, or REQUIRES_ACTION.

    The charge is opened first, on which no money moves, and its reference is in our book before
    money is asked for. Safe to repeat at every point: what our book knows is answered from it.
    A confirmation that is overdue is looked for at the provider once more, and then given up.
    Nobody waits for one of a supplement, which pays for an `edit`: it is declined at once.

    Raises
    ------
    PaymentDeclinedError, InsufficientFundsError, ConfirmationRequiredError
        A definite no.
    ConfirmationExpiredError
        No confirmation in time.
    PaymentVoidedError
        The payment was voided first; no money is set aside.
    ProviderUnavailableError
        Nothing is known: repeat it, or void it.
    """
    for _ in range(ATTEMPTS_MAX):
        payment = payments.get(order_id, edit)
        if payment is None:
            keys = ProviderKeys(order_id, edit=edit)
            reference = provider.open(keys.open, order_id=order_id, amount=amount)
            opened = _opened(order_id, customer_id, amount, method, reference, correlation_id)
            payment = payments.add(replace(opened, edit=edit))
        try:
            if payment.status is PaymentStatus.OPENED:
                return asked_payment(payment, payments, provider, now)
            if payment.status is PaymentStatus.REQUIRES_ACTION and not payment.can_wait:
                given_up(payment, payments, provider, now)
            elif payment.status is PaymentStatus.REQUIRES_ACTION and payment.is_overdue(now()):
                payment = settle_payment(
                    order_id, edit=edit, payments=payments, provider=provider, now=now
                )
        except StaleError:
            continue
        return _answered(payment)
    raise kept_changing(order_id)


def _answered(payment: Payment) -> Payment:
    """Answer from our book what a repetition asks."""
    if payment.status is PaymentStatus.VOIDED:
        raise PaymentVoidedError(payment.order_id)
    if payment.declined is DeclineReason.INSUFFICIENT_FUNDS:
        raise InsufficientFundsError
    if payment.declined is DeclineReason.CONFIRMATION_REQUIRED:
        raise ConfirmationRequiredError
    if payment.declined is DeclineReason.CONFIRMATION_EXPIRED and payment.can_wait:
        raise ConfirmationExpiredError
    if payment.status is PaymentStatus.DECLINED:
        raise PaymentDeclinedError
    return payment


def asked_payment(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Payment:
    """Ask for the money of an OPENED payment, and enter the answer.

    An authorization made anew has nobody who stands by: its refusal is told to the world, and a
    bank that wants to hear from the customer has refused, because they are not there. Nor does
    an edit wait, which keeps a parcel from being packed.

    Raises PaymentDeclinedError after it was entered; StaleError if another entered it first.
    """
    if payment.replaces is not None:
        captured = captured_instead_of_freed(payment, payment.replaces, payments, provider, now)
        if captured is not None:
            return captured
    try:
        charge = provider.authorize(
            ProviderKeys.of(payment).authorize,
            reference=payment.provider_reference,
            method=payment.method,
        )
    except PaymentDeclinedError as refusal:
        recorded_decline(payment, refusal.reason, payments, now)
        raise
    if charge.status is ChargeStatus.REQUIRES_ACTION and not payment.can_wait:
        given_up(payment, payments, provider, now)
    return recorded_authorization(payment, charge, payments, now)


def given_up(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> NoReturn:
    """Decline a payment that its customer would have to confirm, because nobody can wait for it.

    Raises PaymentDeclinedError, ConfirmationRequiredError; StaleError if another moved it first.
    """
    provider.void(ProviderKeys.of(payment).void, reference=payment.provider_reference)
    recorded_decline(payment, DeclineReason.CONFIRMATION_REQUIRED, payments, now)
    if payment.attempt > 1:
        raise PaymentDeclinedError
    raise ConfirmationRequiredError


def captured_instead_of_freed(
    payment: Payment,
    reference: str,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment | None:
    """Free a charge of the payment; if its money turns out to be taken, enter and return that."""
    attempt = payment.attempt - (reference == payment.replaces)
    try:
        provider.void(
            ProviderKeys(payment.order_id, attempt, payment.edit).void, reference=reference
        )
    except AlreadyCapturedError as error:
        amount = Money(error.captured_minor, payment.amount.currency)
        return recorded_capture(payment, amount, payments, now, reference=reference)
    return None


def void_payments(
    order_id: str,
    *,
    currency: str,
    correlation_id: str,
    edit: int = 0,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> None:
    """Give back the money of all of an order's payments, and bar authorizations to come.

    `edit` is the number of the edit that may have a supplement or come to have one. Safe to
    repeat. Raises as `void_payment` does.
    """
    paid = payments.of_order(order_id)
    for of_edit in sorted({0, edit, *(payment.edit for payment in paid)}):
        void_payment(
            order_id,
            currency=currency,
            correlation_id=correlation_id,
            edit=of_edit,
            payments=payments,
            provider=provider,
            now=now,
        )


def void_payment(
    order_id: str,
    *,
    currency: str,
    correlation_id: str,
    edit: int = 0,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> None:
    """Give a payment's money back, whatever became of it, and bar an authorization to come.

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
    for _ in range(ATTEMPTS_MAX):
        payment = payments.get(order_id, edit) or payments.add(
            replace(_tombstone(order_id, currency, correlation_id), edit=edit)
        )
        try:
            if payment.is_open:
                payment = _freed(payment, payments, provider, now)
        except StaleError:
            continue
        if payment.status in (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED):
            refund_the_rest(payment, payments, provider, now)
        return
    raise kept_changing(order_id)


def _freed(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Payment:
    """Free every charge of an open payment; return it VOIDED, or CAPTURED if it turns out so."""
    for reference in (payment.replaces, payment.provider_reference):
        if reference is not None:
            captured = captured_instead_of_freed(payment, reference, payments, provider, now)
            if captured is not None:
                return captured
    voided = payment.voided()
    payments.move(voided)
    return voided


def _opened(
    order_id: str,
    customer_id: str,
    amount: Money,
    method: str,
    reference: str,
    correlation_id: str,
) -> Payment:
    nothing = Money(0, amount.currency)
    return Payment(
        order_id=order_id,
        customer_id=customer_id,
        status=PaymentStatus.OPENED,
        amount=amount,
        method=method,
        authorized=nothing,
        captured=nothing,
        refundable=nothing,
        refunded=nothing,
        provider_reference=reference,
        correlation_id=correlation_id,
        version=1,
    )


def _tombstone(order_id: str, currency: str, correlation_id: str) -> Payment:
    nothing = Money(0, currency)
    return Payment(
        order_id=order_id,
        customer_id="",
        status=PaymentStatus.VOIDED,
        amount=nothing,
        method="",
        authorized=nothing,
        captured=nothing,
        refundable=nothing,
        refunded=nothing,
        provider_reference="",
        correlation_id=correlation_id,
        version=1,
    )

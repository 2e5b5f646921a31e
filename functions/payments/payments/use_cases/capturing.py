"""Taking the money that was set aside."""

from __future__ import annotations

from payments.model import (
    CaptureRefusedError,
    CaptureTooLargeError,
    Part,
    Payment,
    PaymentDeclinedError,
    PaymentStatus,
)
from payments.ports import PaymentProvider, PaymentRepository, ProviderKeys
from payments.use_cases.authorizing import asked_payment
from payments.use_cases.recording import ATTEMPTS_MAX, kept_changing, recorded_capture
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money

_IS_TAKEN = (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED)
_NEVER_WILL_BE = (PaymentStatus.DECLINED, PaymentStatus.VOIDED)


def capture_payment(
    order_id: str,
    *,
    amount_minor: int | None = None,
    edit: int = 0,
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
    StaleError
        The payment changed meanwhile: repeat it.
    ProviderUnavailableError
        Nothing is known: only a repetition tells.
    """
    payment = payments.get(order_id, edit)
    if payment is not None and payment.replaces is not None:
        payment = _authorized_anew(payment, payments, provider, now)
    if payment is None or payment.status in _NEVER_WILL_BE:
        raise CaptureRefusedError(order_id)
    if payment.status in _IS_TAKEN:
        return payment
    if payment.status is not PaymentStatus.AUTHORIZED:
        raise StaleError(f"the payment of {order_id} is not authorized yet")
    authorized = payment.authorized
    amount = authorized if amount_minor is None else Money(amount_minor, authorized.currency)
    if amount > authorized:
        raise CaptureTooLargeError(order_id, authorized.amount_minor)
    reference = payment.provider_reference
    keys = ProviderKeys.of(payment)
    try:
        provider.capture(keys.capture, reference=reference, amount=amount)
    except CaptureRefusedError:
        return _unless_it_moved_on(payment, payments)
    try:
        return recorded_capture(payment, amount, payments, now, reference=reference)
    except StaleError:
        # Another execution or a webhook recorded the same capture: under one key it is one.
        stored = payments.get(order_id, edit)
        if stored is None or stored.status not in _IS_TAKEN:
            raise
        return stored


def leave_authorized(
    order_id: str, *, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Payment:
    """Make sure that an order's money is set aside, and leave it so until its parcels leave.

    Raises
    ------
    CaptureRefusedError
        It never will be.
    StaleError
        It is not yet: repeat it.
    """
    payment = payments.get(order_id)
    if payment is not None and payment.replaces is not None:
        payment = _authorized_anew(payment, payments, provider, now)
    if payment is None or payment.status in _NEVER_WILL_BE:
        raise CaptureRefusedError(order_id)
    if payment.status not in (*_IS_TAKEN, PaymentStatus.AUTHORIZED):
        raise StaleError(f"the payment of {order_id} is not authorized yet")
    return payment


def capture_part(
    order_id: str,
    part_id: str,
    *,
    amount_minor: int | None,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Take a part of the money that was set aside, once per id.

    Without an amount it is all that is left. The part is in our book before it is asked for, and
    one that another began is finished first. What leaves nothing is the last. Where everything is
    taken already, so is this part. Safe to repeat.

    Raises
    ------
    CaptureTooLargeError
        More than is left.
    CaptureRefusedError
        A definite no: nothing was taken. The same part may be asked for again.
    StaleError
        The payment changed meanwhile: repeat it.
    ProviderUnavailableError
        Nothing is known: only a repetition tells.
    """
    for _ in range(ATTEMPTS_MAX):
        payment = leave_authorized(order_id, payments=payments, provider=provider, now=now)
        if part_id in payment.parts or payment.left.amount_minor == 0:
            return payment
        if payment.status in _IS_TAKEN:
            raise CaptureRefusedError(order_id)
        part = payment.asked_for or _part(payment, part_id, amount_minor)
        if part.amount.amount_minor == 0:
            return payment
        try:
            taken = _part_taken(payment, part, payments, provider, now)
        except StaleError:
            continue
        except CaptureRefusedError:
            if part.part_id == part_id:
                raise
            continue
        if part.part_id == part_id:
            return taken
    raise kept_changing(order_id)


def _part(payment: Payment, part_id: str, amount_minor: int | None) -> Part:
    left = payment.left
    amount = left if amount_minor is None else Money(amount_minor, left.currency)
    if amount > left:
        raise CaptureTooLargeError(payment.order_id, left.amount_minor)
    return Part(part_id, amount, is_last=amount == left)


def _part_taken(
    payment: Payment, part: Part, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Payment:
    """Write down what is asked for, ask for it, and enter the answer."""
    if payment.asked_for is None:
        payment = payment.asking_for(part)
        payments.move(payment)
    reference = payment.provider_reference
    key = ProviderKeys.of(payment).part(part.part_id)
    try:
        provider.capture_part(key, reference=reference, amount=part.amount, is_last=part.is_last)
    except CaptureRefusedError:
        payments.move(payment.asking_for(None))
        raise
    total = payment.captured + part.amount
    return recorded_capture(
        payment, total, payments, now, reference=reference, is_last=part.is_last
    )


def _authorized_anew(
    payment: Payment, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Payment:
    """Finish what the watch has begun, rather than wait for it to come round again."""
    try:
        return asked_payment(payment, payments, provider, now)
    except PaymentDeclinedError as error:
        raise CaptureRefusedError(payment.order_id) from error


def _unless_it_moved_on(payment: Payment, payments: PaymentRepository) -> Payment:
    """Raise what a refused capture means: a definite no only for the charge that still counts."""
    stored = payments.get(payment.order_id, payment.edit)
    if stored is not None and stored.status in _IS_TAKEN:
        return stored
    if stored is not None and stored.is_open and stored.attempt != payment.attempt:
        raise StaleError(f"the payment of {payment.order_id} was authorized anew")
    raise CaptureRefusedError(payment.order_id)

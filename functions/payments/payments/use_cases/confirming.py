"""What a customer sees and does of a payment that their bank wants to hear from them about."""

from __future__ import annotations

from payments.model import Payment, PaymentNotFoundError, PaymentStatus
from payments.ports import PaymentProvider, PaymentRepository
from payments.use_cases.settling import settle_payment
from tradepost.kernel.clock import Clock

_IS_UNDECIDED = (PaymentStatus.OPENED, PaymentStatus.REQUIRES_ACTION)


def confirmation_of(order_id: str, *, customer_id: str, payments: PaymentRepository) -> Payment:
    """Find a customer's own payment.

    Raises
    ------
    PaymentNotFoundError
        There is none, or it is somebody else's: a caller cannot tell which.
    """
    payment = payments.get(order_id)
    if payment is None or payment.customer_id != customer_id:
        raise PaymentNotFoundError(order_id)
    return payment


def complete_confirmation(
    order_id: str,
    *,
    customer_id: str,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Look up what the customer's bank has said, unless our book knows it.

    The provider's webhook does the same; whichever comes first, both find one authorization.

    Raises
    ------
    PaymentNotFoundError
        There is none, or it is somebody else's.
    ChargeMismatchError
        The provider's charge is not the one our book describes.
    ProviderUnavailableError
        Nothing is known: repeat it.
    """
    payment = confirmation_of(order_id, customer_id=customer_id, payments=payments)
    if payment.status not in _IS_UNDECIDED:
        return payment
    return settle_payment(order_id, payments=payments, provider=provider, now=now)

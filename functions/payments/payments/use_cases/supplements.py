"""Money for what an edit adds to an order: a payment of its own, beside the order's."""

from __future__ import annotations

from payments.model import Payment, PaymentMethodNeededError, PaymentNotFoundError
from payments.ports import PaymentProvider, PaymentRepository
from payments.use_cases.authorizing import authorize_payment
from tradepost.kernel.clock import Clock
from tradepost.kernel.money import Money


def authorize_supplement(
    order_id: str,
    edit: int,
    amount: Money,
    method: str | None,
    *,
    payments: PaymentRepository,
    provider: PaymentProvider,
    now: Clock,
) -> Payment:
    """Set aside what an edit adds to what its order costs, once per edit.

    Without a means of payment the order's own is asked again, where the provider charges one
    again. Safe to repeat, as `authorize_payment` is, whose errors it raises; besides:

    Raises
    ------
    PaymentMethodNeededError
        The provider charges a means of payment once, and none was named.
    PaymentNotFoundError
        The order has paid nothing.
    """
    own = payments.get(order_id)
    if own is None:
        raise PaymentNotFoundError(order_id)
    if method is None and not provider.charges_again:
        raise PaymentMethodNeededError
    return authorize_payment(
        order_id,
        amount,
        method or own.method,
        customer_id=own.customer_id,
        correlation_id=own.correlation_id,
        edit=edit,
        payments=payments,
        provider=provider,
        now=now,
    )

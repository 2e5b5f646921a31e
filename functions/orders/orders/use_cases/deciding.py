"""Deciding about an order as it is now, and writing the decision down with its event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from orders.model import Action, Order, OrderNotFoundError
from orders.ports import CheckoutRunner, OrderRepository
from tradepost.contracts.event import Event, event_id
from tradepost.contracts.orders import (
    OrderCancelledV1,
    OrderConfirmedV1,
    OrderNeedsAttentionV1,
    OrderPlacedV1,
)
from tradepost.kernel.errors import StaleError

# Two executions and a webhook may meet at one order; more writers at once are a mistake.
ATTEMPTS_MAX = 4

Decide = Callable[[Order], Order]
Report = Callable[[Order], Event | None]
Record = Callable[[Order], Action | None]


Stated = TypeVar("Stated", OrderPlacedV1, OrderConfirmedV1, OrderCancelledV1, OrderNeedsAttentionV1)


def decided(
    order_id: str,
    decide: Decide,
    orders: OrderRepository,
    *,
    report: Report = lambda _: None,
    action: Record = lambda _: None,
) -> Order:
    """Load, decide, record; decide anew if somebody else wrote in between."""
    for _ in range(ATTEMPTS_MAX):
        order = orders.get(order_id)
        changed = decide(order)
        if changed is order:
            return order
        try:
            orders.save(changed, report(changed), action(changed))
        except StaleError:
            continue
        return changed
    raise StaleError(f"{order_id} kept changing")


def stated(event: type[Stated], order: Order, **facts: Any) -> Stated:
    """State a fact about the order as it stands now; stating it again states the same one."""
    return event(
        **facts,
        event_id=event_id(event.TYPE, order.order_id, order.version),
        occurred_at=order.updated_at,
        correlation_id=order.correlation_id,
        version=order.version,
        order_id=order.order_id,
    )


def confirmation_of(order: Order) -> OrderConfirmedV1:
    return stated(
        OrderConfirmedV1,
        order,
        customer_id=order.customer_id,
        total_minor=order.total.amount_minor,
        currency=order.total.currency,
    )


def poke(order: Order, runner: CheckoutRunner) -> None:
    """Start the checkout again, if there is anything left for it to do."""
    if order.due_at is not None:
        runner.start_again(order.order_id, order.correlation_id)


def require_owner(order: Order, customer_id: str | None) -> None:
    if customer_id is not None and order.customer_id != customer_id:
        raise OrderNotFoundError(order.order_id)

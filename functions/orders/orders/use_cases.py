"""What happens to an order: placed, captured, confirmed, abandoned, shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from orders.model import Order, OrderLine, OrderNotFoundError, OrderStatus
from orders.ports import OrderRepository
from tradepost.contracts.event import Event, event_id
from tradepost.contracts.orders import (
    OrderCancelledV1,
    OrderConfirmedV1,
    OrderNeedsAttentionV1,
    OrderPlacedV1,
)
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError

# Two executions and a webhook may meet at one order; more writers at once are a mistake.
_ATTEMPTS_MAX = 4

Decide = Callable[[Order], Order]
Report = Callable[[Order], Event | None]
Stated = TypeVar("Stated", OrderPlacedV1, OrderConfirmedV1, OrderCancelledV1, OrderNeedsAttentionV1)


def place_order(order: Order, lines: Sequence[OrderLine], *, orders: OrderRepository) -> Order:
    """Store a checkout's order, once, and return it as it stands.

    Safe to repeat: an order placed before is returned with the status it has by now, which tells
    a checkout that is run again where to go on.
    """
    placed = _stated(
        OrderPlacedV1,
        order,
        customer_id=order.customer_id,
        line_count=order.line_count,
        total_minor=order.total.amount_minor,
        currency=order.total.currency,
    )
    return orders.add(order, lines, placed)


def begin_capture(order_id: str, *, orders: OrderRepository, now: Clock) -> Order:
    """Pass the point of no return: from here on the order is paid or explicitly undone.

    Safe to repeat.

    Raises
    ------
    OrderTransitionError
        The order was abandoned first.
    """

    def decide(order: Order) -> Order:
        if order.has_come_to(OrderStatus.CAPTURING):
            return order
        return order.moved_to(OrderStatus.CAPTURING, at=now())

    return _decide(order_id, decide, lambda _: None, orders)


def confirm_order(order_id: str, *, orders: OrderRepository, now: Clock) -> Order:
    """Confirm an order whose stock is sold and whose money is captured. Safe to repeat.

    Raises
    ------
    OrderTransitionError
        The order is not being captured.
    """

    def decide(order: Order) -> Order:
        if order.has_come_to(OrderStatus.CONFIRMED):
            return order
        return order.moved_to(OrderStatus.CONFIRMED, at=now())

    def report(order: Order) -> Event:
        return _stated(
            OrderConfirmedV1,
            order,
            customer_id=order.customer_id,
            total_minor=order.total.amount_minor,
            currency=order.total.currency,
        )

    return _decide(order_id, decide, report, orders)


def abandon_order(
    order_id: str, *, reason: str, capture_refused: bool, orders: OrderRepository, now: Clock
) -> Order:
    """Turn a checkout round, if it still can be; return the order with the direction it has.

    An order whose capture another execution has begun goes on forward, unless it is the capture
    itself that was definitely refused. Safe to repeat.
    """
    may_turn = {OrderStatus.PENDING} | ({OrderStatus.CAPTURING} if capture_refused else set())

    def decide(order: Order) -> Order:
        if order.status not in may_turn:
            return order
        return order.moved_to(OrderStatus.CANCELLING, at=now(), reason=reason)

    return _decide(order_id, decide, lambda _: None, orders)


def cancel_order(order_id: str, *, orders: OrderRepository, now: Clock) -> Order:
    """Close an order after its stock and money were given back. Safe to repeat.

    Raises
    ------
    OrderTransitionError
        The order is not being undone.
    """

    def decide(order: Order) -> Order:
        if order.status is OrderStatus.CANCELLED:
            return order
        return order.moved_to(OrderStatus.CANCELLED, at=now())

    def report(order: Order) -> Event:
        return _stated(
            OrderCancelledV1,
            order,
            customer_id=order.customer_id,
            reason=order.reason or "cancelled",
        )

    return _decide(order_id, decide, report, orders)


def park_order(
    order_id: str, *, reason: str, cause: str, orders: OrderRepository, now: Clock
) -> Order:
    """Set an order aside for a person: it could neither go on nor be undone. Safe to repeat.

    `reason` is the code the customer may read, `cause` the error that the operator is told. An
    order that has ended is returned as it ended: its last step's answer was lost, or another
    execution got through.
    """

    def decide(order: Order) -> Order:
        if order.has_ended:
            return order
        return order.moved_to(OrderStatus.NEEDS_ATTENTION, at=now(), reason=reason)

    def report(order: Order) -> Event:
        return _stated(OrderNeedsAttentionV1, order, reason=cause)

    return _decide(order_id, decide, report, orders)


def follow_parcel(
    order_id: str, status: OrderStatus, *, orders: OrderRepository, now: Clock
) -> Order:
    """Record what the carrier says. News that is late or repeated changes nothing.

    Raises
    ------
    OrderTransitionError
        The order is not confirmed: the message waits and comes again.
    """

    def decide(order: Order) -> Order:
        return order if order.has_come_to(status) else order.moved_to(status, at=now())

    return _decide(order_id, decide, lambda _: None, orders)


def order_of(order_id: str, *, customer_id: str | None, orders: OrderRepository) -> Order:
    """Read an order for its owner, or for staff (`customer_id` None).

    Raises
    ------
    OrderNotFoundError
        No such order, or it is somebody else's.
    """
    order = orders.get(order_id)
    if customer_id is not None and order.customer_id != customer_id:
        raise OrderNotFoundError(order_id)
    return order


def _decide(order_id: str, decide: Decide, report: Report, orders: OrderRepository) -> Order:
    """Load, decide, record; decide anew if somebody else wrote in between."""
    for _ in range(_ATTEMPTS_MAX):
        order = orders.get(order_id)
        decided = decide(order)
        if decided is order:
            return order
        try:
            orders.save(decided, report(decided))
        except StaleError:
            continue
        return decided
    raise StaleError(f"{order_id} kept changing")


def _stated(event: type[Stated], order: Order, **facts: Any) -> Stated:
    """State a fact about the order as it stands now; stating it again states the same one."""
    return event(
        **facts,
        event_id=event_id(event.TYPE, order.order_id, order.version),
        occurred_at=order.updated_at,
        correlation_id=order.correlation_id,
        version=order.version,
        order_id=order.order_id,
    )

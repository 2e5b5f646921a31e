"""What the checkout does to its order: each step of it one decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from orders.model import (
    BEFORE_THE_PIVOT,
    Cancelled,
    Order,
    OrderLine,
    OrderStatus,
    paid_for,
    paid_for_sending,
    return_priced,
)
from orders.ports import OrderRepository
from orders.use_cases.deciding import ATTEMPTS_MAX, confirmation_of, decided, stated
from tradepost.contracts.event import Event
from tradepost.contracts.orders import (
    OrderCancelledV1,
    OrderNeedsAttentionV1,
    OrderPlacedV1,
)
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money


def place_order(order: Order, lines: Sequence[OrderLine], *, orders: OrderRepository) -> Order:
    """Store a checkout's order, once, and return it as it stands.

    Safe to repeat: an order placed before is returned with the status it has by now, which tells
    a checkout that is run again where to go on.
    """
    placed = stated(
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

    return decided(order_id, decide, orders)


def await_payment(
    order_id: str, *, until: datetime | None, orders: OrderRepository, now: Clock
) -> Order:
    """Let the order wait for its customer to confirm the payment, or end a wait that is over.

    `until` is when the provider stops waiting. An order that another execution has moved on is
    returned as it stands. Safe to repeat: the first wait's end stands.
    """

    def decide(order: Order) -> Order:
        match order.status:
            case OrderStatus.PENDING:
                return order.awaiting_payment(until, at=now())
            case OrderStatus.AWAITING_PAYMENT if order.due_at and order.due_at <= now():
                return order.moved_to(OrderStatus.CANCELLING, at=now(), reason=Cancelled.TOO_LATE)
        return order

    return decided(order_id, decide, orders)


def confirm_order(order_id: str, *, orders: OrderRepository, now: Clock) -> Order:
    """Confirm an order whose stock is sold and whose money is captured; return it as it stands.

    One that was asked to be cancelled while its money was captured is turned round instead: what
    it has bought goes back. Safe to repeat.

    Raises
    ------
    OrderTransitionError
        Its capture was never begun.
    """

    def decide(order: Order) -> Order:
        if order.status is OrderStatus.CAPTURING and order.cancel_requested:
            return order.moved_to(OrderStatus.CANCELLING, at=now(), reason=order.cancel_requested)
        if order.status not in {*BEFORE_THE_PIVOT, OrderStatus.CAPTURING}:
            return order
        return order.moved_to(OrderStatus.CONFIRMED, at=now())

    def report(order: Order) -> Event | None:
        return confirmation_of(order) if order.status is OrderStatus.CONFIRMED else None

    return decided(order_id, decide, orders, report=report)


def abandon_order(
    order_id: str, *, reason: str, capture_refused: bool, orders: OrderRepository, now: Clock
) -> Order:
    """Turn a checkout round, if it still can be; return the order with the direction it has.

    An order whose capture another execution has begun goes on forward, unless it is the capture
    itself that was definitely refused. Safe to repeat.
    """
    may_turn = BEFORE_THE_PIVOT | ({OrderStatus.CAPTURING} if capture_refused else set())

    def decide(order: Order) -> Order:
        if order.status not in may_turn:
            return order
        return order.moved_to(OrderStatus.CANCELLING, at=now(), reason=reason)

    return decided(order_id, decide, orders)


def keep_order(order_id: str, *, orders: OrderRepository, now: Clock) -> Order:
    """Keep an order whose parcel was handed over before it could be called off.

    Nothing was given back yet, because calling off the parcel is the first undo. Safe to repeat.

    Raises
    ------
    OrderTransitionError
        It was never confirmed: its parcel should not have left. A person has to look.
    """

    def decide(order: Order) -> Order:
        if order.status is not OrderStatus.CANCELLING:
            return order
        # An edit that an operator cut short is finished, now that the order stands.
        is_edited = order.edit is not None and order.edit.is_open
        kept = OrderStatus.EDITING if is_edited else OrderStatus.CONFIRMED
        return order.moved_to(kept, at=now())

    return decided(order_id, decide, orders)


def cancel_order(order_id: str, *, orders: OrderRepository, now: Clock) -> Order:
    """Close an order after its stock and money were given back. Safe to repeat.

    Raises
    ------
    OrderTransitionError
        The order is not being cancelled.
    """

    def decide(order: Order) -> Order:
        if order.has_come_to(OrderStatus.CANCELLED):
            return order
        return order.moved_to(OrderStatus.CANCELLED, at=now())

    def report(order: Order) -> Event:
        return stated(
            OrderCancelledV1,
            order,
            customer_id=order.customer_id,
            reason=order.reason or "cancelled",
        )

    return decided(order_id, decide, orders, report=report)


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
        return order.parked(reason=reason, because=cause, at=now())

    def report(order: Order) -> Event:
        return stated(OrderNeedsAttentionV1, order, reason=cause)

    return decided(order_id, decide, orders, report=report)


def price_return(
    order_id: str, return_id: str, quantities: Mapping[str, int], *, orders: OrderRepository
) -> Money:
    """Tell what was paid for the units of a return, and remember that they came back.

    A return has one price, which a repetition is told again. Those of all returns of an order sum
    to what the units were bought for, to the last minor unit.

    Raises
    ------
    OrderNotFoundError
    NotBoughtError
        With what came back before, there are more of them than the order has.
    """
    for _ in range(ATTEMPTS_MAX):
        order = orders.get(order_id)
        returned = orders.returned(order_id)
        priced = return_priced(order, orders.lines(order_id), returned, return_id, quantities)
        if priced is not returned:
            try:
                orders.save_returned(order_id, priced)
            except StaleError:
                continue
        return Money(priced.prices_minor[return_id], order.total.currency)
    raise StaleError(f"returns of {order_id} kept being priced")


def price_parcel(
    order_id: str,
    quantities: Mapping[str, int],
    *,
    before: Mapping[str, int],
    with_shipping: bool,
    orders: OrderRepository,
) -> Money:
    """Tell what was paid for the units of one parcel; `before` counts those of earlier parcels.

    Raises
    ------
    OrderNotFoundError
    NotBoughtError
    """
    order = orders.get(order_id)
    paid = paid_for(order, orders.lines(order_id), quantities, before=before)
    return paid + paid_for_sending(order) if with_shipping else paid

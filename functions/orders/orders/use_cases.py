"""What happens to an order: placed, captured, confirmed, cancelled, set aside, shipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from orders.model import (
    BEFORE_THE_PIVOT,
    LEFT_ALONE_MAX,
    Action,
    Cancelled,
    Direction,
    Order,
    OrderLine,
    OrderNotFoundError,
    OrderStatus,
    price_of,
)
from orders.ports import CheckoutRunner, OrderRepository
from tradepost.contracts.event import Event, event_id
from tradepost.contracts.orders import (
    OrderCancelledV1,
    OrderConfirmedV1,
    OrderNeedsAttentionV1,
    OrderPlacedV1,
)
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money

# Two executions and a webhook may meet at one order; more writers at once are a mistake.
_ATTEMPTS_MAX = 4

# What one sweep starts again; the rest waits for the next minute.
SWEPT_MAX = 160

Decide = Callable[[Order], Order]
Report = Callable[[Order], Event | None]
Record = Callable[[Order], Action | None]


@dataclass(frozen=True, slots=True)
class Asker:
    """A person who asks for a change of an order, and what they say about it."""

    principal_id: str
    role: str
    is_staff: bool
    note: str | None = None


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

    return _decide(order_id, decide, orders)


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

    return _decide(order_id, decide, orders)


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
        return _confirmation(order) if order.status is OrderStatus.CONFIRMED else None

    return _decide(order_id, decide, orders, report=report)


def confirm_again(order_id: str, *, orders: OrderRepository) -> None:
    """State once more that an order is confirmed, for those who never heard of it.

    It is the same fact while nothing else has befallen the order, so that who has heard of it
    takes no notice. Does nothing for an order that is not CONFIRMED.
    """
    order = orders.get(order_id)
    if order.status is OrderStatus.CONFIRMED:
        orders.publish(order, _confirmation(order))


def _confirmation(order: Order) -> OrderConfirmedV1:
    return _stated(
        OrderConfirmedV1,
        order,
        customer_id=order.customer_id,
        total_minor=order.total.amount_minor,
        currency=order.total.currency,
    )


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

    return _decide(order_id, decide, orders)


def request_cancellation(
    order_id: str, asker: Asker, *, orders: OrderRepository, runner: CheckoutRunner, now: Clock
) -> Order:
    """Cancel an order its customer no longer wants, at any moment until its parcel is under way.

    The order is turned round, or marked while its money is being captured; the checkout, started
    again, gives everything back. Safe to repeat: whoever asks again has the checkout started
    again, which mends a crash between the two.

    Raises
    ------
    OrderNotFoundError
        No such order, or it is somebody else's.
    OrderTransitionError
        The parcel is on its way.
    """
    reason = Cancelled.BY_STAFF if asker.is_staff else Cancelled.BY_CUSTOMER

    def decide(order: Order) -> Order:
        _require_owner(order, None if asker.is_staff else asker.principal_id)
        return order.asked_to_cancel(reason, at=now())

    order = _decide(order_id, decide, orders, action=lambda order: _action("cancel", asker, order))
    _poke(order, runner)
    return order


def give_up_parcel(
    order_id: str, *, orders: OrderRepository, runner: CheckoutRunner, now: Clock
) -> None:
    """Cancel an order whose parcel the carrier lost or refused before it was handed over.

    Safe to repeat. News of a parcel that is under way after all changes nothing.
    """

    def decide(order: Order) -> Order:
        if order.has_come_to(OrderStatus.SHIPPED):
            return order
        return order.asked_to_cancel(Cancelled.BY_CARRIER, at=now())

    _poke(_decide(order_id, decide, orders), runner)


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
        return order.moved_to(OrderStatus.CONFIRMED, at=now())

    return _decide(order_id, decide, orders)


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
        return _stated(
            OrderCancelledV1,
            order,
            customer_id=order.customer_id,
            reason=order.reason or "cancelled",
        )

    return _decide(order_id, decide, orders, report=report)


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
        return _stated(OrderNeedsAttentionV1, order, reason=cause)

    return _decide(order_id, decide, orders, report=report)


def resume_order(
    order_id: str,
    direction: Direction,
    asker: Asker,
    *,
    orders: OrderRepository,
    runner: CheckoutRunner,
    now: Clock,
) -> Order:
    """Take an order that was set aside up again, and remember who did it and why.

    It goes on where it was set aside, or back. Not repeatable: an order set aside again since
    would be resumed once more. One whose start was lost is taken up by the sweep.

    Raises
    ------
    OrderNotFoundError
    OrderNotParkedError
        It was not set aside, or somebody was faster.
    """
    order = _decide(
        order_id,
        lambda order: order.resumed(direction, at=now()),
        orders,
        action=lambda order: _action(direction, asker, order),
    )
    _poke(order, runner)
    return order


def take_up(order_id: str, *, orders: OrderRepository, runner: CheckoutRunner) -> None:
    """Have an order's checkout run on, because something it may wait for has happened."""
    _poke(orders.get(order_id), runner)


def sweep(*, orders: OrderRepository, runner: CheckoutRunner, now: Clock) -> int:
    """Start the checkout of every order that nobody works on any more; tell how many.

    An order is left alone afterwards for as long as after any other change, so that the one
    which fails again and again does not stand in the way of the others.

    Raises
    ------
    UnavailableError
        Some could not be started; the next sweep tries them again.
    """
    started = 0
    for order_id in orders.due(now(), SWEPT_MAX):
        order = orders.get(order_id)
        # The index follows the orders with some delay.
        if order.due_at is not None and order.due_at <= now():
            runner.start_again(order.order_id, order.correlation_id)
            orders.postpone(order, now() + LEFT_ALONE_MAX)
            started += 1
    return started


def follow_parcel(
    order_id: str, status: OrderStatus, *, orders: OrderRepository, now: Clock
) -> Order:
    """Record what the carrier says. News that is late or repeated changes nothing.

    An order that is being cancelled, or whose cancelling was set aside, was too late to be: its
    parcel cannot be called off.

    Raises
    ------
    OrderTransitionError
        The order was never confirmed: the message waits and comes again.
    """

    def decide(order: Order) -> Order:
        return order if order.has_come_to(status) else order.moved_to(status, at=now())

    return _decide(order_id, decide, orders)


def follow_refunds(
    order_id: str, refunded_minor: int, *, orders: OrderRepository, now: Clock
) -> Order:
    """Record how much of the payment went back in all. Older news changes nothing."""
    return _decide(order_id, lambda order: order.refunded(refunded_minor, at=now()), orders)


def price_return(order_id: str, quantities: Mapping[str, int], *, orders: OrderRepository) -> Money:
    """Tell what units of an order were bought for.

    Raises
    ------
    OrderNotFoundError
    NotBoughtError
        The order has fewer of them.
    """
    return price_of(orders.get(order_id), orders.lines(order_id), quantities)


def order_of(order_id: str, *, customer_id: str | None, orders: OrderRepository) -> Order:
    """Read an order for its owner, or for staff (`customer_id` None).

    Raises
    ------
    OrderNotFoundError
        No such order, or it is somebody else's.
    """
    order = orders.get(order_id)
    _require_owner(order, customer_id)
    return order


def _require_owner(order: Order, customer_id: str | None) -> None:
    if customer_id is not None and order.customer_id != customer_id:
        raise OrderNotFoundError(order.order_id)


def _action(what: str, asker: Asker, order: Order) -> Action:
    return Action(what, asker.principal_id, asker.role, asker.note, order.updated_at)


def _poke(order: Order, runner: CheckoutRunner) -> None:
    """Start the checkout again, if there is anything left for it to do."""
    if order.due_at is not None:
        runner.start_again(order.order_id, order.correlation_id)


def _decide(
    order_id: str,
    decide: Decide,
    orders: OrderRepository,
    *,
    report: Report = lambda _: None,
    action: Record = lambda _: None,
) -> Order:
    """Load, decide, record; decide anew if somebody else wrote in between."""
    for _ in range(_ATTEMPTS_MAX):
        order = orders.get(order_id)
        decided = decide(order)
        if decided is order:
            return order
        try:
            orders.save(decided, report(decided), action(decided))
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

"""What orders does by itself: follow the news, and take up what was left lying."""

from __future__ import annotations

from orders.model import LEFT_ALONE_MAX, Cancelled, Order, OrderStatus
from orders.ports import CheckoutRunner, OrderRepository
from orders.use_cases.deciding import confirmation_of, decided, poke
from tradepost.kernel.clock import Clock

# What one sweep starts again; the rest waits for the next minute.
SWEPT_MAX = 160


def take_up(order_id: str, *, orders: OrderRepository, runner: CheckoutRunner) -> None:
    """Have an order's checkout run on, because something it may wait for has happened."""
    poke(orders.get(order_id), runner)


def give_up_parcel(
    order_id: str, *, orders: OrderRepository, runner: CheckoutRunner, now: Clock
) -> None:
    """Cancel an order whose parcel the carrier lost or refused before it was handed over.

    Safe to repeat. News of a parcel that is under way after all changes nothing.
    """

    def decide(order: Order) -> Order:
        if order.has_come_to(OrderStatus.SHIPPED) or order.parcel_at is not None:
            return order
        return order.asked_to_cancel(Cancelled.BY_CARRIER, at=now())

    poke(decided(order_id, decide, orders), runner)


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
        return order.followed(status, at=now())

    return decided(order_id, decide, orders)


def follow_refunds(
    order_id: str, refunded_minor: int, *, orders: OrderRepository, now: Clock
) -> Order:
    """Record how much of the payment went back in all. Older news changes nothing."""
    return decided(order_id, lambda order: order.refunded(refunded_minor, at=now()), orders)


def confirm_again(order_id: str, *, orders: OrderRepository) -> None:
    """State once more that an order is confirmed, for those who never heard of it.

    It is the same fact while nothing else has befallen the order, so that who has heard of it
    takes no notice. Does nothing for an order that is not CONFIRMED.
    """
    order = orders.get(order_id)
    if order.status is OrderStatus.CONFIRMED:
        orders.publish(order, confirmation_of(order))


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

"""Forgetting a customer, order by order, and telling them before what there is."""

from __future__ import annotations

from datetime import timedelta

from orders.model import Order
from orders.ports import Erasures, OrderRepository
from tradepost.contracts.event import event_id
from tradepost.contracts.orders import OrderAnonymisedV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError

# A checkout that was begun before may be stuck for a while, and place its order late.
WATCHED_FOR = timedelta(days=7)

_PAGE = 25


def sweep_erasures(*, orders: OrderRepository, erasures: Erasures, now: Clock) -> int:
    """Forget the customers who asked for it, as far as their orders are over; tell how many.

    An order under way is looked at again each hour, and orders that are placed late as well.
    """
    due = erasures.due(now())
    for erasure in due:
        is_done = forget_customer(erasure.user_id, orders=orders, now=now)
        if is_done and now() >= erasure.asked_at + WATCHED_FOR:
            erasures.finish(erasure.user_id)
        else:
            erasures.postpone(erasure.user_id, now())
    return len(due)


def forget_customer(customer_id: str, *, orders: OrderRepository, now: Clock) -> bool:
    """Anonymise every order of a customer that is over; tell whether that was all of them."""
    is_done = True
    after = None
    while True:
        found, after = orders.of_customer(customer_id, None, _PAGE, after)
        for order in found:
            if not order.is_anonymous:
                is_done = _anonymised(order.order_id, orders=orders, now=now) and is_done
        if after is None:
            return is_done


def _anonymised(order_id: str, *, orders: OrderRepository, now: Clock) -> bool:
    # The index may be behind, and decides nothing.
    order: Order = orders.get(order_id)
    if order.is_anonymous:
        return True
    if order.needs_its_customer(now()):
        return False
    anonymous = order.anonymised(at=now())
    event = OrderAnonymisedV1(
        event_id=event_id(OrderAnonymisedV1.TYPE, order_id, anonymous.version),
        occurred_at=anonymous.updated_at,
        correlation_id=order.correlation_id,
        version=anonymous.version,
        order_id=order_id,
    )
    try:
        orders.anonymise(anonymous, event)
    except StaleError:
        # It moved on meanwhile; the next look finds it where it is.
        return False
    return True

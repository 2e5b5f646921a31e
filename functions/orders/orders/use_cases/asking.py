"""What people ask of an order: to see it, to cancel it, to take it up again."""

from __future__ import annotations

from dataclasses import dataclass

from orders.model import Action, Cancelled, Direction, Order
from orders.ports import CheckoutRunner, OrderRepository
from orders.use_cases.deciding import decided, poke, require_owner
from tradepost.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Asker:
    """A person who asks for a change of an order, and what they say about it."""

    principal_id: str
    role: str
    is_staff: bool
    note: str | None = None


def order_of(order_id: str, *, customer_id: str | None, orders: OrderRepository) -> Order:
    """Read an order for its owner, or for staff (`customer_id` None).

    Raises
    ------
    OrderNotFoundError
        No such order, or it is somebody else's.
    """
    order = orders.get(order_id)
    require_owner(order, customer_id)
    return order


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
        require_owner(order, None if asker.is_staff else asker.principal_id)
        return order.asked_to_cancel(reason, at=now())

    order = decided(
        order_id, decide, orders, action=lambda order: action_of("cancel", asker, order)
    )
    poke(order, runner)
    return order


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
    order = decided(
        order_id,
        lambda order: order.resumed(direction, at=now()),
        orders,
        action=lambda order: action_of(direction, asker, order),
    )
    poke(order, runner)
    return order


def action_of(what: str, asker: Asker, order: Order) -> Action:
    return Action(what, asker.principal_id, asker.role, asker.note, order.updated_at)

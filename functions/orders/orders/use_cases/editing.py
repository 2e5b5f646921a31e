"""Taking units out of a confirmed order: asked for by people, done by its checkout."""

from __future__ import annotations

from collections.abc import Mapping

from orders.model import EditStatus, Order, OrderLine, OrderStatus, left_of
from orders.ports import CheckoutRunner, OrderRepository
from orders.use_cases.asking import Asker, action_of
from orders.use_cases.deciding import ATTEMPTS_MAX, decided, poke, require_owner
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.kernel.money import Money


def request_edit(
    order_id: str,
    quantities: Mapping[str, int],
    asker: Asker,
    *,
    key: str,
    expected: Money,
    orders: OrderRepository,
    runner: CheckoutRunner,
    now: Clock,
) -> Order:
    """Have units taken out of an order, as long as its parcel is not packed.

    The checkout, started again, gives back the units and what they were bought for. Asked again
    by the same key it is the same edit, and the checkout is started again if it is not over.

    Raises
    ------
    OrderNotFoundError
        No such order, or it is somebody else's.
    OrderTransitionError
        The order is not CONFIRMED, or another edit of it is under way.
    NotBoughtError, EditNotPossibleError, EditTotalError, IdempotencyMismatchError
    """
    its_key = f"{asker.principal_id}:{key}"

    def decide(order: Order) -> Order:
        require_owner(order, None if asker.is_staff else asker.principal_id)
        if order.edit and order.edit.key == its_key:
            if order.edit.quantities != quantities:
                raise IdempotencyMismatchError
            return order
        return order.asked_to_edit(
            quantities, orders.lines(order_id), key=its_key, expected=expected, at=now()
        )

    order = decided(order_id, decide, orders, action=lambda order: action_of("edit", asker, order))
    poke(order, runner)
    return order


def read_edit(order_id: str, *, orders: OrderRepository) -> tuple[Order, list[OrderLine]]:
    """Read an order with the lines that its latest edit leaves of it."""
    order = orders.get(order_id)
    assert order.edit is not None
    return order, left_of(orders.lines(order_id), order.edit.quantities)


def apply_edit(order_id: str, number: int, *, orders: OrderRepository, now: Clock) -> Order:
    """Give the order its new lines and its new total, once: from here on the edit is finished.

    An edit that is over, or applied already, changes nothing. Safe to repeat.
    """
    for _ in range(ATTEMPTS_MAX):
        order, left = read_edit(order_id, orders=orders)
        assert order.edit is not None
        is_asked = order.edit.number == number and order.edit.status is EditStatus.ASKED
        if not is_asked or order.status is not OrderStatus.EDITING:
            return order
        applied = order.edit_applied(left, at=now())
        try:
            orders.save_edited(applied, left)
        except StaleError:
            continue
        return applied
    raise StaleError(f"{order_id} kept changing")


def close_edit(
    order_id: str, number: int, status: EditStatus, *, orders: OrderRepository, now: Clock
) -> Order:
    """Confirm the order again, or turn it round if its customer cancelled meanwhile.

    `status` is how the edit ended, DONE or REFUSED; one that has been applied is never refused.
    Safe to repeat.
    """

    def decide(order: Order) -> Order:
        edit = order.edit
        if order.status is not OrderStatus.EDITING or edit is None or edit.number != number:
            return order
        is_applied = edit.status is EditStatus.APPLIED
        if is_applied is not (status is EditStatus.DONE):
            return order
        return order.edit_ended(status, at=now())

    return decided(order_id, decide, orders)

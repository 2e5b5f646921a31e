"""Editing a confirmed order: asked for by people, done by its checkout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orders.model import (
    PARCEL_PACKED,
    Edit,
    EditStatus,
    Order,
    OrderLine,
    OrderStatus,
    edited,
    editing,
    units_added,
)
from orders.ports import CheckoutRunner, OrderRepository, Prices
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
    method: str | None = None,
    orders: OrderRepository,
    prices: Prices,
    runner: CheckoutRunner,
    now: Clock,
) -> Order:
    """Have units taken out of an order or added to it, as long as its parcel is not packed.

    What is added costs what it costs today; `method` is the means of payment for what is due, the
    order's own without it. The checkout, started again, takes and gives back units and money, or
    refuses the edit and leaves the order as it was. Asked again by the same key it is the same
    edit, and the checkout is started again if it is not over.

    Raises
    ------
    OrderNotFoundError
        No such order, or it is somebody else's.
    OrderTransitionError
        The order is not CONFIRMED, or another edit of it is under way.
    NotBoughtError, NotOnSaleError, EditNotPossibleError, EditTotalError, IdempotencyMismatchError
    """
    its_key = f"{asker.principal_id}:{key}"

    def decide(order: Order) -> Order:
        require_owner(order, None if asker.is_staff else asker.principal_id)
        if order.edit and order.edit.key == its_key:
            if (order.edit.quantities, order.edit.method) != (quantities, method):
                raise IdempotencyMismatchError
            return order
        lines = orders.lines(order_id)
        more = units_added(quantities, lines)
        return editing.asked(
            order,
            quantities,
            lines,
            added=prices.of(more, order) if more else (),
            key=its_key,
            method=method,
            expected=expected,
            at=now(),
        )

    order = decided(order_id, decide, orders, action=lambda order: action_of("edit", asker, order))
    poke(order, runner)
    return order


def read_edit(order_id: str, *, orders: OrderRepository) -> tuple[Order, Edit, list[OrderLine]]:
    """Read an order and its latest edit, with the lines that this leaves of it."""
    order = orders.get(order_id)
    assert order.edit is not None
    lines = orders.lines(order_id)
    return order, order.edit, lines if order.edit.is_applied else edited(lines, order.edit)


def begin_edit(order_id: str, number: int, *, orders: OrderRepository, now: Clock) -> Order:
    """Pass an edit's point of no return: what it adds is held and its price set aside.

    Safe to repeat; an edit that is undone stays so.
    """

    def decide(order: Order) -> Order:
        is_asked = _is_at(order, number, {EditStatus.ASKED})
        return editing.begun(order, at=now()) if is_asked else order

    return decided(order_id, decide, orders)


def undo_edit(
    order_id: str,
    number: int,
    *,
    reason: str,
    is_definite: bool,
    orders: OrderRepository,
    now: Clock,
) -> Order:
    """Turn an edit round that was refused something, if it still can be.

    One that another execution has begun to take goes on, unless the no `is_definite`: the money or
    the units will never be had. Safe to repeat.
    """
    may_turn = {EditStatus.ASKED} | ({EditStatus.TAKING} if is_definite else set())

    def decide(order: Order) -> Order:
        if not _is_at(order, number, may_turn):
            return order
        return editing.undone(order, reason, at=now())

    return decided(order_id, decide, orders)


def apply_edit(order_id: str, number: int, *, orders: OrderRepository, now: Clock) -> Order:
    """Give the order its new lines and its new total, once: from here on the edit is finished.

    An edit that is over, or applied already, changes nothing. Safe to repeat.
    """
    for _ in range(ATTEMPTS_MAX):
        order, edit, left = read_edit(order_id, orders=orders)
        is_this = edit.number == number and order.status is OrderStatus.EDITING
        if not (is_this and edit.may_be_applied):
            return order
        applied = editing.applied(order, left, at=now())
        try:
            orders.save_edited(applied, left)
        except StaleError:
            continue
        return applied
    raise StaleError(f"{order_id} kept changing")


def refuse_edit(order_id: str, number: int, *, orders: OrderRepository, now: Clock) -> Order:
    """Leave an order as it was whose parcel was packed before its edit held anything.

    Safe to repeat.
    """

    def decide(order: Order) -> Order:
        if order.edit is None or not _is_at(order, number, {EditStatus.ASKED}):
            return order
        # Nothing has to go back before that.
        refused = replace(order, edit=order.edit.refused(PARCEL_PACKED))
        return editing.ended(refused, at=now())

    return decided(order_id, decide, orders)


def close_edit(order_id: str, number: int, *, orders: OrderRepository, now: Clock) -> Order:
    """Confirm the order again, or turn it round if its customer cancelled meanwhile.

    An edit that was applied is DONE, one that was undone is REFUSED. Safe to repeat.
    """

    def decide(order: Order) -> Order:
        is_over = _is_at(order, number, {EditStatus.APPLIED, EditStatus.UNDOING})
        return editing.ended(order, at=now()) if is_over else order

    return decided(order_id, decide, orders)


def _is_at(order: Order, number: int, statuses: set[EditStatus]) -> bool:
    edit = order.edit
    if order.status is not OrderStatus.EDITING or edit is None:
        return False
    return edit.number == number and edit.status in statuses

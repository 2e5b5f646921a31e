"""
What an edit does to its order.

A confirmed order can be edited. While it is EDITING its parcel stays in our house, and asking to
cancel leaves a mark, as while CAPTURING. News of a parcel that left all the same is noted, and
followed when the edit is over. The edit has a direction of its own: see `edit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from orders.model.edit import Edit, EditStatus, edited
from orders.model.line import ORDER_LINES_MAX, NotBoughtError, OrderLine, units_of
from orders.model.order import Order
from orders.model.paid import paid_for
from orders.model.reason import PARCEL_PACKED
from orders.model.status import OrderStatus, OrderTransitionError
from tradepost.kernel.errors import ConflictError
from tradepost.kernel.money import Money

_ENDS = {
    EditStatus.APPLIED: EditStatus.DONE,
    EditStatus.UNDOING: EditStatus.REFUSED,
}


class EditNotPossibleError(ConflictError):
    """The edit changes nothing, leaves nothing, or would make the order what none can be."""

    code = "edit_not_possible"

    def __init__(self, order_id: str, why: str) -> None:
        super().__init__(f"{order_id} cannot be edited: {why}")
        self.order_id = order_id


class NotOnSaleError(ConflictError):
    """Units of this SKU are to be added, and nothing is sold under it."""

    code = "not_on_sale"

    def __init__(self, sku: str) -> None:
        super().__init__(f"nothing is on sale as {sku}")
        self.sku = sku


class EditTotalError(ConflictError):
    """The order would come to another total than the customer expects."""

    code = "edit_total"

    def __init__(self, order_id: str, total: Money) -> None:
        super().__init__(f"{order_id} would come to {total.in_words()}")
        self.order_id = order_id
        self.total_minor = total.amount_minor


def asked(
    order: Order,
    quantities: Mapping[str, int],
    lines: Sequence[OrderLine],
    *,
    added: Sequence[OrderLine] = (),
    key: str,
    method: str | None = None,
    expected: Money,
    at: datetime,
) -> Order:
    """Return the order with units to be taken out of it, and those `added` at their price.

    Raises
    ------
    OrderTransitionError
        It is not CONFIRMED: another edit, a cancelling or its parcel was first.
    NotBoughtError, EditNotPossibleError, EditTotalError
    """
    # One that is being given back, or waits for an operator, may come to EDITING again, but not
    # because somebody asks for an edit now.
    if order.status is not OrderStatus.CONFIRMED:
        raise OrderTransitionError(order.order_id, order.status, OrderStatus.EDITING)
    editing = order.moved_to(OrderStatus.EDITING, at=at)
    taken = _taken_out(order.order_id, quantities, lines)
    # The first of a line's units stay, and keep their share.
    refund_minor = paid_for(order, lines, taken, before=quantities).amount_minor
    price_minor = sum(
        line.paid_minor(prices_include_tax=order.prices_include_tax) for line in added
    )
    edit = Edit(
        number=order.edit.number + 1 if order.edit else 1,
        key=key,
        quantities=dict(quantities),
        refund_minor=max(0, refund_minor - price_minor),
        due_minor=max(0, price_minor - refund_minor),
        added=tuple(added),
        method=method,
    )
    left = edited(lines, edit)
    if not left:
        raise EditNotPossibleError(order.order_id, "nothing would be left; cancel it instead")
    if len(left) > ORDER_LINES_MAX:
        raise EditNotPossibleError(order.order_id, f"at most {ORDER_LINES_MAX} lines")
    total = _total_after(order, edit)
    if total != expected:
        raise EditTotalError(order.order_id, total)
    return replace(editing, edit=edit)


def begun(order: Order, *, at: datetime) -> Order:
    """Return the order past the point of no return of an edit that adds.

    One that is to be cancelled, or whose parcel has left, takes nothing more: its edit is
    undone.
    """
    assert order.edit is not None
    if order.parcel_at or order.cancel_requested:
        return undone(order, order.cancel_requested or PARCEL_PACKED, at=at)
    return order.noted(at, edit=replace(order.edit, status=EditStatus.TAKING))


def undone(order: Order, reason: str, *, at: datetime) -> Order:
    """Return the order as it was before its edit, but for what that holds."""
    assert order.edit is not None
    return order.noted(at, edit=order.edit.refused(reason))


def applied(order: Order, lines: Sequence[OrderLine], *, at: datetime) -> Order:
    """Return the order as its edit leaves it."""
    assert order.edit is not None
    return order.noted(
        at,
        total=_total_after(order, order.edit),
        line_count=len(lines),
        edit=replace(order.edit, status=EditStatus.APPLIED),
    )


def ended(order: Order, *, at: datetime) -> Order:
    """Return the order confirmed again, or where its customer or its parcel brought it."""
    assert order.edit is not None
    status = _ENDS[order.edit.status]
    if order.parcel_at:
        # Too late to cancel: what was asked for is not done.
        left = order.moved_to(order.parcel_at, at=at)
        left = replace(left, cancel_requested=None, parcel_at=None)
    elif order.cancel_requested:
        left = order.moved_to(OrderStatus.CANCELLING, at=at, reason=order.cancel_requested)
    else:
        left = order.moved_to(OrderStatus.CONFIRMED, at=at)
    return replace(left, edit=replace(order.edit, status=status))


def units_added(quantities: Mapping[str, int], lines: Sequence[OrderLine]) -> dict[str, int]:
    """Count the units that new quantities add to an order, by SKU."""
    more = {sku: quantity - units_of(lines).get(sku, 0) for sku, quantity in quantities.items()}
    return {sku: quantity for sku, quantity in more.items() if quantity > 0}


def _taken_out(
    order_id: str, quantities: Mapping[str, int], lines: Sequence[OrderLine]
) -> dict[str, int]:
    bought = units_of(lines)
    for sku, quantity in quantities.items():
        if sku not in bought and quantity == 0:
            raise NotBoughtError(order_id, sku)
    less = {sku: bought.get(sku, 0) - quantity for sku, quantity in quantities.items()}
    if not any(less.values()):
        raise EditNotPossibleError(order_id, "nothing would change")
    return {sku: quantity for sku, quantity in less.items() if quantity > 0}


def _total_after(order: Order, edit: Edit) -> Money:
    return order.total + Money(edit.due_minor - edit.refund_minor, order.total.currency)

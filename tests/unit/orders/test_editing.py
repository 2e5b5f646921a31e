"""An edit of an order: what may be asked for, and who wins when things meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from orders import use_cases
from orders.model import (
    Edit,
    EditNotPossibleError,
    EditStatus,
    EditTotalError,
    NotBoughtError,
    Order,
    OrderLine,
    OrderNotFoundError,
    OrderStatus,
    OrderTransitionError,
)
from tests.unit.orders.one_order import ADA, LINES, MALLORY, STAFF, OneOrder, Starts, an_order, noon
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.kernel.money import Money

ONE_MUG = {"MUG": 1}
LESS_A_MUG = 3400 - 1250


class Editable(OneOrder):
    def save_edited(self, order: Order, lines: Sequence[OrderLine]) -> None:
        self.save(order, None, None)
        self._lines = lines


def orders_in(status: str, edit: EditStatus | None = None, **facts: Any) -> Editable:
    asked = Edit(1, "usr_1:key", ONE_MUG, 1250, edit) if edit else None
    return Editable(an_order(status, edit=asked, **facts), lines=LINES)


def asked(
    orders: Any,
    quantities: dict[str, int] | None = None,
    *,
    who: Any = ADA,
    key: str = "key",
    total: int = LESS_A_MUG,
    runner: Any = None,
) -> Order:
    return use_cases.request_edit(
        "ord_1",
        ONE_MUG if quantities is None else quantities,
        who,
        key=key,
        expected=Money(total, "GBP"),
        orders=orders,
        runner=runner or Starts(),
        now=noon,
    )


@pytest.mark.parametrize("who", [ADA, STAFF])
def test_an_edit_is_written_down_with_who_asked_and_the_checkout_started(who: Any) -> None:
    orders, runner = orders_in("CONFIRMED"), Starts()

    order = asked(orders, who=who, runner=runner)

    assert order.status is OrderStatus.EDITING
    assert order.edit is not None
    assert (order.edit.number, order.edit.refund_minor) == (1, 1250)
    assert [(action.what, action.by) for action in orders.done] == [("edit", who.principal_id)]
    assert runner.orders == ["ord_1"]


@pytest.mark.parametrize("confirmed_at", [None, noon()], ids=["never confirmed", "confirmed once"])
@pytest.mark.parametrize("status", [status for status in OrderStatus if status != "CONFIRMED"])
def test_only_a_confirmed_order_is_edited(
    status: OrderStatus, confirmed_at: datetime | None
) -> None:
    with pytest.raises(OrderTransitionError):
        asked(orders_in(status, confirmed_at=confirmed_at))


@pytest.mark.parametrize(
    ("quantities", "total", "refusal"),
    [
        ({"MUG": 3}, 3400 + 1250, EditNotPossibleError),
        ({"MUG": 1, "CUP": 2}, 3400, EditNotPossibleError),
        ({"MUG": 2}, 3400, EditNotPossibleError),
        ({"MUG": 0, "CUP": 0}, 0, EditNotPossibleError),
        ({"HAT": 0}, 3400, NotBoughtError),
        ({"MUG": 1}, 3400, EditTotalError),
    ],
)
def test_an_edit_that_does_not_take_units_out_or_mistakes_the_total_is_refused(
    quantities: dict[str, int], total: int, refusal: type[Exception]
) -> None:
    orders = orders_in("CONFIRMED")

    with pytest.raises(refusal):
        asked(orders, quantities, total=total)

    assert orders.order.version == 1


def test_somebody_elses_order_is_not_found() -> None:
    with pytest.raises(OrderNotFoundError):
        asked(orders_in("CONFIRMED"), who=MALLORY)


def test_an_edit_asked_for_again_is_the_same_and_its_checkout_started_again() -> None:
    orders, runner = orders_in("CONFIRMED"), Starts()
    first = asked(orders, runner=runner)

    assert asked(orders, runner=runner) is first
    assert runner.orders == ["ord_1", "ord_1"]
    with pytest.raises(IdempotencyMismatchError):
        asked(orders, {"MUG": 0})


def test_an_edit_is_applied_once_with_what_is_left_of_the_order() -> None:
    orders: Any = orders_in("EDITING", EditStatus.ASKED)

    use_cases.apply_edit("ord_1", 1, orders=orders, now=noon)
    order = use_cases.apply_edit("ord_1", 1, orders=orders, now=noon)

    assert order.total == Money(LESS_A_MUG, "GBP")
    assert [(line.sku, line.quantity) for line in orders.lines("ord_1")] == [("MUG", 1), ("CUP", 1)]
    assert order.version == 2


@pytest.mark.parametrize("number", [1, 2])
def test_an_edit_that_is_over_or_not_there_is_not_applied(number: int) -> None:
    over: Any = orders_in("CONFIRMED", EditStatus.REFUSED)
    other: Any = orders_in("EDITING", EditStatus.ASKED)

    assert use_cases.apply_edit("ord_1", number, orders=over, now=noon).version == 1
    assert use_cases.apply_edit("ord_1", 2, orders=other, now=noon).version == 1


@pytest.mark.parametrize(
    ("stands", "ends", "status"),
    [
        (EditStatus.APPLIED, EditStatus.DONE, "CONFIRMED"),
        (EditStatus.ASKED, EditStatus.REFUSED, "CONFIRMED"),
        # What has been applied is not refused, and what was never applied is not done.
        (EditStatus.APPLIED, EditStatus.REFUSED, "EDITING"),
        (EditStatus.ASKED, EditStatus.DONE, "EDITING"),
    ],
)
def test_an_edit_ends_as_it_went(stands: EditStatus, ends: EditStatus, status: str) -> None:
    orders: Any = orders_in("EDITING", stands)

    assert use_cases.close_edit("ord_1", 1, ends, orders=orders, now=noon).status == status


@pytest.mark.parametrize("ends", [EditStatus.DONE, EditStatus.REFUSED])
def test_an_order_cancelled_while_it_is_edited_turns_round_at_the_edits_end(
    ends: EditStatus,
) -> None:
    stands = EditStatus.APPLIED if ends is EditStatus.DONE else EditStatus.ASKED
    orders: Any = orders_in("EDITING", stands)
    use_cases.request_cancellation("ord_1", ADA, orders=orders, runner=Starts(), now=noon)
    assert orders.order.status is OrderStatus.EDITING

    order = use_cases.close_edit("ord_1", 1, ends, orders=orders, now=noon)

    assert (order.status, order.reason) == ("CANCELLING", "cancelled_by_customer")


@pytest.mark.parametrize("status", ["EDITING", "NEEDS_ATTENTION", "CANCELLING"])
def test_a_parcel_that_left_while_an_edit_was_open_is_followed_when_it_is_over(
    status: str,
) -> None:
    orders: Any = orders_in("EDITING", EditStatus.APPLIED)
    orders.order = replace(orders.order, status=OrderStatus(status))
    for news in ("SHIPPED", "DELIVERED", "SHIPPED"):
        use_cases.follow_parcel("ord_1", OrderStatus(news), orders=orders, now=noon)
    assert orders.order.status == status

    orders.order = replace(orders.order, status=OrderStatus.EDITING)
    order = use_cases.close_edit("ord_1", 1, EditStatus.DONE, orders=orders, now=noon)

    assert (order.status, order.parcel_at) == ("DELIVERED", None)


def test_an_order_whose_parcel_left_while_it_was_edited_is_not_cancelled() -> None:
    orders: Any = orders_in("EDITING", EditStatus.ASKED, parcel_at=OrderStatus.SHIPPED)

    with pytest.raises(OrderTransitionError):
        use_cases.request_cancellation("ord_1", ADA, orders=orders, runner=Starts(), now=noon)


def test_a_cancelling_that_was_asked_for_before_the_parcel_left_is_too_late() -> None:
    orders: Any = orders_in("EDITING", EditStatus.ASKED)
    use_cases.request_cancellation("ord_1", ADA, orders=orders, runner=Starts(), now=noon)
    use_cases.follow_parcel("ord_1", OrderStatus.SHIPPED, orders=orders, now=noon)

    order = use_cases.close_edit("ord_1", 1, EditStatus.REFUSED, orders=orders, now=noon)

    assert (order.status, order.cancel_requested) == ("SHIPPED", None)


@pytest.mark.parametrize(
    ("edit", "status"), [(EditStatus.APPLIED, "EDITING"), (EditStatus.DONE, "CONFIRMED")]
)
def test_an_order_kept_after_all_finishes_the_edit_that_was_cut_short(
    edit: EditStatus, status: str
) -> None:
    orders: Any = orders_in("CONFIRMED", edit)
    orders.order = replace(orders.order, status=OrderStatus.CANCELLING)

    assert use_cases.keep_order("ord_1", orders=orders, now=noon).status == status

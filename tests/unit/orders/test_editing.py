"""An edit of an order: what may be asked for, and who wins when things meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from orders import use_cases
from orders.model import (
    ORDER_LINES_MAX,
    Edit,
    EditNotPossibleError,
    EditStatus,
    EditTotalError,
    NotBoughtError,
    NotOnSaleError,
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


class Today:
    """What is on sale: mugs are dearer than they were bought, cups cheaper. Satisfies `Prices`."""

    def of(self, quantities: Mapping[str, int], order: Order) -> list[OrderLine]:
        prices_minor = {"MUG": 1500, "CUP": 800, "HAT": 2000}
        for sku in quantities:
            if sku not in prices_minor:
                raise NotOnSaleError(sku)
        return [
            OrderLine(sku, f"A {sku.lower()}", quantity, prices_minor[sku])
            for sku, quantity in quantities.items()
        ]


def orders_in(status: str, edit: EditStatus | None = None, **facts: Any) -> Editable:
    asked = Edit(1, "usr_1:key", ONE_MUG, 1250, edit) if edit else None
    return Editable(an_order(status, edit=asked, **facts), lines=LINES)


def adding(edit: EditStatus = EditStatus.ASKED, **facts: Any) -> Any:
    """Keep an order that is being edited: a hat is added, and a cup taken out for it."""
    hat = OrderLine("HAT", "A hat", 1, 2000)
    quantities = {"HAT": 1, "CUP": 0}
    asked = Edit(1, "usr_1:key", quantities, 0, edit, due_minor=1100, added=(hat,))
    return Editable(an_order("EDITING", edit=asked, **facts), lines=LINES)


def lines_of(orders: Any) -> list[tuple[str, int]]:
    return [(line.sku, line.quantity) for line in orders.lines("ord_1")]


def asked(
    orders: Any,
    quantities: dict[str, int] | None = None,
    *,
    who: Any = ADA,
    key: str = "key",
    total: int = LESS_A_MUG,
    method: str | None = None,
    runner: Any = None,
) -> Order:
    return use_cases.request_edit(
        "ord_1",
        ONE_MUG if quantities is None else quantities,
        who,
        key=key,
        expected=Money(total, "GBP"),
        method=method,
        orders=orders,
        prices=Today(),
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
        ({"MUG": 2}, 3400, EditNotPossibleError),
        ({"MUG": 0, "CUP": 0}, 0, EditNotPossibleError),
        ({"HAT": 0}, 3400, NotBoughtError),
        ({"MUG": 1}, 3400, EditTotalError),
        ({"MUG": 3}, 3400 + 1250, EditTotalError),
        ({"BOOK": 1}, 3400, NotOnSaleError),
    ],
)
def test_an_edit_that_changes_nothing_or_mistakes_what_there_is_or_its_price_is_refused(
    quantities: dict[str, int], total: int, refusal: type[Exception]
) -> None:
    orders = orders_in("CONFIRMED")

    with pytest.raises(refusal):
        asked(orders, quantities, total=total)

    assert orders.order.version == 1


def test_a_total_the_customer_did_not_expect_is_told_as_a_person_reads_it() -> None:
    with pytest.raises(EditTotalError, match=r"ord_1 would come to 21\.50 GBP$"):
        asked(orders_in("CONFIRMED"), {"MUG": 1}, total=3400)


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
        (EditStatus.UNDOING, EditStatus.REFUSED, "CONFIRMED"),
        # What is under way is not over.
        (EditStatus.ASKED, EditStatus.ASKED, "EDITING"),
        (EditStatus.TAKING, EditStatus.TAKING, "EDITING"),
    ],
)
def test_an_edit_ends_as_it_went(stands: EditStatus, ends: EditStatus, status: str) -> None:
    orders: Any = orders_in("EDITING", stands)

    order = use_cases.close_edit("ord_1", 1, orders=orders, now=noon)

    assert order.edit is not None
    assert (order.edit.status, order.status) == (ends, status)


@pytest.mark.parametrize(
    ("stands", "reason", "status"),
    [
        (EditStatus.ASKED, "parcel_packed", "CONFIRMED"),
        # What holds units or money, or has been applied, is not refused at once.
        (EditStatus.TAKING, None, "EDITING"),
        (EditStatus.APPLIED, None, "EDITING"),
        (EditStatus.UNDOING, None, "EDITING"),
    ],
)
def test_a_packed_parcel_refuses_an_edit_that_has_changed_nothing(
    stands: EditStatus, reason: str | None, status: str
) -> None:
    orders: Any = orders_in("EDITING", stands)

    order = use_cases.refuse_edit("ord_1", 1, orders=orders, now=noon)

    assert order.edit is not None
    assert (order.edit.reason, order.status) == (reason, status)
    assert order.version == (2 if reason else 1)


class TestAddingUnits:
    @pytest.mark.parametrize(
        ("quantities", "total", "due", "refund"),
        [
            ({"HAT": 1}, 3400 + 2000, 2000, 0),
            ({"MUG": 3}, 3400 + 1500, 1500, 0),
            ({"HAT": 1, "CUP": 0}, 3400 + 2000 - 900, 1100, 0),
            ({"MUG": 0, "CUP": 2}, 3400 - 2500 + 800, 0, 1700),
            ({"MUG": 0, "HAT": 1, "CUP": 0}, 2000, 0, 1400),
        ],
    )
    def test_what_is_added_and_taken_out_is_set_off_at_the_prices_of_today_and_then(
        self, quantities: dict[str, int], total: int, due: int, refund: int
    ) -> None:
        orders = orders_in("CONFIRMED")

        order = asked(orders, quantities, total=total)

        assert order.edit is not None
        assert (order.edit.due_minor, order.edit.refund_minor) == (due, refund)

    def test_what_was_added_costs_what_it_cost_and_the_rest_what_it_did(self) -> None:
        orders: Any = orders_in("CONFIRMED")
        asked(orders, {"MUG": 3, "CUP": 2, "HAT": 1}, total=3400 + 1500 + 800 + 2000)
        use_cases.begin_edit("ord_1", 1, orders=orders, now=noon)

        order = use_cases.apply_edit("ord_1", 1, orders=orders, now=noon)

        mugs, cups, hat = orders.lines("ord_1")
        assert lines_of(orders) == [("MUG", 3), ("CUP", 2), ("HAT", 1)]
        assert [line.paid_minor(prices_include_tax=True) for line in (mugs, cups, hat)] == [
            4000,
            1700,
            2000,
        ]
        # The dearer price, and what the others cost less.
        assert (mugs.unit_price_minor, mugs.discount_minor) == (1500, 500)
        assert (cups.unit_price_minor, cups.discount_minor) == (900, 100)
        assert order.total == Money(7700, "GBP")
        assert order.line_count == 3

    def test_a_means_of_payment_belongs_to_its_edit(self) -> None:
        orders = orders_in("CONFIRMED")
        first = asked(orders, {"HAT": 1}, total=5400, method="pm_other")

        assert asked(orders, {"HAT": 1}, total=5400, method="pm_other") is first
        with pytest.raises(IdempotencyMismatchError):
            asked(orders, {"HAT": 1}, total=5400)

    def test_an_edit_that_adds_is_applied_when_all_of_it_is_taken_and_not_before(self) -> None:
        orders = adding()

        use_cases.apply_edit("ord_1", 1, orders=orders, now=noon)
        before = lines_of(orders)
        for _ in range(2):
            use_cases.begin_edit("ord_1", 1, orders=orders, now=noon)
            use_cases.apply_edit("ord_1", 1, orders=orders, now=noon)

        assert before == [("MUG", 2), ("CUP", 1)]
        assert lines_of(orders) == [("MUG", 2), ("HAT", 1)]
        assert orders.order.total == Money(3400 + 1100, "GBP")
        assert orders.order.version == 3

    def test_the_lines_an_edit_leaves_are_the_same_before_and_after_it_is_applied(self) -> None:
        orders = adding(EditStatus.TAKING)
        _, _, before = use_cases.read_edit("ord_1", orders=orders)

        use_cases.apply_edit("ord_1", 1, orders=orders, now=noon)

        assert use_cases.read_edit("ord_1", orders=orders)[2] == before

    @pytest.mark.parametrize(
        ("stands", "is_definite", "turns"),
        [
            (EditStatus.ASKED, False, True),
            (EditStatus.ASKED, True, True),
            (EditStatus.TAKING, True, True),
            (EditStatus.TAKING, False, False),
            (EditStatus.APPLIED, True, False),
        ],
    )
    def test_a_refusal_turns_an_edit_round_unless_it_goes_on_by_itself(
        self, stands: EditStatus, is_definite: bool, turns: bool
    ) -> None:
        orders = adding(stands)

        order = use_cases.undo_edit(
            "ord_1", 1, reason="out_of_stock", is_definite=is_definite, orders=orders, now=noon
        )

        assert order.edit is not None
        assert order.edit.status is (EditStatus.UNDOING if turns else stands)
        assert order.edit.reason == ("out_of_stock" if turns else None)

    def test_an_edit_undone_is_not_begun_and_leaves_the_order_as_it_was(self) -> None:
        orders = adding(EditStatus.UNDOING)

        use_cases.begin_edit("ord_1", 1, orders=orders, now=noon)
        use_cases.apply_edit("ord_1", 1, orders=orders, now=noon)
        order = use_cases.close_edit("ord_1", 1, orders=orders, now=noon)

        assert order.edit is not None
        assert (order.status, order.edit.status) == ("CONFIRMED", EditStatus.REFUSED)
        assert (order.total, lines_of(orders)) == (Money(3400, "GBP"), [("MUG", 2), ("CUP", 1)])

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ({"cancel_requested": "cancelled_by_customer"}, "cancelled_by_customer"),
            ({"parcel_at": OrderStatus.SHIPPED}, "parcel_packed"),
        ],
    )
    def test_nothing_is_taken_for_an_order_that_is_to_be_cancelled_or_has_left(
        self, facts: dict[str, Any], reason: str
    ) -> None:
        orders = adding(**facts)

        order = use_cases.begin_edit("ord_1", 1, orders=orders, now=noon)

        assert order.edit is not None
        assert (order.edit.status, order.edit.reason) == (EditStatus.UNDOING, reason)

    def test_an_edit_of_another_number_is_left_alone(self) -> None:
        orders = adding()

        use_cases.begin_edit("ord_1", 2, orders=orders, now=noon)
        use_cases.undo_edit("ord_1", 2, reason="late", is_definite=True, orders=orders, now=noon)
        use_cases.refuse_edit("ord_1", 2, orders=orders, now=noon)

        assert orders.order.version == 1

    def test_an_order_has_no_more_lines_than_a_cart(self) -> None:
        lines = [OrderLine(f"SKU-{number}", "A thing", 1, 1) for number in range(ORDER_LINES_MAX)]
        orders = Editable(an_order("CONFIRMED"), lines=lines)

        with pytest.raises(EditNotPossibleError):
            asked(orders, {"HAT": 1}, total=5400)


@pytest.mark.parametrize("stands", [EditStatus.APPLIED, EditStatus.UNDOING])
def test_an_order_cancelled_while_it_is_edited_turns_round_at_the_edits_end(
    stands: EditStatus,
) -> None:
    orders: Any = orders_in("EDITING", stands)
    use_cases.request_cancellation("ord_1", ADA, orders=orders, runner=Starts(), now=noon)
    assert orders.order.status is OrderStatus.EDITING

    order = use_cases.close_edit("ord_1", 1, orders=orders, now=noon)

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
    order = use_cases.close_edit("ord_1", 1, orders=orders, now=noon)

    assert (order.status, order.parcel_at) == ("DELIVERED", None)


def test_an_order_whose_parcel_left_while_it_was_edited_is_not_cancelled() -> None:
    orders: Any = orders_in("EDITING", EditStatus.ASKED, parcel_at=OrderStatus.SHIPPED)

    with pytest.raises(OrderTransitionError):
        use_cases.request_cancellation("ord_1", ADA, orders=orders, runner=Starts(), now=noon)


def test_a_cancelling_that_was_asked_for_before_the_parcel_left_is_too_late() -> None:
    orders: Any = orders_in("EDITING", EditStatus.ASKED)
    use_cases.request_cancellation("ord_1", ADA, orders=orders, runner=Starts(), now=noon)
    use_cases.follow_parcel("ord_1", OrderStatus.SHIPPED, orders=orders, now=noon)

    order = use_cases.refuse_edit("ord_1", 1, orders=orders, now=noon)

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

"""The order's states: what may follow what, and what late or repeated news does."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from orders import use_cases
from orders.api import NEXT_STEPS, OrderView
from orders.model import (
    LEFT_ALONE_MAX,
    PAYMENT_AWAITED_MAX,
    Direction,
    NotBoughtError,
    OrderNotFoundError,
    OrderNotParkedError,
    OrderStatus,
    OrderTransitionError,
    reason_of,
)
from tests.unit.orders.one_order import LINES, NOON, OneOrder, Starts, after, an_order, noon
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money

ALLOWED = {
    ("PENDING", "AWAITING_PAYMENT"),
    ("PENDING", "CAPTURING"),
    ("PENDING", "CANCELLING"),
    ("PENDING", "NEEDS_ATTENTION"),
    ("AWAITING_PAYMENT", "CAPTURING"),
    ("AWAITING_PAYMENT", "CANCELLING"),
    ("AWAITING_PAYMENT", "NEEDS_ATTENTION"),
    ("CAPTURING", "CONFIRMED"),
    ("CAPTURING", "CANCELLING"),
    ("CAPTURING", "NEEDS_ATTENTION"),
    ("CONFIRMED", "EDITING"),
    ("EDITING", "CONFIRMED"),
    ("EDITING", "SHIPPED"),
    ("EDITING", "DELIVERED"),
    ("EDITING", "CANCELLING"),
    ("EDITING", "NEEDS_ATTENTION"),
    ("CONFIRMED", "SHIPPED"),
    ("CONFIRMED", "DELIVERED"),
    ("CONFIRMED", "CANCELLING"),
    ("SHIPPED", "DELIVERED"),
    ("CANCELLING", "CANCELLED"),
    ("CANCELLING", "NEEDS_ATTENTION"),
    ("NEEDS_ATTENTION", "PENDING"),
    ("NEEDS_ATTENTION", "AWAITING_PAYMENT"),
    ("NEEDS_ATTENTION", "CAPTURING"),
    ("NEEDS_ATTENTION", "CANCELLING"),
}
ONCE_CONFIRMED = {
    ("CANCELLING", "CONFIRMED"),
    ("CANCELLING", "EDITING"),
    ("CANCELLING", "SHIPPED"),
    ("CANCELLING", "DELIVERED"),
    ("NEEDS_ATTENTION", "EDITING"),
    ("NEEDS_ATTENTION", "SHIPPED"),
    ("NEEDS_ATTENTION", "DELIVERED"),
}
PAIRS = list(itertools.product(OrderStatus, OrderStatus))


@pytest.mark.parametrize(("before", "later"), PAIRS)
def test_only_the_drawn_arrows_can_be_followed(before: OrderStatus, later: OrderStatus) -> None:
    order = an_order(before)

    if (before.value, later.value) in ALLOWED:
        assert order.moved_to(later, at=NOON).status is later
    else:
        with pytest.raises(OrderTransitionError):
            order.moved_to(later, at=NOON)


@pytest.mark.parametrize(("before", "later"), PAIRS)
def test_an_order_that_was_confirmed_once_may_go_forward_again(
    before: OrderStatus, later: OrderStatus
) -> None:
    order = an_order(before, confirmed_at=NOON)

    if (before.value, later.value) in ALLOWED | ONCE_CONFIRMED:
        assert order.moved_to(later, at=NOON).status is later
    else:
        with pytest.raises(OrderTransitionError):
            order.moved_to(later, at=NOON)


def test_every_move_counts_a_version() -> None:
    assert an_order().moved_to(OrderStatus.CAPTURING, at=NOON).version == 2


def test_an_order_that_goes_forward_again_has_no_reason_any_more() -> None:
    turned = an_order("CONFIRMED").moved_to(
        OrderStatus.CANCELLING, at=NOON, reason="carrier_failed"
    )

    kept = turned.moved_to(OrderStatus.CONFIRMED, at=NOON)

    assert (turned.reason, kept.reason) == ("carrier_failed", None)


def test_of_capturing_and_abandoning_the_first_one_decides() -> None:
    def abandoned(orders: OneOrder) -> OrderStatus:
        return use_cases.abandon_order(
            "ord_1",
            reason="x",
            capture_refused=False,
            orders=orders,  # type: ignore[arg-type]
            now=noon,
        ).status

    for before in ("PENDING", "AWAITING_PAYMENT"):
        first, second = OneOrder(before), OneOrder(before)
        use_cases.begin_capture("ord_1", orders=first, now=noon)  # type: ignore[arg-type]

        assert abandoned(first) is OrderStatus.CAPTURING
        assert abandoned(second) is OrderStatus.CANCELLING
        with pytest.raises(OrderTransitionError):
            use_cases.begin_capture("ord_1", orders=second, now=noon)  # type: ignore[arg-type]


def test_a_refused_capture_turns_the_order_round() -> None:
    orders = OneOrder("CAPTURING")

    order = use_cases.abandon_order(
        "ord_1",
        reason="capture_refused",
        capture_refused=True,
        orders=orders,  # type: ignore[arg-type]
        now=noon,
    )

    assert (order.status, order.reason) == (OrderStatus.CANCELLING, "capture_refused")


def test_confirming_twice_says_so_once() -> None:
    orders = OneOrder("CAPTURING")

    for _ in range(2):
        use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]

    assert orders.told == ["order.confirmed.v1"]


@pytest.mark.parametrize("status", ["CANCELLING", "CANCELLED", "NEEDS_ATTENTION", "SHIPPED"])
def test_an_execution_that_comes_late_to_confirm_follows_the_order(status: str) -> None:
    orders = OneOrder(status)

    order = use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]

    assert (order.status, orders.told) == (status, [])


@pytest.mark.parametrize("status", ["PENDING", "AWAITING_PAYMENT"])
def test_an_order_whose_money_nobody_took_is_not_confirmed(status: str) -> None:
    with pytest.raises(OrderTransitionError):
        use_cases.confirm_order("ord_1", orders=OneOrder(status), now=noon)  # type: ignore[arg-type]


def test_a_decision_overtaken_by_another_writer_is_taken_anew() -> None:
    orders = OneOrder("CAPTURING", beaten=2)

    order = use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]

    assert (order.status, order.version) == (OrderStatus.CONFIRMED, 4)


def test_an_order_that_keeps_changing_is_left_to_a_repetition() -> None:
    orders = OneOrder("CAPTURING", beaten=99)

    with pytest.raises(StaleError):
        use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]

    assert orders.events == []


class TestWaitingForTheCustomer:
    def awaited(self, orders: OneOrder, until: Any, now: Any = noon) -> Any:
        return use_cases.await_payment("ord_1", until=until, orders=orders, now=now)  # type: ignore[arg-type]

    def test_an_order_waits_as_long_as_the_provider_does(self) -> None:
        order = self.awaited(OneOrder("PENDING"), NOON + timedelta(minutes=10))

        assert order.status is OrderStatus.AWAITING_PAYMENT
        assert order.due_at == order.waits_until == NOON + timedelta(minutes=10)

    @pytest.mark.parametrize("until", [None, NOON + timedelta(days=7)])
    def test_an_order_waits_no_longer_than_the_shop_allows(self, until: Any) -> None:
        assert self.awaited(OneOrder("PENDING"), until).waits_until == NOON + PAYMENT_AWAITED_MAX

    def test_asking_again_does_not_lengthen_the_wait(self) -> None:
        orders = OneOrder("PENDING")
        first = self.awaited(orders, NOON + timedelta(minutes=10))

        again = self.awaited(orders, NOON + timedelta(minutes=50), after(minutes=9))

        assert again is first

    def test_a_wait_that_is_over_turns_the_order_round(self) -> None:
        orders = OneOrder("PENDING")
        self.awaited(orders, NOON + timedelta(minutes=10))

        order = self.awaited(orders, None, after(minutes=10))

        assert (order.status, order.reason) == (OrderStatus.CANCELLING, "payment_expired")

    @pytest.mark.parametrize("status", ["CAPTURING", "CONFIRMED", "CANCELLING", "NEEDS_ATTENTION"])
    def test_an_order_that_has_moved_on_does_not_wait(self, status: str) -> None:
        assert self.awaited(OneOrder(status), None).status == status


class TestFacts:
    """Row 29: whatever the order of facts, and however often each is heard, the end is one."""

    def hears(self, orders: OneOrder, fact: str) -> None:
        runner = Starts()
        match fact:
            case "dispatched":
                use_cases.follow_parcel("ord_1", OrderStatus.SHIPPED, orders=orders, now=noon)  # type: ignore[arg-type]
            case "delivered":
                use_cases.follow_parcel("ord_1", OrderStatus.DELIVERED, orders=orders, now=noon)  # type: ignore[arg-type]
            case "authorized":
                use_cases.take_up("ord_1", orders=orders, runner=runner)  # type: ignore[arg-type]
                assert runner.orders == []
            case _:
                minor = int(fact.removeprefix("refunded "))
                use_cases.follow_refunds("ord_1", minor, orders=orders, now=noon)  # type: ignore[arg-type]

    FACTS = ("dispatched", "delivered", "authorized", "refunded 100", "refunded 250")

    @pytest.mark.parametrize("heard", list(itertools.permutations(FACTS)), ids="-".join)
    def test_every_arrangement_of_facts_ends_the_same(self, heard: tuple[str, ...]) -> None:
        orders = OneOrder("CONFIRMED")

        for fact in heard:
            self.hears(orders, fact)

        assert (orders.order.status, orders.order.refunded_minor) == ("DELIVERED", 250)

    @pytest.mark.parametrize("before", ["CONFIRMED", "CANCELLING", "NEEDS_ATTENTION"])
    def test_every_arrangement_of_facts_heard_twice_ends_the_same(self, before: str) -> None:
        facts = [fact for fact in self.FACTS if fact != "authorized"]
        for heard in set(itertools.permutations(facts * 2)):
            orders = OneOrder(an_order(before, confirmed_at=NOON))

            for fact in heard:
                self.hears(orders, fact)

            end = (orders.order.status, orders.order.refunded_minor, orders.order.reason)
            assert end == ("DELIVERED", 250, None), heard

    def test_a_parcel_that_arrived_is_not_dispatched_by_late_news(self) -> None:
        orders = OneOrder("DELIVERED")

        self.hears(orders, "dispatched")

        assert (orders.order.status, orders.order.version) == ("DELIVERED", 1)

    @pytest.mark.parametrize("status", ["PENDING", "CAPTURING", "CANCELLED", "NEEDS_ATTENTION"])
    def test_news_of_a_parcel_that_should_not_have_left_is_refused(self, status: str) -> None:
        with pytest.raises(OrderTransitionError):
            self.hears(OneOrder(status), "dispatched")

    @pytest.mark.parametrize("asked_for", ["retry", "cancel"])
    def test_a_parcel_that_left_has_decided_what_an_operator_was_asked(
        self, asked_for: str
    ) -> None:
        orders = OneOrder(
            an_order("NEEDS_ATTENTION", confirmed_at=NOON, parked_from=OrderStatus.CANCELLING)
        )

        self.hears(orders, "dispatched")

        assert (orders.order.status, orders.order.parked_from) == ("SHIPPED", None)
        with pytest.raises(OrderNotParkedError):
            orders.order.resumed(Direction(asked_for), at=NOON)

    @pytest.mark.parametrize("status", ["PENDING", "AWAITING_PAYMENT", "CAPTURING", "CANCELLING"])
    def test_a_payments_news_starts_the_checkout_of_an_order_under_way(self, status: str) -> None:
        runner = Starts()

        use_cases.take_up("ord_1", orders=OneOrder(status), runner=runner)  # type: ignore[arg-type]

        assert runner.orders == ["ord_1"]


@pytest.mark.parametrize("status", OrderStatus)
def test_an_order_is_looked_after_until_its_checkout_is_over(status: OrderStatus) -> None:
    under_way = {"PENDING", "AWAITING_PAYMENT", "CAPTURING", "EDITING", "CANCELLING"}

    assert an_order(status).due_at == (NOON + LEFT_ALONE_MAX if status in under_way else None)


@pytest.mark.parametrize("status", OrderStatus)
def test_a_customer_reads_one_sentence_about_what_happens_next(status: OrderStatus) -> None:
    view = OrderView.with_lines(an_order(status), list(LINES))

    assert view.next_step == NEXT_STEPS[status]
    assert view.next_step.endswith(".")
    assert view.next_step.count(".") == 1
    assert status not in view.next_step


def test_what_happens_next_holds_for_orders_whose_units_or_money_never_came() -> None:
    assert "as soon as all of it is here" in NEXT_STEPS[OrderStatus.CONFIRMED]
    assert "nothing is owed; if anything was taken" in NEXT_STEPS[OrderStatus.CANCELLED]
    assert "whatever was taken" in NEXT_STEPS[OrderStatus.CANCELLING]


def test_every_status_has_its_next_step_and_no_two_the_same() -> None:
    assert NEXT_STEPS.keys() == set(OrderStatus)
    assert len(set(NEXT_STEPS.values())) == len(OrderStatus)


def test_an_order_tells_what_its_parcel_cost_and_what_was_refunded() -> None:
    order = an_order("CONFIRMED", shipping_minor=499, refunded_minor=250)

    view = OrderView.with_lines(order, list(LINES))

    assert (view.shipping.amount_minor, view.refunded.amount_minor) == (499, 250)


def test_what_comes_back_is_priced_as_it_was_bought() -> None:
    orders = OneOrder("DELIVERED", lines=LINES)

    price = use_cases.price_return("ord_1", "ret_1", {"MUG": 1, "CUP": 1}, orders=orders)  # type: ignore[arg-type]

    assert price == Money(2150, "GBP")


@pytest.mark.parametrize("returned", [{"MUG": 3}, {"HAT": 1}])
def test_more_than_was_bought_is_not_priced(returned: dict[str, int]) -> None:
    orders = OneOrder("DELIVERED", lines=LINES)

    with pytest.raises(NotBoughtError):
        use_cases.price_return("ord_1", "ret_1", returned, orders=orders)  # type: ignore[arg-type]


def test_somebody_elses_order_is_not_found() -> None:
    with pytest.raises(OrderNotFoundError):
        use_cases.order_of("ord_1", customer_id="usr_2", orders=OneOrder("PENDING"))  # type: ignore[arg-type]


def test_a_refusal_the_customer_can_act_on_has_a_code_and_a_fault_has_none() -> None:
    assert reason_of("OutOfStockError") == "out_of_stock"
    assert reason_of("KeyError") == "checkout_failed"

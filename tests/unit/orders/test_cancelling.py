"""Cancelling, setting aside and resuming: who wins, and what is remembered."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from orders import use_cases
from orders.model import (
    Direction,
    Order,
    OrderNotFoundError,
    OrderNotParkedError,
    OrderStatus,
    OrderTransitionError,
)
from orders.use_cases import Asker
from tests.unit.orders.one_order import (
    ADA,
    MALLORY,
    NOON,
    STAFF,
    OneOrder,
    Starts,
    an_order,
    noon,
)


def cancelled(orders: OneOrder, asker: Asker = ADA, runner: Starts | None = None) -> Order:
    return use_cases.request_cancellation(
        "ord_1",
        asker,
        orders=orders,  # type: ignore[arg-type]
        runner=runner or Starts(),
        now=noon,
    )


def resumed(orders: OneOrder, direction: str, runner: Starts | None = None) -> Order:
    return use_cases.resume_order(
        "ord_1",
        Direction(direction),
        STAFF,
        orders=orders,  # type: ignore[arg-type]
        runner=runner or Starts(),
        now=noon,
    )


def parked(orders: OneOrder, cause: str = "ProviderUnavailableError") -> Order:
    return use_cases.park_order(
        "ord_1",
        reason="checkout_failed",
        cause=cause,
        orders=orders,  # type: ignore[arg-type]
        now=noon,
    )


def given_up(orders: OneOrder, runner: Starts) -> None:
    use_cases.give_up_parcel("ord_1", orders=orders, runner=runner, now=noon)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ["PENDING", "AWAITING_PAYMENT", "CONFIRMED"])
@pytest.mark.parametrize(
    ("asker", "reason"), [(ADA, "cancelled_by_customer"), (STAFF, "cancelled_by_staff")]
)
def test_cancelling_turns_an_order_round_at_once(status: str, asker: Asker, reason: str) -> None:
    orders, runner = OneOrder(status), Starts()

    order = cancelled(orders, asker, runner)

    assert (order.status, order.reason) == (OrderStatus.CANCELLING, reason)
    assert runner.orders == ["ord_1"]


def test_who_cancelled_when_and_why_is_remembered_once() -> None:
    orders = OneOrder("CONFIRMED")

    cancelled(orders, STAFF)
    cancelled(orders, ADA)

    (action,) = orders.done
    assert (action.what, action.by, action.role) == ("cancel", "usr_9", "support")
    assert (action.note, action.at) == ("asked by telephone", NOON)


def test_an_order_being_captured_is_marked_and_turned_round_when_that_is_known() -> None:
    orders, runner = OneOrder("CAPTURING"), Starts()

    asked = cancelled(orders, ADA, runner)
    known = use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]

    assert (asked.status, asked.cancel_requested) == ("CAPTURING", "cancelled_by_customer")
    assert (known.status, known.reason) == ("CANCELLING", "cancelled_by_customer")
    assert known.cancel_requested is None
    assert orders.told == []
    assert runner.orders == ["ord_1"]


def test_a_confirmation_that_was_faster_is_turned_round_all_the_same() -> None:
    orders = OneOrder("CAPTURING")

    use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]
    order = cancelled(orders)

    assert order.status is OrderStatus.CANCELLING
    assert orders.told == ["order.confirmed.v1"]


def test_a_confirmation_overtaken_by_a_cancellation_decides_anew() -> None:
    class Overtaken(OneOrder):
        """Somebody cancels between the first confirmation's read and its write."""

        def save(self, order: Order, event: Any, action: Any) -> None:
            if order.status is OrderStatus.CONFIRMED:
                self.order = self.order.asked_to_cancel("cancelled_by_customer", at=NOON)
            super().save(order, event, action)

    orders = Overtaken("CAPTURING")

    order = use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]

    assert (order.status, orders.told) == ("CANCELLING", [])


@pytest.mark.parametrize("status", ["SHIPPED", "DELIVERED"])
def test_an_order_whose_parcel_is_under_way_is_not_cancelled(status: str) -> None:
    orders, runner = OneOrder(status), Starts()

    with pytest.raises(OrderTransitionError):
        cancelled(orders, ADA, runner)

    assert (orders.order.version, orders.done, runner.orders) == (1, [], [])


def test_cancelling_twice_is_cancelling_once_and_starts_what_may_have_been_lost() -> None:
    orders, runner = OneOrder("PENDING"), Starts()

    first, second = cancelled(orders, ADA, runner), cancelled(orders, STAFF, runner)

    assert first == second
    assert runner.orders == ["ord_1", "ord_1"]


def test_a_cancelled_order_is_answered_as_it_is() -> None:
    orders, runner = OneOrder("CANCELLED"), Starts()

    order = cancelled(orders, ADA, runner)

    assert (order.status, order.version, runner.orders) == ("CANCELLED", 1, [])


@pytest.mark.parametrize("status", OrderStatus)
def test_somebody_elses_order_cannot_be_cancelled(status: OrderStatus) -> None:
    orders, runner = OneOrder(status), Starts()

    with pytest.raises(OrderNotFoundError):
        cancelled(orders, MALLORY, runner)

    assert (orders.order.version, runner.orders) == (1, [])


@pytest.mark.parametrize(
    ("status", "end", "reason"),
    [
        ("PENDING", "CANCELLING", "carrier_failed"),
        ("CAPTURING", "CAPTURING", None),
        ("CONFIRMED", "CANCELLING", "carrier_failed"),
        ("SHIPPED", "SHIPPED", None),
        ("DELIVERED", "DELIVERED", None),
        ("CANCELLING", "CANCELLING", None),
        ("CANCELLED", "CANCELLED", None),
    ],
)
def test_a_parcel_that_failed_before_it_left_cancels_its_order(
    status: str, end: str, reason: str | None
) -> None:
    orders, runner = OneOrder(status), Starts()

    for _ in range(2):
        given_up(orders, runner)

    assert (orders.order.status, orders.order.reason) == (end, reason)
    assert bool(runner.orders) is (orders.order.due_at is not None)


@pytest.mark.parametrize(
    "heard", sorted(set(itertools.permutations(["cancelled", "failed", "failed"]))), ids="-".join
)
def test_the_first_of_carrier_and_customer_names_the_reason(heard: tuple[str, ...]) -> None:
    orders = OneOrder("CONFIRMED")

    for news in heard:
        cancelled(orders) if news == "cancelled" else given_up(orders, Starts())

    told = "cancelled_by_customer" if heard[0] == "cancelled" else "carrier_failed"
    assert (orders.order.status, orders.order.reason) == ("CANCELLING", told)


class TestTheParcelWasFaster:
    def kept(self, orders: OneOrder) -> Order:
        return use_cases.keep_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]

    def test_an_order_is_kept_whose_parcel_cannot_be_called_off(self) -> None:
        orders = OneOrder("CONFIRMED")
        cancelled(orders)

        order = self.kept(orders)

        assert (order.status, order.reason, orders.told) == ("CONFIRMED", None, [])

    @pytest.mark.parametrize("first", ["kept", "dispatched"])
    def test_news_of_the_parcel_and_the_refused_call_arrive_in_either_order(
        self, first: str
    ) -> None:
        orders = OneOrder("CONFIRMED")
        cancelled(orders)

        if first == "kept":
            self.kept(orders)
        use_cases.follow_parcel("ord_1", OrderStatus.SHIPPED, orders=orders, now=noon)  # type: ignore[arg-type]
        self.kept(orders)

        assert (orders.order.status, orders.order.reason) == ("SHIPPED", None)

    def test_an_order_that_was_never_confirmed_is_not_kept(self) -> None:
        orders = OneOrder("PENDING")
        cancelled(orders)

        with pytest.raises(OrderTransitionError):
            self.kept(orders)

    @pytest.mark.parametrize("status", ["CANCELLED", "NEEDS_ATTENTION", "SHIPPED"])
    def test_an_order_that_has_moved_on_is_left_as_it_is(self, status: str) -> None:
        orders = OneOrder(status)

        assert (self.kept(orders).status, orders.order.version) == (status, 1)


class TestSettingAside:
    UNDER_WAY = ("PENDING", "AWAITING_PAYMENT", "CAPTURING", "CANCELLING")

    @pytest.mark.parametrize("status", ["CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"])
    def test_an_order_that_has_ended_is_not_set_aside(self, status: str) -> None:
        orders = OneOrder(status)

        parked(orders)

        assert (orders.order.status, orders.events) == (status, [])

    @pytest.mark.parametrize("status", UNDER_WAY)
    def test_an_order_under_way_is_set_aside_once_with_where_and_why(self, status: str) -> None:
        orders = OneOrder(status)

        for cause in ("ProviderUnavailableError", "SomethingElseError"):
            parked(orders, cause)

        assert (orders.order.status, len(orders.events)) == ("NEEDS_ATTENTION", 1)
        assert orders.order.parked_from == status
        assert orders.order.parked_because == "ProviderUnavailableError"
        assert orders.order.due_at is None

    def test_a_reason_the_customer_knows_outlives_the_setting_aside(self) -> None:
        orders = OneOrder("CONFIRMED")
        cancelled(orders)

        parked(orders)
        resumed(orders, "retry")

        assert (orders.order.status, orders.order.reason) == (
            "CANCELLING",
            "cancelled_by_customer",
        )

    @pytest.mark.parametrize("status", UNDER_WAY)
    def test_an_order_taken_up_again_goes_on_where_it_stopped(self, status: str) -> None:
        orders, runner = OneOrder(status), Starts()
        parked(orders)

        order = resumed(orders, "retry", runner)

        assert (order.status, order.parked_from, order.parked_because) == (status, None, None)
        assert runner.orders == ["ord_1"]

    @pytest.mark.parametrize("status", UNDER_WAY)
    def test_an_order_sent_back_is_cancelled_wherever_it_stopped(self, status: str) -> None:
        orders = OneOrder(status)
        parked(orders)

        order = resumed(orders, "cancel")

        assert (order.status, order.reason) == ("CANCELLING", "checkout_failed")

    def test_who_resumed_when_where_to_and_why_is_remembered(self) -> None:
        orders = OneOrder("CAPTURING")
        parked(orders)

        resumed(orders, "retry")

        (action,) = orders.done
        assert (action.what, action.by, action.note) == ("retry", "usr_9", "asked by telephone")

    @pytest.mark.parametrize("status", sorted(set(OrderStatus) - {OrderStatus.NEEDS_ATTENTION}))
    @pytest.mark.parametrize("direction", Direction)
    def test_only_an_order_that_was_set_aside_is_taken_up(
        self, status: OrderStatus, direction: Direction
    ) -> None:
        orders, runner = OneOrder(status), Starts()

        with pytest.raises(OrderNotParkedError):
            resumed(orders, direction, runner)

        assert (orders.order.version, orders.done, runner.orders) == (1, [], [])

    @pytest.mark.parametrize(
        ("status", "goes_on_as"),
        [
            ("PENDING", "CANCELLING"),
            ("AWAITING_PAYMENT", "CANCELLING"),
            ("CAPTURING", "CAPTURING"),
            ("CANCELLING", "CANCELLING"),
        ],
    )
    def test_a_customer_may_cancel_what_is_set_aside_and_it_is_done_when_resumed(
        self, status: str, goes_on_as: str
    ) -> None:
        orders, runner = OneOrder(status), Starts()
        parked(orders)

        asked = cancelled(orders, ADA, runner)
        went_on = resumed(orders, "retry")

        assert (asked.status, runner.orders) == ("NEEDS_ATTENTION", [])
        assert went_on.status == goes_on_as
        if goes_on_as == "CAPTURING":
            known = use_cases.confirm_order("ord_1", orders=orders, now=noon)  # type: ignore[arg-type]
            assert (known.status, known.reason) == ("CANCELLING", "cancelled_by_customer")
        elif status != "CANCELLING":
            assert went_on.reason == "cancelled_by_customer"

    def test_an_order_whose_cancelling_was_asked_for_says_so(self) -> None:
        order = an_order("CAPTURING").asked_to_cancel("cancelled_by_customer", at=NOON)

        assert order.asked_to_cancel("cancelled_by_staff", at=NOON) is order

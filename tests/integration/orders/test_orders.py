"""The orders' table: one writer wins, a page is bounded, and what is due is found."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from orders import use_cases
from orders.dynamodb import DynamoDBOrders
from orders.model import LEFT_ALONE_MAX, Order, OrderStatus, Returned
from orders.ports import Search
from orders.use_cases import SWEPT_MAX
from orders.use_cases.asking import action_of
from tests.integration.tables import tables
from tests.unit.orders.one_order import ADA, LINES, NOON, STAFF, Starts, an_order, noon
from tradepost.contracts.orders import OrderPlacedV1
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import from_item


@pytest.fixture
def client() -> Iterator[Any]:
    with tables("orders") as client:
        yield client


@pytest.fixture
def orders(client: Any) -> DynamoDBOrders:
    return DynamoDBOrders(client, "orders")


def placed(orders: DynamoDBOrders, number: int = 1, at: datetime = NOON, **facts: Any) -> Order:
    order = replace(an_order(), order_id=f"ord_{number}", placed_at=at, updated_at=at, **facts)
    event = OrderPlacedV1(
        event_id=f"evt_{number}",
        occurred_at=at,
        correlation_id="cor_1",
        version=1,
        order_id=order.order_id,
        customer_id="usr_1",
        line_count=2,
        total_minor=3400,
        currency="GBP",
    )
    return orders.add(order, LINES, event)


def moved(orders: DynamoDBOrders, order: Order, *statuses: str) -> Order:
    for status in statuses:
        order = order.moved_to(OrderStatus(status), at=order.updated_at)
        orders.save(order, None, None)
    return order


def stored(client: Any, order_id: str) -> dict[str, Any]:
    key = {"pk": {"S": f"ORDER#{order_id}"}, "sk": {"S": "ORDER"}}
    return from_item(client.get_item(TableName="orders", Key=key)["Item"])


def ids(found: tuple[list[Order], Any]) -> list[str]:
    return [order.order_id for order in found[0]]


def test_an_order_is_read_as_it_was_written(orders: DynamoDBOrders) -> None:
    order = placed(orders, shipping_minor=499)
    waiting = order.awaiting_payment(NOON + timedelta(minutes=20), at=NOON)
    orders.save(waiting, None, None)
    parked = waiting.parked(reason="checkout_failed", because="KeyError", at=NOON)
    orders.save(parked, None, None)

    assert orders.get("ord_1") == parked
    assert orders.lines("ord_1") == list(LINES)


def test_what_was_paid_and_came_back_is_read_as_it_was_written(orders: DynamoDBOrders) -> None:
    order = placed(
        orders, prices_include_tax=False, shipping_tax_minor=60, promotions=("SPRING", "FREESHIP")
    )
    returned = Returned(1, {"MUG": 1}, {"ret_1": 1250})
    orders.save_returned("ord_1", returned)

    assert orders.get("ord_1") == order
    assert orders.returned("ord_1") == returned
    assert orders.returned("ord_2") == Returned()


def test_of_two_returns_priced_at_once_the_second_is_priced_anew(orders: DynamoDBOrders) -> None:
    placed(orders)
    orders.save_returned("ord_1", Returned(1, {"MUG": 1}, {"ret_1": 1250}))

    with pytest.raises(StaleError):
        orders.save_returned("ord_1", Returned(1, {"MUG": 2}, {"ret_2": 2500}))
    use_cases.price_return("ord_1", "ret_2", {"MUG": 1}, orders=orders)

    assert orders.returned("ord_1") == Returned(2, {"MUG": 2}, {"ret_1": 1250, "ret_2": 1250})
    with pytest.raises(StaleError):
        orders.save_returned("ord_1", Returned(2, {"CUP": 1}, {"ret_3": 900}))


def test_of_two_who_read_the_same_version_one_writes(orders: DynamoDBOrders) -> None:
    order = placed(orders)
    moved(orders, order, "CAPTURING")

    with pytest.raises(StaleError):
        moved(orders, order, "CANCELLING")

    assert orders.get("ord_1").status is OrderStatus.CAPTURING


def test_a_change_that_is_refused_leaves_no_trace_of_who_asked(orders: DynamoDBOrders) -> None:
    order = placed(orders)
    moved(orders, order, "CAPTURING")
    cancelled = order.asked_to_cancel("cancelled_by_customer", at=NOON)

    with pytest.raises(StaleError):
        orders.save(cancelled, None, action_of("cancel", ADA, cancelled))

    assert orders.actions("ord_1") == []


def test_many_who_cancel_at_once_cancel_once(orders: DynamoDBOrders) -> None:
    order = moved(orders, placed(orders), "CAPTURING", "CONFIRMED")
    asked = [ADA, STAFF] * 4

    def cancels(asker: Any) -> str | None:
        try:
            return use_cases.request_cancellation(
                "ord_1", asker, orders=orders, runner=Starts(), now=noon
            ).status
        except StaleError:
            return None

    with ThreadPoolExecutor(8) as askers:
        answers = set(askers.map(cancels, asked))

    assert answers == {OrderStatus.CANCELLING}
    assert len(orders.actions("ord_1")) == 1
    assert orders.get("ord_1").version == order.version + 1


class TestWhatIsDue:
    def test_an_order_is_in_the_index_until_its_checkout_is_over(
        self, orders: DynamoDBOrders, client: Any
    ) -> None:
        order = placed(orders)
        due = [stored(client, "ord_1")["due_at"]]
        for status in ("CAPTURING", "CONFIRMED", "CANCELLING", "CANCELLED"):
            order = moved(orders, order, status)
            due.append(stored(client, "ord_1").get("due_at"))

        later = "2026-01-02T12:06:00.000Z"
        assert due == [later, later, None, later, None]
        assert "unfinished" not in stored(client, "ord_1")

    def test_an_order_set_aside_is_not_due(self, orders: DynamoDBOrders) -> None:
        moved(orders, placed(orders), "NEEDS_ATTENTION")

        assert orders.due(NOON + timedelta(days=365), SWEPT_MAX) == []

    def test_an_order_is_due_when_it_was_left_alone_and_not_before(
        self, orders: DynamoDBOrders
    ) -> None:
        placed(orders)
        limit = timedelta(milliseconds=1)

        assert orders.due(NOON + LEFT_ALONE_MAX - limit, SWEPT_MAX) == []
        assert orders.due(NOON + LEFT_ALONE_MAX, SWEPT_MAX) == ["ord_1"]

    def test_an_order_that_waits_for_its_customer_is_due_when_the_wait_is_over(
        self, orders: DynamoDBOrders
    ) -> None:
        waiting = placed(orders).awaiting_payment(NOON + timedelta(minutes=30), at=NOON)
        orders.save(waiting, None, None)

        assert orders.due(NOON + timedelta(minutes=29), SWEPT_MAX) == []
        assert orders.due(NOON + timedelta(minutes=30), SWEPT_MAX) == ["ord_1"]

    def test_sweeps_take_bounded_pages_and_reach_every_order(self, orders: DynamoDBOrders) -> None:
        for number in range(2 * SWEPT_MAX):
            placed(orders, number)
        runner, ticks = Starts(), []

        for minute in range(6):
            at = NOON + LEFT_ALONE_MAX + timedelta(minutes=minute)
            ticks.append(use_cases.sweep(orders=orders, runner=runner, now=lambda at=at: at))  # type: ignore[misc]

        assert max(ticks) <= SWEPT_MAX
        assert ticks[-1] == 0
        assert sorted(runner.orders) == sorted(f"ord_{n}" for n in range(2 * SWEPT_MAX))

    def test_an_order_that_moved_meanwhile_is_not_put_off(
        self, orders: DynamoDBOrders, client: Any
    ) -> None:
        order = placed(orders)
        moved(orders, order, "CAPTURING")

        orders.postpone(order, NOON + timedelta(days=1))

        assert stored(client, "ord_1")["due_at"] == "2026-01-02T12:06:00.000Z"

    def test_an_order_that_has_ended_is_not_put_back_into_the_index(
        self, orders: DynamoDBOrders, client: Any
    ) -> None:
        order = moved(orders, placed(orders), "CAPTURING")
        moved(orders, order, "CONFIRMED")

        orders.postpone(order, NOON + timedelta(days=1))

        assert "due_at" not in stored(client, "ord_1")


class TestSearching:
    @pytest.fixture
    def five(self, orders: DynamoDBOrders) -> DynamoDBOrders:
        """Place an order each half day, two of them cancelled."""
        for number in range(5):
            at = NOON + number * timedelta(hours=12)
            email = "grace@example.com" if number == 4 else "ada@example.com"
            order = placed(orders, number, at=at, email=email)
            if number in (0, 3):
                moved(orders, order, "CANCELLING", "CANCELLED")
        return orders

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            (Search(email="GRACE@example.com"), ["ord_4"]),
            (Search(status=OrderStatus.CANCELLED), ["ord_3", "ord_0"]),
            (Search(placed_on=date(2026, 1, 3)), ["ord_2", "ord_1"]),
            (Search(status=OrderStatus.CANCELLED, placed_on=date(2026, 1, 2)), ["ord_0"]),
            (Search(status=OrderStatus.PENDING, placed_on=date(2026, 1, 3)), ["ord_2", "ord_1"]),
            (Search(status=OrderStatus.CANCELLED, placed_on=date(2026, 1, 3)), []),
        ],
    )
    def test_staff_find_what_they_look_for_newest_first(
        self, five: DynamoDBOrders, search: Search, found: list[str]
    ) -> None:
        assert ids(five.found_by(search, 20, None)) == found

    def test_the_pages_of_a_search_make_up_the_whole(self, five: DynamoDBOrders) -> None:
        for search in (
            Search(email="ada@example.com"),
            Search(status=OrderStatus.PENDING),
            Search(placed_on=date(2026, 1, 3)),
            Search(status=OrderStatus.PENDING, placed_on=date(2026, 1, 3)),
        ):
            whole = ids(five.found_by(search, 20, None))
            pages, after = [], None
            while True:
                page, after = five.found_by(search, 1, after)
                pages += [order.order_id for order in page]
                if after is None:
                    break
            assert pages == whole, search

    def test_the_orders_of_a_status_are_counted_up_to_a_limit(self, five: DynamoDBOrders) -> None:
        assert five.count(OrderStatus.PENDING, 100) == 3
        assert five.count(OrderStatus.PENDING, 2) == 2
        assert five.count(OrderStatus.SHIPPED, 100) == 0


class TestWhatChanged:
    def test_an_order_is_named_by_when_it_last_changed_and_then_only(
        self, orders: DynamoDBOrders
    ) -> None:
        order = placed(orders)
        hour = timedelta(hours=1)
        orders.save(order.moved_to(OrderStatus.CANCELLING, at=NOON + 5 * hour), None, None)

        assert changed(orders, NOON - hour, NOON + hour) == []
        assert changed(orders, NOON + 4 * hour, NOON + 5 * hour) == ["ord_1"]
        assert changed(orders, NOON + 5 * hour, NOON + 6 * hour) == ["ord_1"]
        assert changed(orders, NOON + 6 * hour, NOON + 7 * hour) == []

    def test_a_span_over_midnight_names_every_order_once_whatever_the_page(
        self, orders: DynamoDBOrders, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("orders.dynamodb._CHANGED_PAGE_MAX", 2)
        for number in range(40):
            placed(orders, number, at=NOON + timedelta(hours=number))

        found = changed(orders, NOON + timedelta(hours=5), NOON + timedelta(hours=35))

        assert sorted(found) == sorted(f"ord_{number}" for number in range(5, 36))


def changed(orders: DynamoDBOrders, start: datetime, end: datetime) -> list[str]:
    found, after = orders.changed_between(start, end, None)
    while after is not None:
        more, after = orders.changed_between(start, end, after)
        found += more
    return found

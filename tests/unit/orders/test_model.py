"""The order's states: what may follow what, and what late or repeated news does."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from orders import use_cases
from orders.model import Order, OrderNotFoundError, OrderStatus, OrderTransitionError, reason_of
from tradepost.contracts.event import Event
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

ALLOWED = {
    ("PENDING", "CAPTURING"),
    ("PENDING", "CANCELLING"),
    ("PENDING", "NEEDS_ATTENTION"),
    ("CAPTURING", "CONFIRMED"),
    ("CAPTURING", "CANCELLING"),
    ("CAPTURING", "NEEDS_ATTENTION"),
    ("CONFIRMED", "SHIPPED"),
    ("CONFIRMED", "DELIVERED"),
    ("SHIPPED", "DELIVERED"),
    ("CANCELLING", "CANCELLED"),
    ("CANCELLING", "NEEDS_ATTENTION"),
}


def an_order(status: OrderStatus = OrderStatus.PENDING) -> Order:
    return Order(
        order_id="ord_1",
        customer_id="usr_1",
        email="ada@example.com",
        shipping_address={"name": "Ada"},
        total=Money(1250, "GBP"),
        line_count=1,
        status=status,
        reason=None,
        version=1,
        correlation_id="cor_1",
        placed_at=NOON,
        updated_at=NOON,
    )


class OneOrder:
    """An order in memory, with its events. Satisfies what the use cases ask of a repository."""

    def __init__(self, order: Order, *, beaten: int = 0) -> None:
        self.order = order
        self.events: list[Event] = []
        self._beaten = beaten  # how many saves somebody else is faster than

    def get(self, order_id: str) -> Order:
        if order_id != self.order.order_id:
            raise OrderNotFoundError(order_id)
        return self.order

    def save(self, order: Order, event: Event | None) -> None:
        if self._beaten:
            self._beaten -= 1
            self.order = replace(self.order, version=self.order.version + 1)
        if order.version != self.order.version + 1:
            raise StaleError("beaten")
        self.order = order
        if event is not None:
            self.events.append(event)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(OrderStatus, OrderStatus)))
def test_only_the_drawn_arrows_can_be_followed(before: OrderStatus, after: OrderStatus) -> None:
    order = an_order(before)

    if (before.value, after.value) in ALLOWED:
        assert order.moved_to(after, at=NOON).status is after
    else:
        with pytest.raises(OrderTransitionError):
            order.moved_to(after, at=NOON)


def test_every_move_counts_a_version() -> None:
    assert an_order().moved_to(OrderStatus.CAPTURING, at=NOON).version == 2


@pytest.mark.parametrize(
    "news",
    [
        arrangement
        for length in range(1, 5)
        for arrangement in itertools.product(
            [OrderStatus.SHIPPED, OrderStatus.DELIVERED], repeat=length
        )
    ],
    ids=lambda news: "-".join(status.value.lower() for status in news),
)
def test_news_of_a_parcel_in_any_order_ends_at_the_furthest(news: tuple[OrderStatus, ...]) -> None:
    orders = OneOrder(an_order(OrderStatus.CONFIRMED))

    for status in news:
        use_cases.follow_parcel("ord_1", status, orders=orders, now=lambda: NOON)  # type: ignore[arg-type]

    furthest = OrderStatus.DELIVERED if OrderStatus.DELIVERED in news else OrderStatus.SHIPPED
    assert orders.order.status is furthest


def test_of_capturing_and_abandoning_the_first_one_decides() -> None:
    captured = OneOrder(an_order())
    use_cases.begin_capture("ord_1", orders=captured, now=lambda: NOON)  # type: ignore[arg-type]
    still = use_cases.abandon_order(
        "ord_1",
        reason="x",
        capture_refused=False,
        orders=captured,
        now=lambda: NOON,  # type: ignore[arg-type]
    )
    abandoned = OneOrder(an_order())
    use_cases.abandon_order(
        "ord_1",
        reason="x",
        capture_refused=False,
        orders=abandoned,
        now=lambda: NOON,  # type: ignore[arg-type]
    )

    assert still.status is OrderStatus.CAPTURING
    with pytest.raises(OrderTransitionError):
        use_cases.begin_capture("ord_1", orders=abandoned, now=lambda: NOON)  # type: ignore[arg-type]


def test_a_refused_capture_turns_the_order_round() -> None:
    orders = OneOrder(an_order(OrderStatus.CAPTURING))

    order = use_cases.abandon_order(
        "ord_1",
        reason="capture_refused",
        capture_refused=True,
        orders=orders,
        now=lambda: NOON,  # type: ignore[arg-type]
    )

    assert (order.status, order.reason) == (OrderStatus.CANCELLING, "capture_refused")


def test_confirming_twice_says_so_once() -> None:
    orders = OneOrder(an_order(OrderStatus.CAPTURING))

    for _ in range(2):
        use_cases.confirm_order("ord_1", orders=orders, now=lambda: NOON)  # type: ignore[arg-type]

    assert [event.TYPE for event in orders.events] == ["order.confirmed.v1"]


def test_a_decision_overtaken_by_another_writer_is_taken_anew() -> None:
    orders = OneOrder(an_order(OrderStatus.CAPTURING), beaten=2)

    order = use_cases.confirm_order("ord_1", orders=orders, now=lambda: NOON)  # type: ignore[arg-type]

    assert (order.status, order.version) == (OrderStatus.CONFIRMED, 4)


def test_an_order_that_keeps_changing_is_left_to_a_repetition() -> None:
    orders = OneOrder(an_order(OrderStatus.CAPTURING), beaten=99)

    with pytest.raises(StaleError):
        use_cases.confirm_order("ord_1", orders=orders, now=lambda: NOON)  # type: ignore[arg-type]

    assert orders.events == []


@pytest.mark.parametrize("status", ["CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"])
def test_an_order_that_has_ended_is_not_set_aside(status: str) -> None:
    orders = OneOrder(an_order(OrderStatus(status)))

    use_cases.park_order("ord_1", reason="x", cause="y", orders=orders, now=lambda: NOON)  # type: ignore[arg-type]

    assert (orders.order.status, orders.events) == (status, [])


@pytest.mark.parametrize("status", ["PENDING", "CAPTURING", "CANCELLING"])
def test_an_order_under_way_is_set_aside_once(status: str) -> None:
    orders = OneOrder(an_order(OrderStatus(status)))

    for _ in range(2):
        use_cases.park_order("ord_1", reason="x", cause="y", orders=orders, now=lambda: NOON)  # type: ignore[arg-type]

    assert (orders.order.status, len(orders.events)) == ("NEEDS_ATTENTION", 1)


def test_somebody_elses_order_is_not_found() -> None:
    orders = OneOrder(an_order())

    with pytest.raises(OrderNotFoundError):
        use_cases.order_of("ord_1", customer_id="usr_2", orders=orders)  # type: ignore[arg-type]


def test_a_refusal_the_customer_can_act_on_has_a_code_and_a_fault_has_none() -> None:
    assert reason_of("OutOfStockError") == "out_of_stock"
    assert reason_of("KeyError") == "checkout_failed"

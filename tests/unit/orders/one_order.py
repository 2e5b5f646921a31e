"""An order in memory, for the tests of its rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orders.model import (
    Action,
    Order,
    OrderLine,
    OrderNotFoundError,
    OrderStatus,
    Returned,
)
from orders.use_cases import Asker
from tradepost.contracts.event import Event
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

ADA = Asker("usr_1", "customer", is_staff=False, note="ordered twice")
MALLORY = Asker("usr_2", "customer", is_staff=False)
STAFF = Asker("usr_9", "support", is_staff=True, note="asked by telephone")

LINES = (OrderLine("MUG", "A mug", 2, 1250), OrderLine("CUP", "A cup", 1, 900))


def noon() -> datetime:
    return NOON


def after(**span: int) -> Any:
    return lambda: NOON + timedelta(**span)


def an_order(status: OrderStatus | str = OrderStatus.PENDING, **facts: Any) -> Order:
    """Make an order; one that was set aside was so while CAPTURING."""
    status = OrderStatus(status)
    parked_from = OrderStatus.CAPTURING if status is OrderStatus.NEEDS_ATTENTION else None
    confirmed = status in ("CONFIRMED", "EDITING", "SHIPPED", "DELIVERED")
    order = Order(
        order_id="ord_1",
        customer_id="usr_1",
        email="ada@example.com",
        shipping_address={"name": "Ada"},
        total=Money(3400, "GBP"),
        line_count=2,
        status=status,
        reason=None,
        version=1,
        correlation_id="cor_1",
        placed_at=NOON,
        updated_at=NOON,
        confirmed_at=NOON if confirmed else None,
        parked_from=parked_from,
    )
    return replace(order, **facts)


class OneOrder:
    """Keeps one order with its events and actions. Satisfies `ports.OrderRepository`'s writes."""

    def __init__(
        self, order: Order | OrderStatus | str, *, beaten: int = 0, lines: Sequence[OrderLine] = ()
    ) -> None:
        self.order = order if isinstance(order, Order) else an_order(order)
        self.events: list[Event] = []
        self.done: list[Action] = []
        self._lines = lines
        self._returned = Returned()
        self._beaten = beaten  # how many saves somebody else is faster than

    @property
    def told(self) -> list[str]:
        return [event.TYPE for event in self.events]

    def get(self, order_id: str) -> Order:
        if order_id != self.order.order_id:
            raise OrderNotFoundError(order_id)
        return self.order

    def lines(self, order_id: str) -> list[OrderLine]:
        return list(self._lines)

    def returned(self, order_id: str) -> Returned:
        return self._returned

    def save_returned(self, order_id: str, returned: Returned) -> None:
        if returned.version != self._returned.version + 1:
            raise StaleError("beaten")
        self._returned = returned

    def save(self, order: Order, event: Event | None, action: Action | None) -> None:
        if self._beaten:
            self._beaten -= 1
            self.order = replace(self.order, version=self.order.version + 1)
        if order.version != self.order.version + 1:
            raise StaleError("beaten")
        self.order = order
        if event is not None:
            self.events.append(event)
        if action is not None:
            self.done.append(action)


class Starts:
    """Remembers what was started. Satisfies `ports.CheckoutRunner`."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    def start_again(self, order_id: str, correlation_id: str) -> None:
        self.orders.append(order_id)

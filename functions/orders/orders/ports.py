"""What the use cases need of the orders' keeper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from orders.model import Order, OrderLine, OrderStatus
from tradepost.contracts.event import Event


class OrderRepository(Protocol):
    def add(self, order: Order, lines: Sequence[OrderLine], event: Event) -> Order:
        """Store a new order with its event, once per order id; return what is stored."""

    def get(self, order_id: str) -> Order:
        """Read an order as it is now. Raises OrderNotFoundError."""

    def lines(self, order_id: str) -> list[OrderLine]:
        """Read an order's lines, in the order they were placed."""

    def save(self, order: Order, event: Event | None) -> None:
        """Store an order's next version with its event. Raises StaleError if it is not next."""

    def of_customer(
        self, customer_id: str, status: OrderStatus | None, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
        """List a customer's orders, newest first, and the position the next page begins after."""

    def found_by(
        self,
        search: str | OrderStatus | date,
        limit: int,
        after: dict[str, str] | None,
    ) -> tuple[list[Order], dict[str, str] | None]:
        """List orders by e-mail, status or UTC day of placing, newest first."""

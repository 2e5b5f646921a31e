"""What the use cases need: the orders' keeper, and something that runs checkouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from orders.model import Action, Order, OrderLine, OrderStatus, Returned
from tradepost.contracts.event import Event


@dataclass(frozen=True, slots=True)
class Search:
    """What staff look for: by e-mail, or by status, UTC day of placing, or both."""

    email: str | None = None
    status: OrderStatus | None = None
    placed_on: date | None = None


class OrderRepository(Protocol):
    def add(self, order: Order, lines: Sequence[OrderLine], event: Event) -> Order:
        """Store a new order with its event, once per order id; return what is stored."""

    def get(self, order_id: str) -> Order:
        """Read an order as it is now. Raises OrderNotFoundError."""

    def lines(self, order_id: str) -> list[OrderLine]:
        """Read an order's lines, in the order they were placed."""

    def save(self, order: Order, event: Event | None, action: Action | None) -> None:
        """Store an order's next version with its event and what a person did to it.

        Raises StaleError if it is not next.
        """

    def save_edited(self, order: Order, lines: Sequence[OrderLine]) -> None:
        """Store an order's next version with the lines it has by now. Raises StaleError."""

    def returned(self, order_id: str) -> Returned:
        """Read what came back of an order; version 0 if nothing ever did."""

    def save_returned(self, order_id: str, returned: Returned) -> None:
        """Store the next version of what came back. Raises StaleError if it is not next."""

    def publish(self, order: Order, event: Event) -> None:
        """State a fact about an order once more, if the order is as read. Raises StaleError."""

    def actions(self, order_id: str) -> list[Action]:
        """Read what people did to an order, in that order."""

    def changed_between(
        self, start: datetime, end: datetime, after: dict[str, Any] | None
    ) -> tuple[list[str], dict[str, Any] | None]:
        """Name orders that last changed in a span, a page at a time, and where the next begins.

        A page may be empty with others to come. What changes meanwhile is named by a later span.
        """

    def due(self, at: datetime, limit: int) -> list[str]:
        """Name orders to be taken up by `at`, those due first; some may have moved on by now."""

    def postpone(self, order: Order, until: datetime) -> None:
        """Have an order that was taken up, and did not move since, due again at `until`."""

    def count(self, status: OrderStatus, limit: int) -> int:
        """Count the orders in a status, up to `limit`."""

    def anonymise(self, order: Order, event: Event) -> None:
        """Store an order's next version without its person, and say so. Raises StaleError.

        What people noted on it is gone before.
        """

    def of_customer(
        self, customer_id: str, status: OrderStatus | None, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
        """List a customer's orders, newest first, and the position the next page begins after."""

    def found_by(
        self, search: Search, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
        """List the orders that staff look for, newest first."""


class Erasures(Protocol):
    """The people to be forgotten."""

    def due(self, now: datetime) -> Sequence[Erasure]:
        """Tell whom to forget now."""

    def postpone(self, user_id: str, now: datetime) -> None:
        """Look again later."""

    def finish(self, user_id: str) -> None:
        """Look no more."""


class Erasure(Protocol):
    @property
    def user_id(self) -> str: ...

    @property
    def asked_at(self) -> datetime: ...


class Prices(Protocol):
    def of(self, quantities: Mapping[str, int], order: Order) -> list[OrderLine]:
        """Price units that are to be added to an order, as they are sold today: a line per SKU.

        Raises NotOnSaleError; EditNotPossibleError where they are sold in another currency;
        UnavailableError.
        """


class CheckoutRunner(Protocol):
    def start_again(self, order_id: str, correlation_id: str) -> None:
        """Have the checkout run on, beside whatever else of it runs. It may be started any
        number of times.
        """

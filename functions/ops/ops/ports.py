"""What the use cases need: the contexts' answers about an order, and their hands."""

from __future__ import annotations

from datetime import date
from typing import Any, Protocol

from ops.model import Books, ChargeFacts, Finding


class Contexts(Protocol):
    """The owners of the books. Each call may raise UnavailableError.

    `after` is where a listing's page before ended, as its owner gave it; None begins.
    """

    def orders_of_day(self, day: date, after: Any) -> tuple[list[str], Any]:
        """List the orders placed on a UTC day, a page at a time, and where the next begins."""

    def charges_of_day(self, day: date, after: Any) -> tuple[list[ChargeFacts], Any]:
        """List the charges that the provider opened on a UTC day."""

    def is_known(self, order_id: str) -> bool:
        """Tell whether orders has such an order."""

    def holds_past_due(self) -> list[str]:
        """List orders whose stock is held for longer than it may; the longest due first."""

    def books_of(self, order_id: str) -> Books:
        """Ask each owner what it knows of an order."""

    def mend(self, finding: Finding) -> None:
        """Have the owner do the repair that a finding names. Raises its refusals."""

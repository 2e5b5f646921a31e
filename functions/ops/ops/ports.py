"""What the use cases need: the contexts' answers about an order, their hands, and a turn."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, datetime
from typing import Any, Protocol

from ops.model import Books, ChargeFacts, Finding
from ops.runs import Progress, Run

# Whether there is time left to begin another page.
HasTime = Callable[[], bool]


class Contexts(Protocol):
    """The owners of the books. Each call may raise UnavailableError.

    `after` is where a listing's page before ended, as its owner gave it; None begins.
    """

    def orders_of_day(self, day: date, after: Any) -> tuple[list[str], Any]:
        """List the orders placed on a UTC day, a page at a time, and where the next begins."""

    def orders_changed(self, start: datetime, end: datetime, after: Any) -> tuple[list[str], Any]:
        """List the orders that last changed in a span."""

    def charges_between(
        self, start: datetime, end: datetime, after: Any
    ) -> tuple[list[ChargeFacts], Any]:
        """List the charges that the provider opened in a span, its end excluded."""

    def is_known(self, order_id: str) -> bool:
        """Tell whether orders has such an order."""

    def holds_past_due(self) -> list[str]:
        """List orders whose stock is held for longer than it may; the longest due first."""

    def books_of(self, order_id: str) -> Books:
        """Ask each owner what it knows of an order."""

    def mend(self, finding: Finding) -> None:
        """Have the owner do the repair that a finding names. Raises its refusals."""


class Turn(Protocol):
    """The right to mend, for as long as it lasts. Whoever has lost it meets a ConflictError."""

    progress: Progress

    def require(self) -> None:
        """Make sure of being still the one."""

    def record(self, run: Run, progress: Progress | None = None) -> None:
        """Store a run as it stands, and how far the changes have been compared if that is told.

        The turn lasts anew from then on.
        """


class Turns(Protocol):
    def taken(self) -> AbstractContextManager[Turn]:
        """Take the turn, and leave it in the end. Raises a ConflictError if another has it."""

    def runs(
        self, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Run], dict[str, str] | None]:
        """Read the last runs, newest first, a page at a time."""

"""What the use cases need of the stock's keeper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from inventory.model import HoldChunk, ReturnedUnits, StockLevel


class StockRepository(Protocol):
    def levels(self, skus: Sequence[str]) -> dict[str, StockLevel]:
        """Read levels; a SKU never stocked is left out. May be a moment old."""

    def hold_chunk(self, chunk: HoldChunk, *, held_until: datetime) -> None:
        """Hold a chunk's lines, all or none, once. Raises OutOfStockError, HoldReleasedError."""

    def chunks(self, order_id: str) -> list[HoldChunk]:
        """Read an order's hold in order; an empty list if it never held."""

    def commit_chunk(self, chunk: HoldChunk) -> None:
        """Sell a held chunk, once. Raises HoldLostError if it is not held."""

    def release_chunk(self, chunk: HoldChunk) -> None:
        """Give a chunk back that is in the state it was read in, once."""

    def shrink_chunk(self, chunk: HoldChunk, left: HoldChunk) -> None:
        """Give units of a sold chunk back, once per edit. Raises StaleError if it moved on."""

    def bar_hold(self, order_id: str, edit: int = 0) -> HoldChunk:
        """Release the first chunk, or lay a tombstone in its place; return what is there now.

        `edit` names the edit whose chunks they are; 0 means those bought at first.
        """

    def past_due(self, at: datetime, limit: int) -> list[str]:
        """Name orders that hold units longer than they may. May be a moment old."""

    def prolong(self, chunk: HoldChunk, held_until: datetime) -> None:
        """Let a chunk be held for longer, if it still is."""

    def restock(self, returned: ReturnedUnits) -> None:
        """Make what is resellable available again and record what is scrapped, once per return.

        Raises IdempotencyMismatchError: other units came back with this return.
        """

    def adjust(self, sku: str, delta: int, *, reason: str, reference: str) -> StockLevel:
        """Change `available` by `delta`, once per `reference`.

        Raises NegativeStockError, IdempotencyMismatchError.
        """

    def set_available(self, corrections: Sequence[tuple[StockLevel, int]], *, reason: str) -> None:
        """Set `available` of levels that are still as read, all or none. Raises StaleError."""


class Orders(Protocol):
    def status_of(self, order_id: str) -> str | None:
        """Ask how an order stands; None if there is no such order. May raise UnavailableError."""

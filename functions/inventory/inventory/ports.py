"""What the use cases need of the stock's keeper."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from inventory.model import HoldChunk, StockLevel


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

    def bar_hold(self, order_id: str) -> HoldChunk:
        """Release the first chunk, or lay a tombstone in its place; return what is there now."""

    def adjust(self, sku: str, delta: int, *, reason: str, reference: str) -> StockLevel:
        """Change `available` by `delta`, once per `reference`.

        Raises NegativeStockError, IdempotencyMismatchError.
        """

    def set_available(self, corrections: Sequence[tuple[StockLevel, int]], *, reason: str) -> None:
        """Set `available` of levels that are still as read, all or none. Raises StaleError."""

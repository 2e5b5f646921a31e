"""What the use cases need of the stock's keeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from inventory.model import (
    Bucketed,
    HoldChunk,
    ReturnedUnits,
    Shelf,
    ShelfChange,
    Standing,
    Waiting,
    Warehouse,
)


class StockRepository(Protocol):
    def shelves(self, skus: Sequence[str], *, consistent: bool = True) -> dict[str, Shelf]:
        """Read shelves, each bucket as it is now; not all at one moment.

        Reads that are not consistent cost half, and may be a moment old.
        """

    def snapshot(self, sku: str) -> Shelf:
        """Read all buckets of a shelf at one moment. Raises UnavailableError."""

    def presumed(self, skus: Sequence[str]) -> dict[str, Shelf] | None:
        """Suppose how shelves are kept, with plenty on them; None if they have to be read."""

    def hold_chunk(
        self,
        chunk: HoldChunk,
        shelves: Mapping[str, Shelf],
        *,
        held_until: datetime,
        chunks_known: int,
    ) -> HoldChunk:
        """Hold a chunk's lines, all or none, once; return what is held under its number.

        Raises
        ------
        OutOfStockError, HoldReleasedError
        StaleError
            The shelves are not as the chunk was planned on them.
        """

    def chunks(self, order_id: str) -> list[HoldChunk]:
        """Read an order's hold in order; an empty list if it never held."""

    def commit_chunk(self, chunk: HoldChunk) -> None:
        """Sell a held chunk, once. Raises HoldLostError if it is not held, StaleError."""

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

    def change(self, changes: Sequence[ShelfChange]) -> None:
        """Change shelves, each wholly, with an entry for each; as many at once as fit.

        Raises
        ------
        StaleError
            A shelf is not as it was read. Changes before it may have been written.
        IdempotencyMismatchError
            The reference of a single change belongs to another one.
        """

    def first_waiting(self, sku: str) -> Waiting | None:
        """Read who waits longest for units of a SKU."""

    def fill(self, waiting: Waiting, came: Bucketed) -> None:
        """Give units to a line that waits, once. Raises StaleError if anything moved on."""

    def tell_standing(self, shelf: Shelf, standing: Standing) -> None:
        """Write how a SKU stands and tell of a fall, once. Raises StaleError if it was told of."""


class WarehouseRepository(Protocol):
    def described(self) -> list[Warehouse]:
        """Read the warehouses that somebody described."""

    def put(self, warehouse: Warehouse, before: Warehouse | None) -> None:
        """Write a warehouse, if it is still as read. Raises StaleError."""


class Orders(Protocol):
    def status_of(self, order_id: str) -> str | None:
        """Ask how an order stands; None if there is no such order. May raise UnavailableError."""

    def country_of(self, order_id: str) -> str:
        """Ask which country an order is sent to. May raise UnavailableError."""

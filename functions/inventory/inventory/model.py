"""Stock levels and holds. Quantities are whole units of one SKU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, InvalidError

# One warehouse until orders are sourced from several; the key has room for more.
MAIN_WAREHOUSE = "main"

QUANTITY_MAX = 10_000_000


class HoldState(StrEnum):
    HELD = "HELD"  # units are set aside
    COMMITTED = "COMMITTED"  # units are sold
    RELEASED = "RELEASED"  # units are back, or were never taken: no later hold may take them


class OutOfStockError(ConflictError):
    """Fewer units are available than asked for, or the SKU is unknown. Nothing is held."""

    code = "out_of_stock"

    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} is out of stock")
        self.sku = sku


class HoldReleasedError(ConflictError):
    """The order's hold was given back already: this call was overtaken by its undo."""

    code = "hold_released"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the hold of {order_id} was released")
        self.order_id = order_id


class HoldLostError(ConflictError):
    """There is no hold to commit: the units may be somebody else's by now."""

    code = "hold_lost"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"{order_id} holds no stock")
        self.order_id = order_id


class NegativeStockError(ConflictError):
    """The change would leave fewer units than none, or than orders hold."""

    code = "negative_stock"

    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} would fall below what is there or held")
        self.sku = sku


class EmptyHoldError(InvalidError):
    code = "empty_hold"


@dataclass(frozen=True, slots=True)
class StockLevel:
    """The units of one SKU in one warehouse. On hand is what stands on the shelf."""

    sku: str
    available: int
    held: int

    @property
    def on_hand(self) -> int:
        return self.available + self.held


@dataclass(frozen=True, slots=True)
class HoldLine:
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class HoldChunk:
    """One transaction's worth of an order's hold: chunk `number` of `total`, counted from 0.

    The units that an edit adds are chunks of their own, counted anew.
    """

    order_id: str
    number: int
    total: int
    state: HoldState
    lines: tuple[HoldLine, ...]
    held_until: datetime | None = None  # None for a tombstone
    edit: int = 0  # the number of the order's edit that it stands at
    added_by: int = 0  # the number of the edit that added it; 0: it was bought at first

    def left_at(self, edit: int, left: Mapping[str, int]) -> HoldChunk:
        """Return the chunk as an edit leaves it, which never adds to it."""
        kept = (HoldLine(one.sku, min(one.quantity, left.get(one.sku, 0))) for one in self.lines)
        return replace(self, edit=edit, lines=tuple(line for line in kept if line.quantity))


@dataclass(frozen=True, slots=True)
class ReturnedUnits:
    """What came back of an order: each SKU at most once in each list."""

    return_id: str
    order_id: str
    resellable: tuple[HoldLine, ...]
    damaged: tuple[HoldLine, ...]


def summed(lines: Iterable[HoldLine]) -> list[HoldLine]:
    """Sum lines of one SKU and sort by SKU, so that two large orders meet in the same order."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return [HoldLine(sku, quantity) for sku, quantity in sorted(quantities.items())]

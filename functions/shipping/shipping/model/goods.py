"""What an order has bought, as far as sending it in parts needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Only what was sold may be sent; the rest of an order's life is its own.
_MAY_BE_SENT = {"CONFIRMED", "SHIPPED"}


@dataclass(frozen=True, slots=True)
class ParcelLine:
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class BackOrdered:
    """Units of a SKU that an order has bought, of which some are still to come in."""

    sku: str
    bought: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Goods:
    """What orders answers: how the order stands, and its units of each SKU."""

    status: str | None
    quantities: Mapping[str, int]

    @property
    def may_be_sent(self) -> bool:
        return self.status in _MAY_BE_SENT


def summed(lines: Sequence[ParcelLine]) -> dict[str, int]:
    """Sum the units of each SKU."""
    units: dict[str, int] = {}
    for line in lines:
        units[line.sku] = units.get(line.sku, 0) + line.quantity
    return units

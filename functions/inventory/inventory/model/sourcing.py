"""
Where the lines of an order are taken from.

The fewest parcels first: a warehouse that has the whole order, if there is one; else each line
from a warehouse that has all of it; and only a line that none has whole is divided. Between
equals the warehouse in the country of destination comes first, then the one of lower priority,
then the one whose code does.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from inventory.model.holds import HoldLine, line_of
from inventory.model.stock import Bucket, OutOfStockError, Shelf, Warehouse, gathered


def ranked(warehouses: Iterable[Warehouse], country: str | None) -> list[str]:
    """Name the open warehouses, the one to send from first."""
    order = sorted(
        (one for one in warehouses if one.is_open),
        key=lambda one: (one.country != country, one.priority, one.code),
    )
    return [one.code for one in order]


def whole_first(
    ranking: Sequence[str], lines: Sequence[HoldLine], shelves: Mapping[str, Shelf]
) -> list[str]:
    """Put in front the first warehouse that has all of an order, if there is one."""
    for code in ranking:
        if all(shelves[line.sku].level_in(code).available >= line.quantity for line in lines):
            return [code, *(other for other in ranking if other != code)]
    return list(ranking)


def sourced(
    order_id: str, line: HoldLine, shelf: Shelf, ranking: Sequence[str], now: datetime
) -> HoldLine:
    """Say which buckets a line is taken from, and how many of its units are to come in.

    Raises
    ------
    OutOfStockError
        There are too few for sale, and no more may be promised.
    """
    open_now = sum(shelf.level_in(code).available for code in ranking)
    here = min(line.quantity, max(0, open_now - shelf.waiting))
    missing = line.quantity - here
    if missing > shelf.may_still_wait:
        raise OutOfStockError(line.sku)
    return line_of(line.sku, _found(order_id, here, shelf, ranking), missing, now)


def _found(order_id: str, quantity: int, shelf: Shelf, ranking: Sequence[str]) -> dict[Bucket, int]:
    # Each order begins at a shard of its own, so that many orders meet at none.
    start = zlib.crc32(order_id.encode())
    for code in ranking:
        if quantity and shelf.level_in(code).available >= quantity:
            return gathered(shelf, code, quantity, start)
    takes: dict[Bucket, int] = {}
    for code in ranking:
        left = quantity - sum(takes.values())
        if left:
            takes |= gathered(shelf, code, left, start)
    return takes


def filling(shelf: Shelf, quantity: int, ranking: Sequence[str]) -> dict[Bucket, int]:
    """Find units that came in for who waits longest; fewer than asked for, if there are fewer."""
    here = min(quantity, sum(shelf.level_in(code).available for code in ranking))
    return _found(shelf.sku, here, shelf, ranking)

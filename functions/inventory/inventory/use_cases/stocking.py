"""Units that come and go by hand: received, adjusted, counted, restocked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inventory.model import (
    MAIN_WAREHOUSE,
    Bucket,
    Card,
    HoldLine,
    Move,
    NegativeStockError,
    Reason,
    ReturnedUnits,
    Shelf,
    ShelfChange,
    StockLevel,
    summed,
)
from inventory.model.stock import gathered, spread
from inventory.ports import StockRepository
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import new_id

# How often a change is decided on anew whose shelf others changed meanwhile.
ATTEMPTS_MAX = 3


def restock(
    order_id: str,
    return_id: str,
    *,
    resellable: Sequence[HoldLine],
    damaged: Sequence[HoldLine],
    stock: StockRepository,
) -> None:
    """Put what came back on the shelf, and write off what cannot be sold, once per return.

    Raises
    ------
    IdempotencyMismatchError
        Other units came back with this return.
    """
    stock.restock(
        ReturnedUnits(return_id, order_id, tuple(summed(resellable)), tuple(summed(damaged)))
    )


def adjust_stock(
    sku: str,
    delta: int,
    *,
    reason: str,
    reference: str,
    stock: StockRepository,
    code: Reason = Reason.CORRECTION,
    warehouse: str = MAIN_WAREHOUSE,
) -> Shelf:
    """Receive (positive) or write off (negative) units of a warehouse, once per `reference`.

    Raises
    ------
    NegativeStockError
        Fewer units are available there than are to be written off.
    IdempotencyMismatchError
        The reference belongs to a change of another size.
    StaleError
        Sales kept changing the level.
    """
    for _ in range(ATTEMPTS_MAX):
        shelf = stock.shelves([sku])[sku]
        is_short = delta < 0 and shelf.level_in(warehouse).available < -delta
        if is_short and len(shelf.units) > 1:
            # Read one by one, units that were moving may have been missed.
            shelf = stock.snapshot(sku)
        change = ShelfChange(
            shelf=shelf,
            moves=_adjusted(shelf, warehouse, delta),
            kind="ADJUSTED",
            note=reason,
            change_id=new_id("ent"),
            code=code,
            warehouse=warehouse,
            reference=reference,
            card=_card_with(shelf, warehouse),
        )
        try:
            stock.change([change])
        except StaleError:
            # Whether it was done before, only the write could tell.
            if delta < 0 and shelf.level_in(warehouse).available < -delta:
                raise NegativeStockError(sku) from None
            continue
        return stock.shelves([sku])[sku]
    raise StaleError("the stock kept changing while it was adjusted")


def _adjusted(shelf: Shelf, warehouse: str, delta: int) -> tuple[Move, ...]:
    first = Bucket(warehouse)
    if delta > 0:
        came = spread(delta, _emptiest_first(shelf, warehouse))
        return tuple(Move(shelf.sku, bucket, available=units) for bucket, units in came.items())
    if delta < 0 and shelf.level_in(warehouse).available >= -delta:
        gone = gathered(shelf, warehouse, -delta, 0)
        return tuple(Move(shelf.sku, bucket, available=-units) for bucket, units in gone.items())
    return (Move(shelf.sku, first, available=delta),)


def _emptiest_first(shelf: Shelf, warehouse: str) -> list[Bucket]:
    return sorted(shelf.shards_of(warehouse), key=lambda bucket: shelf.at(bucket).available)


def _card_with(shelf: Shelf, warehouse: str) -> Card | None:
    """Return the card to write where a SKU comes into a warehouse for the first time."""
    card = shelf.card or Card()
    kept = card.kept_in(warehouse)
    return kept if kept != card else None


def count_stock(
    counts: Mapping[str, int],
    *,
    reason: str,
    stock: StockRepository,
    code: Reason = Reason.STOCKTAKING,
    warehouse: str = MAIN_WAREHOUSE,
) -> dict[str, tuple[str, StockLevel]]:
    """Correct what is on hand in a warehouse to what was counted; held units stay held.

    Returns per SKU `changed` or `unchanged` with the warehouse's level after. The same count
    again changes nothing. A count below what is held leaves `available` at zero: those orders
    were promised.

    Raises
    ------
    StaleError
        Sales kept changing a level while it was being corrected. Some of the counts may have been
        written, fifty at a time; count again.
    """
    outcome: dict[str, tuple[str, StockLevel]] = {}
    remaining = dict(counts)
    for _ in range(ATTEMPTS_MAX):
        found = stock.shelves(list(remaining))
        changes = []
        for sku, on_hand in remaining.items():
            shelf = found[sku]
            level = shelf.level_in(warehouse)
            corrected = StockLevel(sku, max(0, on_hand - level.held), level.held)
            is_kept_here = shelf.is_known and _card_with(shelf, warehouse) is None
            if is_kept_here and corrected == level:
                outcome[sku] = ("unchanged", level)
                continue
            outcome[sku] = ("changed", corrected)
            changes.append(
                ShelfChange(
                    shelf=shelf,
                    moves=_corrected(shelf, warehouse, corrected.available - level.available),
                    kind="COUNTED",
                    note=reason,
                    change_id=new_id("ent"),
                    code=code,
                    warehouse=warehouse,
                    is_exact=True,
                    card=_card_with(shelf, warehouse),
                )
            )
        try:
            stock.change(changes)
        except StaleError:
            remaining = {change.shelf.sku: counts[change.shelf.sku] for change in changes}
            continue
        return outcome
    raise StaleError("the stock kept changing while it was counted")


def _corrected(shelf: Shelf, warehouse: str, delta: int) -> tuple[Move, ...]:
    """Divide the difference; name every bucket of the warehouse, for all of them were counted."""
    here = {bucket: 0 for bucket in shelf.units if bucket.warehouse == warehouse}
    here |= dict.fromkeys(shelf.shards_of(warehouse)[:1], 0)
    if delta > 0:
        here |= spread(delta, _emptiest_first(shelf, warehouse))
    else:
        here |= {bucket: -units for bucket, units in gathered(shelf, warehouse, -delta, 0).items()}
    return tuple(Move(shelf.sku, bucket, available=units) for bucket, units in here.items())

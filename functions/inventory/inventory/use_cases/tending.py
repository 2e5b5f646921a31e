"""How a shelf is kept: its shards, its threshold, its back-orders; and what follows of changes."""

from __future__ import annotations

from dataclasses import replace

from inventory.model import Card, Shelf, ShelfChange, StockLevel
from inventory.model.sourcing import filling, ranked
from inventory.model.stock import evened, standing_of, with_main
from inventory.ports import StockRepository, WarehouseRepository
from inventory.use_cases.stocking import ATTEMPTS_MAX
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import new_id

# Lines filled before the shelf is tended anew.
FILLS_MAX = 20


def for_sale(sku: str, *, stock: StockRepository, warehouses: WarehouseRepository) -> StockLevel:
    """Read what of a SKU may be sold: what lies in open warehouses. May be a moment old."""
    shelf = stock.shelves([sku], consistent=False)[sku]
    if shelf.card is None or len(shelf.card.warehouses) == 1:
        return shelf.level
    return shelf.level_of(ranked(with_main(warehouses.described()), None))


def keep_shelf(
    sku: str,
    *,
    shards: int,
    low_at: int | None,
    backorders_max: int | None,
    note: str,
    stock: StockRepository,
) -> Shelf:
    """Say how a SKU is kept, while it is sold; its units are spread over the shards afterwards.

    What is promised stays promised when fewer back-orders are taken.

    Raises
    ------
    StaleError
        Sales kept changing the shelf.
    """
    for _ in range(ATTEMPTS_MAX):
        shelf = stock.snapshot(sku)
        card = replace(
            (shelf.card or Card()).spread_over(shards),
            low_at=low_at,
            backorders_max=backorders_max,
        )
        if card == shelf.card:
            return even_out(sku, stock=stock)
        change = ShelfChange(
            shelf, moves=(), kind="KEPT", note=note, change_id=new_id("ent"), card=card
        )
        try:
            stock.change([change])
        except StaleError:
            continue
        return even_out(sku, stock=stock)
    raise StaleError("the shelf kept changing")


def even_out(sku: str, *, stock: StockRepository) -> Shelf:
    """Spread the units of each warehouse over the shards in use, as far as sales let it.

    Units that could not be moved stay where they are, and are found there. Safe to repeat.
    """
    shelf = stock.snapshot(sku)
    for warehouse in shelf.card.warehouses if shelf.card else ():
        for _ in range(ATTEMPTS_MAX):
            moves = evened(shelf, warehouse)
            if not moves:
                break
            change = ShelfChange(
                shelf, tuple(moves), kind="MOVED", note="", change_id=new_id("ent")
            )
            try:
                stock.change([change])
            except StaleError:
                shelf = stock.snapshot(sku)
                continue
            break
    return stock.snapshot(sku)


def tend_shelf(sku: str, *, stock: StockRepository, warehouses: WarehouseRepository) -> int:
    """Give what came in to those who wait longest, and tell of a SKU that ran low.

    Returns how many lines were given units. Called for every change of a shelf that has a card;
    safe to repeat and to run beside itself.

    Raises
    ------
    StaleError
        There is more to give, or others kept changing the shelf: to be tended once more.
    """
    filled = 0
    for _ in range(FILLS_MAX):
        shelf = stock.snapshot(sku)
        if shelf.card is None:
            return filled
        try:
            if not _fill_next(shelf, stock, warehouses):
                _tell(shelf, stock)
                return filled
        except StaleError:
            continue
        filled += 1
    raise StaleError(f"the shelf of {sku} needs more tending")


def _fill_next(shelf: Shelf, stock: StockRepository, warehouses: WarehouseRepository) -> bool:
    """Give units to whoever waits longest; tell whether there was something to give."""
    if not shelf.waiting or not shelf.level.available:
        return False
    first = stock.first_waiting(shelf.sku)
    if first is None:
        return False
    ranking = ranked(with_main(warehouses.described()), None)
    came = filling(shelf, first.quantity, ranking)
    if not came:
        return False
    stock.fill(first, came)
    return True


def _tell(shelf: Shelf, stock: StockRepository) -> None:
    """Tell of a fall that no transaction saw: where units lie in several buckets."""
    if shelf.card is None or shelf.card.low_at is None or shelf.card.is_one_bucket:
        return
    standing = standing_of(shelf.level.for_sale, shelf.card.low_at)
    if standing is not shelf.standing:
        stock.tell_standing(shelf, standing)

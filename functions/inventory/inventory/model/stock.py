"""Where the units of a SKU lie, and how its shelf is kept. Quantities are whole units."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError

# Where units go that nobody names a warehouse for; there is always this one.
MAIN_WAREHOUSE = "main"

QUANTITY_MAX = 10_000_000

# Of a SKU that is divided as far as can be, a line may need a unit of every bucket: five
# warehouses of sixteen shards each still fit into one transaction of 100 items.
WAREHOUSES_MAX = 5
SHARDS = (1, 4, 16)

# More units than any shop has.
_WITHOUT_END = 10**15


class OutOfStockError(ConflictError):
    """Fewer units are available than asked for, or the SKU is unknown. Nothing is held."""

    code = "out_of_stock"

    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} is out of stock")
        self.sku = sku


class NegativeStockError(ConflictError):
    """The change would leave fewer units than none, or than orders hold."""

    code = "negative_stock"

    def __init__(self, sku: str) -> None:
        super().__init__(f"{sku} would fall below what is there or held")
        self.sku = sku


class UnknownWarehouseError(NotFoundError):
    code = "unknown_warehouse"

    def __init__(self, warehouse: str) -> None:
        super().__init__(f"there is no warehouse {warehouse}")
        self.warehouse = warehouse


class TooManyWarehousesError(ConflictError):
    """There are as many warehouses as there may be."""

    code = "too_many_warehouses"

    def __init__(self) -> None:
        super().__init__(f"a shop has {WAREHOUSES_MAX} warehouses at most")


class MainWarehouseError(InvalidError):
    """The main warehouse cannot be closed: what names no warehouse lies there."""

    code = "main_warehouse"

    def __init__(self) -> None:
        super().__init__("the main warehouse cannot be closed")


class Reason(StrEnum):
    """Why units came or went, in one word that can be summed."""

    DELIVERY = "delivery"
    TRANSFER = "transfer"
    FOUND = "found"
    LOST = "lost"
    DAMAGED = "damaged"
    EXPIRED = "expired"
    SAMPLE = "sample"
    CORRECTION = "correction"
    OPENING = "opening"
    STOCKTAKING = "stocktaking"


class Standing(StrEnum):
    """How much there is for sale, as the merchant was last told."""

    AMPLE = "AMPLE"
    LOW = "LOW"  # at the threshold or below
    DEPLETED = "DEPLETED"  # nothing


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A place that orders are sent from. `priority` ranks equals, the lowest first."""

    code: str
    name: str
    country: str  # ISO 3166-1 alpha-2; empty where nobody said
    priority: int
    is_open: bool


def with_main(warehouses: Iterable[Warehouse]) -> list[Warehouse]:
    """List the warehouses by code, with the main one where nobody described it."""
    listed = {MAIN_WAREHOUSE: Warehouse(MAIN_WAREHOUSE, "Main", "", 100, is_open=True)}
    listed |= {one.code: one for one in warehouses}
    return [listed[code] for code in sorted(listed)]


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """One of the items that a SKU's units lie in: a shard of them, in a warehouse."""

    warehouse: str = MAIN_WAREHOUSE
    shard: int = 0


# A SKU that nobody said anything about has this one bucket.
ROOT = Bucket()


@dataclass(frozen=True, slots=True)
class Units:
    available: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Move:
    """What a change does to one bucket of a SKU. `waiting` counts back-orders, at the root."""

    sku: str
    bucket: Bucket = ROOT
    available: int = 0
    held: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """How a SKU's shelf is kept. A SKU without a card has one bucket, ROOT."""

    shards: int = 1  # units are spread over so many
    shards_ever: int = 1  # and may still lie in so many
    warehouses: tuple[str, ...] = (MAIN_WAREHOUSE,)  # where the SKU was ever stocked
    low_at: int | None = None  # tell when this few are for sale; None: never
    backorders_max: int | None = None  # units promised that are not there; None: none are

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """All that may hold units, the root first."""
        return tuple(
            Bucket(warehouse, shard)
            for shard in range(self.shards_ever)
            for warehouse in self.warehouses
        )

    @property
    def is_one_bucket(self) -> bool:
        return len(self.buckets) == 1

    def kept_in(self, warehouse: str) -> Card:
        """Return the card of a SKU that is stocked in this warehouse, too."""
        if warehouse in self.warehouses:
            return self
        return replace(self, warehouses=(*self.warehouses, warehouse))

    def spread_over(self, shards: int) -> Card:
        return replace(self, shards=shards, shards_ever=max(shards, self.shards_ever))


@dataclass(frozen=True, slots=True)
class StockLevel:
    """The units of one SKU, or of it in one warehouse. On hand is what stands on the shelf."""

    sku: str
    available: int
    held: int
    waiting: int = 0  # promised, and still to come in
    may_still_wait: int = 0  # and as many more may be promised

    @property
    def on_hand(self) -> int:
        return self.available + self.held

    @property
    def for_sale(self) -> int:
        """What may be promised: units that came in go to those who wait first."""
        return max(0, self.available - self.waiting)


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that is known of a SKU's stock. `tellings` counts what was told of its standing."""

    sku: str
    card: Card | None = None
    units: Mapping[Bucket, Units] = field(default_factory=lambda: {ROOT: Units()})
    waiting: int = 0
    standing: Standing = Standing.AMPLE
    tellings: int = 0
    is_known: bool = True  # False for a SKU that was never stocked

    def at(self, bucket: Bucket) -> Units:
        return self.units.get(bucket, Units())

    @property
    def level(self) -> StockLevel:
        return self.level_of(self.card.warehouses if self.card else (MAIN_WAREHOUSE,))

    def level_of(self, warehouses: Collection[str]) -> StockLevel:
        """Sum the units of some warehouses, with all that wait."""
        here = [units for bucket, units in self.units.items() if bucket.warehouse in warehouses]
        return StockLevel(
            self.sku,
            sum(each.available for each in here),
            sum(each.held for each in here),
            self.waiting,
            self.may_still_wait,
        )

    def level_in(self, warehouse: str) -> StockLevel:
        """Sum the units of one warehouse; nobody waits in one."""
        level = self.level_of([warehouse])
        return StockLevel(self.sku, level.available, level.held)

    @property
    def may_still_wait(self) -> int:
        """How many more units may be promised that are not there."""
        if self.card is None or self.card.backorders_max is None:
            return 0
        return max(0, self.card.backorders_max - self.waiting)

    @property
    def threshold(self) -> int | None:
        return self.card.low_at if self.card else None

    def shards_of(self, warehouse: str) -> list[Bucket]:
        """List the buckets of a warehouse that units are put in."""
        shards = self.card.shards if self.card else 1
        return [Bucket(warehouse, shard) for shard in range(shards)]


@dataclass(frozen=True, slots=True)
class ShelfChange:
    """What staff do to the units of a SKU in a warehouse, or to how its shelf is kept.

    Under a `reference` it is done once; `is_exact` requires that the warehouse's units lie as
    they were read.
    """

    shelf: Shelf
    moves: tuple[Move, ...]
    kind: str
    note: str
    change_id: str
    code: Reason = Reason.CORRECTION
    warehouse: str = MAIN_WAREHOUSE
    reference: str = ""
    is_exact: bool = False
    card: Card | None = None


def standing_of(for_sale: int, threshold: int) -> Standing:
    if for_sale <= 0:
        return Standing.DEPLETED
    return Standing.LOW if for_sale <= threshold else Standing.AMPLE


def crossings(before: int, after: int, threshold: int) -> list[Standing]:
    """Name what a fall from `before` to `after` crosses: each once, whoever asks."""
    crossed = [Standing.LOW] if 0 < threshold < before and after <= threshold else []
    return [*crossed, Standing.DEPLETED] if after <= 0 < before else crossed


def alike(before: int, taken: int, threshold: int) -> tuple[int, int]:
    """Bound the levels from which taking so much crosses the same as from `before`.

    A write under the condition that the level lies in these bounds crosses what it tells of, and
    no other sale has to wait for it.
    """
    bounds = sorted({taken, *(edge + 1 for at in (0, threshold) for edge in (at, at + taken))})
    lowest = max((bound for bound in bounds if taken <= bound <= before), default=taken)
    above = min((bound for bound in bounds if bound > before), default=_WITHOUT_END)
    return lowest, above - 1


def spread(quantity: int, buckets: Sequence[Bucket]) -> dict[Bucket, int]:
    """Divide units evenly, the first buckets taking what is over."""
    share, over = divmod(quantity, len(buckets))
    shares = {bucket: share + (at < over) for at, bucket in enumerate(buckets)}
    return {bucket: units for bucket, units in shares.items() if units}


def gathered(shelf: Shelf, warehouse: str, quantity: int, start: int) -> dict[Bucket, int]:
    """Find units of a warehouse: in the bucket to begin with, else in the next that has them all.

    What no bucket has is gathered, from the fullest on; less than asked for, if there is less.
    """
    here = sorted(bucket for bucket in shelf.units if bucket.warehouse == warehouse)
    shards = shelf.card.shards if shelf.card else 1
    in_turn = sorted(here, key=lambda bucket: (bucket.shard - start % shards) % (len(here) or 1))
    for bucket in in_turn:
        if shelf.at(bucket).available >= quantity:
            return {bucket: quantity}
    takes: dict[Bucket, int] = {}
    for bucket in sorted(in_turn, key=lambda one: -shelf.at(one).available):
        units = min(shelf.at(bucket).available, quantity - sum(takes.values()))
        if units > 0:
            takes[bucket] = units
    return takes


def evened(shelf: Shelf, warehouse: str) -> list[Move]:
    """Say what to move so that the units of a warehouse lie evenly in the shards in use."""
    here = {bucket for bucket in shelf.units if bucket.warehouse == warehouse}
    total = sum(shelf.at(bucket).available for bucket in here)
    wanted = spread(total, shelf.shards_of(warehouse))
    changes = {
        bucket: wanted.get(bucket, 0) - shelf.at(bucket).available
        for bucket in here | wanted.keys()
    }
    return [
        Move(shelf.sku, bucket, available=change)
        for bucket, change in sorted(changes.items())
        if change
    ]

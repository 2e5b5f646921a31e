"""Inventory's bodies and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from inventory.model import (
    MAIN_WAREHOUSE,
    QUANTITY_MAX,
    HoldChunk,
    Reason,
    Shelf,
    StockLevel,
    Warehouse,
)
from inventory.model.stock import SHARDS
from tradepost.platform.bodies import RequestModel, View, shown_as

SKU = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")]
Note = Annotated[str, Field(min_length=1, max_length=200)]
WarehouseCode = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Units = Annotated[int, Field(ge=0, le=QUANTITY_MAX)]

_BATCH_LINES_MAX = 100


def _offered(shards: int) -> int:
    if shards not in SHARDS:
        raise ValueError("one of " + ", ".join(str(number) for number in SHARDS))
    return shards


# Not a Literal: to that, true is 1.
ShardCount = Annotated[
    int, AfterValidator(_offered), Field(json_schema_extra={"enum": list(SHARDS)})
]


class Receipt(RequestModel):
    model_config = shown_as(quantity=12, reason="delivery 4711")

    quantity: int = Field(ge=1, le=QUANTITY_MAX)
    code: Reason = Reason.DELIVERY
    reason: Note
    warehouse: WarehouseCode = MAIN_WAREHOUSE


class Adjustment(RequestModel):
    model_config = shown_as(delta=-1, code="damaged", reason="fell off the ladder")

    delta: int = Field(ge=-QUANTITY_MAX, le=QUANTITY_MAX)
    code: Reason = Reason.CORRECTION
    reason: Note
    warehouse: WarehouseCode = MAIN_WAREHOUSE


class Count(RequestModel):
    model_config = shown_as(on_hand=40, reason="yearly count")

    on_hand: Units
    code: Reason = Reason.STOCKTAKING
    reason: Note
    warehouse: WarehouseCode = MAIN_WAREHOUSE


class CountLine(RequestModel):
    sku: SKU
    on_hand: Units


class CountBatch(RequestModel):
    lines: list[CountLine] = Field(min_length=1, max_length=_BATCH_LINES_MAX)
    code: Reason = Reason.STOCKTAKING
    reason: Note
    warehouse: WarehouseCode = MAIN_WAREHOUSE


class Keeping(RequestModel):
    """How a SKU is kept. What is left out is switched off."""

    model_config = shown_as(shards=4, low_at=20, backorders_max=100, reason="the autumn sale")

    shards: ShardCount = 1
    low_at: Units | None = None
    backorders_max: Units | None = None
    reason: Note


class WarehouseBody(RequestModel):
    model_config = shown_as(name="Leeds", country="GB", priority=10, is_open=True)

    name: str = Field(min_length=1, max_length=100)
    country: str = Field(pattern=r"^[A-Z]{2}$")
    priority: int = Field(default=100, ge=0, le=1_000)
    is_open: bool = True

    def described(self, code: str) -> Warehouse:
        return Warehouse(code, self.name, self.country, self.priority, self.is_open)


class WarehouseView(View):
    code: str
    name: str
    country: str
    priority: int
    is_open: bool

    @classmethod
    def of(cls, warehouse: Warehouse) -> WarehouseView:
        return cls(
            code=warehouse.code,
            name=warehouse.name,
            country=warehouse.country,
            priority=warehouse.priority,
            is_open=warehouse.is_open,
        )


class WarehousesView(View):
    warehouses: list[WarehouseView]


class Availability(View):
    """What may be sold now, and what may be promised beside. A SKU never stocked has neither."""

    sku: str
    available: int
    back_orders: int

    @classmethod
    def of(cls, level: StockLevel) -> Availability:
        return cls(sku=level.sku, available=level.for_sale, back_orders=level.may_still_wait)


class Level(View):
    sku: str
    available: int
    held: int
    on_hand: int

    @classmethod
    def of(cls, level: StockLevel) -> Level:
        return cls(sku=level.sku, available=level.available, held=level.held, on_hand=level.on_hand)


class LevelHere(View):
    """The units of a SKU in one warehouse."""

    warehouse: str
    available: int
    held: int
    on_hand: int

    @classmethod
    def of(cls, warehouse: str, level: StockLevel) -> LevelHere:
        return cls(
            warehouse=warehouse,
            available=level.available,
            held=level.held,
            on_hand=level.on_hand,
        )


class ShelfView(Level):
    """All warehouses together, each for itself, and how the SKU is kept."""

    waiting: int
    warehouses: list[LevelHere]
    shards: int
    low_at: int | None
    backorders_max: int | None

    @classmethod
    def showing(cls, shelf: Shelf) -> ShelfView:
        card, level = shelf.card, shelf.level
        codes = card.warehouses if card else (MAIN_WAREHOUSE,)
        return cls(
            sku=shelf.sku,
            available=level.available,
            held=level.held,
            on_hand=level.on_hand,
            waiting=level.waiting,
            warehouses=[LevelHere.of(code, shelf.level_in(code)) for code in codes],
            shards=card.shards if card else 1,
            low_at=card.low_at if card else None,
            backorders_max=card.backorders_max if card else None,
        )


class PickLine(View):
    sku: str
    quantity: int


class PickHere(View):
    warehouse: str
    lines: list[PickLine]


class PickList(View):
    """Where the units of an order lie, and what is still to come in for it."""

    order_id: str
    status: str
    warehouses: list[PickHere]
    waiting: list[PickLine]

    @classmethod
    def of(cls, order_id: str, chunks: Sequence[HoldChunk]) -> PickList:
        here: dict[str, dict[str, int]] = {}
        waiting: dict[str, int] = {}
        for line in (line for chunk in chunks for line in chunk.lines):
            if line.waiting:
                waiting[line.sku] = waiting.get(line.sku, 0) + line.waiting
            for take in line.takes:
                units = here.setdefault(take.bucket.warehouse, {})
                units[line.sku] = units.get(line.sku, 0) + take.quantity
        return cls(
            order_id=order_id,
            status=chunks[0].state,
            warehouses=[
                PickHere(
                    warehouse=code,
                    lines=[PickLine(sku=sku, quantity=n) for sku, n in here[code].items()],
                )
                for code in sorted(here)
            ],
            waiting=[PickLine(sku=sku, quantity=n) for sku, n in waiting.items()],
        )


class CountResult(View):
    sku: str
    outcome: Literal["changed", "unchanged"]
    available: int
    held: int


class CountResults(View):
    results: list[CountResult]

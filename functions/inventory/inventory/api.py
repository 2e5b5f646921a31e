"""Inventory's bodies and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from inventory.model import QUANTITY_MAX, StockLevel
from tradepost.platform.bodies import RequestModel, View, shown_as

SKU = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=200)]
Units = Annotated[int, Field(ge=0, le=QUANTITY_MAX)]

_BATCH_LINES_MAX = 100


class Receipt(RequestModel):
    model_config = shown_as(quantity=12, reason="delivery 4711")

    quantity: int = Field(ge=1, le=QUANTITY_MAX)
    reason: Reason


class Adjustment(RequestModel):
    model_config = shown_as(delta=-1, reason="broken")

    delta: int = Field(ge=-QUANTITY_MAX, le=QUANTITY_MAX)
    reason: Reason


class Count(RequestModel):
    model_config = shown_as(on_hand=40, reason="yearly count")

    on_hand: Units
    reason: Reason


class CountLine(RequestModel):
    sku: SKU
    on_hand: Units


class CountBatch(RequestModel):
    lines: list[CountLine] = Field(min_length=1, max_length=_BATCH_LINES_MAX)
    reason: Reason


class Availability(View):
    """What may be sold now. A SKU that was never stocked has none."""

    sku: str
    available: int


class Level(View):
    sku: str
    available: int
    held: int
    on_hand: int

    @classmethod
    def of(cls, level: StockLevel) -> Level:
        return cls(sku=level.sku, available=level.available, held=level.held, on_hand=level.on_hand)


class CountResult(View):
    sku: str
    outcome: Literal["changed", "unchanged"]
    available: int
    held: int


class CountResults(View):
    results: list[CountResult]

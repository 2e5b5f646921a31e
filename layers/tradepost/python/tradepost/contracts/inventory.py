"""What inventory publishes. The aggregate is the stock of one SKU, or what an order holds."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class StockLowV1(Event):
    """As few units are for sale as the merchant wanted to hear of. Once per fall, not per sale."""

    TYPE: ClassVar[str] = "stock.low.v1"

    type: Literal["stock.low.v1"] = "stock.low.v1"
    sku: str
    threshold: int


class StockDepletedV1(Event):
    """Nothing is for sale any more. Told of a SKU that has a threshold; once per fall."""

    TYPE: ClassVar[str] = "stock.depleted.v1"

    type: Literal["stock.depleted.v1"] = "stock.depleted.v1"
    sku: str


class BackorderFilledV1(Event):
    """All units of this SKU that the order waited for are here. `version` counts its fillings."""

    TYPE: ClassVar[str] = "backorder.filled.v1"

    type: Literal["backorder.filled.v1"] = "backorder.filled.v1"
    order_id: str
    sku: str
    quantity: int  # what came in last

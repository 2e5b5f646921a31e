"""What shipping publishes. The aggregate is the shipment of one order."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class ShipmentDispatchedV1(Event):
    """The carrier has the parcel. From here on it cannot be called back, only returned."""

    TYPE: ClassVar[str] = "shipment.dispatched.v1"

    type: Literal["shipment.dispatched.v1"] = "shipment.dispatched.v1"
    order_id: str
    tracking_number: str
    carrier: str


class ShipmentDeliveredV1(Event):
    """The customer has the parcel."""

    TYPE: ClassVar[str] = "shipment.delivered.v1"

    type: Literal["shipment.delivered.v1"] = "shipment.delivered.v1"
    order_id: str
    tracking_number: str
    carrier: str

"""How a shipment looks outside."""

from __future__ import annotations

from shipping.model import Shipment, ShipmentStatus
from tradepost.platform.bodies import View


class ShipmentView(View):
    order_id: str
    status: ShipmentStatus
    carrier: str
    tracking_number: str

    @classmethod
    def of(cls, shipment: Shipment) -> ShipmentView:
        return cls(
            order_id=shipment.order_id,
            status=shipment.status,
            carrier=shipment.carrier,
            tracking_number=shipment.tracking_number,
        )

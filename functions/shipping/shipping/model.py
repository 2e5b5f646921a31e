"""
A shipment and the states it may take.

    (nothing) ──▶ BOOKED ──▶ DISPATCHED ──▶ DELIVERED
        │           │  └──────────────────────▲
        └▶ CANCELLED ◀┘      CANCELLED without a booking is a tombstone: the cancelling came first
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, NotFoundError, UnavailableError


class ShipmentStatus(StrEnum):
    BOOKED = "BOOKED"
    DISPATCHED = "DISPATCHED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


_NEXT: dict[ShipmentStatus, frozenset[ShipmentStatus]] = {
    ShipmentStatus.BOOKED: frozenset(
        {ShipmentStatus.DISPATCHED, ShipmentStatus.DELIVERED, ShipmentStatus.CANCELLED}
    ),
    ShipmentStatus.DISPATCHED: frozenset({ShipmentStatus.DELIVERED}),
    ShipmentStatus.DELIVERED: frozenset(),
    ShipmentStatus.CANCELLED: frozenset(),
}
assert set(_NEXT) == set(ShipmentStatus)


class CarrierRefusedError(ConflictError):
    """The carrier does not take this parcel to this address."""

    code = "carrier_refused"

    def __init__(self) -> None:
        super().__init__("the carrier does not deliver there")


class ShipmentCancelledError(ConflictError):
    """The booking was cancelled first: this call was overtaken by its undo."""

    code = "shipment_cancelled"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the shipment of {order_id} was cancelled")
        self.order_id = order_id


class ShipmentTransitionError(ConflictError):
    """The shipment's status does not allow this."""

    code = "shipment_transition"

    def __init__(self, order_id: str, status: ShipmentStatus, wanted: ShipmentStatus) -> None:
        super().__init__(f"the shipment of {order_id} is {status} and cannot become {wanted}")
        self.order_id = order_id
        self.shipment_status = status
        self.wanted = wanted


class ShipmentNotFoundError(NotFoundError):
    code = "shipment_not_found"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"{order_id} has no shipment")
        self.order_id = order_id


class CarrierUnavailableError(UnavailableError):
    """The carrier did not answer: whether it booked is unknown. The same key may be sent again."""

    code = "carrier_unavailable"


@dataclass(frozen=True, slots=True)
class Shipment:
    order_id: str
    customer_id: str
    status: ShipmentStatus
    carrier: str
    tracking_number: str
    correlation_id: str
    version: int

    def moved_to(self, status: ShipmentStatus) -> Shipment:
        """Return the shipment in its next status. Raises ShipmentTransitionError."""
        if status not in _NEXT[self.status]:
            raise ShipmentTransitionError(self.order_id, self.status, status)
        return replace(self, status=status, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class Parcel:
    address: dict[str, str]
    weight_grams: int

"""What the use cases need: the shipments' keeper and a carrier."""

from __future__ import annotations

from typing import Protocol

from shipping.model import Parcel, Shipment
from tradepost.contracts.event import Event


class Carrier(Protocol):
    """A parcel service. Every call is idempotent by its key; each may raise
    CarrierUnavailableError, after which nothing is known and the same call may be repeated.
    """

    name: str

    def book(self, key: str, parcel: Parcel) -> str:
        """Book a collection; return the tracking number. Raises CarrierRefusedError."""

    def cancel(self, key: str) -> None:
        """Call off what was booked under the key, if anything was; bar it from then on."""


class ShipmentRepository(Protocol):
    def get(self, order_id: str) -> Shipment | None:
        """Read a shipment as it is now."""

    def add(self, shipment: Shipment) -> Shipment:
        """Store a new shipment, once per order; return what is stored."""

    def save(self, shipment: Shipment, event: Event | None) -> None:
        """Store a shipment's next version with its event. Raises StaleError if it is not next."""

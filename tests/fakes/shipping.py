"""Shipping's ports in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shipping.model.claim import Claim
from shipping.model.shipment import Parcel, Scan, Shipment
from shipping.ports import ParcelNews
from tradepost.contracts.event import Event
from tradepost.contracts.webhook import RawMessage
from tradepost.kernel.errors import StaleError


class InMemoryShipments:
    """Satisfies `ports.ShipmentRepository`."""

    def __init__(self) -> None:
        self.stored: dict[str, Shipment] = {}
        self.kept: dict[str | tuple[str, int], list[Scan]] = {}
        self.events: list[Event] = []
        self.claims: dict[str, Claim] = {}

    def get(self, order_id: str) -> Shipment | None:
        return self.stored.get(order_id)

    def parcel_of(self, carrier: str, tracking_number: str) -> tuple[str, int] | None:
        numbers = {
            (one.carrier, one.tracking_number): (one.order_id, one.number)
            for first in self.stored.values()
            for one in (first, *first.others)
        }
        return numbers.get((carrier, tracking_number))

    def add(self, shipment: Shipment) -> Shipment:
        return self.stored.setdefault(shipment.order_id, shipment)

    def scans(self, order_id: str, number: int = 1) -> list[Scan]:
        kept = self.kept.get(_scans_of(order_id, number), [])
        return sorted(kept, key=lambda scan: scan.occurred_at)

    def save(
        self,
        shipment: Shipment,
        *,
        scans: Collection[Scan] = (),
        number: int = 1,
        events: Sequence[Event] = (),
        claim: tuple[Claim, Event] | None = None,
        split_off: Shipment | None = None,
    ) -> None:
        if self.stored[shipment.order_id].version != shipment.version - 1:
            raise StaleError("not next")
        self.stored[shipment.order_id] = shipment
        self.kept.setdefault(_scans_of(shipment.order_id, number), []).extend(scans)
        self.events += events
        if claim is not None and claim[0].claim_id not in self.claims:
            self.claims[claim[0].claim_id] = claim[0]
            self.events.append(claim[1])


def _scans_of(order_id: str, number: int) -> str | tuple[str, int]:
    return order_id if number == 1 else (order_id, number)


class QuietCarrier:
    """A carrier that books whatever it is asked to and tells nothing when it is asked.

    Satisfies `ports.Carrier`.
    """

    name = "quiet-post"

    def __init__(self) -> None:
        self.cancelled: set[str] = set()
        self.told: dict[str, list[Scan]] = {}

    def book(self, key: str, parcel: Parcel) -> str:
        return f"number-{key}"

    def cancel(self, key: str) -> None:
        self.cancelled.add(key)

    def label(self, key: str) -> str:
        return f"label-{key}"

    def scans(self, tracking_number: str) -> list[Scan]:
        return self.told.get(tracking_number, [])

    def news(self, message: RawMessage, *, now: object) -> ParcelNews:
        raise NotImplementedError

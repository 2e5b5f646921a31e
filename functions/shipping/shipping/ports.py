"""What the use cases need: keepers of shipments, claims and returns, a carrier, and answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shipping.model.claim import Claim, ClaimStatus
from shipping.model.goods import BackOrdered, Goods, ParcelLine
from shipping.model.returns import Return, ReturnStatus
from shipping.model.shipment import Parcel, Scan, Shipment
from tradepost.contracts.event import Event
from tradepost.contracts.webhook import RawMessage
from tradepost.kernel.money import Money


@dataclass(frozen=True, slots=True)
class ParcelNews:
    """What a carrier's webhook tells: one scan of one parcel."""

    tracking_number: str
    reported: Scan


class Carrier(Protocol):
    """A parcel service. Every call with a key is idempotent by it; each call may raise
    CarrierUnavailableError, after which nothing is known and the same call may be repeated.
    """

    name: str

    def book(self, key: str, parcel: Parcel) -> str:
        """Book a transport; return the tracking number, per key one. Raises CarrierRefusedError."""

    def cancel(self, key: str) -> None:
        """Call off what was booked under the key, if anything was; bar it from then on.

        Raises ParcelCollectedError: it is on its way, and nothing was called off.
        """

    def label(self, key: str) -> str:
        """Buy the label of what was booked under the key; return the carrier's name for it.

        Raises CarrierRefusedError: there is no such booking, or no longer.
        """

    def scans(self, tracking_number: str) -> list[Scan]:
        """Read all that befell a parcel as the carrier knows it now; nothing if it knows none."""

    def news(self, message: RawMessage, *, now: datetime) -> ParcelNews:
        """Read a webhook. Raises WebhookSignatureError; InvalidBodyError if it says nothing."""


class ShipmentRepository(Protocol):
    def get(self, order_id: str) -> Shipment | None:
        """Read a shipment as it is now."""

    def parcel_of(self, carrier: str, tracking_number: str) -> tuple[str, int] | None:
        """Tell whose parcel a tracking number is: the order, and the parcel's number in it."""

    def add(self, shipment: Shipment) -> Shipment:
        """Store a new shipment, once per order; return what is stored."""

    def scans(self, order_id: str, number: int = 1) -> list[Scan]:
        """Read all scans of a parcel that are stored, the oldest occurrence first."""

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
        """Store a shipment's next version with what came of it: the scans of a parcel, another
        parcel that was split off.

        A claim that is there already stays as it is, and its event is not told again. Raises
        StaleError if the version is not next.
        """


class ClaimRepository(Protocol):
    def add(self, claim: Claim, event: Event) -> Claim:
        """Store a new claim with its event, once per id; return what is stored."""

    def get(self, order_id: str, claim_id: str) -> Claim | None:
        """Read a claim as it is now."""

    def of_order(self, order_id: str) -> list[Claim]:
        """Read an order's claims."""

    def save(self, claim: Claim, event: Event) -> None:
        """Store a claim's next version with its event. Raises StaleError if it is not next."""

    def waiting(
        self, status: ClaimStatus, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Claim], dict[str, str] | None]:
        """List claims that wait for a decision, oldest first, and where the next page begins."""


class ReturnRepository(Protocol):
    def add(self, asked: Return, bought: Mapping[str, int], event: Event) -> Return:
        """Store a new return with its event, once per id; return what is stored.

        Raises ReturnTooLargeError: with the other returns of the order it would be more than was
        bought.
        """

    def get(self, order_id: str, return_id: str) -> Return | None:
        """Read a return as it is now."""

    def of_order(self, order_id: str) -> list[Return]:
        """Read an order's returns."""

    def save(
        self, changed: Return, event: Event | None, *, freed: Mapping[str, int] | None = None
    ) -> None:
        """Store a return's next version with its event. Raises StaleError if it is not next.

        `freed` units may be returned again.
        """

    def waiting(
        self, status: ReturnStatus, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Return], dict[str, str] | None]:
        """List returns that wait for somebody, oldest first, and where the next page begins."""

    def unfinished(self, before: datetime, limit: int) -> list[Return]:
        """List returns that were RECEIVED and not touched since `before`, oldest first."""


class ReturnRunner(Protocol):
    def start(self, asked: Return) -> None:
        """Have the return's restock and refund run, or run on. Twice does no harm."""


class OrderBook(Protocol):
    """What orders answers when it is asked. May raise UnavailableError."""

    def bought(self, order_id: str) -> dict[str, int]:
        """Tell how many units of each SKU the order has; nothing if there is no such order."""

    def total_of(self, order_id: str) -> Money | None:
        """Tell what the order cost in all; None if there is no such order."""

    def goods_of(self, order_id: str) -> Goods:
        """Tell what the order has, and how it stands."""

    def price_of(
        self,
        order_id: str,
        lines: Sequence[ParcelLine],
        *,
        before: Sequence[ParcelLine],
        with_shipping: bool,
    ) -> Money:
        """Tell what was paid for the units of a parcel, which follow those of the parcels before.

        So priced, the parcels of an order sum to what it cost, to the last minor unit.
        """

    def address_of(self, order_id: str) -> dict[str, str]:
        """Tell where the order goes."""


class Stockroom(Protocol):
    def back_ordered(self, order_id: str) -> list[BackOrdered]:
        """Ask inventory what of an order is still to come in. May raise UnavailableError."""


class Till(Protocol):
    """What payments does when it is asked. May raise UnavailableError: ask again."""

    def capture(self, order_id: str, number: int, amount: Money | None) -> None:
        """Have the money of the order's parcel captured, once per number.

        Without an amount all that is left is. Raises ParcelNotPaidError: a definite no.
        """


class CustomersWords(Protocol):
    def of_order(self, order_id: str) -> list[str]:
        """Read what the customer wrote in claims and returns."""

    def forget(self, order_id: str) -> None:
        """Remove what the customer wrote; the claims and returns stay. Safe to repeat."""

"""
A shipment, the scans that move it, and the states it may take.

    (nothing) ──▶ BOOKED ──▶ LABELLED ──▶ PICKED ──▶ DISPATCHED ──▶ IN_TRANSIT ──▶ DELIVERED
        │           │            └──────────┴─────────── FAILED ◀──────┘             ▲
        └▶ CANCELLED ◀── before the carrier has it          └────────────────────────┘

LABELLED is the gate: only the order's confirmation opens it, so nothing leaves the house before.
Behind it the scans alone decide, and a shipment stands where the furthest of them puts it: news
that comes late, twice or in another order leads to the same state. CANCELLED without a booking is
a tombstone: the cancelling came first.

An order has one parcel until units are split off into others, each with a life of its own. The
first parcel carries what is in no other and leaves last; all are stored under its version, so that
together they never carry more than was bought. One that was split off and came to nothing in our
house gives its units back to the first. Where money is captured per parcel, the gate to LABELLED
is the capture: without a label no carrier takes a parcel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shipping.model.goods import BackOrdered, ParcelLine, summed
from tradepost.kernel.errors import ConflictError, NotFoundError, UnavailableError

# All parcels of an order lie in one item, and a parcel has at most the order's lines.
PARCELS_MAX = 10


class ShipmentStatus(StrEnum):
    BOOKED = "BOOKED"
    LABELLED = "LABELLED"
    PICKED = "PICKED"
    DISPATCHED = "DISPATCHED"
    IN_TRANSIT = "IN_TRANSIT"
    FAILED = "FAILED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


_NEXT: dict[ShipmentStatus, frozenset[ShipmentStatus]] = {
    ShipmentStatus.BOOKED: frozenset(
        {ShipmentStatus.LABELLED, ShipmentStatus.FAILED, ShipmentStatus.CANCELLED}
    ),
    ShipmentStatus.LABELLED: frozenset(
        {
            ShipmentStatus.PICKED,
            ShipmentStatus.DISPATCHED,
            ShipmentStatus.IN_TRANSIT,
            ShipmentStatus.FAILED,
            ShipmentStatus.DELIVERED,
            ShipmentStatus.CANCELLED,
        }
    ),
    ShipmentStatus.PICKED: frozenset(
        {
            ShipmentStatus.DISPATCHED,
            ShipmentStatus.IN_TRANSIT,
            ShipmentStatus.FAILED,
            ShipmentStatus.DELIVERED,
            ShipmentStatus.CANCELLED,
        }
    ),
    ShipmentStatus.DISPATCHED: frozenset(
        {ShipmentStatus.IN_TRANSIT, ShipmentStatus.FAILED, ShipmentStatus.DELIVERED}
    ),
    ShipmentStatus.IN_TRANSIT: frozenset({ShipmentStatus.FAILED, ShipmentStatus.DELIVERED}),
    # A parcel given up may be found. One that failed before its hand-over may be called off.
    ShipmentStatus.FAILED: frozenset({ShipmentStatus.DELIVERED, ShipmentStatus.CANCELLED}),
    ShipmentStatus.DELIVERED: frozenset(),
    ShipmentStatus.CANCELLED: frozenset(),
}
assert set(_NEXT) == set(ShipmentStatus)


class ScanEvent(StrEnum):
    """What befalls a parcel, as carriers and the warehouse tell it."""

    LABEL_CREATED = "label_created"
    PICKED = "picked"
    COLLECTED = "collected"
    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    FAILED = "failed"


_STATUS_AFTER = {
    ScanEvent.LABEL_CREATED: ShipmentStatus.LABELLED,
    ScanEvent.PICKED: ShipmentStatus.PICKED,
    ScanEvent.COLLECTED: ShipmentStatus.DISPATCHED,
    ScanEvent.IN_TRANSIT: ShipmentStatus.IN_TRANSIT,
    ScanEvent.FAILED: ShipmentStatus.FAILED,
    ScanEvent.DELIVERED: ShipmentStatus.DELIVERED,
}
assert set(_STATUS_AFTER) == set(ScanEvent)

# From left to right; a shipment never moves to the left.
_RANK = (
    ShipmentStatus.BOOKED,
    ShipmentStatus.LABELLED,
    ShipmentStatus.PICKED,
    ShipmentStatus.DISPATCHED,
    ShipmentStatus.IN_TRANSIT,
    ShipmentStatus.FAILED,
    ShipmentStatus.DELIVERED,
)
assert {*_RANK, ShipmentStatus.CANCELLED} == set(ShipmentStatus)
assert all(
    after in _NEXT[before]
    for place, before in enumerate(_RANK[1:], start=1)
    for after in _RANK[place + 1 :]
), "wherever the scans may lead, there is an arrow"

# Events that only a parcel in the carrier's hands can meet.
WITH_THE_CARRIER = {ScanEvent.COLLECTED, ScanEvent.IN_TRANSIT, ScanEvent.DELIVERED}


class ScanSource(StrEnum):
    CARRIER = "carrier"
    STAFF = "staff"


class CarrierRefusedError(ConflictError):
    """The carrier does not take this parcel to this address."""

    code = "carrier_refused"

    def __init__(self) -> None:
        super().__init__("the carrier does not deliver there")


class ParcelCollectedError(ConflictError):
    """The carrier has the parcel already: it cannot be called off any more."""

    code = "parcel_collected"

    def __init__(self) -> None:
        super().__init__("the carrier has collected the parcel")


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


class SplitNotPossibleError(ConflictError):
    """The order is not to be sent, or what is left of it cannot be divided."""

    code = "split_not_possible"

    def __init__(self, order_id: str, why: str) -> None:
        super().__init__(f"{order_id} cannot be split: {why}")
        self.order_id = order_id


class SplitTooLargeError(ConflictError):
    """More units would be in parcels than were bought."""

    code = "split_too_large"

    def __init__(self, sku: str, left: int) -> None:
        super().__init__(f"{left} of {sku} are left to be put in a parcel")
        self.sku = sku
        self.left = left


class ParcelPackedError(ConflictError):
    """Its order cannot be edited any more: the parcel is packed, divided, or came to nothing."""

    code = "parcel_packed"

    def __init__(self, order_id: str, status: ShipmentStatus) -> None:
        super().__init__(f"the parcel of {order_id} is {status}, and is not packed anew")
        self.order_id = order_id
        self.shipment_status = status


class ParcelNotPaidError(ConflictError):
    """Its money cannot be captured: the parcel stays."""

    code = "parcel_not_paid"

    def __init__(self, order_id: str, number: int, reason: str) -> None:
        super().__init__(f"the money for parcel {number} of {order_id} was not captured")
        self.order_id = order_id
        self.number = number
        self.reason = reason


class ParcelGoesLastError(ConflictError):
    """The first parcel carries what is in no other, so it leaves when they have left."""

    code = "parcel_goes_last"

    def __init__(self, order_id: str, number: int) -> None:
        super().__init__(f"parcel {number} of {order_id} has to leave before")
        self.order_id = order_id
        self.number = number


class ParcelIncompleteError(ConflictError):
    """Units of it are still to come in: it cannot be packed."""

    code = "parcel_incomplete"

    def __init__(self, order_id: str, sku: str, waiting: int) -> None:
        super().__init__(f"{waiting} of {sku} for {order_id} are still to come in")
        self.order_id = order_id
        self.sku = sku
        self.waiting = waiting


class UnknownParcelError(NotFoundError):
    """No shipment of ours has this tracking number."""

    code = "unknown_parcel"

    def __init__(self, tracking_number: str) -> None:
        super().__init__(f"no parcel of ours is {tracking_number}")
        self.tracking_number = tracking_number


class ParcelEventError(ConflictError):
    """Nothing of the kind can befall the parcel now."""

    code = "parcel_event"

    def __init__(self, tracking_number: str, event: str) -> None:
        super().__init__(f"{tracking_number} cannot be {event} now")
        self.tracking_number = tracking_number
        self.event = event


class CarrierUnavailableError(UnavailableError):
    """The carrier did not answer: whether it acted is unknown. The same key may be sent again."""

    code = "carrier_unavailable"


@dataclass(frozen=True, slots=True)
class Parcel:
    address: dict[str, str]
    weight_grams: int
    service: str


@dataclass(frozen=True, slots=True)
class Scan:
    """One thing that befell a parcel. Two that are equal are one, however often it is told."""

    event: ScanEvent
    occurred_at: datetime
    source: ScanSource = ScanSource.CARRIER
    reason: str = ""  # why it failed, in a word of the carrier's

    def as_kept(self) -> Scan:
        """Return the scan as precisely as it is stored: to the millisecond."""
        milliseconds = self.occurred_at.microsecond // 1000
        return replace(self, occurred_at=self.occurred_at.replace(microsecond=milliseconds * 1000))


@dataclass(frozen=True, slots=True)
class Shipment:
    """One parcel of an order. `version` counts the writes it has survived, from 1.

    The first has the others that were split off from it; only those have a `parcel_id` and
    `lines`, and they go by the first one's version.
    """

    order_id: str
    customer_id: str
    status: ShipmentStatus
    carrier: str
    tracking_number: str
    service: str
    correlation_id: str
    version: int
    label: str | None = None  # the carrier's name for what is stuck on the parcel
    handed_over_at: datetime | None = None
    delivered_at: datetime | None = None
    failure: str | None = None
    is_called_off: bool = False  # the carrier is being asked to leave it; nobody hands it over
    is_captured_on_leaving: bool = False  # each parcel's money, before it may leave
    held_back_for: int = 0  # the number of its order's latest edit that keeps it here
    let_go_after: int = 0  # the number of the latest edit that is over
    unpaid_because: str | None = None  # why its money was not captured when it was to leave
    number: int = 1
    parcel_id: str = ""
    lines: tuple[ParcelLine, ...] = ()
    others: tuple[Shipment, ...] = ()

    @property
    def handed_over(self) -> bool:
        return self.handed_over_at is not None

    @property
    def is_held_back(self) -> bool:
        """Tell whether its order is being edited: until that is over nobody packs it."""
        return self.held_back_for > self.let_go_after

    def held_back(self, edit: int) -> Shipment:
        """Return the shipment kept here for an edit of its order.

        One that is kept for it already, or was let go after it, stays as it is.

        Raises
        ------
        ParcelPackedError
            It is packed, divided or failed, or is paid for parcel by parcel. None of that is ever
            otherwise again, so that an edit refused once is refused to everybody.
        """
        if edit <= max(self.held_back_for, self.let_go_after):
            return self
        is_whole = self.status in {ShipmentStatus.BOOKED, ShipmentStatus.LABELLED}
        if not is_whole or self.others or self.is_captured_on_leaving:
            raise ParcelPackedError(self.order_id, self.status)
        return replace(self, held_back_for=edit)

    def let_go(self, edit: int) -> Shipment:
        """Return the shipment free to leave, as far as this edit goes."""
        return self if edit <= self.let_go_after else replace(self, let_go_after=edit)

    @property
    def came_to_nothing(self) -> bool:
        """Tell whether the parcel ended in our house."""
        return not self.handed_over and self.status in {
            ShipmentStatus.FAILED,
            ShipmentStatus.CANCELLED,
        }

    @property
    def parcels(self) -> tuple[Shipment, ...]:
        """All that carry units of the order: this one, and those split off from it."""
        return (self, *(one for one in self.others if not one.came_to_nothing))

    @property
    def has_arrived(self) -> bool:
        """Tell whether the customer has all the parcels."""
        return all(one.status is ShipmentStatus.DELIVERED for one in self.parcels)

    @property
    def awaits_money(self) -> bool:
        """Tell whether a parcel is still here whose money is captured before it leaves."""
        is_here = any(one.status is ShipmentStatus.BOOKED for one in self.parcels)
        return self.is_captured_on_leaving and is_here

    def parcel(self, number: int) -> Shipment:
        """Return one of the order's parcels. Raises ShipmentNotFoundError."""
        if number == self.number:
            return self
        for one in self.others:
            if one.number == number:
                return replace(one, is_called_off=self.is_called_off)
        raise ShipmentNotFoundError(self.order_id)

    def with_parcel(self, parcel: Shipment) -> Shipment:
        """Return the first parcel with one of its order's parcels, itself or another, changed."""
        if parcel.number == self.number:
            return parcel
        others = (parcel if one.number == parcel.number else one for one in self.others)
        return replace(self, others=tuple(others))

    def splitting_off(
        self, parcel_id: str, lines: Sequence[ParcelLine], bought: Mapping[str, int]
    ) -> Shipment:
        """Return the parcel that these units leave in, not booked yet.

        Raises
        ------
        SplitTooLargeError
            There are fewer units in the first parcel.
        SplitNotPossibleError
            The first parcel has left or is called off, would be empty, or there are too many.
        """
        stays = {ShipmentStatus.BOOKED, ShipmentStatus.LABELLED, ShipmentStatus.PICKED}
        if self.status not in stays or self.is_called_off or self.is_held_back:
            raise SplitNotPossibleError(self.order_id, f"its first parcel is {self.status}")
        if len(self.others) + 1 >= PARCELS_MAX:
            raise SplitNotPossibleError(self.order_id, f"it has {PARCELS_MAX} parcels")
        left = self._units_left(bought)
        for sku, quantity in summed(lines).items():
            if quantity > left.get(sku, 0):
                raise SplitTooLargeError(sku, left.get(sku, 0))
            left[sku] -= quantity
        if not any(left.values()):
            raise SplitNotPossibleError(self.order_id, "nothing would be left in the first parcel")
        return replace(
            self,
            status=ShipmentStatus.BOOKED,
            tracking_number="",
            label=None,
            number=len(self.others) + 2,
            parcel_id=parcel_id,
            lines=tuple(lines),
            others=(),
        )

    def _units_left(self, bought: Mapping[str, int]) -> dict[str, int]:
        left = dict(bought)
        for one in self.parcels[1:]:
            for sku, quantity in summed(one.lines).items():
                left[sku] = left.get(sku, 0) - quantity
        return left

    def require_turn(self, number: int) -> None:
        """Raise ParcelGoesLastError if the parcel is the first, and others are still here."""
        if number == self.number:
            for one in self.parcels[1:]:
                if not one.handed_over:
                    raise ParcelGoesLastError(self.order_id, one.number)

    def is_packed(self, number: int) -> bool:
        """Tell whether somebody has packed a parcel: then its units are in it."""
        return self.parcel(number).has_come_to(ShipmentStatus.PICKED)

    def require_here(self, number: int, back_ordered: Sequence[BackOrdered]) -> None:
        """Raise ParcelIncompleteError unless what is here is enough for a parcel to be packed.

        Those packed before have their units; what is left of the others may be in this one.
        """
        for line in back_ordered:
            inside = {one.number: summed(one.lines).get(line.sku, 0) for one in self.parcels[1:]}
            inside[self.number] = line.bought - sum(inside.values())
            packed = sum(inside[one] for one in inside if one != number and self.is_packed(one))
            wanted = inside.get(number, 0)
            if wanted and packed + wanted > line.bought - line.waiting:
                raise ParcelIncompleteError(self.order_id, line.sku, line.waiting)

    def moved_to(self, status: ShipmentStatus) -> Shipment:
        """Return the shipment in its next status. Raises ShipmentTransitionError."""
        if status not in _NEXT[self.status]:
            raise ShipmentTransitionError(self.order_id, self.status, status)
        return replace(self, status=status)

    def has_come_to(self, status: ShipmentStatus) -> bool:
        """Tell whether the shipment is in `status` or has passed it on its way."""
        if self.status not in _RANK or status not in _RANK:
            return self.status is status
        return _RANK.index(self.status) >= _RANK.index(status)

    def require_callable_off(self) -> None:
        """Raise ShipmentTransitionError if the carrier has one of the order's parcels."""
        has_left = any(one.handed_over for one in self.parcels)
        if has_left or ShipmentStatus.CANCELLED not in _NEXT[self.status]:
            raise ShipmentTransitionError(self.order_id, self.status, ShipmentStatus.CANCELLED)

    def require_may_leave(self, wanted: ShipmentStatus) -> None:
        """Raise ShipmentTransitionError if the parcel is to stay, as far as we can decide it."""
        stays = {ShipmentStatus.BOOKED, ShipmentStatus.CANCELLED}
        is_kept = self.is_called_off or self.is_held_back
        if self.status in stays or (is_kept and not self.handed_over):
            raise ShipmentTransitionError(self.order_id, self.status, wanted)

    def after(self, scans: Collection[Scan]) -> Shipment:
        """Return the shipment as all the scans known of it have it, in whatever order they came.

        Before the gate and after a cancelling they are kept, and move nothing.
        """
        if self.status in {ShipmentStatus.BOOKED, ShipmentStatus.CANCELLED} or not scans:
            return self
        furthest = max((_STATUS_AFTER[scan.event] for scan in scans), key=_RANK.index)
        moved = self if self.has_come_to(furthest) else self.moved_to(furthest)
        return replace(
            moved,
            handed_over_at=_first(scans, WITH_THE_CARRIER),
            delivered_at=_first(scans, {ScanEvent.DELIVERED}),
            failure=_failure(scans) or self.failure,
        )


def status_after(event: ScanEvent) -> ShipmentStatus:
    return _STATUS_AFTER[event]


def _first(scans: Collection[Scan], events: set[ScanEvent]) -> datetime | None:
    return min((scan.occurred_at for scan in scans if scan.event in events), default=None)


def _failure(scans: Collection[Scan]) -> str | None:
    failures = [scan for scan in scans if scan.event is ScanEvent.FAILED]
    if not failures:
        return None
    return min(failures, key=lambda scan: (scan.occurred_at, scan.reason)).reason

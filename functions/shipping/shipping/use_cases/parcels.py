"""What happens to a parcel: booked, called off, labelled, scanned on its way."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from shipping.model.claim import Claim, ClaimKind, claim_on
from shipping.model.shipment import (
    WITH_THE_CARRIER,
    CarrierRefusedError,
    Parcel,
    ParcelCollectedError,
    Scan,
    ScanEvent,
    ScanSource,
    Shipment,
    ShipmentCancelledError,
    ShipmentNotFoundError,
    ShipmentStatus,
    ShipmentTransitionError,
    UnknownParcelError,
    status_after,
)
from shipping.ports import Carrier, ParcelNews, ShipmentRepository
from tradepost.contracts.event import Event, event_id
from tradepost.contracts.shipping import (
    ClaimOpenedV1,
    ShipmentDeliveredV1,
    ShipmentDispatchedV1,
    ShipmentFailedV1,
)
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError

# A parcel's webhooks may come all at once, and each loses to the one before it.
ATTEMPTS_MAX = 6

# They share a transaction of 100 items with the shipment, its events and a claim. What is more
# comes with the next webhook.
_SCANS_PER_WRITE_MAX = 90

LABEL_REFUSED = "label_refused"

Stated = TypeVar("Stated", ShipmentDispatchedV1, ShipmentDeliveredV1, ShipmentFailedV1)


def book_shipment(
    order_id: str,
    parcel: Parcel,
    *,
    customer_id: str,
    correlation_id: str,
    is_captured_on_leaving: bool = False,
    shipments: ShipmentRepository,
    carrier: Carrier,
) -> Shipment:
    """Book the order's parcel with the carrier, once. Safe to repeat.

    `is_captured_on_leaving`: it stays until its money is captured.

    Raises
    ------
    CarrierRefusedError
        A definite no.
    ShipmentCancelledError
        The booking was cancelled first; what was just booked is called off again.
    CarrierUnavailableError
        Nothing is known: repeat it, or cancel it.
    """
    tracking_number = carrier.book(carrier_key(order_id), parcel)
    stored = shipments.add(
        Shipment(
            order_id=order_id,
            customer_id=customer_id,
            status=ShipmentStatus.BOOKED,
            carrier=carrier.name,
            tracking_number=tracking_number,
            service=parcel.service,
            correlation_id=correlation_id,
            version=1,
            is_captured_on_leaving=is_captured_on_leaving,
        )
    )
    if stored.status is ShipmentStatus.CANCELLED:
        carrier.cancel(carrier_key(order_id))
        raise ShipmentCancelledError(order_id)
    return stored


def cancel_booking(
    order_id: str, *, correlation_id: str, shipments: ShipmentRepository, carrier: Carrier
) -> None:
    """Call the parcel off, or bar it from being booked later. Safe to repeat.

    The carrier is asked before our book calls a parcel CANCELLED: whether it was collected, the
    carrier knows before we do. While it is asked, our staff hand the parcel to nobody.

    Raises
    ------
    ShipmentTransitionError
        The carrier has it already.
    CarrierUnavailableError
        Nothing is known: repeat it.
    """
    for _ in range(ATTEMPTS_MAX):
        shipment = shipments.get(order_id) or shipments.add(_tombstone(order_id, correlation_id))
        try:
            if shipment.status is not ShipmentStatus.CANCELLED:
                shipment.require_callable_off()
                _require_all_here(shipment, carrier)
                shipment = _called_off(shipment, True, shipments)
            # The first parcel is the last to go: what it carries depends on the others.
            for one in reversed(shipment.parcels):
                shipment = _cancelled(shipment, one, shipments, carrier)
        except StaleError:
            continue
        return
    raise StaleError(f"the shipment of {order_id} kept changing")


def _require_all_here(shipment: Shipment, carrier: Carrier) -> None:
    """Look whether the carrier has one of several parcels, before the first is called off."""
    if len(shipment.parcels) == 1:
        return
    for one in shipment.parcels:
        if any(scan.event in WITH_THE_CARRIER for scan in carrier.scans(one.tracking_number)):
            raise ShipmentTransitionError(shipment.order_id, one.status, ShipmentStatus.CANCELLED)


def _cancelled(
    shipment: Shipment, parcel: Shipment, shipments: ShipmentRepository, carrier: Carrier
) -> Shipment:
    try:
        carrier.cancel(carrier_key(parcel.order_id, parcel.parcel_id))
    except ParcelCollectedError as error:
        _called_off(shipment, False, shipments)
        raise ShipmentTransitionError(
            parcel.order_id, parcel.status, ShipmentStatus.CANCELLED
        ) from error
    if parcel.status is ShipmentStatus.CANCELLED:
        return shipment
    changed = next_version(shipment.with_parcel(parcel.moved_to(ShipmentStatus.CANCELLED)))
    shipments.save(changed)
    return changed


def hold_back(order_id: str, edit: int, *, shipments: ShipmentRepository) -> None:
    """Keep a parcel from being packed while its order is edited. Safe to repeat, late too.

    Raises
    ------
    ParcelPackedError
        Or it was divided, or has failed.
    """
    _changed(order_id, lambda shipment: shipment.held_back(edit), shipments)


def let_go(order_id: str, edit: int, *, shipments: ShipmentRepository) -> None:
    """Let a parcel be packed whose order's edit is over, and bar it from being kept for it."""
    _changed(order_id, lambda shipment: shipment.let_go(edit), shipments)


def _changed(
    order_id: str, change: Callable[[Shipment], Shipment], shipments: ShipmentRepository
) -> None:
    for _ in range(ATTEMPTS_MAX):
        shipment = found(order_id, shipments)
        changed = change(shipment)
        if changed is shipment:
            return
        try:
            shipments.save(next_version(changed))
        except StaleError:
            continue
        return
    raise StaleError(f"the shipment of {order_id} kept changing")


def label_shipment(
    order_id: str,
    *,
    number: int = 1,
    is_paid: bool = False,
    shipments: ShipmentRepository,
    carrier: Carrier,
    now: Clock,
) -> Shipment:
    """Buy the label of a parcel whose order is confirmed: from here on it may leave.

    One whose money is captured on leaving is left as it is, unless it `is_paid`.

    What the carrier told before counts from now on. A label that is refused for good is a parcel
    that failed in our house. Safe to repeat.

    Raises
    ------
    ShipmentNotFoundError
    CarrierUnavailableError
        Nothing is known: repeat it.
    """
    for _ in range(ATTEMPTS_MAX):
        shipment = found(order_id, shipments)
        parcel = shipment.parcel(number)
        waits = shipment.is_captured_on_leaving and not is_paid
        if parcel.status is not ShipmentStatus.BOOKED or waits:
            return shipment
        try:
            label = carrier.label(carrier_key(order_id, parcel.parcel_id))
        except CarrierRefusedError:
            opened = replace(parcel.moved_to(ShipmentStatus.FAILED), failure=LABEL_REFUSED)
        else:
            opened = replace(parcel.moved_to(ShipmentStatus.LABELLED), label=label)
        opened = replace(opened.after(shipments.scans(order_id, number)), unpaid_because=None)
        moved = next_version(shipment.with_parcel(opened))
        try:
            _save(shipment, moved, number, (), shipments, now)
        except StaleError:
            continue
        return moved
    raise StaleError(f"the shipment of {order_id} kept changing")


def hear_of_parcel(
    news: ParcelNews, *, shipments: ShipmentRepository, carrier: Carrier, now: Clock
) -> Shipment:
    """Keep what a carrier's webhook tells, and let it move the shipment. Safe to repeat.

    The carrier is asked for all its scans of the parcel: a webhook may be lost or overtake
    another, and whether a parcel that failed was handed over must not depend on that.

    Raises
    ------
    UnknownParcelError
        No shipment of ours has this number.
    CarrierUnavailableError
        Nothing was kept: let the webhook be sent again.
    """
    known = shipments.parcel_of(carrier.name, news.tracking_number)
    if known is None:
        raise UnknownParcelError(news.tracking_number)
    told = {news.reported, *carrier.scans(news.tracking_number)}
    return _kept(*known, told, shipments, now)


def record_progress(
    order_id: str,
    event: ScanEvent,
    *,
    number: int = 1,
    shipments: ShipmentRepository,
    now: Clock,
) -> Shipment:
    """Record what the staff did with, or heard of, a parcel. Repeated or late, it is no news.

    Raises
    ------
    ShipmentNotFoundError
    ShipmentTransitionError
        The order is not confirmed yet, the parcel not paid, or the shipment was cancelled.
    ParcelGoesLastError
        Others that were split off from it are still here.
    """
    shipment = found(order_id, shipments)
    wanted = status_after(event)
    shipment.parcel(number).require_may_leave(wanted)
    if shipment.parcel(number).has_come_to(wanted):
        return shipment

    def require_may_leave(shipment: Shipment) -> None:
        shipment.parcel(number).require_may_leave(wanted)
        if event in WITH_THE_CARRIER:
            shipment.require_turn(number)

    told = {Scan(event, now(), ScanSource.STAFF)}
    return _kept(order_id, number, told, shipments, now, unless=require_may_leave)


def shipment_of(
    order_id: str, *, customer_id: str | None, shipments: ShipmentRepository
) -> Shipment:
    """Read a shipment for its receiver, or for staff (`customer_id` None).

    Raises
    ------
    ShipmentNotFoundError
        No such shipment, or somebody else's.
    """
    shipment = found(order_id, shipments)
    if customer_id is not None and shipment.customer_id != customer_id:
        raise ShipmentNotFoundError(order_id)
    return shipment


def _called_off(shipment: Shipment, called_off: bool, shipments: ShipmentRepository) -> Shipment:
    if shipment.is_called_off is called_off:
        return shipment
    marked = next_version(replace(shipment, is_called_off=called_off))
    shipments.save(marked)
    return marked


def _kept(
    order_id: str,
    number: int,
    told: Collection[Scan],
    shipments: ShipmentRepository,
    now: Clock,
    unless: Callable[[Shipment], None] = lambda _: None,
) -> Shipment:
    for _ in range(ATTEMPTS_MAX):
        shipment = found(order_id, shipments)
        unless(shipment)
        known = shipments.scans(order_id, number)
        unknown = {scan.as_kept() for scan in told} - set(known)
        if not unknown:
            return shipment
        fresh = sorted(unknown, key=lambda scan: scan.occurred_at)[:_SCANS_PER_WRITE_MAX]
        parcel = shipment.parcel(number).after({*known, *fresh})
        moved = next_version(shipment.with_parcel(parcel))
        try:
            _save(shipment, moved, number, fresh, shipments, now)
        except StaleError:
            continue
        return moved
    raise StaleError(f"the shipment of {order_id} kept changing")


def _save(
    before: Shipment,
    after: Shipment,
    number: int,
    fresh: Collection[Scan],
    shipments: ShipmentRepository,
    now: Clock,
) -> None:
    """Store the shipment with the scans that moved a parcel, and what is to be told of it."""
    at = now()
    was, parcel = before.parcel(number), after.parcel(number)
    # Events of an order's parcels go by one version, the first one's.
    told = replace(parcel, version=after.version)
    events: list[Event] = []
    claim = None
    became = parcel.status if parcel.status is not was.status else None
    left = parcel.handed_over and not was.handed_over
    is_complete = after.has_arrived and not before.has_arrived
    # Once the order has arrived, nobody need be told that it is on its way.
    if left and not is_complete:
        events.append(_stated(ShipmentDispatchedV1, told, at))
    if is_complete:
        events.append(_stated(ShipmentDeliveredV1, told, at))
    # What was split off and failed in our house leaves with the first parcel: nothing is lost.
    if became is ShipmentStatus.FAILED and (parcel.handed_over or number == 1):
        events.append(_failed(told, at))
    # The hand-over may be heard of after the failure. As long as the parcel was not called off,
    # its order was not undone either, and will not be: the calling off is the first undo.
    if parcel.status is ShipmentStatus.FAILED and parcel.handed_over and (became or left):
        claim = _opened(claim_on(told, ClaimKind.NOT_DELIVERED, told.failure or "", at))
    shipments.save(after, scans=fresh, number=number, events=events, claim=claim)


def _opened(claim: Claim) -> tuple[Claim, Event]:
    event = ClaimOpenedV1(
        event_id=event_id(ClaimOpenedV1.TYPE, claim.claim_id, claim.version),
        occurred_at=claim.opened_at,
        correlation_id=claim.correlation_id,
        version=claim.version,
        order_id=claim.order_id,
        claim_id=claim.claim_id,
        kind=claim.kind,
    )
    return claim, event


def _stated(event: type[Stated], shipment: Shipment, at: datetime, **facts: Any) -> Stated:
    return event(
        **facts,
        event_id=event_id(event.TYPE, shipment.order_id, shipment.version),
        occurred_at=at,
        correlation_id=shipment.correlation_id,
        version=shipment.version,
        order_id=shipment.order_id,
        tracking_number=shipment.tracking_number,
        carrier=shipment.carrier,
    )


def _failed(shipment: Shipment, at: datetime) -> Event:
    return _stated(
        ShipmentFailedV1,
        shipment,
        at,
        handed_over=shipment.handed_over,
        reason=shipment.failure or "unknown",
    )


def found(order_id: str, shipments: ShipmentRepository) -> Shipment:
    """Read a shipment that has to be there. Raises ShipmentNotFoundError."""
    shipment = shipments.get(order_id)
    if shipment is None:
        raise ShipmentNotFoundError(order_id)
    return shipment


def next_version(shipment: Shipment) -> Shipment:
    return replace(shipment, version=shipment.version + 1)


def carrier_key(order_id: str, parcel_id: str = "") -> str:
    """Name a booking to the carrier; one of the first parcel has no id but the order's."""
    return f"book#{order_id}#{parcel_id}" if parcel_id else f"book#{order_id}"


def _tombstone(order_id: str, correlation_id: str) -> Shipment:
    return Shipment(
        order_id=order_id,
        customer_id="",
        status=ShipmentStatus.CANCELLED,
        carrier="",
        tracking_number="",
        service="",
        correlation_id=correlation_id,
        version=1,
    )

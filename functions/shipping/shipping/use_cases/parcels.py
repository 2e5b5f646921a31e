"""What happens to a parcel: booked, called off, labelled, scanned on its way."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from shipping.model.claim import Claim, ClaimKind, claim_on
from shipping.model.shipment import (
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
_ATTEMPTS_MAX = 6

# They share a transaction of 100 items with the shipment, its events and a claim. What is more
# comes with the next webhook.
_SCANS_PER_WRITE_MAX = 90

LABEL_REFUSED = "label_refused"


def book_shipment(
    order_id: str,
    parcel: Parcel,
    *,
    customer_id: str,
    correlation_id: str,
    shipments: ShipmentRepository,
    carrier: Carrier,
) -> Shipment:
    """Book the order's parcel with the carrier, once. Safe to repeat.

    Raises
    ------
    CarrierRefusedError
        A definite no.
    ShipmentCancelledError
        The booking was cancelled first; what was just booked is called off again.
    CarrierUnavailableError
        Nothing is known: repeat it, or cancel it.
    """
    tracking_number = carrier.book(_carrier_key(order_id), parcel)
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
        )
    )
    if stored.status is ShipmentStatus.CANCELLED:
        carrier.cancel(_carrier_key(order_id))
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
    for _ in range(_ATTEMPTS_MAX):
        shipment = shipments.get(order_id) or shipments.add(_tombstone(order_id, correlation_id))
        try:
            if shipment.status is not ShipmentStatus.CANCELLED:
                shipment.require_callable_off()
                shipment = _called_off(shipment, True, shipments)
            try:
                carrier.cancel(_carrier_key(order_id))
            except ParcelCollectedError as error:
                _called_off(shipment, False, shipments)
                raise ShipmentTransitionError(
                    order_id, shipment.status, ShipmentStatus.CANCELLED
                ) from error
            if shipment.status is not ShipmentStatus.CANCELLED:
                shipments.save(_next(shipment.moved_to(ShipmentStatus.CANCELLED)))
        except StaleError:
            continue
        return
    raise StaleError(f"the shipment of {order_id} kept changing")


def label_shipment(
    order_id: str, *, shipments: ShipmentRepository, carrier: Carrier, now: Clock
) -> Shipment:
    """Buy the label of a parcel whose order is confirmed: from here on it may leave.

    What the carrier told before counts from now on. A label that is refused for good is a parcel
    that failed in our house. Safe to repeat.

    Raises
    ------
    ShipmentNotFoundError
    CarrierUnavailableError
        Nothing is known: repeat it.
    """
    for _ in range(_ATTEMPTS_MAX):
        shipment = _found(order_id, shipments)
        if shipment.status is not ShipmentStatus.BOOKED:
            return shipment
        try:
            label = carrier.label(_carrier_key(order_id))
        except CarrierRefusedError:
            opened = replace(shipment.moved_to(ShipmentStatus.FAILED), failure=LABEL_REFUSED)
        else:
            opened = replace(shipment.moved_to(ShipmentStatus.LABELLED), label=label)
        moved = _next(opened.after(shipments.scans(order_id)))
        try:
            _save(shipment, moved, (), shipments, now)
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
    order_id = shipments.order_of(carrier.name, news.tracking_number)
    if order_id is None:
        raise UnknownParcelError(news.tracking_number)
    told = {news.reported, *carrier.scans(news.tracking_number)}
    return _kept(order_id, told, shipments, now)


def record_progress(
    order_id: str, event: ScanEvent, *, shipments: ShipmentRepository, now: Clock
) -> Shipment:
    """Record what the staff did with, or heard of, a parcel. Repeated or late, it is no news.

    Raises
    ------
    ShipmentNotFoundError
    ShipmentTransitionError
        The order is not confirmed yet, or the shipment was cancelled.
    """
    shipment = _found(order_id, shipments)
    wanted = status_after(event)
    shipment.require_may_leave(wanted)
    if shipment.has_come_to(wanted):
        return shipment
    told = {Scan(event, now(), ScanSource.STAFF)}
    return _kept(order_id, told, shipments, now, unless=lambda one: one.require_may_leave(wanted))


def shipment_of(
    order_id: str, *, customer_id: str | None, shipments: ShipmentRepository
) -> Shipment:
    """Read a shipment for its receiver, or for staff (`customer_id` None).

    Raises
    ------
    ShipmentNotFoundError
        No such shipment, or somebody else's.
    """
    shipment = _found(order_id, shipments)
    if customer_id is not None and shipment.customer_id != customer_id:
        raise ShipmentNotFoundError(order_id)
    return shipment


def _called_off(shipment: Shipment, called_off: bool, shipments: ShipmentRepository) -> Shipment:
    if shipment.is_called_off is called_off:
        return shipment
    marked = _next(replace(shipment, is_called_off=called_off))
    shipments.save(marked)
    return marked


def _kept(
    order_id: str,
    told: Collection[Scan],
    shipments: ShipmentRepository,
    now: Clock,
    unless: Callable[[Shipment], None] = lambda _: None,
) -> Shipment:
    for _ in range(_ATTEMPTS_MAX):
        shipment = _found(order_id, shipments)
        unless(shipment)
        known = shipments.scans(order_id)
        unknown = {scan.as_kept() for scan in told} - set(known)
        if not unknown:
            return shipment
        fresh = sorted(unknown, key=lambda scan: scan.occurred_at)[:_SCANS_PER_WRITE_MAX]
        moved = _next(shipment.after({*known, *fresh}))
        try:
            _save(shipment, moved, fresh, shipments, now)
        except StaleError:
            continue
        return moved
    raise StaleError(f"the shipment of {order_id} kept changing")


def _save(
    before: Shipment,
    after: Shipment,
    fresh: Collection[Scan],
    shipments: ShipmentRepository,
    now: Clock,
) -> None:
    """Store the shipment with the scans that moved it, and what is to be told of it."""
    at = now()
    events: list[Event] = []
    claim = None
    became = after.status if after.status is not before.status else None
    left = after.handed_over and not before.handed_over
    # One that was delivered need not be told to be on its way.
    if left and became is not ShipmentStatus.DELIVERED:
        events.append(_event(ShipmentDispatchedV1, after, at))
    if became is ShipmentStatus.DELIVERED:
        events.append(_event(ShipmentDeliveredV1, after, at))
    if became is ShipmentStatus.FAILED:
        events.append(_failed(after, at))
    # The hand-over may be heard of after the failure. As long as the parcel was not called off,
    # its order was not undone either, and will not be: the calling off is the first undo.
    if after.status is ShipmentStatus.FAILED and after.handed_over and (became or left):
        claim = _opened(claim_on(after, ClaimKind.NOT_DELIVERED, after.failure or "", at))
    shipments.save(after, scans=fresh, events=events, claim=claim)


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


def _event(
    event: type[ShipmentDispatchedV1] | type[ShipmentDeliveredV1], shipment: Shipment, at: datetime
) -> Event:
    return event(
        event_id=event_id(event.TYPE, shipment.order_id, shipment.version),
        occurred_at=at,
        correlation_id=shipment.correlation_id,
        version=shipment.version,
        order_id=shipment.order_id,
        tracking_number=shipment.tracking_number,
        carrier=shipment.carrier,
    )


def _failed(shipment: Shipment, at: datetime) -> Event:
    return ShipmentFailedV1(
        event_id=event_id(ShipmentFailedV1.TYPE, shipment.order_id, shipment.version),
        occurred_at=at,
        correlation_id=shipment.correlation_id,
        version=shipment.version,
        order_id=shipment.order_id,
        tracking_number=shipment.tracking_number,
        carrier=shipment.carrier,
        handed_over=shipment.handed_over,
        reason=shipment.failure or "unknown",
    )


def _found(order_id: str, shipments: ShipmentRepository) -> Shipment:
    shipment = shipments.get(order_id)
    if shipment is None:
        raise ShipmentNotFoundError(order_id)
    return shipment


def _next(shipment: Shipment) -> Shipment:
    return replace(shipment, version=shipment.version + 1)


def _carrier_key(order_id: str) -> str:
    return f"book#{order_id}"


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

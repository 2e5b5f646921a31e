"""What happens to a parcel: booked, called off, handed over, delivered."""

from __future__ import annotations

from shipping.model import (
    Parcel,
    Shipment,
    ShipmentCancelledError,
    ShipmentNotFoundError,
    ShipmentStatus,
)
from shipping.ports import Carrier, ShipmentRepository
from tradepost.contracts.event import Event, event_id
from tradepost.contracts.shipping import ShipmentDeliveredV1, ShipmentDispatchedV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError

_ATTEMPTS_MAX = 3

_EVENTS: dict[ShipmentStatus, type[ShipmentDispatchedV1] | type[ShipmentDeliveredV1]] = {
    ShipmentStatus.DISPATCHED: ShipmentDispatchedV1,
    ShipmentStatus.DELIVERED: ShipmentDeliveredV1,
}


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

    Raises
    ------
    ShipmentTransitionError
        The carrier has it already.
    CarrierUnavailableError
        Nothing is known: repeat it.
    """
    for _ in range(_ATTEMPTS_MAX):
        shipment = shipments.get(order_id) or shipments.add(_tombstone(order_id, correlation_id))
        if shipment.status is not ShipmentStatus.CANCELLED:
            try:
                shipments.save(shipment.moved_to(ShipmentStatus.CANCELLED), None)
            except StaleError:
                continue
        carrier.cancel(_carrier_key(order_id))
        return
    raise StaleError(f"the shipment of {order_id} kept changing")


def record_progress(
    order_id: str, status: ShipmentStatus, *, shipments: ShipmentRepository, now: Clock
) -> Shipment:
    """Record that the carrier took or delivered the parcel. News repeated or late is no news.

    Raises
    ------
    ShipmentNotFoundError
    ShipmentTransitionError
        The shipment was cancelled.
    """
    for _ in range(_ATTEMPTS_MAX):
        shipment = shipments.get(order_id)
        if shipment is None:
            raise ShipmentNotFoundError(order_id)
        if shipment.status in {status, ShipmentStatus.DELIVERED}:
            return shipment
        moved = shipment.moved_to(status)
        try:
            shipments.save(moved, _event(moved, now))
        except StaleError:
            continue
        return moved
    raise StaleError(f"the shipment of {order_id} kept changing")


def shipment_of(
    order_id: str, *, customer_id: str | None, shipments: ShipmentRepository
) -> Shipment:
    """Read a shipment for its receiver, or for staff (`customer_id` None).

    Raises
    ------
    ShipmentNotFoundError
        No such shipment, none any more, or somebody else's.
    """
    shipment = shipments.get(order_id)
    if shipment is None or (customer_id is not None and shipment.customer_id != customer_id):
        raise ShipmentNotFoundError(order_id)
    return shipment


def _carrier_key(order_id: str) -> str:
    return f"book#{order_id}"


def _event(shipment: Shipment, now: Clock) -> Event:
    event = _EVENTS[shipment.status]
    return event(
        event_id=event_id(event.TYPE, shipment.order_id, shipment.version),
        occurred_at=now(),
        correlation_id=shipment.correlation_id,
        version=shipment.version,
        order_id=shipment.order_id,
        tracking_number=shipment.tracking_number,
        carrier=shipment.carrier,
    )


def _tombstone(order_id: str, correlation_id: str) -> Shipment:
    return Shipment(
        order_id=order_id,
        customer_id="",
        status=ShipmentStatus.CANCELLED,
        carrier="",
        tracking_number="",
        correlation_id=correlation_id,
        version=1,
    )

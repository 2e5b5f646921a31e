"""Sending an order in parts: units split off into parcels, and each parcel's money captured.

A parcel's units are in our book, within what was bought, before its money is asked for; its money
is captured before its label is bought; and without a label no carrier takes it. A crash in
between leaves a parcel that stays: whoever lets it leave again goes on where it stopped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from shipping.model.goods import ParcelLine, summed
from shipping.model.shipment import (
    Parcel,
    ParcelNotPaidError,
    ScanEvent,
    Shipment,
    ShipmentStatus,
    ShipmentTransitionError,
    SplitNotPossibleError,
)
from shipping.ports import Carrier, OrderBook, ShipmentRepository, Stockroom, Till
from shipping.use_cases.parcels import (
    ATTEMPTS_MAX,
    carrier_key,
    found,
    label_shipment,
    next_version,
    record_progress,
)
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import ConflictError, IdempotencyMismatchError, StaleError
from tradepost.kernel.ids import derived_id

# The second parcel's capture is the first there is, and takes what sending the order costs.
_BEARS_THE_SHIPPING = 2


def split_off(
    order_id: str,
    lines: Sequence[ParcelLine],
    weight_grams: int,
    *,
    key: str,
    shipments: ShipmentRepository,
    carrier: Carrier,
    orders: OrderBook,
) -> Shipment:
    """Put units of a confirmed order in a parcel of their own, once per `key`; book it.

    Returns that parcel. What was booked for a split that turns out to be none is called off.

    Raises
    ------
    SplitNotPossibleError, SplitTooLargeError
    IdempotencyMismatchError
        The key belongs to another parcel.
    CarrierRefusedError
        A definite no.
    ShipmentNotFoundError
    CarrierUnavailableError
        Nothing is known: repeat it with the same key.
    """
    parcel_id = derived_id("pcl", order_id, key)
    booking = carrier_key(order_id, parcel_id)
    tracking_number = None
    for _ in range(ATTEMPTS_MAX):
        shipment = found(order_id, shipments)
        known = [one for one in shipment.others if one.parcel_id == parcel_id]
        if known:
            return _the_same(known[0], lines)
        try:
            planned = _planned(shipment, parcel_id, lines, orders)
        except ConflictError:
            if tracking_number is not None:
                carrier.cancel(booking)
            raise
        if tracking_number is None:
            parcel = Parcel(orders.address_of(order_id), weight_grams, shipment.service)
            tracking_number = carrier.book(booking, parcel)
        booked = replace(planned, tracking_number=tracking_number)
        split = next_version(replace(shipment, others=(*shipment.others, booked)))
        try:
            shipments.save(split, split_off=booked)
        except StaleError:
            continue
        return booked
    raise StaleError(f"the shipment of {order_id} kept changing")


def _planned(
    shipment: Shipment, parcel_id: str, lines: Sequence[ParcelLine], orders: OrderBook
) -> Shipment:
    goods = orders.goods_of(shipment.order_id)
    if not goods.may_be_sent:
        raise SplitNotPossibleError(shipment.order_id, "it is not confirmed")
    return shipment.splitting_off(parcel_id, lines, goods.quantities)


def _the_same(parcel: Shipment, lines: Sequence[ParcelLine]) -> Shipment:
    if summed(parcel.lines) != summed(lines):
        raise IdempotencyMismatchError
    return parcel


def release_parcel(
    order_id: str,
    number: int,
    *,
    shipments: ShipmentRepository,
    carrier: Carrier,
    orders: OrderBook,
    till: Till,
    now: Clock,
) -> Shipment:
    """Open the gate of a parcel that waits for its money, or was just split off. Safe to repeat.

    Its money is captured first, if that is to be done per parcel: the price of its units, for the
    first parcel whatever is left. Any other parcel is returned as it stands.

    Raises
    ------
    ParcelNotPaidError
        It was not, and the shipment says so from now on.
    ParcelGoesLastError
        Others that were split off from it are still here.
    ShipmentTransitionError
        The order is not confirmed, or no longer.
    ShipmentNotFoundError
    CarrierUnavailableError, UnavailableError
        Nothing is known: repeat it.
    """
    shipment = found(order_id, shipments)
    parcel = shipment.parcel(number)
    is_split_off = number != shipment.number
    if parcel.status is not ShipmentStatus.BOOKED or not (
        is_split_off or shipment.is_captured_on_leaving
    ):
        return shipment
    goods = orders.goods_of(order_id)
    if not goods.may_be_sent or shipment.is_called_off:
        raise ShipmentTransitionError(order_id, parcel.status, ShipmentStatus.LABELLED)
    if shipment.is_captured_on_leaving:
        shipment.require_turn(number)
        _capture(shipment, parcel, orders, shipments, till)
    return label_shipment(
        order_id, number=number, is_paid=True, shipments=shipments, carrier=carrier, now=now
    )


def advance_parcel(
    order_id: str,
    event: ScanEvent,
    *,
    number: int = 1,
    shipments: ShipmentRepository,
    carrier: Carrier,
    orders: OrderBook,
    till: Till,
    stockroom: Stockroom,
    now: Clock,
) -> Shipment:
    """Record what the staff did with a parcel, and open its gate first if that is still closed.

    Before it is packed inventory is asked whether all of it is here. Raises as `record_progress`
    and `release_parcel` do, and:

    Raises
    ------
    ParcelIncompleteError
        Units of it are still to come in.
    """
    shipment = found(order_id, shipments)
    if not shipment.is_packed(number):
        shipment.require_here(number, stockroom.back_ordered(order_id))
    try:
        return record_progress(order_id, event, number=number, shipments=shipments, now=now)
    except ShipmentTransitionError as refusal:
        if refusal.shipment_status is not ShipmentStatus.BOOKED:
            raise
    release_parcel(
        order_id,
        number,
        shipments=shipments,
        carrier=carrier,
        orders=orders,
        till=till,
        now=now,
    )
    return record_progress(order_id, event, number=number, shipments=shipments, now=now)


def _capture(
    shipment: Shipment,
    parcel: Shipment,
    orders: OrderBook,
    shipments: ShipmentRepository,
    till: Till,
) -> None:
    amount = None
    if parcel.number != shipment.number:
        before = [one for one in shipment.parcels[1:] if one.number < parcel.number]
        amount = orders.price_of(
            shipment.order_id,
            parcel.lines,
            before=[line for one in before for line in one.lines],
            with_shipping=parcel.number == _BEARS_THE_SHIPPING,
        )
    try:
        till.capture(shipment.order_id, parcel.number, amount)
    except ParcelNotPaidError as error:
        held = replace(parcel, unpaid_because=error.reason)
        # Whoever was faster has news of the parcel; the next attempt says so again.
        with contextlib.suppress(StaleError):
            shipments.save(next_version(shipment.with_parcel(held)))
        raise

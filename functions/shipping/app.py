"""Shipping over HTTP and as steps of the checkout."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent

from shipping import use_cases
from shipping.api import ShipmentView
from shipping.dynamodb import DynamoDBShipments
from shipping.messages import OrderParcel
from shipping.model import ShipmentNotFoundError, ShipmentStatus, ShipmentTransitionError
from shipping.ports import Carrier
from shipping.simulator import SimulatedCarrier
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import StaleError
from tradepost.platform import aws, outbox
from tradepost.platform.auth import EVERYONE_KNOWN, Caller, Role
from tradepost.platform.bodies import StepInput
from tradepost.platform.service import Service

app = Service("shipping")

_DISPATCHERS = {Role.WAREHOUSE, Role.ADMIN}


@functools.cache
def shipments() -> DynamoDBShipments:
    return DynamoDBShipments(aws.dynamodb(), os.environ["SHIPPING_TABLE"])


@functools.cache
def carrier() -> Carrier:
    return SimulatedCarrier(aws.dynamodb(), os.environ["SIMULATORS_TABLE"])


@app.get("/v1/shipments/{order_id}", roles=EVERYONE_KNOWN, refusals=(ShipmentNotFoundError,))
def get_shipment(order_id: str, caller: Caller) -> ShipmentView:
    """Show where the order's parcel is."""
    receiver = None if caller.is_staff else caller.principal_id
    shipment = use_cases.shipment_of(order_id, customer_id=receiver, shipments=shipments())
    return ShipmentView.of(shipment)


@app.post(
    "/v1/shipments/{order_id}/dispatch",
    roles=_DISPATCHERS,
    refusals=(ShipmentNotFoundError, ShipmentTransitionError, StaleError),
    repeatable="a parcel that has been handed over stays handed over",
)
def dispatch(order_id: str) -> ShipmentView:
    """Record that the carrier has taken the parcel."""
    return _recorded(order_id, ShipmentStatus.DISPATCHED)


@app.post(
    "/v1/shipments/{order_id}/delivery",
    roles=_DISPATCHERS,
    refusals=(ShipmentNotFoundError, ShipmentTransitionError, StaleError),
    repeatable="a parcel that was delivered stays delivered",
)
def deliver(order_id: str) -> ShipmentView:
    """Record that the customer has the parcel."""
    return _recorded(order_id, ShipmentStatus.DELIVERED)


@app.step
def book_shipment(step: OrderParcel) -> None:
    """Book the parcel, or raise CarrierRefusedError."""
    use_cases.book_shipment(
        step.order_id,
        step.to_send(),
        customer_id=step.customer_id,
        correlation_id=step.correlation_id,
        shipments=shipments(),
        carrier=carrier(),
    )


@app.step
def cancel_booking(step: StepInput) -> None:
    """Call the parcel off, and bar it from being booked later."""
    use_cases.cancel_booking(
        step.order_id,
        correlation_id=step.correlation_id,
        shipments=shipments(),
        carrier=carrier(),
    )


@app.on_dynamodb_record(
    stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/shipping/stream/placeholder",
    name="relay",
    batch_size=100,
)
def relay(event: DynamoDBEvent) -> dict[str, Any]:
    """Publish what the outbox holds."""
    return outbox.relay(
        event.to_dict(),
        table=os.environ["SHIPPING_TABLE"],
        topic_arn=os.environ["EVENTS_TOPIC_ARN"],
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> None:
    """Publish what the stream's relay missed."""
    outbox.relay_overdue(
        table=os.environ["SHIPPING_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"]
    )


def _recorded(order_id: str, status: ShipmentStatus) -> ShipmentView:
    return ShipmentView.of(
        use_cases.record_progress(order_id, status, shipments=shipments(), now=utc_now)
    )

"""What shipping publishes. The aggregate is the shipment of one order, a claim, or a return."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class ShipmentDispatchedV1(Event):
    """The carrier has the parcel. From here on it cannot be called back, only returned."""

    TYPE: ClassVar[str] = "shipment.dispatched.v1"

    type: Literal["shipment.dispatched.v1"] = "shipment.dispatched.v1"
    order_id: str
    tracking_number: str
    carrier: str


class ShipmentDeliveredV1(Event):
    """The customer has the parcel."""

    TYPE: ClassVar[str] = "shipment.delivered.v1"

    type: Literal["shipment.delivered.v1"] = "shipment.delivered.v1"
    order_id: str
    tracking_number: str
    carrier: str


class ShipmentFailedV1(Event):
    """The parcel will not arrive. One not handed over is still here: its order is undone."""

    TYPE: ClassVar[str] = "shipment.failed.v1"

    type: Literal["shipment.failed.v1"] = "shipment.failed.v1"
    order_id: str
    tracking_number: str
    carrier: str
    handed_over: bool
    reason: str  # a word of the carrier's, such as lost


class ClaimOpenedV1(Event):
    """A parcel did not arrive, or not whole. Nothing is decided yet."""

    TYPE: ClassVar[str] = "claim.opened.v1"

    type: Literal["claim.opened.v1"] = "claim.opened.v1"
    order_id: str
    claim_id: str
    kind: str


class ClaimAcceptedV1(Event):
    """The customer gets this much back, once per claim."""

    TYPE: ClassVar[str] = "claim.accepted.v1"

    type: Literal["claim.accepted.v1"] = "claim.accepted.v1"
    order_id: str
    claim_id: str
    amount_minor: int
    currency: str


class ClaimRejectedV1(Event):
    """The claim ended without money."""

    TYPE: ClassVar[str] = "claim.rejected.v1"

    type: Literal["claim.rejected.v1"] = "claim.rejected.v1"
    order_id: str
    claim_id: str


class ReturnRequestedV1(Event):
    """A customer wants to send something back."""

    TYPE: ClassVar[str] = "return.requested.v1"

    type: Literal["return.requested.v1"] = "return.requested.v1"
    order_id: str
    return_id: str
    line_count: int


class ReturnApprovedV1(Event):
    """The customer may send it."""

    TYPE: ClassVar[str] = "return.approved.v1"

    type: Literal["return.approved.v1"] = "return.approved.v1"
    order_id: str
    return_id: str


class ReturnRejectedV1(Event):
    """The return ended without anything coming back."""

    TYPE: ClassVar[str] = "return.rejected.v1"

    type: Literal["return.rejected.v1"] = "return.rejected.v1"
    order_id: str
    return_id: str


class ReturnReceivedV1(Event):
    """It is here and was looked at. Stock and refund follow."""

    TYPE: ClassVar[str] = "return.received.v1"

    type: Literal["return.received.v1"] = "return.received.v1"
    order_id: str
    return_id: str
    units: int


class ReturnRefundedV1(Event):
    """What came back is in stock or scrapped, and its money is on its way to the customer."""

    TYPE: ClassVar[str] = "return.refunded.v1"

    type: Literal["return.refunded.v1"] = "return.refunded.v1"
    order_id: str
    return_id: str
    amount_minor: int
    currency: str

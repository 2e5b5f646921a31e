"""Shipping's bodies and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, model_validator

from shipping.model.claim import Claim, ClaimKind, ClaimStatus
from shipping.model.goods import ParcelLine
from shipping.model.returns import (
    RETURN_LINES_MAX,
    Condition,
    ReceivedLine,
    Return,
    ReturnLine,
    ReturnStatus,
)
from shipping.model.shipment import Scan, ScanEvent, ScanSource, Shipment, ShipmentStatus
from shipping.model.tariff import Sending
from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import to_text
from tradepost.platform.bodies import Amount, AmountToMove, RequestModel, View, shown_as
from tradepost.platform.cursor import Page
from tradepost.platform.quotes import sign_quote

# Far beyond any tariff's last step; more is a mistake of the client's.
_WEIGHT_GRAMS_MAX = 1_000_000_000
_UNITS_MAX = 100_000

Text = Annotated[str, Field(min_length=1, max_length=500)]
SKU = Annotated[str, Field(min_length=1, max_length=100)]
Units = Annotated[int, Field(ge=1, le=_UNITS_MAX)]


class QuoteRequest(RequestModel):
    model_config = shown_as(country="GB", weight_grams=640, currency="GBP")

    country: str = Field(pattern=r"^[A-Z]{2}$")  # ISO 3166-1 alpha-2
    weight_grams: int = Field(ge=0, le=_WEIGHT_GRAMS_MAX)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    def sending(self) -> Sending:
        return Sending(self.country, self.weight_grams, self.currency)


class QuoteView(View):
    """`quote` is what a checkout takes as its `shipping_quote`."""

    service: str
    price: Amount
    expires_at: AwareDatetime
    quote: str

    @classmethod
    def of(cls, quote: ShippingQuote) -> QuoteView:
        return cls(
            service=quote.service,
            price=Amount.of(quote.price),
            expires_at=quote.expires_at,
            quote=sign_quote(quote),
        )


class QuotesView(View):
    options: list[QuoteView]


class ScanView(View):
    event: ScanEvent
    occurred_at: AwareDatetime
    source: ScanSource
    reason: str

    @classmethod
    def of(cls, scan: Scan) -> ScanView:
        return cls(
            event=scan.event,
            occurred_at=scan.occurred_at,
            source=scan.source,
            reason=scan.reason,
        )


class ParcelLineView(View):
    sku: str
    quantity: int


class ParcelView(View):
    """A parcel that was split off. `unpaid_because` is why it stays."""

    number: int
    status: ShipmentStatus
    tracking_number: str
    label: str | None
    handed_over_at: AwareDatetime | None
    delivered_at: AwareDatetime | None
    failure: str | None
    unpaid_because: str | None
    lines: list[ParcelLineView]

    @classmethod
    def of(cls, parcel: Shipment) -> ParcelView:
        return cls(
            number=parcel.number,
            status=parcel.status,
            tracking_number=parcel.tracking_number,
            label=parcel.label,
            handed_over_at=parcel.handed_over_at,
            delivered_at=parcel.delivered_at,
            failure=parcel.failure,
            unpaid_because=parcel.unpaid_because,
            lines=[ParcelLineView(sku=line.sku, quantity=line.quantity) for line in parcel.lines],
        )


class ShipmentView(View):
    """The first parcel, which has what is in none of the others that were `split_off`."""

    order_id: str
    status: ShipmentStatus
    carrier: str
    service: str
    tracking_number: str
    label: str | None
    handed_over_at: AwareDatetime | None
    delivered_at: AwareDatetime | None
    failure: str | None
    unpaid_because: str | None
    scans: list[ScanView]
    split_off: list[ParcelView]

    @classmethod
    def of(cls, shipment: Shipment, scans: list[Scan]) -> ShipmentView:
        return cls(
            order_id=shipment.order_id,
            status=shipment.status,
            carrier=shipment.carrier,
            service=shipment.service,
            tracking_number=shipment.tracking_number,
            label=shipment.label,
            handed_over_at=shipment.handed_over_at,
            delivered_at=shipment.delivered_at,
            failure=shipment.failure,
            unpaid_because=shipment.unpaid_because,
            scans=[ScanView.of(scan) for scan in scans],
            split_off=[ParcelView.of(one) for one in shipment.others],
        )


class NewClaim(RequestModel):
    model_config = shown_as(kind="damaged", description="the handle broke off")

    kind: ClaimKind
    description: Text


class Acceptance(RequestModel):
    model_config = shown_as(amount={"amount_minor": 1400, "currency": "GBP"})

    amount: AmountToMove


class ClaimView(View):
    claim_id: str
    order_id: str
    kind: ClaimKind
    status: ClaimStatus
    description: str
    amount: Amount | None
    opened_at: AwareDatetime

    @classmethod
    def of(cls, claim: Claim) -> ClaimView:
        return cls(
            claim_id=claim.claim_id,
            order_id=claim.order_id,
            kind=claim.kind,
            status=claim.status,
            description=claim.description,
            amount=Amount.of(claim.amount) if claim.amount else None,
            opened_at=claim.opened_at,
        )


class ClaimsView(View):
    claims: list[ClaimView]


class ClaimPage(ClaimsView):
    next_cursor: str | None


class ReturnLineGiven(RequestModel):
    sku: SKU
    quantity: Units


class NewReturn(RequestModel):
    """A SKU named twice counts twice."""

    model_config = shown_as(
        lines=[{"sku": "MUG-STONEWARE-SAND", "quantity": 1}], reason="one too many"
    )

    lines: list[ReturnLineGiven] = Field(min_length=1, max_length=RETURN_LINES_MAX)
    reason: Text

    def asked(self) -> list[ReturnLine]:
        return [ReturnLine(line.sku, line.quantity) for line in self.lines]


class ParcelLineGiven(RequestModel):
    sku: SKU
    quantity: Units


class NewParcel(RequestModel):
    """Units that leave on their own, as weighed when packed. A SKU named twice counts twice."""

    model_config = shown_as(lines=[{"sku": "MUG-STONEWARE-SAND", "quantity": 1}], weight_grams=320)

    lines: list[ParcelLineGiven] = Field(min_length=1, max_length=RETURN_LINES_MAX)
    weight_grams: int = Field(ge=0, le=_WEIGHT_GRAMS_MAX)

    def to_split_off(self) -> list[ParcelLine]:
        return [ParcelLine(line.sku, line.quantity) for line in self.lines]


class Step(StrEnum):
    """What staff do with a parcel."""

    PICK = "pick"
    DISPATCH = "dispatch"
    DELIVERY = "delivery"

    @property
    def event(self) -> ScanEvent:
        return _EVENTS[self]


_EVENTS = {
    Step.PICK: ScanEvent.PICKED,
    Step.DISPATCH: ScanEvent.COLLECTED,
    Step.DELIVERY: ScanEvent.DELIVERED,
}


class Progress(RequestModel):
    model_config = shown_as(step="dispatch")

    step: Step


class ReceivedLineGiven(RequestModel):
    sku: SKU
    quantity: Units
    condition: Condition


class ReturnReceipt(RequestModel):
    """What arrived. A SKU may stand here once in each condition."""

    model_config = shown_as(
        lines=[{"sku": "MUG-STONEWARE-SAND", "quantity": 1, "condition": "resellable"}]
    )

    lines: list[ReceivedLineGiven] = Field(min_length=1, max_length=2 * RETURN_LINES_MAX)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({(line.sku, line.condition) for line in self.lines}) < len(self.lines):
            raise ValueError("name a SKU once in each condition")
        return self

    def received(self) -> list[ReceivedLine]:
        return [ReceivedLine(line.sku, line.quantity, line.condition) for line in self.lines]


class WaitingReturns(Page):
    status: ReturnStatus = ReturnStatus.REQUESTED


class ReturnLineView(View):
    sku: str
    quantity: int


class ReceivedLineView(View):
    sku: str
    quantity: int
    condition: Condition


class ReturnView(View):
    """`received` is what arrived; `refund` what was sent back for it."""

    return_id: str
    order_id: str
    status: ReturnStatus
    reason: str
    lines: list[ReturnLineView]
    received: list[ReceivedLineView]
    refund: Amount | None
    requested_at: AwareDatetime
    updated_at: AwareDatetime

    @classmethod
    def of(cls, asked: Return) -> ReturnView:
        return cls(
            return_id=asked.return_id,
            order_id=asked.order_id,
            status=asked.status,
            reason=asked.reason,
            lines=[ReturnLineView(sku=line.sku, quantity=line.quantity) for line in asked.lines],
            received=[
                ReceivedLineView(sku=line.sku, quantity=line.quantity, condition=line.condition)
                for line in asked.received
            ],
            refund=Amount.of(asked.refund) if asked.refund else None,
            requested_at=asked.requested_at,
            updated_at=asked.updated_at,
        )


class ReturnsView(View):
    returns: list[ReturnView]


class ReturnPage(ReturnsView):
    next_cursor: str | None


def exported(shipment: Shipment, written: list[str]) -> dict[str, Any]:
    """Tell all that is kept of an order's parcels, to the person whose they are."""
    return {
        "order_id": shipment.order_id,
        "status": shipment.status,
        "carrier": shipment.carrier,
        "tracking_number": shipment.tracking_number,
        "delivered_at": to_text(shipment.delivered_at) if shipment.delivered_at else None,
        "you_wrote": written,
    }

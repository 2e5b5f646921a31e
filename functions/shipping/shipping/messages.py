"""What shipping reads of the checkout's and the return's state, and of other contexts' facts."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shipping.model.returns import Return, quantities
from shipping.model.shipment import Parcel
from shipping.model.tariff import ECONOMY
from tradepost.kernel.money import Money
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import Fact


class _Parcel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    address: dict[str, str]
    weight_grams: int = Field(ge=0)
    service: str = ECONOMY


class OrderParcel(StepInput):
    customer_id: str
    parcel: _Parcel

    def to_send(self) -> Parcel:
        return Parcel(self.parcel.address, self.parcel.weight_grams, self.parcel.service)


class EditStep(StepInput):
    number: int = Field(ge=1)


class OrderConfirmed(Fact):
    order_id: str


class ReturnStep(StepInput):
    return_id: str


class _Refund(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    amount_minor: int = Field(ge=0)
    currency: str


class RefundedReturn(ReturnStep):
    refund: _Refund

    @property
    def amount(self) -> Money:
        return Money(self.refund.amount_minor, self.refund.currency)


def received(asked: Return) -> dict[str, Any]:
    """Write a return as the steps read it: what to pay for, and what to do with the units."""
    return {
        "status": asked.status,
        "lines": [
            {"sku": sku, "quantity": quantity}
            for sku, quantity in quantities(asked.received).items()
        ],
        "units": [
            {"sku": line.sku, "quantity": line.quantity, "condition": line.condition}
            for line in asked.received
        ],
    }


class OrderAnonymised(Fact):
    order_id: str

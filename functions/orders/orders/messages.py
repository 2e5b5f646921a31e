"""What orders reads of the checkout's state and of other contexts' facts."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from orders.model import Edit, Order, OrderLine, OrderStatus, edit_reason_of, reason_of
from tradepost.kernel.money import Money
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import Fact


class _Snapshot(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Line(_Snapshot):
    sku: str
    title: str
    quantity: int
    unit_price_minor: int
    discount_minor: int = 0
    tax_minor: int = 0


class _Checkout(_Snapshot):
    customer_id: str
    email: str
    shipping_address: dict[str, str]
    payment_method: str
    amount_minor: int
    currency: str
    weight_grams: int
    shipping_minor: int = 0  # of the amount
    shipping_tax_minor: int = 0
    prices_include_tax: bool = True
    promotions: tuple[str, ...] = ()
    shipping_service: str = "free"
    placed_at: AwareDatetime
    lines: list[_Line]


class PlaceOrder(StepInput):
    checkout: _Checkout

    def order(self) -> Order:
        placed_at: datetime = self.checkout.placed_at
        return Order(
            order_id=self.order_id,
            customer_id=self.checkout.customer_id,
            email=self.checkout.email,
            shipping_address=self.checkout.shipping_address,
            total=Money(self.checkout.amount_minor, self.checkout.currency),
            line_count=len(self.checkout.lines),
            status=OrderStatus.PENDING,
            reason=None,
            version=1,
            correlation_id=self.correlation_id,
            placed_at=placed_at,
            updated_at=placed_at,
            shipping_minor=self.checkout.shipping_minor,
            shipping_tax_minor=self.checkout.shipping_tax_minor,
            prices_include_tax=self.checkout.prices_include_tax,
            promotions=self.checkout.promotions,
        )

    def lines(self) -> list[OrderLine]:
        return [OrderLine(**line.model_dump()) for line in self.checkout.lines]

    def onward(self, placed: Order) -> dict[str, Any]:
        """Tell the steps to come what each needs, and no more."""
        checkout = self.checkout
        return {
            "order_id": self.order_id,
            "correlation_id": self.correlation_id,
            "customer_id": placed.customer_id,
            "open_edit": placed.edit.number if placed.edit and placed.edit.is_open else 0,
            "order": {"status": placed.status, "reason": placed.reason},
            "lines": [{"sku": line.sku, "quantity": line.quantity} for line in checkout.lines],
            "payment": {
                "amount_minor": checkout.amount_minor,
                "currency": checkout.currency,
                "method": checkout.payment_method,
            },
            "parcel": {
                "address": checkout.shipping_address,
                "weight_grams": checkout.weight_grams,
                "service": checkout.shipping_service,
            },
        }


class _Refusal(BaseModel):
    """A failed step as Step Functions' Catch reports it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    Error: str
    Cause: str = ""

    def error_name(self) -> str:
        """Name the exception: a Lambda's own error stands in the cause where `Error` is generic."""
        if self.Error.endswith("Error"):
            return self.Error
        try:
            cause = json.loads(self.Cause)
        except ValueError:
            return self.Error
        return str(cause.get("errorType", self.Error)) if isinstance(cause, dict) else self.Error


class RefusedStep(StepInput):
    refusal: _Refusal
    capture_refused: bool = False

    @property
    def reason(self) -> str:
        return reason_of(self.refusal.error_name())


class AwaitedPayment(StepInput):
    """`expires_at` is when the provider stops waiting, if it says so."""

    expires_at: AwareDatetime | None = None


class EditStep(StepInput):
    number: int = Field(ge=1)


class RefusedEdit(EditStep):
    refusal: _Refusal
    is_definite: bool = False

    @property
    def reason(self) -> str:
        return edit_reason_of(self.refusal.error_name())


def edit_told(order: Order, edit: Edit, left: list[OrderLine]) -> dict[str, Any]:
    """Tell the steps to come of an edit: what it leaves, adds, costs and gives back."""
    return {
        "number": edit.number,
        "status": edit.status,
        "is_adding": bool(edit.added),
        "lines": [{"sku": line.sku, "quantity": line.quantity} for line in left],
        "added": [{"sku": line.sku, "quantity": line.quantity} for line in edit.added],
        "due_minor": edit.due_minor,
        "method": edit.method,
        "amount_minor": edit.refund_minor,
        "currency": order.total.currency,
    }


class _ReturnedLine(_Snapshot):
    sku: str
    quantity: int = Field(ge=1)


class Return(StepInput):
    return_id: str
    lines: list[_ReturnedLine]

    def quantities(self) -> dict[str, int]:
        quantities: dict[str, int] = {}
        for line in self.lines:
            quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
        return quantities


class PricedParcel(_Snapshot):
    """Units of a parcel, by SKU; `before` are those in the parcels before it."""

    order_id: str
    units: dict[str, int]
    before: dict[str, int]
    with_shipping: bool


class OrderNews(Fact):
    """Any fact about an order whose type says all there is to know."""

    order_id: str


class FailedParcel(Fact):
    order_id: str
    handed_over: bool


class ErasedUser(Fact):
    user_id: str
    occurred_at: AwareDatetime


class Refunds(Fact):
    """`refunded_minor` is all that went back so far."""

    order_id: str
    refunded_minor: int

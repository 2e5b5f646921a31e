"""What payments reads of the checkout's state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tradepost.kernel.money import Money
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import Fact


class _Due(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    amount_minor: int = Field(ge=0)
    currency: str
    method: str

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)


class OrderCapture(StepInput):
    """`amount_minor` is a part of what was authorized; without it all is captured."""

    amount_minor: int | None = Field(default=None, ge=1)


class OrderPayment(StepInput):
    payment: _Due


class UndoneOrderPayment(OrderPayment):
    """`edit` is the number of an edit that was under way; its supplement goes back, too."""

    edit: int = Field(default=0, ge=0)


class OwnedOrderPayment(OrderPayment):
    customer_id: str


class ReturnRefund(StepInput):
    return_id: str
    amount_minor: int
    currency: str


class EditRefund(StepInput):
    number: int = Field(ge=1)
    amount_minor: int
    currency: str


class EditSupplement(StepInput):
    number: int = Field(ge=1)
    currency: str


class DueSupplement(EditSupplement):
    """What an edit adds to its order's price; without a `method` the order's own is asked again."""

    amount_minor: int = Field(ge=1)
    method: str | None = None


class AcceptedClaim(Fact):
    """A claim.accepted.v1 as far as payments reads it."""

    order_id: str
    claim_id: str
    amount_minor: int
    currency: str

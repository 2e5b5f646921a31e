"""What shipping reads of the checkout's state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from shipping.model import Parcel
from tradepost.platform.bodies import StepInput


class _Parcel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    address: dict[str, str]
    weight_grams: int = Field(ge=0)


class OrderParcel(StepInput):
    customer_id: str
    parcel: _Parcel

    def to_send(self) -> Parcel:
        return Parcel(self.parcel.address, self.parcel.weight_grams)

"""What inventory reads of the checkout's state."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from inventory.model import HoldLine
from tradepost.platform.bodies import StepInput


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    sku: str
    quantity: int = Field(ge=1)


class OrderLines(StepInput):
    lines: list[_Line]

    def to_hold(self) -> list[HoldLine]:
        return [HoldLine(line.sku, line.quantity) for line in self.lines]

"""What inventory reads of the checkout's and the return's state, and answers when it is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inventory.model import HoldChunk, HoldLine, HoldState
from tradepost.kernel.clock import to_text
from tradepost.platform.bodies import StepInput


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    sku: str
    quantity: int = Field(ge=1)


class OrderLines(StepInput):
    lines: list[_Line]

    def to_hold(self) -> list[HoldLine]:
        return [HoldLine(line.sku, line.quantity) for line in self.lines]


class OrderEdit(StepInput):
    number: int = Field(ge=1)


class EditedLines(OrderLines, OrderEdit):
    """What an order's edit leaves of it or adds to it, and the edit's number."""


class _ReturnedLine(_Line):
    condition: Literal["resellable", "damaged"]


class ReturnedLines(StepInput):
    return_id: str
    lines: list[_ReturnedLine]

    def those(self, condition: str) -> list[HoldLine]:
        return [
            HoldLine(line.sku, line.quantity) for line in self.lines if line.condition == condition
        ]


def hold_told(order_id: str, chunks: Sequence[HoldChunk]) -> dict[str, Any]:
    """Write an order's hold for whoever asks: chunk by chunk, as each has a state of its own."""
    return {
        "order_id": order_id,
        "chunks": [
            {
                "number": chunk.number,
                "total": chunk.total,
                "state": chunk.state,
                "added_by": chunk.added_by,
                "held_until": to_text(chunk.held_until) if chunk.held_until else None,
                "lines": [{"sku": line.sku, "quantity": line.quantity} for line in chunk.lines],
            }
            for chunk in chunks
        ],
    }


def waiting_told(order_id: str, chunks: Sequence[HoldChunk]) -> dict[str, Any]:
    """Write what is still to come in for an order, in units by SKU, and what it has bought."""
    bought: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    for chunk in chunks:
        if chunk.state is not HoldState.RELEASED:
            for line in chunk.lines:
                bought[line.sku] += line.quantity
                waiting[line.sku] += line.waiting
    return {
        "order_id": order_id,
        "waiting": [
            {"sku": sku, "waiting": units, "bought": bought[sku]}
            for sku, units in sorted(waiting.items())
            if units
        ],
    }

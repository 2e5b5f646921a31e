"""
An edit of an order: units taken out of it or added, and how far it has come.

    ASKED ──▶ TAKING ──▶ APPLIED ──▶ DONE          ASKED ──▶ APPLIED, where nothing is added
      │          └─ the money or the units were definitely not to be had ─┐
      ├─ refused, or cancelled ───────────────────────────────────────────┴▶ UNDOING ──▶ REFUSED
      └─ packed first ──▶ REFUSED

What adds units turns at ASKED as a checkout does at PENDING: what is held or authorized before
goes back; from TAKING on it is finished, but for a definite no. An edit under way is given back
whole with its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orders.model.line import OrderLine, left_of


class EditStatus(StrEnum):
    """How far the latest edit of an order has come."""

    ASKED = "ASKED"  # nothing has changed yet
    TAKING = "TAKING"  # the units it adds and their price are being taken
    APPLIED = "APPLIED"  # the order has its new lines; what is taken out goes back
    DONE = "DONE"
    UNDOING = "UNDOING"  # what it holds and took goes back
    REFUSED = "REFUSED"  # for its reason; the order is as it was


_OPEN = frozenset({EditStatus.ASKED, EditStatus.TAKING, EditStatus.APPLIED, EditStatus.UNDOING})


@dataclass(frozen=True, slots=True)
class Edit:
    """Units taken out of an order or added to it. Edits are counted from 1; the latest is kept.

    What the units taken out were bought for is set off against the price of those added: either
    something is due, or something goes back, or neither.
    """

    number: int
    key: str  # the caller's, and their id: asked again by it, it is the same edit
    quantities: dict[str, int]  # of the lines that change; 0 removes one
    refund_minor: int  # what goes back
    status: EditStatus = EditStatus.ASKED
    due_minor: int = 0  # what is to be paid besides
    added: tuple[OrderLine, ...] = ()  # at the price of the day
    method: str | None = None  # the means of payment for what is due; None: the order's
    reason: str | None = None  # why it was refused

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN

    @property
    def is_applied(self) -> bool:
        """Tell whether the order's lines are those it leaves."""
        return self.status in {EditStatus.APPLIED, EditStatus.DONE}

    @property
    def may_be_applied(self) -> bool:
        """Tell whether all it adds is there to be the order's."""
        return self.status is (EditStatus.TAKING if self.added else EditStatus.ASKED)

    def refused(self, reason: str) -> Edit:
        return replace(self, status=EditStatus.UNDOING, reason=reason)


def edited(lines: Sequence[OrderLine], edit: Edit) -> list[OrderLine]:
    """Return the lines that an edit leaves of these; one of no units is no line any more."""
    added = {line.sku: line for line in edit.added}
    left = [
        line.with_more(added.pop(line.sku)) if line.sku in added else line
        for line in left_of(lines, edit.quantities)
    ]
    return [*left, *added.values()]

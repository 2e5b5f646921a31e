"""
A return: what a customer sends back, from asking to the money.

    REQUESTED ──▶ APPROVED ──▶ RECEIVED ──▶ REFUNDED
        │            │            │  ▲
        └▶ REJECTED ◀┘            ▼  │
                          NEEDS_ATTENTION

What arrives may be less than was announced, never more; what arrived is refunded, sellable or not.
From RECEIVED on the state machine `return` restocks and refunds, and may run any number of times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shipping.model.shipment import Shipment, ShipmentStatus
from tradepost.kernel.clock import to_text
from tradepost.kernel.errors import ConflictError, NotFoundError
from tradepost.kernel.money import Money

RETURN_WINDOW = timedelta(days=30)

# Each line of a return has a counter of its own in the transaction that asks for it.
RETURN_LINES_MAX = 90


class ReturnStatus(StrEnum):
    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    RECEIVED = "RECEIVED"
    REFUNDED = "REFUNDED"
    NEEDS_ATTENTION = "NEEDS_ATTENTION"


_NEXT: dict[ReturnStatus, frozenset[ReturnStatus]] = {
    ReturnStatus.REQUESTED: frozenset({ReturnStatus.APPROVED, ReturnStatus.REJECTED}),
    # What was approved and never came is closed by rejecting it.
    ReturnStatus.APPROVED: frozenset({ReturnStatus.REJECTED, ReturnStatus.RECEIVED}),
    ReturnStatus.REJECTED: frozenset(),
    ReturnStatus.RECEIVED: frozenset({ReturnStatus.REFUNDED, ReturnStatus.NEEDS_ATTENTION}),
    ReturnStatus.REFUNDED: frozenset(),
    ReturnStatus.NEEDS_ATTENTION: frozenset({ReturnStatus.RECEIVED}),
}
assert set(_NEXT) == set(ReturnStatus)


class Condition(StrEnum):
    RESELLABLE = "resellable"
    DAMAGED = "damaged"


class ReturnNotPossibleError(ConflictError):
    """The parcel has not arrived, or too long ago."""

    code = "return_not_possible"

    def __init__(self, status: ShipmentStatus, until: datetime | None) -> None:
        super().__init__("only what was delivered may be returned, and not too late")
        self.shipment_status = status
        self.until = to_text(until) if until else None


class ReturnTooLargeError(ConflictError):
    """More units would be in returns than were bought."""

    code = "return_too_large"

    def __init__(self, sku: str, returnable: int) -> None:
        super().__init__(f"{returnable} of {sku} may still be returned")
        self.sku = sku
        self.returnable = returnable


class ReceiptTooLargeError(ConflictError):
    """More would be received than the return announced."""

    code = "receipt_too_large"

    def __init__(self, sku: str, announced: int) -> None:
        super().__init__(f"the return announced {announced} of {sku}")
        self.sku = sku
        self.announced = announced


class ReturnTransitionError(ConflictError):
    """The return's status does not allow this."""

    code = "return_transition"

    def __init__(self, return_id: str, status: ReturnStatus, wanted: ReturnStatus) -> None:
        super().__init__(f"{return_id} is {status} and cannot become {wanted}")
        self.return_id = return_id
        self.return_status = status
        self.wanted = wanted


class ReturnNotFoundError(NotFoundError):
    code = "return_not_found"

    def __init__(self, return_id: str) -> None:
        super().__init__(f"there is no return {return_id}")
        self.return_id = return_id


@dataclass(frozen=True, slots=True)
class ReturnLine:
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    sku: str
    quantity: int
    condition: Condition


@dataclass(frozen=True, slots=True)
class Return:
    """`refund` is what was sent back; None before. `version` counts the writes, from 1."""

    return_id: str
    order_id: str
    status: ReturnStatus
    reason: str
    lines: tuple[ReturnLine, ...]
    received: tuple[ReceivedLine, ...]
    refund: Money | None
    requested_at: datetime
    updated_at: datetime
    correlation_id: str
    version: int

    def moved_to(self, status: ReturnStatus, at: datetime) -> Return:
        """Return the return in its next status. Raises ReturnTransitionError."""
        if status not in _NEXT[self.status]:
            raise ReturnTransitionError(self.return_id, self.status, status)
        return replace(self, status=status, updated_at=at, version=self.version + 1)

    def receiving(self, received: Sequence[ReceivedLine], at: datetime) -> Return:
        """Return the return with what arrived of it.

        Raises
        ------
        ReceiptTooLargeError
            More of a SKU than was announced, or one that was not.
        ReturnTransitionError
        """
        announced = quantities(self.lines)
        for sku, quantity in quantities(received).items():
            if quantity > announced.get(sku, 0):
                raise ReceiptTooLargeError(sku, announced.get(sku, 0))
        moved = self.moved_to(ReturnStatus.RECEIVED, at)
        return replace(moved, received=tuple(received))

    def refunded(self, refund: Money, at: datetime) -> Return:
        """Raises ReturnTransitionError."""
        return replace(self.moved_to(ReturnStatus.REFUNDED, at), refund=refund)

    def not_arrived(self) -> dict[str, int]:
        """Tell how many units of each SKU were announced and did not come."""
        came = quantities(self.received)
        missing = {
            sku: quantity - came.get(sku, 0) for sku, quantity in quantities(self.lines).items()
        }
        return {sku: quantity for sku, quantity in missing.items() if quantity}


def quantities(lines: Sequence[ReturnLine | ReceivedLine]) -> dict[str, int]:
    """Sum the units of each SKU."""
    summed: dict[str, int] = {}
    for line in lines:
        summed[line.sku] = summed.get(line.sku, 0) + line.quantity
    return summed


def require_returnable(shipment: Shipment, at: datetime) -> None:
    """Raise ReturnNotPossibleError unless all the parcels arrived, the last within the window."""
    for one in shipment.parcels:
        if one.status is not ShipmentStatus.DELIVERED:
            raise ReturnNotPossibleError(one.status, None)
    arrived = max(one.delivered_at for one in shipment.parcels if one.delivered_at)
    if at > arrived + RETURN_WINDOW:
        raise ReturnNotPossibleError(shipment.status, arrived + RETURN_WINDOW)


def require_bought(wanted: Mapping[str, int], bought: Mapping[str, int]) -> None:
    """Raise ReturnTooLargeError if more is wanted back than was ever bought."""
    for sku, quantity in wanted.items():
        if quantity > bought.get(sku, 0):
            raise ReturnTooLargeError(sku, bought.get(sku, 0))

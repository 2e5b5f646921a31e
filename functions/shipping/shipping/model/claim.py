"""
A claim: the parcel did not arrive, or not whole, after the carrier had it.

    OPEN ──▶ ACCEPTED (the customer gets an amount back)
      └────▶ REJECTED

An order has one claim of each kind, whoever opens it first: the carrier's own word that a parcel
failed, or the customer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shipping.model.shipment import Shipment, ShipmentStatus
from shipping.model.tariff import DELIVERED_WITHIN
from tradepost.kernel.clock import to_text
from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money

# Damage is told while the carrier can still be held to it.
DAMAGE_TOLD_WITHIN = timedelta(days=14)


class ClaimKind(StrEnum):
    NOT_DELIVERED = "not_delivered"
    DAMAGED = "damaged"


class ClaimStatus(StrEnum):
    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"


_NEXT: dict[ClaimStatus, frozenset[ClaimStatus]] = {
    ClaimStatus.OPEN: frozenset({ClaimStatus.ACCEPTED, ClaimStatus.REJECTED}),
    ClaimStatus.ACCEPTED: frozenset(),
    ClaimStatus.REJECTED: frozenset(),
}
assert set(_NEXT) == set(ClaimStatus)


class ClaimNotPossibleError(ConflictError):
    """What became of the parcel leaves nothing to claim, or no longer."""

    code = "claim_not_possible"

    def __init__(self, kind: ClaimKind, status: ShipmentStatus) -> None:
        super().__init__(f"a parcel that is {status} cannot be claimed as {kind} now")
        self.kind = kind
        self.shipment_status = status


class ClaimTooEarlyError(ConflictError):
    """The parcel may still arrive in time."""

    code = "claim_too_early"

    def __init__(self, possible_from: datetime) -> None:
        super().__init__("the parcel may still arrive in time")
        self.possible_from = to_text(possible_from)


class ClaimTooLargeError(ConflictError):
    """More would be paid back than the order cost."""

    code = "claim_too_large"

    def __init__(self, total: Money) -> None:
        super().__init__("a claim is at most what the order cost")
        self.total_minor = total.amount_minor


class ClaimCurrencyError(InvalidError):
    code = "claim_currency_mismatch"

    def __init__(self, currency: str) -> None:
        super().__init__(f"the order was paid in {currency}")
        self.currency = currency


class ClaimTransitionError(ConflictError):
    """The claim was decided before, in another way."""

    code = "claim_decided"

    def __init__(self, claim_id: str, status: ClaimStatus) -> None:
        super().__init__(f"{claim_id} is {status}")
        self.claim_id = claim_id
        self.claim_status = status


class ClaimNotFoundError(NotFoundError):
    code = "claim_not_found"

    def __init__(self, claim_id: str) -> None:
        super().__init__(f"there is no claim {claim_id}")
        self.claim_id = claim_id


@dataclass(frozen=True, slots=True)
class Claim:
    """`amount` is what was accepted. `version` counts the writes, from 1."""

    claim_id: str
    order_id: str
    kind: ClaimKind
    status: ClaimStatus
    description: str
    amount: Money | None
    opened_at: datetime
    correlation_id: str
    version: int

    def accepted(self, amount: Money) -> Claim:
        """Return the claim with what is paid back. Raises ClaimTransitionError."""
        return replace(self._decided(ClaimStatus.ACCEPTED), amount=amount)

    def rejected(self) -> Claim:
        """Raises ClaimTransitionError."""
        return self._decided(ClaimStatus.REJECTED)

    def _decided(self, status: ClaimStatus) -> Claim:
        if status not in _NEXT[self.status]:
            raise ClaimTransitionError(self.claim_id, self.status)
        return replace(self, status=status, version=self.version + 1)


def claim_on(shipment: Shipment, kind: ClaimKind, description: str, at: datetime) -> Claim:
    """Make the claim of this kind on a shipment: its id says which, so there is one."""
    return Claim(
        claim_id=derived_id("clm", shipment.order_id, kind),
        order_id=shipment.order_id,
        kind=kind,
        status=ClaimStatus.OPEN,
        description=description,
        amount=None,
        opened_at=at,
        correlation_id=shipment.correlation_id,
        version=1,
    )


def require_claimable(shipment: Shipment, kind: ClaimKind, at: datetime) -> None:
    """Refuse a customer's claim that the life of none of the order's parcels gives ground for.

    Raises
    ------
    ClaimNotPossibleError, ClaimTooEarlyError
    """
    first, *others = shipment.parcels
    if any(_is_claimable(one, kind, at) for one in others):
        return
    _require_claimable(first, kind, at)


def _is_claimable(parcel: Shipment, kind: ClaimKind, at: datetime) -> bool:
    try:
        _require_claimable(parcel, kind, at)
    except (ClaimNotPossibleError, ClaimTooEarlyError):
        return False
    return True


def _require_claimable(shipment: Shipment, kind: ClaimKind, at: datetime) -> None:
    if kind is ClaimKind.DAMAGED:
        _require_arrived(shipment, at)
    else:
        _require_overdue(shipment, at)


def _require_arrived(shipment: Shipment, at: datetime) -> None:
    arrived = shipment.delivered_at
    if shipment.status is not ShipmentStatus.DELIVERED or arrived is None:
        raise ClaimNotPossibleError(ClaimKind.DAMAGED, shipment.status)
    if at > arrived + DAMAGE_TOLD_WITHIN:
        raise ClaimNotPossibleError(ClaimKind.DAMAGED, shipment.status)


def _require_overdue(shipment: Shipment, at: datetime) -> None:
    on_its_way = {ShipmentStatus.DISPATCHED, ShipmentStatus.IN_TRANSIT, ShipmentStatus.FAILED}
    left = shipment.handed_over_at
    if shipment.status not in on_its_way or left is None:
        raise ClaimNotPossibleError(ClaimKind.NOT_DELIVERED, shipment.status)
    due = left + DELIVERED_WITHIN[shipment.service]
    if shipment.status is not ShipmentStatus.FAILED and at < due:
        raise ClaimTooEarlyError(due)

"""What is done with a claim: opened by the customer, accepted or rejected by staff."""

from __future__ import annotations

from typing import Any, TypeVar

from shipping.model.claim import (
    Claim,
    ClaimCurrencyError,
    ClaimKind,
    ClaimNotFoundError,
    ClaimStatus,
    ClaimTooLargeError,
    ClaimTransitionError,
    claim_on,
    require_claimable,
)
from shipping.ports import ClaimRepository, OrderBook, ShipmentRepository
from shipping.use_cases.parcels import shipment_of
from tradepost.contracts.event import event_id
from tradepost.contracts.shipping import ClaimAcceptedV1, ClaimOpenedV1, ClaimRejectedV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.money import Money

Stated = TypeVar("Stated", ClaimOpenedV1, ClaimAcceptedV1, ClaimRejectedV1)


def open_claim(
    order_id: str,
    kind: ClaimKind,
    description: str,
    *,
    customer_id: str | None,
    shipments: ShipmentRepository,
    claims: ClaimRepository,
    now: Clock,
) -> Claim:
    """Open the one claim of this kind on a parcel; one that is there is returned as it stands.

    Raises
    ------
    ShipmentNotFoundError
        No such parcel, or somebody else's.
    ClaimNotPossibleError, ClaimTooEarlyError
    """
    shipment = shipment_of(order_id, customer_id=customer_id, shipments=shipments)
    claim = claim_on(shipment, kind, description, now())
    stored = claims.get(order_id, claim.claim_id)
    if stored is not None:
        return stored
    require_claimable(shipment, kind, now())
    return claims.add(claim, _stated(ClaimOpenedV1, claim, now, kind=claim.kind))


def claims_of(
    order_id: str,
    *,
    customer_id: str | None,
    shipments: ShipmentRepository,
    claims: ClaimRepository,
) -> list[Claim]:
    """Read an order's claims for its receiver, or for staff. Raises ShipmentNotFoundError."""
    shipment_of(order_id, customer_id=customer_id, shipments=shipments)
    return claims.of_order(order_id)


def accept_claim(
    order_id: str,
    claim_id: str,
    amount: Money,
    *,
    claims: ClaimRepository,
    orders: OrderBook,
    now: Clock,
) -> Claim:
    """Promise the customer an amount back. Safe to repeat with the same amount.

    Payments refunds it, once, and never more than is left of what was captured.

    Raises
    ------
    ClaimTooLargeError, ClaimCurrencyError
    ClaimTransitionError
        It was decided before, in another way.
    ClaimNotFoundError, StaleError
    """
    claim = _found(order_id, claim_id, claims)
    if claim.status is ClaimStatus.ACCEPTED:
        if claim.amount != amount:
            raise ClaimTransitionError(claim_id, claim.status)
        return claim
    total = orders.total_of(order_id)
    if total is None:
        raise ClaimNotFoundError(claim_id)
    if amount.currency != total.currency:
        raise ClaimCurrencyError(total.currency)
    if amount > total:
        raise ClaimTooLargeError(total)
    accepted = claim.accepted(amount)
    event = _stated(
        ClaimAcceptedV1, accepted, now, amount_minor=amount.amount_minor, currency=amount.currency
    )
    claims.save(accepted, event)
    return accepted


def reject_claim(order_id: str, claim_id: str, *, claims: ClaimRepository, now: Clock) -> Claim:
    """Close a claim without money. Safe to repeat.

    Raises
    ------
    ClaimTransitionError
        It was accepted.
    ClaimNotFoundError, StaleError
    """
    claim = _found(order_id, claim_id, claims)
    if claim.status is ClaimStatus.REJECTED:
        return claim
    rejected = claim.rejected()
    claims.save(rejected, _stated(ClaimRejectedV1, rejected, now))
    return rejected


def _found(order_id: str, claim_id: str, claims: ClaimRepository) -> Claim:
    claim = claims.get(order_id, claim_id)
    if claim is None:
        raise ClaimNotFoundError(claim_id)
    return claim


def _stated(event: type[Stated], claim: Claim, now: Clock, **facts: Any) -> Stated:
    return event(
        **facts,
        event_id=event_id(event.TYPE, claim.claim_id, claim.version),
        occurred_at=now(),
        correlation_id=claim.correlation_id,
        version=claim.version,
        order_id=claim.order_id,
        claim_id=claim.claim_id,
    )

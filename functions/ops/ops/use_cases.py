"""Reconciling: orders, provider, ledger and stock compared order by order, and mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

from ops.model import (
    Books,
    ChargeFacts,
    Comparison,
    Finding,
    Kind,
    Listing,
    Outcome,
    Position,
    differences,
)
from ops.ports import Contexts
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import DomainError, UnavailableError

# A repair may bring the next to light: what was settled may have to be given back.
_ROUNDS_MAX = 3


def reconcile_day(
    day: date, position: Position, *, repair: bool, contexts: Contexts, now: Clock
) -> Comparison:
    """Compare a page of what was sold and charged on a UTC day; `then` of the answer goes on.

    Three listings follow each other: the day's orders; the provider's charges, for those that
    orders does not know; and, whatever their day, holds past their due. With `repair` the owners
    mend what they can, and the books are compared again. Safe to repeat and to run beside the
    shop: a repair that meets a healthy order does nothing.
    """
    match position.listing:
        case Listing.ORDERS:
            found, after = contexts.orders_of_day(day, position.after)
            comparison = _compared(found, repair, contexts, now)
            return replace(comparison, then=_next(Listing.ORDERS, after, Listing.CHARGES))
        case Listing.CHARGES:
            charges, after = contexts.charges_of_day(day, position.after)
            comparison = _accounted_for(charges, repair, contexts, now)
            return replace(comparison, then=_next(Listing.CHARGES, after, Listing.HOLDS))
        case Listing.HOLDS:
            return _compared(contexts.holds_past_due(), repair, contexts, now)


def _next(listing: Listing, after: Any, following: Listing) -> Position:
    return Position(listing, after) if after is not None else Position(following)


def _compared(order_ids: Iterable[str], repair: bool, contexts: Contexts, now: Clock) -> Comparison:
    comparison = Comparison()
    for order_id in order_ids:
        books, findings = _reconciled(order_id, repair, contexts, now)
        comparison = comparison.with_order(books, findings)
    return comparison


def _accounted_for(
    charges: Iterable[ChargeFacts], repair: bool, contexts: Contexts, now: Clock
) -> Comparison:
    """Look for money that the day's orders do not lead to: stray charges, and unknown orders."""
    unknown, stray = [], []
    for charge in charges:
        if charge.stray is not None:
            stray.append(charge.stray)
        elif charge.is_ours and not contexts.is_known(charge.order_id):
            unknown.append(charge.order_id)
    comparison = _compared(unknown, repair, contexts, now)
    asked = [_asked_for(finding, repair, contexts) for finding in stray]
    return replace(comparison, findings=(*comparison.findings, *asked))


def _reconciled(
    order_id: str, repair: bool, contexts: Contexts, now: Clock
) -> tuple[Books, list[Finding]]:
    """Compare one order's books; have each difference mended once, and compare again.

    Returns the books as they are in the end, and all that was found on the way.
    """
    found: dict[Kind, Finding] = {}
    for _ in range(_ROUNDS_MAX):
        books = contexts.books_of(order_id)
        seen = {finding.kind: finding for finding in differences(books, now())}
        for kind in found.keys() - seen.keys():
            found[kind] = replace(found[kind], outcome=Outcome.MENDED)
        fresh = [finding for kind, finding in seen.items() if kind not in found]
        found |= {finding.kind: _asked_for(finding, repair, contexts) for finding in fresh}
        if not any(finding.outcome is Outcome.BEGUN for finding in found.values()):
            break
    return books, list(found.values())


def _asked_for(finding: Finding, repair: bool, contexts: Contexts) -> Finding:
    """Have a repair begun, if it may be; the next comparison tells whether it is done.

    One that its owner refused, or did not answer, is left to the next run.
    """
    if not repair or finding.repair is None:
        return finding
    try:
        contexts.mend(finding)
    except (DomainError, UnavailableError):
        return finding
    return replace(finding, outcome=Outcome.BEGUN)

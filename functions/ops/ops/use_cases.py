"""Reconciling: orders, provider, ledger and stock compared order by order, and mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from ops.model import Books, Comparison, Finding, differences
from ops.ports import Contexts
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import DomainError, UnavailableError

# A repair may bring the next to light: what was settled may have to be given back.
_ROUNDS_MAX = 3


def reconcile_day(
    day: date, after: str | None, *, repair: bool, contexts: Contexts, now: Clock
) -> Comparison:
    """Compare a page of what was sold and charged on a UTC day; `after` of the answer goes on.

    Three listings follow each other: the day's orders; the provider's charges, for those that
    orders does not know; and, whatever their day, holds past their due. With `repair` the owners
    mend what they can, and the books are compared again. Safe to repeat and to run beside the
    shop: a repair that meets a healthy order does nothing.
    """
    listing, _, position = (after or "orders:").partition(":")
    match listing:
        case "orders":
            found, following = contexts.orders_of_day(day, position or None)
            then: str | None = "charges:"
        case "charges":
            charged, following = contexts.charges_of_day(day, position or None)
            found = [order_id for order_id in charged if not contexts.is_known(order_id)]
            then = "holds:"
        case _:
            found, following = contexts.holds_past_due(position or None)
            then = None
    comparison = _compared(found, repair, contexts, now)
    return replace(comparison, after=f"{listing}:{following}" if following else then)


def _compared(order_ids: Iterable[str], repair: bool, contexts: Contexts, now: Clock) -> Comparison:
    comparison = Comparison()
    for order_id in order_ids:
        books, findings = _reconciled(order_id, repair, contexts, now)
        comparison = comparison.with_order(books, findings)
    return comparison


def _reconciled(
    order_id: str, repair: bool, contexts: Contexts, now: Clock
) -> tuple[Books, list[Finding]]:
    """Compare one order's books; mend, and compare again, until nothing more can be mended.

    Returns the books as they are in the end, and all that was found on the way.
    """
    found: dict[str, Finding] = {}
    for _ in range(_ROUNDS_MAX):
        books = contexts.books_of(order_id)
        open_now = {finding.kind: finding for finding in differences(books, now())}
        # What was found before and is not there any more has been mended.
        found = {
            kind: replace(finding, is_repaired=kind not in open_now)
            for kind, finding in found.items()
        } | open_now
        mendable = [finding for finding in open_now.values() if finding.repair is not None]
        if not repair or not mendable:
            return books, list(found.values())
        mended = [_mended(finding, contexts) for finding in mendable]
        if not any(mended):
            return books, list(found.values())
    books = contexts.books_of(order_id)
    still = {finding.kind for finding in differences(books, now())}
    return books, [
        replace(finding, is_repaired=kind not in still) for kind, finding in found.items()
    ]


def _mended(finding: Finding, contexts: Contexts) -> bool:
    """Have a repair done; False where its owner refused or did not answer: the next run sees it."""
    assert finding.repair is not None
    try:
        contexts.mend(finding.order_id, finding.repair)
    except (DomainError, UnavailableError):
        return False
    return True

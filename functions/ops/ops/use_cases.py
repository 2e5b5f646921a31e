"""Reconciling: orders, provider, ledger and stock compared order by order, and mended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
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
from ops.ports import Contexts, HasTime, Turns
from ops.runs import BY_THE_CLOCK, Run, RunKind
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import DomainError, UnavailableError
from tradepost.kernel.ids import new_id

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
    start, end = span_of(day)
    listed = partial(contexts.orders_of_day, day)
    return _page(position, listed, start, end, repair, contexts, now)


def reconcile_page(
    day: date, position: Position, *, by: str, turns: Turns, contexts: Contexts, now: Clock
) -> Comparison:
    """Compare a page of a day as `reconcile_day` does, and have it mended; record it.

    Raises a ConflictError while somebody else is at it.
    """
    start, end = span_of(day)
    with turns.taken() as turn:
        run = Run(new_id("rec"), RunKind.DAY, by, start, end, begun_at=now())
        page = reconcile_day(day, position, repair=True, contexts=contexts, now=now)
        turn.record(replace(run.with_page(page, now()), ended_at=now()))
    return page


def reconcile_changes(
    *, turns: Turns, contexts: Contexts, now: Clock, has_time: HasTime
) -> Iterator[Finding]:
    """Compare what changed since the last run and have it mended; go on where one broke off.

    Each page is recorded before the next is begun, so that a run that dies loses none. Yields
    what was found. Raises a ConflictError while somebody else is at it, or has taken over.
    """
    with turns.taken() as turn:
        progress = turn.progress
        if progress.run is not None and progress.is_to_go_on(now()):
            run, position = progress.run, progress.position
        else:
            start, end = progress.next_span(now())
            run = Run(new_id("rec"), RunKind.CHANGES, BY_THE_CLOCK, start, end, begun_at=now())
            position = Position()
        while run.ended_at is None and has_time():
            turn.require()
            listed = partial(contexts.orders_changed, run.start, run.end)
            page = _page(position, listed, run.start, run.end, True, contexts, now)
            run = run.with_page(page, now())
            progress = progress.after_page(run, page)
            turn.record(run, progress)
            position = progress.position
            yield from page.findings


def reconcile_days(
    days: Iterable[date], *, turns: Turns, contexts: Contexts, now: Clock, has_time: HasTime
) -> Iterator[Finding]:
    """Compare whole days, one after the other, and have them mended. Yields what was found.

    Raises a ConflictError while somebody else is at it, or has taken over.
    """
    with turns.taken() as turn:
        for day in days:
            start, end = span_of(day)
            run = Run(new_id("rec"), RunKind.DAY, BY_THE_CLOCK, start, end, begun_at=now())
            position = Position()
            while run.ended_at is None and has_time():
                turn.require()
                page = reconcile_day(day, position, repair=True, contexts=contexts, now=now)
                run = run.with_page(page, now())
                turn.record(run)
                position = page.then or Position()
                yield from page.findings


def span_of(day: date) -> tuple[datetime, datetime]:
    """Tell when a UTC day begins, and when the next one does."""
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def _page(
    position: Position,
    listed: Callable[[Any], tuple[list[str], Any]],
    start: datetime,
    end: datetime,
    repair: bool,
    contexts: Contexts,
    now: Clock,
) -> Comparison:
    match position.listing:
        case Listing.ORDERS:
            found, after = listed(position.after)
            comparison = _compared(found, repair, contexts, now)
            return replace(comparison, then=_next(Listing.ORDERS, after, Listing.CHARGES))
        case Listing.CHARGES:
            charges, after = contexts.charges_between(start, end, position.after)
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

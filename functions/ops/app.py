"""Ops over HTTP, for staff, and by the clock."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from chalice import Cron, Rate
from chalice.app import CloudWatchEvent

from ops import use_cases
from ops.api import ComparisonView, NewReconciliation, RunsView, RunView
from ops.contexts import AskedContexts
from ops.dynamodb import DynamoDBTurns
from ops.model import Finding, Listing, Outcome, Position
from tradepost.kernel.clock import utc_now
from tradepost.platform import aws
from tradepost.platform.auth import STAFF, Caller, Role
from tradepost.platform.cursor import InvalidCursorError, Page, read_cursor, sign_cursor
from tradepost.platform.lease import LeaseHeldError, LeaseLostError
from tradepost.platform.logger import logger
from tradepost.platform.questions import Questions
from tradepost.platform.service import Service

app = Service("ops")

# A page takes less, so that one that was begun is also recorded.
_PAGE_MILLISECONDS = 60_000


@functools.cache
def contexts() -> AskedContexts:
    return AskedContexts(Questions(aws.functions(), os.environ["STAGE"]))


@functools.cache
def turns() -> DynamoDBTurns:
    return DynamoDBTurns(aws.dynamodb(), os.environ["OPS_TABLE"])


@app.post(
    "/v1/staff/reconciliations",
    roles={Role.ADMIN},
    refusals=(InvalidCursorError, LeaseHeldError, LeaseLostError),
    repeatable="comparing changes nothing, and mending what is whole does nothing",
)
def reconcile(body: NewReconciliation, caller: Caller) -> ComparisonView:
    """Compare a page of a day's orders with provider, ledger and stock, and mend if asked to.

    Send `after` of the answer again until it is null. One at a time mends: a page that is asked
    for while another is at it is refused, and can be asked for again.
    """
    listing = f"reconciliation:{body.day}"
    position = _position(read_cursor(body.after, listing))
    if body.repair:
        comparison = use_cases.reconcile_page(
            body.day,
            position,
            by=caller.principal_id,
            turns=turns(),
            contexts=contexts(),
            now=utc_now,
        )
    else:
        comparison = use_cases.reconcile_day(
            body.day, position, repair=False, contexts=contexts(), now=utc_now
        )
    then = asdict(comparison.then) if comparison.then else None
    return ComparisonView.of(comparison, sign_cursor(then, listing))


@app.get("/v1/staff/reconciliations", roles=STAFF, refusals=(InvalidCursorError,))
def list_reconciliations(query: Page) -> RunsView:
    """List what was compared and mended, by the clock and by hand, newest first."""
    listing = "reconciliations"
    found, position = turns().runs(query.limit, read_cursor(query.cursor, listing))
    return RunsView(
        runs=[RunView.of(run) for run in found], next_cursor=sign_cursor(position, listing)
    )


@app.schedule(Rate(1, unit=Rate.HOURS), name="reconcile_lately")
def reconcile_lately(event: CloudWatchEvent) -> None:
    """Compare what changed since the last run, mend it, and tell of the rest in the log."""
    _tell_of(
        use_cases.reconcile_changes(
            turns=turns(), contexts=contexts(), now=utc_now, has_time=_has_time(event)
        )
    )


@app.schedule(Cron(20, 2, "*", "*", "?", "*"), name="reconcile_days")
def reconcile_days(event: CloudWatchEvent) -> None:
    """Compare the two days before today whole: also what contradicts though nothing changed."""
    today = utc_now().date()
    days = [today - timedelta(days=back) for back in (2, 1)]
    _tell_of(
        use_cases.reconcile_days(
            days, turns=turns(), contexts=contexts(), now=utc_now, has_time=_has_time(event)
        )
    )


def _has_time(event: CloudWatchEvent) -> Callable[[], bool]:
    left: Callable[[], int] = event.context.get_remaining_time_in_millis
    return lambda: left() > _PAGE_MILLISECONDS


def _tell_of(findings: Iterator[Finding]) -> None:
    try:
        for finding in findings:
            _tell(finding)
    except (LeaseHeldError, LeaseLostError) as refusal:
        # Whoever has the turn does the same work.
        logger.info("reconciliation left to another", code=refusal.code)


def _position(told: dict[str, Any] | None) -> Position:
    return Position(Listing(told["listing"]), told["after"]) if told else Position()


def _tell(finding: Finding) -> None:
    tell = logger.error if finding.outcome is Outcome.LEFT else logger.warning
    tell(
        "books differ",
        order_id=finding.order_id,
        kind=finding.kind,
        detail=finding.detail,
        outcome=finding.outcome,
    )

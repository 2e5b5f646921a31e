"""Ops over HTTP, for staff, and by the clock."""

from __future__ import annotations

import functools
import os
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent

from ops import use_cases
from ops.api import ComparisonView, NewReconciliation
from ops.contexts import AskedContexts
from ops.model import Finding, Listing, Outcome, Position
from tradepost.kernel.clock import utc_now
from tradepost.platform import aws
from tradepost.platform.auth import Role
from tradepost.platform.cursor import InvalidCursorError, read_cursor, sign_cursor
from tradepost.platform.logger import logger
from tradepost.platform.questions import Questions
from tradepost.platform.service import Service

app = Service("ops")


@functools.cache
def contexts() -> AskedContexts:
    return AskedContexts(Questions(aws.functions(), os.environ["STAGE"]))


@app.post(
    "/v1/staff/reconciliations",
    roles={Role.ADMIN},
    refusals=(InvalidCursorError,),
    repeatable="comparing changes nothing, and mending what is whole does nothing",
)
def reconcile(body: NewReconciliation) -> ComparisonView:
    """Compare a page of a day's orders with provider, ledger and stock, and mend if asked to.

    Send `after` of the answer again until it is null.
    """
    listing = f"reconciliation:{body.day}"
    comparison = use_cases.reconcile_day(
        body.day,
        _position(read_cursor(body.after, listing)),
        repair=body.repair,
        contexts=contexts(),
        now=utc_now,
    )
    then = asdict(comparison.then) if comparison.then else None
    return ComparisonView.of(comparison, sign_cursor(then, listing))


@app.schedule(Rate(1, unit=Rate.HOURS), name="reconcile_lately")
def reconcile_lately(_event: CloudWatchEvent) -> None:
    """Compare today and yesterday, mend what can be mended, and tell of the rest in the log."""
    today = utc_now().date()
    for day in (today - timedelta(days=1), today):
        position: Position | None = Position()
        while position is not None:
            comparison = use_cases.reconcile_day(
                day, position, repair=True, contexts=contexts(), now=utc_now
            )
            for finding in comparison.findings:
                _tell(finding)
            position = comparison.then


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

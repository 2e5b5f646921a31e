"""Ops' bodies and answers, for staff."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from ops.model import Comparison, Finding, Kind, Outcome, Repair, Sums
from ops.runs import Run, RunKind
from tradepost.kernel.clock import to_text
from tradepost.platform.bodies import RequestModel, View, shown_as
from tradepost.platform.cursor import CURSOR_LENGTH_MAX


class RunView(View):
    """`by` is who asked, or `clock`. Without `ended_at` it is under way, or broke off."""

    run_id: str
    kind: RunKind
    by: str
    start: str
    end: str
    begun_at: str
    ended_at: str | None
    compared: int
    left: int
    begun: int
    mended: int

    @classmethod
    def of(cls, run: Run) -> RunView:
        return cls(
            run_id=run.run_id,
            kind=run.kind,
            by=run.by,
            start=to_text(run.start),
            end=to_text(run.end),
            begun_at=to_text(run.begun_at),
            ended_at=to_text(run.ended_at) if run.ended_at else None,
            compared=run.compared,
            left=run.left,
            begun=run.begun,
            mended=run.mended,
        )


class RunsView(View):
    runs: list[RunView]
    next_cursor: str | None


class NewReconciliation(RequestModel):
    """`after` is the one of the answer before, to go on where that ended."""

    model_config = shown_as(day="2026-01-05", repair=False)

    day: date  # UTC
    after: str | None = Field(default=None, max_length=CURSOR_LENGTH_MAX)
    repair: bool = False


class FindingView(View):
    kind: Kind
    order_id: str
    detail: str
    repair: Repair | None
    outcome: Outcome

    @classmethod
    def of(cls, finding: Finding) -> FindingView:
        return cls(
            kind=finding.kind,
            order_id=finding.order_id,
            detail=finding.detail,
            repair=finding.repair,
            outcome=finding.outcome,
        )


class SumsView(View):
    """Minor units. `orders_minor` is what the orders that were sold come to."""

    currency: str
    orders_minor: int
    ledger_captured_minor: int
    ledger_refunded_minor: int
    provider_captured_minor: int
    provider_refunded_minor: int


class ComparisonView(View):
    compared: int
    sums: list[SumsView]
    findings: list[FindingView]
    after: str | None

    @classmethod
    def of(cls, comparison: Comparison, after: str | None) -> ComparisonView:
        return cls(
            compared=comparison.compared,
            sums=[_sums(comparison, currency) for currency in sorted(comparison.ledger)],
            findings=[FindingView.of(finding) for finding in comparison.findings],
            after=after,
        )


def _sums(comparison: Comparison, currency: str) -> SumsView:
    ledger = comparison.ledger.get(currency, Sums())
    provider = comparison.provider.get(currency, Sums())
    return SumsView(
        currency=currency,
        orders_minor=comparison.orders_minor.get(currency, 0),
        ledger_captured_minor=ledger.captured_minor,
        ledger_refunded_minor=ledger.refunded_minor,
        provider_captured_minor=provider.captured_minor,
        provider_refunded_minor=provider.refunded_minor,
    )

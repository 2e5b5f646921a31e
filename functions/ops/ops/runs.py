"""The record of what was compared, when and by whom, and how far the changes have been."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from ops.model import QUIET_AFTER, Comparison, Outcome, Position

# What a run left out was at work, or was not in the index yet: the next one looks again.
OVERLAP = 2 * QUIET_AFTER
# Where nothing was compared before, and the longest that is caught up with: days do the rest.
LOOKED_BACK = timedelta(days=2)

# A run that broke off is gone on with for so long: one that fails at the same place again and again
# must not keep all that comes after from being compared.
GONE_ON_WITH = timedelta(hours=6)

BY_THE_CLOCK = "clock"


class RunKind(StrEnum):
    CHANGES = "changes"  # the orders that changed in a span, and the charges opened in it
    DAY = "day"  # all that was placed and charged on a UTC day


@dataclass(frozen=True, slots=True)
class Run:
    """One comparison with repairs. `outcomes` counts what was found by what became of it."""

    run_id: str
    kind: RunKind
    by: str  # the clock, or who asked
    start: datetime
    end: datetime
    begun_at: datetime
    ended_at: datetime | None = None  # None: under way, or broken off
    compared: int = 0
    left: int = 0
    begun: int = 0
    mended: int = 0

    def with_page(self, page: Comparison, now: datetime) -> Self:
        """Add what a page brought; the last one ends the run."""
        found = Counter(finding.outcome for finding in page.findings)
        return replace(
            self,
            compared=self.compared + page.compared,
            left=self.left + found[Outcome.LEFT],
            begun=self.begun + found[Outcome.BEGUN],
            mended=self.mended + found[Outcome.MENDED],
            ended_at=now if page.then is None else None,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the changes have been compared; `run` and `position` where one broke off."""

    compared_until: datetime | None = None
    run: Run | None = None
    position: Position = field(default_factory=Position)

    def next_span(self, now: datetime) -> tuple[datetime, datetime]:
        """Tell what is to be compared next: all since the last run, and a little before."""
        earliest = now - LOOKED_BACK
        if self.compared_until is None:
            return earliest, now
        return max(earliest, self.compared_until - OVERLAP), now

    def is_to_go_on(self, now: datetime) -> bool:
        """Tell whether a run broke off that is still to be gone on with."""
        return self.run is not None and now - self.run.begun_at < GONE_ON_WITH

    def after_page(self, run: Run, page: Comparison) -> Progress:
        """Remember where to go on; after the last page, how far it has come."""
        if page.then is None:
            return Progress(run.end)
        return Progress(self.compared_until, run, page.then)

"""What is compared by the clock: what changed since the last run, and whole days at night."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ops.model import Books, ChargeFacts, Finding, Kind, MoneyFacts, OrderFacts, Position, Sums
from ops.runs import GONE_ON_WITH, LOOKED_BACK, OVERLAP, Progress, Run, RunKind
from ops.use_cases import reconcile_changes, reconcile_days, reconcile_page
from tradepost.kernel.errors import ConflictError

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
PAID = Sums(1400, 0)


@dataclass
class FakeContexts:
    """Two orders on each page, of which every one is whole but those that are `unpaid`."""

    order_ids: list[str]
    unpaid: set[str] = field(default_factory=set)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)

    def orders_of_day(self, day: date, after: Any) -> tuple[list[str], Any]:
        self.asked.append((day,))
        return self._page(after)

    def orders_changed(self, start: datetime, end: datetime, after: Any) -> tuple[list[str], Any]:
        self.asked.append((start, end))
        return self._page(after)

    def _page(self, after: Any) -> tuple[list[str], Any]:
        place = after or 0
        rest = self.order_ids[place + 2 :]
        return self.order_ids[place : place + 2], place + 2 if rest else None

    def charges_between(
        self, start: datetime, end: datetime, after: Any
    ) -> tuple[list[ChargeFacts], Any]:
        return [], None

    def is_known(self, order_id: str) -> bool:
        return True

    def holds_past_due(self) -> list[str]:
        return []

    def books_of(self, order_id: str) -> Books:
        self.compared.append(order_id)
        taken = Sums() if order_id in self.unpaid else PAID
        return Books(
            order=OrderFacts(order_id, "CONFIRMED", 1400, "GBP", NOW - timedelta(hours=1)),
            money=MoneyFacts("GBP", "CAPTURED", taken, taken, "CAPTURED", taken),
            hold="COMMITTED",
            shipment="LABELLED",
        )

    def mend(self, finding: Finding) -> None:
        raise AssertionError("nothing here can be mended")


@dataclass
class FakeTurns:
    """One turn at a time. `lost_after` so many records another has taken over."""

    progress: Progress = field(default_factory=Progress)
    stored: dict[str, Run] = field(default_factory=dict)
    is_taken: bool = False
    lost_after: int | None = None

    @contextmanager
    def taken(self) -> Iterator[FakeTurns]:
        if self.is_taken:
            raise ConflictError("another has it")
        self.is_taken = True
        try:
            yield self
        finally:
            self.is_taken = False

    def require(self) -> None:
        if self.lost_after == 0:
            raise ConflictError("another has taken over")

    def record(self, run: Run, progress: Progress | None = None) -> None:
        self.require()
        if self.lost_after is not None:
            self.lost_after -= 1
        self.stored[run.run_id] = run
        self.progress = progress or self.progress

    def runs(self, limit: int, after: dict[str, str] | None) -> tuple[list[Run], None]:
        return list(self.stored.values()), None


def ran(
    turns: FakeTurns, contexts: FakeContexts, *, at: datetime = NOW, pages_max: int = 99
) -> list[Kind]:
    pages = iter([True] * pages_max)
    findings = reconcile_changes(
        turns=turns, contexts=contexts, now=lambda: at, has_time=lambda: next(pages, False)
    )
    return [finding.kind for finding in findings]


def test_what_changed_since_the_last_run_is_compared_and_a_little_before() -> None:
    turns, contexts = FakeTurns(Progress(NOW - timedelta(hours=1))), FakeContexts(["ord_1"])

    ran(turns, contexts)

    assert contexts.asked == [(NOW - timedelta(hours=1) - OVERLAP, NOW)]
    assert turns.progress == Progress(NOW)


@pytest.mark.parametrize("until", [None, NOW - timedelta(days=30)])
def test_no_more_than_two_days_are_caught_up_with(until: datetime | None) -> None:
    contexts = FakeContexts([])

    ran(FakeTurns(Progress(until)), contexts)

    assert contexts.asked == [(NOW - LOOKED_BACK, NOW)]


def test_a_run_is_recorded_with_what_it_found() -> None:
    turns, contexts = FakeTurns(), FakeContexts(["ord_1", "ord_2", "ord_3"], unpaid={"ord_2"})

    assert ran(turns, contexts) == [Kind.ORDER_WITHOUT_MONEY]
    (run,) = turns.stored.values()
    assert (run.kind, run.by, run.compared, run.left) == (RunKind.CHANGES, "clock", 3, 1)
    assert run.ended_at == NOW


def test_a_run_that_had_no_time_left_is_gone_on_with_where_it_stopped() -> None:
    turns = FakeTurns(Progress(NOW - timedelta(hours=1)))
    contexts = FakeContexts(["ord_1", "ord_2", "ord_3", "ord_4", "ord_5"])
    later = NOW + timedelta(hours=1)

    ran(turns, contexts, pages_max=2)
    (broken_off,) = turns.stored.values()
    ran(turns, contexts, at=later)

    assert broken_off.ended_at is None
    assert contexts.compared == ["ord_1", "ord_2", "ord_3", "ord_4", "ord_5"]
    (ended,) = turns.stored.values()
    assert (ended.compared, ended.ended_at) == (5, later)
    # What changed in the hour between is the next run's, from where this one began to look.
    assert turns.progress == Progress(NOW)


def test_a_run_that_broke_off_long_ago_is_begun_anew_from_where_the_last_whole_one_ended() -> None:
    until = NOW - timedelta(hours=12)
    broken_off = Run("rec_0", RunKind.CHANGES, "clock", until, NOW, begun_at=NOW - GONE_ON_WITH)
    progress = Progress(until, broken_off, Position(after=2))
    turns, contexts = FakeTurns(progress), FakeContexts(["ord_1", "ord_2", "ord_3"])

    ran(turns, contexts)

    assert contexts.asked[0] == (until - OVERLAP, NOW)
    assert contexts.compared == ["ord_1", "ord_2", "ord_3"]


def test_whoever_loses_the_turn_begins_no_further_page() -> None:
    turns, contexts = FakeTurns(lost_after=1), FakeContexts(["ord_1", "ord_2", "ord_3"])

    with pytest.raises(ConflictError):
        ran(turns, contexts)

    assert contexts.compared == ["ord_1", "ord_2"]


def test_of_two_at_once_one_compares() -> None:
    contexts = FakeContexts(["ord_1"])

    with pytest.raises(ConflictError):
        ran(FakeTurns(is_taken=True), contexts)

    assert contexts.compared == []


def test_whole_days_are_compared_one_after_the_other_and_move_no_progress() -> None:
    turns, contexts = FakeTurns(Progress(NOW)), FakeContexts(["ord_1"])
    days = [date(2026, 1, 3), date(2026, 1, 4)]

    findings = reconcile_days(
        days, turns=turns, contexts=contexts, now=lambda: NOW, has_time=lambda: True
    )

    assert list(findings) == []
    assert contexts.asked == [(day,) for day in days]
    assert [run.start.date() for run in turns.stored.values()] == days
    assert turns.progress == Progress(NOW)


def test_a_page_that_somebody_has_mended_is_recorded_under_their_name() -> None:
    turns, contexts = FakeTurns(), FakeContexts(["ord_1", "ord_2", "ord_3"])

    page = reconcile_page(
        NOW.date(), Position(), by="usr_1", turns=turns, contexts=contexts, now=lambda: NOW
    )

    (run,) = turns.stored.values()
    assert (run.kind, run.by, run.compared) == (RunKind.DAY, "usr_1", 2)
    assert run == replace(run, ended_at=NOW)
    assert page.then is not None

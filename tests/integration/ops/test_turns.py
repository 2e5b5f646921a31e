"""The turn to reconcile: one at a time, and nothing written by whoever has lost it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from ops.dynamodb import LEASE, DynamoDBTurns
from ops.model import Listing, Position
from ops.runs import Progress, Run, RunKind
from tests.integration.platform.contest import Model
from tests.integration.platform.schedules import explore
from tests.integration.tables import tables
from tradepost.kernel.clock import set_clock
from tradepost.platform import lease as lease_module
from tradepost.platform.lease import TOLERANCE, LeaseHeldError, LeaseLostError

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
A_LONG_PAUSE = LEASE + TOLERANCE + timedelta(seconds=1)


@pytest.fixture
def client() -> Iterator[Any]:
    set_clock(lambda: NOON)
    with tables("ops") as dynamodb:
        yield dynamodb
    set_clock(None)


@pytest.fixture
def turns(client: Any) -> DynamoDBTurns:
    return DynamoDBTurns(client, "ops")


def a_run(run_id: str = "rec_1", **facts: Any) -> Run:
    since = NOON - timedelta(hours=1)
    return Run(run_id, RunKind.CHANGES, "clock", since, NOON, begun_at=NOON, **facts)


def test_of_two_who_come_one_has_the_turn(turns: DynamoDBTurns) -> None:
    with turns.taken(), pytest.raises(LeaseHeldError), turns.taken():
        pass


def test_a_turn_that_was_left_is_the_next_ones(turns: DynamoDBTurns) -> None:
    with turns.taken():
        pass
    with turns.taken() as turn:
        assert turn.progress == Progress()


@pytest.mark.parametrize(
    "progress",
    [
        Progress(NOON),
        Progress(
            NOON,
            a_run(compared=7),
            Position(Listing.ORDERS, {"place": 3, "key": {"pk": "ORDER#1", "n": 1}}),
        ),
        Progress(None, a_run(), Position(Listing.CHARGES, None)),
    ],
    ids=["all", "broken off", "the first"],
)
def test_the_next_turn_reads_the_progress_of_the_last(
    turns: DynamoDBTurns, progress: Progress
) -> None:
    with turns.taken() as turn:
        turn.record(a_run(), progress)

    with turns.taken() as turn:
        assert turn.progress == progress


def test_whoever_was_paused_past_the_lease_records_nothing(turns: DynamoDBTurns) -> None:
    with turns.taken() as late:
        set_clock(lambda: NOON + A_LONG_PAUSE)
        with turns.taken() as turn:
            with pytest.raises(LeaseLostError):
                late.record(a_run("rec_late"), Progress(NOON))
            turn.record(a_run("rec_next"), Progress(NOON + timedelta(hours=1)))

    with turns.taken() as turn:
        assert turn.progress == Progress(NOON + timedelta(hours=1))
    assert [run.run_id for run in turns.runs(9, None)[0]] == ["rec_next"]


def test_a_run_is_stored_as_it_stands_and_read_newest_first_page_by_page(
    turns: DynamoDBTurns,
) -> None:
    with turns.taken() as turn:
        for number in range(1, 4):
            turn.record(a_run(f"rec_{number}"))
            turn.record(a_run(f"rec_{number}", compared=number, ended_at=NOON))

    first, after = turns.runs(2, None)
    second, end = turns.runs(2, after)

    assert [run.run_id for run in first] == ["rec_3", "rec_2"]
    assert second == [a_run("rec_1", compared=1, ended_at=NOON)]
    assert end is None


class TwoReconcilers:
    """Each takes the turn and counts in the progress: an hour more than it read, page by page."""

    def __init__(self, client: Any) -> None:
        self._table = Model(client)
        self._time = timedelta()
        self._wrong: frozenset[str] = frozenset()
        self._written: list[str] = []
        self.perform = self._table.perform
        self.contenders = {name: self._work(client, name) for name in "AB"}
        set_clock(lambda: NOON + self._time)

    def _work(self, client: Any, name: str) -> Callable[[], None]:
        def work() -> None:
            try:
                with DynamoDBTurns(client, "ops").taken() as turn:
                    until = turn.progress.compared_until or NOON
                    turn.record(a_run(name), Progress(until + timedelta(hours=1)))
            except (LeaseHeldError, LeaseLostError, ClientError, ReadTimeoutError):
                return

        return work

    def let_time_pass(self) -> None:
        self._time += A_LONG_PAUSE

    def done(self, name: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if "TransactItems" in request and name not in self._written:
            self._written.append(name)

    def state(self) -> Hashable:
        return repr(self._table.items()), self._time, tuple(self._written)

    def wrong(self) -> frozenset[str]:
        return self._wrong

    def wrong_in_the_end(self) -> frozenset[str]:
        progress = [item for item in self._table.items() if item["sk"] == "PROGRESS"]
        counted = [item["compared_until"] for item in progress if "compared_until" in item]
        expected = NOON + timedelta(hours=len(self._written))
        told = [text[:19] for text in counted] or [NOON.isoformat()[:19]]
        return (
            frozenset() if told == [expected.isoformat()[:19]] else frozenset({"a page was lost"})
        )


@pytest.mark.parametrize(("ticks", "faults"), [(2, 0), (1, 1)])
def test_of_two_reconcilers_no_page_is_lost_in_any_schedule(
    client: Any, monkeypatch: pytest.MonkeyPatch, ticks: int, faults: int
) -> None:
    def make() -> TwoReconcilers:
        numbers = itertools.count(1)
        monkeypatch.setattr(lease_module, "new_id", lambda prefix: f"{prefix}_{next(numbers)}")
        return TwoReconcilers(client)

    explored = explore(make, ticks=ticks, faults=faults)

    assert explored.wrong == {}
    assert explored.schedules > 2_000

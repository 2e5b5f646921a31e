"""A lease keeps the second away for a while; the fence keeps the first from writing afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.platform.contest import (
    A_LONG_PAUSE,
    BOTH,
    LASTS,
    LOST,
    RESOURCE,
    STALE,
    TABLE,
    TWICE,
    Contest,
    Counting,
    ForgetfulLock,
    Moto,
    Time,
    behind_the_fence,
    by_version_without_any_lock,
    locked,
    showing_the_token_only_when_writing,
    with_the_lease_alone,
)
from tests.integration.platform.schedules import Explored, explore
from tests.integration.tables import tables
from tradepost.platform import lease as lease_module
from tradepost.platform.dynamodb import from_item, to_item
from tradepost.platform.lease import (
    SAFETY_MARGIN,
    TOLERANCE,
    Lease,
    LeaseHeldError,
    LeaseLostError,
    enter,
)


@pytest.fixture(scope="module")
def lasting_client() -> Iterator[Any]:
    with tables("ops") as dynamodb:
        yield dynamodb


@pytest.fixture
def client(lasting_client: Any) -> Any:
    Moto(lasting_client)  # empties the table
    return lasting_client


@pytest.fixture
def stored(client: Any) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        key = to_item({"pk": "LOCK#counting", "sk": "LOCK"})
        return from_item(client.get_item(TableName=TABLE, Key=key)["Item"])

    return read


class TestLease:
    def test_of_two_who_come_one_has_the_lock(self, client: Any) -> None:
        lock = locked(client, Time())
        lock.acquire()

        with pytest.raises(LeaseHeldError):
            lock.acquire()

    def test_what_was_released_is_the_next_ones_under_a_higher_token(self, client: Any) -> None:
        lock = locked(client, Time())
        first = lock.acquire()
        lock.release(first)

        assert lock.acquire().token > first.token

    def test_a_released_lock_remembers_its_token(self, client: Any, stored: Any) -> None:
        lock = locked(client, Time())
        lock.release(lock.acquire())

        assert stored() == {"pk": "LOCK#counting", "sk": "LOCK", "token": 1}

    def test_nothing_of_a_lock_ever_expires_by_itself(self, client: Any, stored: Any) -> None:
        locked(client, Time()).acquire()

        assert "expires_at" not in stored()

    def test_a_holder_who_died_is_followed_when_the_lease_is_over_on_every_clock(
        self, client: Any
    ) -> None:
        time = Time()
        lock = locked(client, time)
        lock.acquire()

        time.passed = LASTS + TOLERANCE
        with pytest.raises(LeaseHeldError):
            lock.acquire()
        time.passed += timedelta(milliseconds=1)
        assert lock.acquire().token == 2

    def test_a_lease_that_is_renewed_is_nobody_elses(self, client: Any) -> None:
        time = Time()
        lock = locked(client, time)
        lease = lock.acquire()

        for _ in range(10):
            time.passed += LASTS / 2
            lease = lock.renew(lease)
            with pytest.raises(LeaseHeldError):
                lock.acquire()

        lock.require(lease)

    def test_a_lease_that_was_taken_is_not_renewed(self, client: Any) -> None:
        time = Time()
        lock = locked(client, time)
        lease = lock.acquire()
        time.passed = A_LONG_PAUSE
        lock.acquire()

        with pytest.raises(LeaseLostError):
            lock.renew(lease)

    def test_releasing_what_is_anothers_leaves_it_to_them(self, client: Any) -> None:
        time = Time()
        lock = locked(client, time)
        late = lock.acquire()
        time.passed = A_LONG_PAUSE
        lock.acquire()

        lock.release(late)

        with pytest.raises(LeaseHeldError):
            lock.acquire()

    def test_a_holder_stops_within_the_safety_margin_whatever_the_wall_clock_says(
        self, client: Any
    ) -> None:
        time = Time()
        lock = locked(client, time, off_by=-timedelta(hours=1))
        lease = lock.acquire()

        time.passed = LASTS - SAFETY_MARGIN
        lock.require(lease)
        time.passed += timedelta(milliseconds=1)
        with pytest.raises(LeaseLostError):
            lock.require(lease)


class TestFence:
    def test_what_was_entered_by_a_later_lease_is_closed_to_an_earlier(self, client: Any) -> None:
        enter(client, TABLE, RESOURCE, Lease("counting", "later", 7, 0.0))

        with pytest.raises(LeaseLostError):
            enter(client, TABLE, RESOURCE, Lease("counting", "earlier", 6, 0.0))
        enter(client, TABLE, RESOURCE, Lease("counting", "later", 7, 0.0))


Explore = Callable[..., Explored]


@pytest.fixture
def contest(client: Any, monkeypatch: pytest.MonkeyPatch) -> Explore:
    """Explore a contest; owners are numbered, so that a schedule can be played again."""

    def run(
        counting: Counting,
        *,
        off_by: tuple[int, int] = (0, 0),
        tick: timedelta = A_LONG_PAUSE,
        ticks: int = 2,
        faults: int = 0,
        **kind: Any,
    ) -> Explored:
        def make() -> Contest:
            numbers = itertools.count(1)
            monkeypatch.setattr(lease_module, "new_id", lambda prefix: f"{prefix}_{next(numbers)}")
            return Contest(client, counting, off_by=off_by, tick=tick, **kind)

        return explore(make, ticks=ticks, faults=faults)

    return run


# Two of them are longer than a lease.
A_WHILE = timedelta(seconds=40)

CLOCKS = pytest.mark.parametrize(
    "off_by", [(0, 0), (30, -30), (-30, 30)], ids=["true", "A fast, B slow", "A slow, B fast"]
)


@CLOCKS
def test_a_holder_paused_past_its_lease_cannot_write_in_any_schedule_of_two(
    contest: Explore, off_by: tuple[int, int]
) -> None:
    explored = contest(behind_the_fence, off_by=off_by)

    assert explored.wrong == {}
    assert explored.schedules == 3_932


@CLOCKS
def test_nor_when_one_dies_loses_an_answer_or_is_repeated_at_any_call(
    contest: Explore, off_by: tuple[int, int]
) -> None:
    explored = contest(behind_the_fence, off_by=off_by, ticks=1, faults=1)

    assert explored.wrong == {}
    assert explored.schedules == 12_712


def test_moto_and_the_model_of_dynamodb_have_the_same_schedules(contest: Explore) -> None:
    on_moto = contest(behind_the_fence, ticks=1, table=Moto)

    assert on_moto.wrong == {}
    assert on_moto.schedules == contest(behind_the_fence, ticks=1).schedules


@pytest.mark.parametrize("counting", [with_the_lease_alone, showing_the_token_only_when_writing])
def test_a_lease_alone_and_a_token_shown_only_at_the_write_lose_updates(
    contest: Explore, counting: Counting
) -> None:
    assert contest(counting).wrong.keys() == {LOST, STALE}


def test_a_condition_on_what_was_read_needs_no_lock(contest: Explore) -> None:
    assert LOST not in contest(by_version_without_any_lock).wrong


@pytest.mark.parametrize("off_by", [(-30, 30), (30, -30)])
def test_while_a_lease_lasts_nobody_else_has_the_lock_on_any_clock(
    contest: Explore, off_by: tuple[int, int]
) -> None:
    assert contest(behind_the_fence, off_by=off_by, tick=A_WHILE).wrong == {}


def test_without_tolerance_a_slow_clock_loses_its_lease_early_and_the_fence_still_holds(
    contest: Explore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "TOLERANCE", timedelta())

    assert contest(behind_the_fence, off_by=(-30, 30), tick=A_WHILE).wrong.keys() == {BOTH}


def test_a_lock_that_is_deleted_when_it_is_free_gives_a_token_twice(contest: Explore) -> None:
    assert TWICE in contest(behind_the_fence, lock=ForgetfulLock).wrong

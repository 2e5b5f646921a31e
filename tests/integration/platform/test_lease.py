"""A lease keeps the second away for a while; the fence keeps the first from writing afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import dynamodb_backends

from tests.integration.platform.schedules import Explored, explore
from tests.integration.tables import tables
from tradepost.platform import lease as lease_module
from tradepost.platform.dynamodb import from_item, to_item
from tradepost.platform.lease import (
    CLOCK_SKEW_MAX,
    FENCE,
    IS_MINE,
    SAFETY_MARGIN,
    TOLERANCE,
    Lease,
    LeaseHeldError,
    LeaseLock,
    LeaseLostError,
    enter,
)

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
LASTS = timedelta(seconds=60)
TABLE = "ops"
RESOURCE = {"pk": "COUNTER", "sk": "COUNTER"}

# Long enough for every lease to be over, on every clock and with the tolerance.
A_LONG_PAUSE = LASTS + TOLERANCE + 2 * CLOCK_SKEW_MAX + timedelta(seconds=1)

Seconds = Callable[[], float]


@pytest.fixture(scope="module")
def lasting_client() -> Iterator[Any]:
    with tables("ops") as dynamodb:
        yield dynamodb


@pytest.fixture
def client(lasting_client: Any) -> Any:
    emptied()
    return lasting_client


def emptied() -> None:
    dynamodb_backends["123456789012"]["eu-west-1"].tables[TABLE].items.clear()


def stored() -> dict[str, dict[str, Any]]:
    table = dynamodb_backends["123456789012"]["eu-west-1"].tables[TABLE]
    return {
        item.hash_key.value: from_item(item.to_json()["Attributes"]) for item in table.all_items()
    }


class Time:
    """The true time, and what a machine whose clock is off makes of it."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def clock(self, off_by: timedelta = timedelta()) -> Callable[[], datetime]:
        return lambda: NOON + self.passed + off_by

    def seconds(self) -> float:
        return self.passed.total_seconds()


def locked(client: Any, time: Time, off_by: timedelta = timedelta()) -> LeaseLock:
    return LeaseLock(
        client, TABLE, "counting", lasts=LASTS, now=time.clock(off_by), monotonic=time.seconds
    )


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

    def test_a_released_lock_remembers_its_token(self, client: Any) -> None:
        lock = locked(client, Time())
        lock.release(lock.acquire())

        assert stored()["LOCK#counting"] == {"pk": "LOCK#counting", "sk": "LOCK", "token": 1}

    def test_nothing_of_a_lock_ever_expires_by_itself(self, client: Any) -> None:
        locked(client, Time()).acquire()

        assert "expires_at" not in stored()["LOCK#counting"]

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


# How a contender counts: it reads, thinks, and writes what it read and one more.
Counting = Callable[[Any, LeaseLock, Lease], None]


def _write(client: Any, number: int, token: int, condition: str | None, change: str) -> None:
    client.update_item(
        TableName=TABLE,
        Key=to_item(RESOURCE),
        UpdateExpression=change,
        ExpressionAttributeNames={
            "#n": "n",
            **({"#fence": FENCE} if ":token" in change + str(condition) else {}),
        },
        ExpressionAttributeValues=to_item(
            {":n": number, **({":token": token} if ":token" in change + str(condition) else {})}
        ),
        **({"ConditionExpression": condition} if condition else {}),
    )


def _read(client: Any) -> int:
    answer = client.get_item(TableName=TABLE, Key=to_item(RESOURCE), ConsistentRead=True)
    return int(from_item(answer.get("Item", {})).get("n", 0))


def enters_and_writes_behind_the_fence(client: Any, lock: LeaseLock, lease: Lease) -> None:
    number = enter(client, TABLE, RESOURCE, lease).get("n", 0)
    lock.require(lock.renew(lease))
    _write(client, number + 1, lease.token, IS_MINE, "SET #n = :n")


def has_only_the_lease(client: Any, lock: LeaseLock, lease: Lease) -> None:
    number = _read(client)
    lock.require(lock.renew(lease))
    _write(client, number + 1, lease.token, None, "SET #n = :n")


def shows_its_token_only_when_it_writes(client: Any, lock: LeaseLock, lease: Lease) -> None:
    number = _read(client)
    lock.require(lock.renew(lease))
    condition = "attribute_not_exists(#fence) OR #fence <= :token"
    _write(client, number + 1, lease.token, condition, "SET #n = :n, #fence = :token")


class Contest:
    """Two who count, each with a clock of its own, and what may never happen to them."""

    def __init__(
        self,
        client: Any,
        counting: Counting,
        off_by: tuple[timedelta, timedelta],
        tick: timedelta,
        lock_of: Callable[..., LeaseLock] = locked,
    ) -> None:
        emptied()
        self._time = Time()
        self._tick = tick
        self._client = client
        self._counting = counting
        self._locks = [lock_of(client, self._time, each) for each in off_by]
        self._counted = 0
        self._read_by: set[int] = set()
        self._tokens: dict[str, int] = {}
        self._held_until: dict[str, timedelta] = {}
        self._wrong: set[str] = set()
        self.contenders = {
            name: self._work(lock) for name, lock in zip("AB", self._locks, strict=True)
        }

    def _work(self, lock: LeaseLock) -> Callable[[], None]:
        def work() -> None:
            try:
                lease = lock.acquire()
                self._counting(self._client, lock, lease)
                lock.release(lease)
            except (LeaseHeldError, LeaseLostError):
                return
            except Exception as error:  # noqa: BLE001 - a lost answer, or a write that was refused
                assert isinstance(error, ClientError) or "Read timeout" in str(error), error

        return work

    def let_time_pass(self) -> None:
        self._time.passed += self._tick

    def done(self, name: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        change = request.get("UpdateExpression", "")
        if "#leased_until = :until" in change:
            self._took(name, from_item(answer["Attributes"])["token"], "ADD" in change)
        elif change.startswith("REMOVE"):
            self._held_until.pop(name, None)
        elif "#n = :n" in change:
            self._wrote(name, from_item(request["ExpressionAttributeValues"])[":n"])
        elif request["Key"] == to_item(RESOURCE):
            self._read_by.add(self._tokens[name])

    def _took(self, name: str, token: int, is_new: bool) -> None:
        if is_new:
            if token in self._tokens.values():
                self._wrong.add("a token was given twice")
            for other, until in self._held_until.items():
                if other != name and until > self._time.passed:
                    self._wrong.add("two held the lock at once")
        self._tokens[name] = token
        self._held_until[name] = self._time.passed + LASTS

    def _wrote(self, name: str, number: int) -> None:
        if number != self._counted + 1:
            self._wrong.add("an update was lost")
        if any(token > self._tokens[name] for token in self._read_by):
            self._wrong.add("a holder wrote after a later one had read")
        self._counted = number

    def state(self) -> Hashable:
        return (
            repr(sorted(stored().items())),
            self._time.passed,
            self._counted,
            tuple(sorted(self._read_by)),
            tuple(sorted(self._tokens.items())),
            tuple(sorted(self._held_until.items())),
            tuple(sorted(self._wrong)),
        )

    def wrong(self) -> set[str]:
        return set(self._wrong)

    def wrong_in_the_end(self) -> set[str]:
        """Let a newcomer count, once all leases are over."""
        self._time.passed += A_LONG_PAUSE
        lock = self._locks[0]
        enters_and_writes_behind_the_fence(self._client, lock, lock.acquire())
        return set() if _read(self._client) == self._counted + 1 else {"the newcomer was refused"}


SKEWS = {
    "true clocks": (0, 0),
    "the first fast, the second slow": (30, -30),
    "the first slow, the second fast": (-30, 30),
}


@pytest.fixture
def contest(client: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Explored]:
    """Explore a contest; owners are numbered, so that a schedule can be played again."""

    def run(
        counting: Counting,
        *,
        skew: str = "true clocks",
        tick: timedelta = A_LONG_PAUSE,
        ticks: int = 2,
        faults: int = 0,
        **kind: Any,
    ) -> Explored:
        off_by = tuple(timedelta(seconds=seconds) for seconds in SKEWS[skew])

        def make() -> Contest:
            numbers = itertools.count(1)
            monkeypatch.setattr(lease_module, "new_id", lambda prefix: f"{prefix}_{next(numbers)}")
            return Contest(client, counting, off_by, tick, **kind)

        explored = explore(make, ticks=ticks, faults=faults)
        print(counting.__name__, skew, explored.schedules, explored.states, explored.wrong)
        return explored

    return run


@pytest.mark.parametrize("skew", SKEWS)
def test_a_holder_paused_past_its_lease_cannot_write_in_any_schedule_of_two(
    contest: Callable[..., Explored], skew: str
) -> None:
    explored = contest(enters_and_writes_behind_the_fence, skew=skew)

    assert explored.wrong == {}
    assert explored.schedules > 1000


@pytest.mark.parametrize("skew", SKEWS)
def test_nor_where_one_dies_loses_an_answer_or_is_repeated_at_any_call(
    contest: Callable[..., Explored], skew: str
) -> None:
    explored = contest(enters_and_writes_behind_the_fence, skew=skew, faults=1)

    assert explored.wrong == {}
    assert explored.schedules > 10000


@pytest.mark.parametrize("counting", [has_only_the_lease, shows_its_token_only_when_it_writes])
def test_a_lease_alone_and_a_token_shown_only_at_the_write_lose_updates(
    contest: Callable[..., Explored], counting: Counting
) -> None:
    explored = contest(counting)

    assert "an update was lost" in explored.wrong

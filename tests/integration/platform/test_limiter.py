"""What somebody may do only so often: never once more, in no order of events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.schedules import every_schedule
from tests.integration.tables import tables
from tradepost.kernel.errors import UnavailableError
from tradepost.platform.limiter import Limit, Limiter, TooManyRequestsError

NOW = datetime(2026, 2, 3, 12, 7, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
THREE_A_MINUTE = Limit(3, MINUTE)


@pytest.fixture
def client() -> Iterator[Any]:
    with tables("users") as dynamodb:
        yield dynamodb


@pytest.fixture
def limiter(client: Any) -> Limiter:
    return Limiter(client, "users")


def admitted(limiter: Limiter, now: datetime = NOW, limit: Limit = THREE_A_MINUTE) -> bool:
    try:
        limiter.admit("somebody", limit, now)
    except TooManyRequestsError:
        return False
    return True


def emptied(client: Any) -> None:
    for item in client.scan(TableName="users")["Items"]:
        client.delete_item(TableName="users", Key={"pk": item["pk"], "sk": item["sk"]})


def test_as_many_as_may_be_are_let_through_and_no_more(limiter: Limiter) -> None:
    assert [admitted(limiter) for _ in range(5)] == [True, True, True, False, False]


def test_the_next_window_is_as_large_and_the_refusal_says_when_it_begins(limiter: Limiter) -> None:
    for _ in range(3):
        admitted(limiter)

    with pytest.raises(TooManyRequestsError) as refused:
        limiter.admit("somebody", THREE_A_MINUTE, NOW)

    assert refused.value.retry_after_seconds == 30
    assert not admitted(limiter, NOW + timedelta(seconds=29))
    assert admitted(limiter, NOW + timedelta(seconds=30))


def test_somebody_else_is_counted_apart(limiter: Limiter) -> None:
    for _ in range(3):
        admitted(limiter)

    limiter.admit("somebody else", THREE_A_MINUTE, NOW)


def test_of_fifty_at_once_exactly_as_many_as_may_be_are_let_through(limiter: Limiter) -> None:
    limit = Limit(20, MINUTE)
    start = threading.Barrier(50)

    def one(_: int) -> bool:
        start.wait()
        return admitted(limiter, limit=limit)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))

    assert sum(answers) == 20


def test_in_no_order_of_calls_is_one_more_let_through(client: Any) -> None:
    """A full row that nobody has added to for a day: it begins anew, for one."""

    def begin() -> None:
        emptied(client)
        Limiter(client, "users").admit_in_a_row("somebody", 1, DAY, NOW)

    def one(watched: Any) -> bool:
        return Limiter(watched, "users").admit_in_a_row("somebody", 1, DAY, NOW + DAY)

    outcomes = list(every_schedule(client, begin, [one, one]))

    assert len(outcomes) > 5
    assert {sum(outcome) for outcome in outcomes} == {1}


def test_a_row_goes_on_until_one_succeeds(limiter: Limiter) -> None:
    def one(now: datetime = NOW) -> bool:
        return limiter.admit_in_a_row("somebody", 2, DAY, now)

    # Each attempt keeps the row alive for a day more.
    assert [one(), one(NOW + timedelta(hours=23)), one(NOW + timedelta(hours=46))] == [
        True,
        True,
        False,
    ]
    limiter.end_row("somebody")
    assert one(NOW + timedelta(hours=46))


def test_a_write_whose_answer_was_lost_lets_nobody_through_twice(client: Any) -> None:
    class Repeating:
        def update_item(self, **request: Any) -> Any:
            client.update_item(**request)
            return client.update_item(**request)

    limiter = Limiter(Repeating(), "users")  # type: ignore[arg-type]

    assert sum(admitted(limiter) for _ in range(5)) <= 3


def test_nobody_is_let_through_when_the_table_does_not_answer() -> None:
    class Down:
        def update_item(self, **_request: Any) -> Any:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")

    with pytest.raises(UnavailableError):
        admitted(Limiter(Down(), "users"))  # type: ignore[arg-type]

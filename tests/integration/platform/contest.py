"""Two who count under a lock: what may never happen to them, and ways to do it wrong."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from moto.dynamodb.models import dynamodb_backends

from tests.integration.platform.schedules import Perform, unstopped
from tests.simulation.aws.dynamodb import DynamoDB
from tests.simulation.aws.tables import Table
from tradepost.platform.dynamodb import from_item, to_item
from tradepost.platform.lease import (
    CLOCK_SKEW,
    FENCE,
    IS_MINE,
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
A_LONG_PAUSE = LASTS + TOLERANCE + 2 * CLOCK_SKEW + timedelta(seconds=1)


class Time:
    """The true time, and what a machine whose clock is off makes of it."""

    def __init__(self) -> None:
        self.passed = timedelta()

    def clock(self, off_by: timedelta = timedelta()) -> Callable[[], datetime]:
        return lambda: NOON + self.passed + off_by

    def seconds(self) -> float:
        return self.passed.total_seconds()


def locked(
    client: Any,
    time: Time,
    off_by: timedelta = timedelta(),
    lock: type[LeaseLock] = LeaseLock,
) -> LeaseLock:
    return lock(
        client, TABLE, "counting", lasts=LASTS, now=time.clock(off_by), monotonic=time.seconds
    )


class Moto:
    """The table on moto, through a client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._table = dynamodb_backends["123456789012"]["eu-west-1"].tables[TABLE]
        self._table.items.clear()

    def perform(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = unstopped(self._client, operation, request)
        return answer

    def items(self) -> list[dict[str, Any]]:
        return [from_item(item.to_json()["Attributes"]) for item in self._table.all_items()]


class Model:
    """The table on the simulation's model of DynamoDB: the same answers in less time."""

    def __init__(self, _client: Any) -> None:
        keys = {"pk": "HASH", "sk": "RANGE"}
        properties = {
            "KeySchema": [{"AttributeName": n, "KeyType": kind} for n, kind in keys.items()],
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in keys],
        }
        self._model = DynamoDB(NOON.timestamp)
        self._table = self._model.tables[TABLE] = Table.described(TABLE, properties)

    def perform(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return self._model.call(operation, request)

    def items(self) -> list[dict[str, Any]]:
        return [from_item(item) for item in self._table]


# How a contender counts: it reads, thinks, and writes one more than it read.
Counting = Callable[[Any, LeaseLock, Lease], None]


def behind_the_fence(client: Any, lock: LeaseLock, lease: Lease) -> None:
    number = enter(client, TABLE, RESOURCE, lease).get("n", 0)
    lock.require(lock.renew(lease))
    client.update_item(
        TableName=TABLE,
        Key=to_item(RESOURCE),
        UpdateExpression="SET #n = :n",
        ConditionExpression=IS_MINE,
        ExpressionAttributeNames={"#n": "n", "#fence": FENCE},
        ExpressionAttributeValues=to_item({":n": number + 1, ":token": lease.token}),
    )


def with_the_lease_alone(client: Any, lock: LeaseLock, lease: Lease) -> None:
    number = _read(client)
    lock.require(lock.renew(lease))
    client.update_item(
        TableName=TABLE,
        Key=to_item(RESOURCE),
        UpdateExpression="SET #n = :n",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues=to_item({":n": number + 1}),
    )


def showing_the_token_only_when_writing(client: Any, lock: LeaseLock, lease: Lease) -> None:
    number = _read(client)
    lock.require(lock.renew(lease))
    client.update_item(
        TableName=TABLE,
        Key=to_item(RESOURCE),
        UpdateExpression="SET #n = :n, #fence = :token",
        ConditionExpression="attribute_not_exists(#fence) OR #fence <= :token",
        ExpressionAttributeNames={"#n": "n", "#fence": FENCE},
        ExpressionAttributeValues=to_item({":n": number + 1, ":token": lease.token}),
    )


def by_version_without_any_lock(client: Any, _lock: LeaseLock, _lease: Lease) -> None:
    number = _read(client)
    client.update_item(
        TableName=TABLE,
        Key=to_item(RESOURCE),
        UpdateExpression="SET #n = :n",
        ConditionExpression="#n = :read OR (:read = :none AND attribute_not_exists(#n))",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues=to_item({":n": number + 1, ":read": number, ":none": 0}),
    )


def _read(client: Any) -> int:
    answer = client.get_item(TableName=TABLE, Key=to_item(RESOURCE), ConsistentRead=True)
    return int(from_item(answer.get("Item", {})).get("n", 0))


class ForgetfulLock(LeaseLock):
    """A lock that is deleted when it is released, and so begins its tokens anew."""

    def release(self, lease: Lease) -> None:
        self._client.delete_item(
            TableName=TABLE, Key=to_item({"pk": "LOCK#counting", "sk": "LOCK"})
        )


LOST = "an update was lost"
STALE = "a holder wrote after a later one had read"
TWICE = "a token was given twice"
BOTH = "two held the lock at once"
SHUT_OUT = "the newcomer was refused"


class Contest:
    """Two who count, each with a clock of its own."""

    def __init__(
        self,
        client: Any,
        counting: Counting,
        *,
        off_by: tuple[int, int],
        tick: timedelta,
        table: Callable[[Any], Model | Moto] = Model,
        lock: type[LeaseLock] = LeaseLock,
    ) -> None:
        self._table = table(client)
        self.perform = self._table.perform
        self._client = client
        self._counting = counting
        self._tick = tick
        self._time = Time()
        self._off_by = dict(zip("AB", off_by, strict=True))
        self._counted = 0
        self._last_write: tuple[str, int] | None = None
        self._read_by: frozenset[int] = frozenset()
        self._tokens: dict[str, int] = {}
        self._held_until: dict[str, timedelta] = {}
        self._wrong: frozenset[str] = frozenset()
        self.contenders = {
            name: self._work(locked(client, self._time, timedelta(seconds=seconds), lock))
            for name, seconds in zip("AB", off_by, strict=True)
        }

    def _work(self, lock: LeaseLock) -> Callable[[], None]:
        def work() -> None:
            try:
                lease = lock.acquire()
                self._counting(self._client, lock, lease)
                lock.release(lease)
            # Refused, in one way or another, or left without an answer: it gives up.
            except (LeaseHeldError, LeaseLostError, ClientError, ReadTimeoutError):
                return

        return work

    def let_time_pass(self) -> None:
        self._time.passed += self._tick

    def done(self, name: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        change = request.get("UpdateExpression", "")
        if "#leased_until = :until" in change:
            taken = from_item(answer["Attributes"])
            self._took(name, taken["token"], taken["leased_until"], is_new="ADD" in change)
        elif change.startswith("REMOVE"):
            self._held_until.pop(name, None)
        elif "#n = :n" in change:
            self._wrote(name, from_item(request["ExpressionAttributeValues"])[":n"])
        elif request["Key"] == to_item(RESOURCE):
            self._read_by |= {self._tokens[name]}

    def _took(self, name: str, token: int, until_ms: int, *, is_new: bool) -> None:
        if is_new:
            others = {other: until for other, until in self._held_until.items() if other != name}
            if token in self._tokens.values():
                self._wrong |= {TWICE}
            if any(until > self._time.passed for until in others.values()):
                self._wrong |= {BOTH}
        self._tokens[name] = token
        # On the true clock: what a holder is sure of begins when it asks, not when it is answered.
        self._held_until[name] = timedelta(milliseconds=until_ms) - timedelta(
            seconds=NOON.timestamp() + self._off_by[name]
        )

    def _wrote(self, name: str, number: int) -> None:
        if (name, number) == self._last_write:
            return  # the SDK repeated it, and it says the same
        if number != self._counted + 1:
            self._wrong |= {LOST}
        if any(token > self._tokens[name] for token in self._read_by):
            self._wrong |= {STALE}
        self._counted = number
        self._last_write = (name, number)

    def state(self) -> Hashable:
        return (
            repr(self._table.items()),
            self._time.passed,
            self._last_write,
            self._read_by,
            tuple(sorted(self._tokens.items())),
            tuple(sorted(self._held_until.items())),
            self._wrong,
        )

    def wrong(self) -> frozenset[str]:
        return self._wrong

    def wrong_in_the_end(self) -> frozenset[str]:
        """Let somebody new take the lock, once all leases are over: nobody's death bars it."""
        late = Time()
        late.passed = self._time.passed + A_LONG_PAUSE
        try:
            taken = locked(_Direct(self.perform), late).acquire()
        except LeaseHeldError:
            return frozenset({SHUT_OUT})
        return frozenset() if taken.token > max(self._tokens.values(), default=0) else {TWICE}


class _Direct:
    """A client whose calls nobody stops."""

    def __init__(self, perform: Perform) -> None:
        self._perform = perform

    def update_item(self, **request: Any) -> dict[str, Any]:
        return self._perform("UpdateItem", request)

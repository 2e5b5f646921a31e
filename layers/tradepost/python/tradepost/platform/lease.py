"""A lease on a name, for work that one at a time may do; and the fence that makes it safe.

A lock keeps nobody from writing: its holder may be paused, and wake when the lock is another's. So
each lease has a token, a number that only grows. Its holder installs the token at the resource
before reading it (`enter`), and writes only while the resource still has that token (`IS_MINE`).
Checking it at the write alone is not enough: docs/locks.md shows how an update is lost then.

    pk            sk     attributes
    LOCK#<name>   LOCK   owner, token, leased_until (ms)

The item is never deleted, and has no `expires_at` by which DynamoDB would delete it: the token
must not begin anew. A lock that is free has no owner.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tradepost.kernel.clock import Clock, utc_now
from tradepost.kernel.errors import ConflictError
from tradepost.kernel.ids import new_id
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# How far a machine's clock may be from the true time. A lease is another's to take only when it
# is over on every clock that is no further off (reliability rule R12: twice the skew). A function
# does not live long enough to watch a lock stay unchanged for a lease, which needs no clocks.
CLOCK_SKEW = timedelta(seconds=30)
TOLERANCE = 2 * CLOCK_SKEW

# A holder stops this long before its lease is over: longer than a call of DynamoDB with its
# repetitions, so that what it has begun it has also ended.
SAFETY_MARGIN = timedelta(seconds=10)

FENCE = "fence"
# The condition of a write to a resource that was entered: with `#fence` and `:token`.
IS_MINE = "#fence = :token"

# The same token is the same holder, whose answer was lost.
_IS_NO_OLDER = "attribute_not_exists(#fence) OR #fence <= :token"
_IS_FREE = "attribute_not_exists(#owner) OR #leased_until < :long_ago"
_IS_HELD_BY_ME = "#owner = :owner AND #token = :token"
# Each change and its condition together name all three.
_NAMES = {"#owner": "owner", "#leased_until": "leased_until", "#token": "token"}


class LeaseHeldError(ConflictError):
    """Somebody else is at it. Nothing was done."""

    code = "work_in_progress"

    def __init__(self, name: str) -> None:
        super().__init__(f"somebody else is at work on {name}; try again when they are done")


class LeaseLostError(ConflictError):
    """The lease is over, or nearly, or another's: stop, and leave the rest to whoever has it."""

    code = "lease_lost"

    def __init__(self, name: str) -> None:
        super().__init__(f"the lease on {name} is over")


@dataclass(frozen=True, slots=True)
class Lease:
    """`over_at` is on the holder's own monotonic clock, counted from before it was asked for."""

    name: str
    owner: str
    token: int
    over_at: float


class LeaseLock:
    """One lock in a table. Its holder calls `renew` well within `lasts`, and `release` at the end.

    `monotonic` tells seconds; only differences of it are used.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        name: str,
        *,
        lasts: timedelta,
        now: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        assert lasts > 2 * SAFETY_MARGIN, "a lease must leave time to work"
        self._client = client
        self._table = table
        self._name = name
        self._lasts = lasts
        self._now = now
        self._monotonic = monotonic

    def acquire(self) -> Lease:
        """Take the lock if nobody has it, or whoever had it is long over their time.

        Raises
        ------
        LeaseHeldError
            Somebody has it.
        """
        owner = new_id("own")
        begun = self._monotonic()
        now = self._now()
        try:
            stored = self._update(
                "SET #owner = :owner, #leased_until = :until ADD #token :one",
                _IS_FREE,
                {
                    ":owner": owner,
                    ":until": _milliseconds(now + self._lasts),
                    ":long_ago": _milliseconds(now - TOLERANCE),
                    ":one": 1,
                },
            )
        except ClientError as error:
            stored = failed_conditions(error)[0] or {}
            # The SDK repeats a call whose answer was lost: then the lock is held by this very call.
            if stored.get("owner") != owner:
                raise LeaseHeldError(self._name) from error
        return Lease(self._name, owner, stored["token"], begun + self._lasts.total_seconds())

    def renew(self, lease: Lease) -> Lease:
        """Have the lease last anew, as long as nobody has taken the lock. Safe to repeat.

        Raises
        ------
        LeaseLostError
            Another has it, or had it meanwhile.
        """
        begun = self._monotonic()
        try:
            self._update(
                "SET #leased_until = :until",
                _IS_HELD_BY_ME,
                {
                    ":owner": lease.owner,
                    ":token": lease.token,
                    ":until": _milliseconds(self._now() + self._lasts),
                },
            )
        except ClientError as error:
            failed_conditions(error)
            raise LeaseLostError(self._name) from error
        return replace(lease, over_at=begun + self._lasts.total_seconds())

    def require(self, lease: Lease) -> None:
        """Raise LeaseLostError unless the lease lasts for another safety margin: ask no one."""
        if self._monotonic() > lease.over_at - SAFETY_MARGIN.total_seconds():
            raise LeaseLostError(self._name)

    def release(self, lease: Lease) -> None:
        """Leave the lock to whoever comes next. Nothing happens if it is another's already."""
        try:
            self._update(
                "REMOVE #owner, #leased_until",
                _IS_HELD_BY_ME,
                {":owner": lease.owner, ":token": lease.token},
            )
        except ClientError as error:
            failed_conditions(error)

    def _update(self, change: str, condition: str, values: Item) -> Item:
        answer = self._client.update_item(
            TableName=self._table,
            Key=to_item({"pk": f"LOCK#{self._name}", "sk": "LOCK"}),
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeNames=_NAMES,
            ExpressionAttributeValues=to_item(values),
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        return from_item(answer["Attributes"])


def enter(client: DynamoDBClient, table: str, key: dict[str, str], lease: Lease) -> Item:
    """Install the lease's token at a resource, and read it as it stands behind that fence.

    From then on no holder of an older lease can write to it. Safe to repeat. What was not there
    comes into being with its keys and the fence alone.

    Raises
    ------
    LeaseLostError
        A later lease has been there.
    """
    try:
        answer = client.update_item(
            TableName=table,
            Key=to_item(key),
            UpdateExpression="SET #fence = :token",
            ConditionExpression=_IS_NO_OLDER,
            ExpressionAttributeNames={"#fence": FENCE},
            ExpressionAttributeValues=to_item({":token": lease.token}),
            ReturnValues="ALL_NEW",
        )
    except ClientError as error:
        failed_conditions(error)
        raise LeaseLostError(lease.name) from error
    return from_item(answer["Attributes"])


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)

"""
Counting what somebody may do only so often: exact, however many try at once.

    pk                            sk      attributes
    LIMIT#<subject>#<window>      LIMIT   count, expires_at
    LIMIT#<subject>               LIMIT   count, expires_at: in a row, until one succeeds

The count and its bound are one conditional write, so that no schedule lets one more through. A
write that the SDK repeats, because the answer to the first was lost, may count twice: a caller is
then refused one earlier, never one later. Windows follow each other and share nothing; whoever
waits for their border may be let through twice the bound around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tradepost.kernel.clock import epoch_seconds
from tradepost.kernel.errors import DomainError
from tradepost.platform.dynamodb import failed_conditions, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LEAVES_ROOM = "attribute_not_exists(#count) OR #count < :max"
_LEAVES_ROOM_IN_THE_ROW = "attribute_not_exists(#count) OR (#count < :max AND #expires_at > :now)"
_HAS_COUNTED = "#count >= :one"
_IS_THE_ROW_THAT_WAS_READ = "#expires_at = :read"


class TooManyRequestsError(DomainError):
    """Refused for now: nothing was looked at."""

    code = "too_many_requests"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"too many of these; try again in {retry_after_seconds} seconds")
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """`count_max` in each window. Windows are aligned to 1970, so that nobody keeps a start."""

    count_max: int
    window: timedelta

    def window_of(self, now: datetime) -> int:
        return epoch_seconds(now) // int(self.window.total_seconds())

    def over_at(self, now: datetime) -> int:
        """Tell when the present window ends, in seconds since 1970."""
        return (self.window_of(now) + 1) * int(self.window.total_seconds())


class Limiter:
    """Counts in one table."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def admit(self, subject: str, limit: Limit, now: datetime) -> None:
        """Count one more of `subject` in the present window.

        Raises
        ------
        TooManyRequestsError
            There were as many as may be. It says when the next window begins.
        """
        over_at = limit.over_at(now)
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_key(f"{subject}#{limit.window_of(now)}")),
                UpdateExpression="SET #expires_at = :over_at ADD #count :one",
                ConditionExpression=_LEAVES_ROOM,
                ExpressionAttributeNames={"#count": "count", "#expires_at": "expires_at"},
                ExpressionAttributeValues=to_item(
                    {":one": 1, ":max": limit.count_max, ":over_at": over_at}
                ),
            )
        except ClientError as error:
            failed_conditions(error)
            raise TooManyRequestsError(max(over_at - epoch_seconds(now), 1)) from error

    def give_back(self, subject: str, limit: Limit, admitted_at: datetime) -> None:
        """Take back what `admit` counted at that moment: it was not one of those to be counted."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_key(f"{subject}#{limit.window_of(admitted_at)}")),
                UpdateExpression="ADD #count :less",
                ConditionExpression=_HAS_COUNTED,
                ExpressionAttributeNames={"#count": "count"},
                ExpressionAttributeValues=to_item({":less": -1, ":one": 1}),
            )
        except ClientError as error:
            # The window is over, and its count was deleted.
            failed_conditions(error)

    def admit_in_a_row(self, subject: str, count_max: int, kept: timedelta, now: datetime) -> bool:
        """Count one more of `subject` since the last `end_row`; False if that is too many.

        A row that nobody has added to for as long as it is `kept` begins anew.
        """
        until = epoch_seconds(now + kept)
        while True:
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_item(_key(subject)),
                    UpdateExpression="SET #expires_at = :until ADD #count :one",
                    ConditionExpression=_LEAVES_ROOM_IN_THE_ROW,
                    ExpressionAttributeNames={"#count": "count", "#expires_at": "expires_at"},
                    ExpressionAttributeValues=to_item(
                        {
                            ":one": 1,
                            ":max": count_max,
                            ":until": until,
                            ":now": epoch_seconds(now),
                        }
                    ),
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                stored = failed_conditions(error)[0] or {}
                if stored.get("expires_at", 0) > epoch_seconds(now):
                    return False
                # DynamoDB deletes what has expired when it likes.
                self._begin_row_anew(subject, stored.get("expires_at", 0))
                continue
            return True

    def end_row(self, subject: str) -> None:
        """Begin counting anew: one has succeeded."""
        # unconditional: whoever succeeds ends whatever row there is.
        self._client.delete_item(TableName=self._table, Key=to_item(_key(subject)))

    def _begin_row_anew(self, subject: str, read: int) -> None:
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=to_item(_key(subject)),
                ConditionExpression=_IS_THE_ROW_THAT_WAS_READ,
                ExpressionAttributeNames={"#expires_at": "expires_at"},
                ExpressionAttributeValues=to_item({":read": read}),
            )
        except ClientError as error:
            # Somebody else did, and has begun counting.
            failed_conditions(error)


def _key(subject: str) -> dict[str, str]:
    return {"pk": f"LIMIT#{subject}", "sk": "LIMIT"}

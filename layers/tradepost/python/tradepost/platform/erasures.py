"""
Whom a context has still to forget: a person is gone at once, what runs for them is finished first.

    pk                sk        attributes
    ERASURE#<user>    ERASURE   user_id, asked_at, and while something may be left the keys of a
                                sparse index (see tradepost.platform.due)

Nothing of a person is looked for before their last access token has expired, so that nobody
brings anything back behind the one who forgets it. The item stays: it says that nobody comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tradepost.kernel.clock import from_text, to_text
from tradepost.platform.due import BUCKETS, DueIndex
from tradepost.platform.dynamodb import Item, failed_conditions, get_all, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# An access token lives for 15 minutes, an authorizer's answer for one more; clocks differ by less
# than the rest.
ERASED_AFTER = timedelta(minutes=20)

# How long what still runs is left alone before it is looked at again.
LOOKED_AT_EVERY = timedelta(hours=1)

# What one sweep forgets; the rest waits for the next minute.
_PER_SWEEP = 80

_IS_NEW = "attribute_not_exists(pk)"
_IS_THERE = "attribute_exists(pk)"
_KIND = "ERASURE"


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person to be forgotten, and when they asked for it."""

    user_id: str
    asked_at: datetime


class Erasures:
    """The people to be forgotten, in a context's own table."""

    def __init__(self, client: DynamoDBClient, table: str, index: DueIndex) -> None:
        self._client = client
        self._table = table
        self._index = index

    def put(self, user_id: str, asked_at: datetime) -> Any:
        """Build the transaction's write that remembers whom to forget."""
        item = {**_key(user_id), "user_id": user_id, "asked_at": to_text(asked_at)}
        return {
            "Put": {
                "TableName": self._table,
                "Item": to_item({**item, **self._due(user_id, asked_at + ERASED_AFTER)}),
                "ConditionExpression": _IS_NEW,
            }
        }

    def begin(self, user_id: str, asked_at: datetime) -> None:
        """Remember whom to forget. Safe to repeat, also when it is done."""
        try:
            self._client.put_item(**self.put(user_id, asked_at)["Put"])
        except ClientError as error:
            failed_conditions(error)

    def due(self, now: datetime) -> list[Erasure]:
        """Tell whom to forget now."""
        found = self._index.read(self._client, self._table, _KIND, now, _PER_SWEEP // BUCKETS)
        # The index may hold the keys only.
        items = get_all(
            self._client, self._table, [{"pk": item["pk"], "sk": item["sk"]} for item in found]
        )
        return [Erasure(item["user_id"], from_text(item["asked_at"])) for item in items]

    def postpone(self, user_id: str, now: datetime) -> None:
        """Look again later: something of theirs still runs."""
        self._update(user_id, "SET #bucket = :bucket, #moment = :moment", now + LOOKED_AT_EVERY)

    def finish(self, user_id: str) -> None:
        """Look no more: nothing is left."""
        self._update(user_id, "REMOVE #bucket, #moment", None)

    def _update(self, user_id: str, change: str, moment: datetime | None) -> None:
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": to_item(_key(user_id)),
            "UpdateExpression": change,
            "ConditionExpression": _IS_THERE,
            "ExpressionAttributeNames": {
                "#bucket": self._index.bucket,
                "#moment": self._index.moment,
            },
        }
        if moment is not None:
            due = self._due(user_id, moment)
            request["ExpressionAttributeValues"] = to_item(
                {":bucket": due[self._index.bucket], ":moment": due[self._index.moment]}
            )
        self._client.update_item(**request)

    def _due(self, user_id: str, moment: datetime) -> Item:
        return self._index.keys(_KIND, user_id, moment)


def _key(user_id: str) -> dict[str, str]:
    return {"pk": f"ERASURE#{user_id}", "sk": "ERASURE"}

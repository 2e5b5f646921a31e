"""
The turn to reconcile and the record of the runs, in the table `ops`.

    pk                    sk         attributes
    LOCK#reconciliation   LOCK       see tradepost.platform.lease
    RECONCILIATION        PROGRESS   fence, compared_until, run, position (JSON)
    RUNS                  <run id>   a run, expires_at

What guards the work is the fence at the progress: every page is written down there, together with
its run, under the token of the one whose turn it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ops.model import Listing, Position
from ops.ports import Turn
from ops.runs import Progress, Run, RunKind
from tradepost.kernel.clock import (
    epoch_seconds,
    from_text,
    from_text_if_any,
    to_text,
    to_text_if_any,
)
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.lease import FENCE, IS_MINE, LeaseLock, LeaseLostError, enter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LOCK = "reconciliation"
# A page of a hundred orders asks four functions about each: seconds, and a minute at the worst.
LEASE = timedelta(minutes=5)
# As long as CloudWatch keeps the log lines that say what was found.
RUN_KEPT = timedelta(days=90)

_PROGRESS = {"pk": "RECONCILIATION", "sk": "PROGRESS"}
# A run is written by whoever has the turn, page after page; its id is nobody else's.
_IS_THIS_RUN = "attribute_not_exists(pk) OR #begun_at = :begun_at"


class DynamoDBTurns:
    """Satisfies `ports.Turns`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    @contextmanager
    def taken(self) -> Iterator[Turn]:
        lock = LeaseLock(self._client, self._table, LOCK, lasts=LEASE)
        turn = _DynamoDBTurn(self._client, self._table, lock)
        try:
            yield turn
        finally:
            turn.leave()

    def runs(
        self, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Run], dict[str, str] | None]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :runs",
            "ExpressionAttributeValues": to_item({":runs": "RUNS"}),
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if after is not None:
            request["ExclusiveStartKey"] = to_item(after)
        answer = self._client.query(**request)
        last = answer.get("LastEvaluatedKey")
        found = [_to_run(from_item(item)) for item in answer["Items"]]
        return found, from_item(last) if last else None


class _DynamoDBTurn:
    """Satisfies `ports.Turn`."""

    def __init__(self, client: DynamoDBClient, table: str, lock: LeaseLock) -> None:
        self._client = client
        self._table = table
        self._lock = lock
        self._lease = lock.acquire()
        # Behind the fence from here on: whoever had the turn before can write no more.
        self.progress = _to_progress(enter(client, table, _PROGRESS, self._lease))

    def require(self) -> None:
        self._lock.require(self._lease)

    def leave(self) -> None:
        self._lock.release(self._lease)

    def record(self, run: Run, progress: Progress | None = None) -> None:
        self._lease = self._lock.renew(self._lease)
        try:
            self._client.transact_write_items(
                TransactItems=[self._kept(progress), {"Put": self._put(run)}]
            )
        except ClientError as error:
            failed_conditions(error)
            raise LeaseLostError(LOCK) from error

    def _kept(self, progress: Progress | None) -> Any:
        behind_the_fence: Any = {
            "TableName": self._table,
            "Key": to_item(_PROGRESS),
            "ConditionExpression": IS_MINE,
            "ExpressionAttributeNames": {"#fence": FENCE},
            "ExpressionAttributeValues": to_item({":token": self._lease.token}),
        }
        if progress is None:
            return {"ConditionCheck": behind_the_fence}
        values = _progress_item(progress)
        behind_the_fence["UpdateExpression"] = "SET " + ", ".join(f"#{n} = :{n}" for n in values)
        behind_the_fence["ExpressionAttributeNames"] |= {f"#{name}": name for name in values}
        behind_the_fence["ExpressionAttributeValues"] |= to_item(
            {f":{name}": value for name, value in values.items()}
        )
        return {"Update": behind_the_fence}

    def _put(self, run: Run) -> Any:
        expires_at = epoch_seconds(run.begun_at + RUN_KEPT)
        item = {"pk": "RUNS", "sk": run.run_id, **_run_item(run), "expires_at": expires_at}
        return {
            "TableName": self._table,
            "Item": to_item(item),
            "ConditionExpression": _IS_THIS_RUN,
            "ExpressionAttributeNames": {"#begun_at": "begun_at"},
            "ExpressionAttributeValues": to_item({":begun_at": to_text(run.begun_at)}),
        }


def _run_item(run: Run) -> Item:
    return {
        name: to_text(value) if isinstance(value, datetime) else value
        for name, value in asdict(run).items()
    }


def _to_run(item: Item) -> Run:
    return Run(
        run_id=item["run_id"],
        kind=RunKind(item["kind"]),
        by=item["by"],
        start=from_text(item["start"]),
        end=from_text(item["end"]),
        begun_at=from_text(item["begun_at"]),
        ended_at=from_text_if_any(item["ended_at"]),
        compared=item["compared"],
        left=item["left"],
        begun=item["begun"],
        mended=item["mended"],
    )


def _progress_item(progress: Progress) -> Item:
    until = progress.compared_until
    return {
        "compared_until": to_text_if_any(until),
        "run": _run_item(progress.run) if progress.run else None,
        # Where a listing goes on is its owner's to say, whatever it is made of.
        "position": json.dumps(
            {"listing": progress.position.listing, "after": progress.position.after}
        ),
    }


def _to_progress(item: Item) -> Progress:
    if "position" not in item:
        return Progress()
    position = json.loads(item["position"])
    return Progress(
        from_text_if_any(item["compared_until"]),
        _to_run(item["run"]) if item["run"] else None,
        Position(Listing(position["listing"]), position["after"]),
    )

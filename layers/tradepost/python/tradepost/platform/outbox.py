"""The outbox: an event is an item in the transaction of the change it reports.

The table's stream brings the item to the relay, which publishes it and deletes it. What the
relay missed stays, and the sweep publishes it a minute later. So an event is published at least
once, and never for a change that was rolled back.

    pk                  sk                 attributes
    <the aggregate's>   OUTBOX#<event id>  type, body (JSON), outbox (bucket), occurred_at

`outbox` and `occurred_at` are the keys of the sparse index `outbox`, which the sweep reads.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from tradepost.contracts.event import Event
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import UnavailableError
from tradepost.platform import aws
from tradepost.platform.due import DueIndex
from tradepost.platform.dynamodb import Item, chunks, delete_all, from_item, to_item
from tradepost.platform.logger import logger

INDEX = DueIndex("outbox", bucket="outbox", moment="occurred_at")

# SNS: PublishBatch takes ten messages, and 256 KiB in all; see `_batches`.
_PUBLISH_MAX = 10
_PUBLISH_BYTES_MAX = 256 * 1024

_SWEPT_PER_BUCKET_MAX = 200
_OVERDUE = timedelta(minutes=1)

_UNSENT = "UNSENT"
_IS_NEW = "attribute_not_exists(pk)"


def outbox_put(table: str, pk: str, event: Event) -> Any:
    """Build the transaction's write that reports the change, under the aggregate's partition."""
    return {
        "Put": {
            "TableName": table,
            "Item": to_item(
                {
                    "pk": pk,
                    "sk": f"OUTBOX#{event.event_id}",
                    "type": event.TYPE,
                    "body": event.model_dump_json(),
                    **INDEX.keys(_UNSENT, event.event_id, event.occurred_at),
                }
            ),
            "ConditionExpression": _IS_NEW,
        }
    }


def relay(stream_event: dict[str, Any], *, table: str, topic_arn: str) -> dict[str, Any]:
    """Publish the outbox items that a stream brought, and delete those that got through.

    Returns the stream's partial batch response: it begins again at the first that failed.
    """
    records = stream_event["Records"]
    items = [from_item(record["dynamodb"]["NewImage"]) for record in records]
    failed = _publish(items, table=table, topic_arn=topic_arn)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["dynamodb"]["SequenceNumber"]}
            for record, item in zip(records, items, strict=True)
            if item["sk"] in failed
        ]
    }


def relay_overdue(*, table: str, topic_arn: str) -> int:
    """Publish what the stream's relay has not got through within a minute; tell how many.

    Raises
    ------
    UnavailableError
        Some are still unsent; the next sweep tries them again.
    """
    overdue = utc_now() - _OVERDUE
    items = INDEX.read(aws.dynamodb(), table, _UNSENT, overdue, _SWEPT_PER_BUCKET_MAX)
    unsent = len(_publish(items, table=table, topic_arn=topic_arn))
    sent = len(items) - unsent
    if sent:
        logger.warning("outbox swept", table=table, sent=sent)
    if unsent:
        raise UnavailableError(f"{unsent} events are still unsent")
    return sent


def _publish(items: list[Item], *, table: str, topic_arn: str) -> set[str]:
    """Publish and delete; return the sort keys of those that SNS did not take."""
    failed: set[str] = set()
    for batch in _batches(items):
        answer = aws.sns().publish_batch(
            TopicArn=topic_arn,
            PublishBatchRequestEntries=[
                {
                    "Id": str(position),
                    "Message": item["body"],
                    "MessageAttributes": {
                        "type": {"DataType": "String", "StringValue": item["type"]}
                    },
                }
                for position, item in enumerate(batch)
            ],
        )
        failed |= {batch[int(entry["Id"])]["sk"] for entry in answer.get("Failed", [])}
    sent = [item for item in items if item["sk"] not in failed]
    delete_all(aws.dynamodb(), table, [{"pk": item["pk"], "sk": item["sk"]} for item in sent])
    return failed


def _batches(items: list[Item]) -> list[list[Item]]:
    """Cut into batches that SNS takes, by number and by size."""
    batches: list[list[Item]] = []
    for part in chunks(items, _PUBLISH_MAX):
        size = 0
        batch: list[Item] = []
        for item in part:
            item_size = len(item["body"].encode()) + len(json.dumps(item["type"]))
            if batch and size + item_size > _PUBLISH_BYTES_MAX:
                batches.append(batch)
                size, batch = 0, []
            batch.append(item)
            size += item_size
        if batch:
            batches.append(batch)
    return batches

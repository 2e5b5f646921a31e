"""A consumer's batch: what is good is done, what is not stays in the queue."""

from __future__ import annotations

import json
from typing import Any

from tradepost.platform.consumer import consume


def message(number: int, body: str | None = None) -> dict[str, Any]:
    fact = {
        "type": "order.placed.v1",
        "event_id": f"evt_{number}",
        "correlation_id": "cor_1",
        "version": 1,
    }
    return {
        "messageId": f"message-{number}",
        "receiptHandle": f"handle-{number}",
        "body": body or json.dumps(fact),
        "attributes": {},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:queue",
        "awsRegion": "eu-west-1",
    }


def consumed(records: list[dict[str, Any]], **reactions: Any) -> tuple[list[str], list[str]]:
    """Consume the records; return what was done and what is left in the queue."""
    done: list[str] = []
    answer = consume(
        {"Records": records},
        None,
        reactions={"order.placed.v1": done.append, **reactions},
    )
    left = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    return done, left


def test_one_poisoned_message_in_ten_leaves_nine_done() -> None:
    records = [message(number) for number in range(10)]
    records[3] = message(3, body="{not json")

    done, left = consumed(records)

    assert len(done) == 9
    assert left == ["message-3"]


def test_a_batch_of_nothing_but_poison_is_left_whole() -> None:
    done, left = consumed([message(1, body="x"), message(2, body="[]")])

    assert (done, left) == ([], ["message-1", "message-2"])


def test_a_type_nobody_reacts_to_is_not_lost() -> None:
    stranger = json.dumps(
        {"type": "moon.rose.v1", "event_id": "e", "correlation_id": "c", "version": 1}
    )

    done, left = consumed([message(1, body=stranger), message(2)])

    assert (len(done), left) == (1, ["message-1"])

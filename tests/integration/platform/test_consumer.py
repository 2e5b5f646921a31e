"""A consumer's batch: what is good is done, what is not stays in the queue."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tradepost.kernel.errors import ConflictError, UnavailableError
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


class MoonUpError(ConflictError):
    code = "moon_up"


class StarsOutError(UnavailableError):
    code = "stars_out"


def raising(error: Exception) -> Any:
    def react(_message: str) -> None:
        raise error

    return {"order.placed.v1": react}


@pytest.mark.parametrize(
    ("error", "message_text", "code"),
    [
        (MoonUpError("no"), "message refused", "moon_up"),
        (StarsOutError("later"), "message delayed", "stars_out"),
        (KeyError("a bug"), "message failed", None),
    ],
)
def test_each_failed_attempt_says_why_in_the_log(
    error: Exception, message_text: str, code: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        consumed([message(7)], **raising(error))

    (line,) = caplog.records
    assert (line.getMessage(), getattr(line, "code", None)) == (message_text, code)


def test_what_cannot_be_read_is_logged_by_its_place_and_not_by_its_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = {"type": "order.placed.v1", "event_id": {"whose": "grace@example.com"}}

    consumed([message(1, body=json.dumps(body))])

    (line,) = caplog.records
    assert line.getMessage() == "message unreadable"
    assert "event_id" in caplog.text
    assert "grace" not in caplog.text

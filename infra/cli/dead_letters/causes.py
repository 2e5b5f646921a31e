"""Why a consumer failed at a message, as far as its log tells."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from botocore.exceptions import ClientError

from infra.cli.dead_letters.queues import DeadLetter, DeadLetterQueue
from infra.cli.deployment import ClientOf

# A message fails five times; more lines than this are not about one.
_LINES_MAX = 100


def log_group_of(client: ClientOf, queue: DeadLetterQueue) -> str | None:
    """Name the log of the function that the queue feeds; None where no function is mapped."""
    mappings = client("lambda").list_event_source_mappings(EventSourceArn=queue.source_arn)
    for mapping in mappings["EventSourceMappings"]:
        return f"/aws/lambda/{mapping['FunctionArn'].split(':')[6]}"
    return None


def causes(client: ClientOf, log_group: str, letter: DeadLetter) -> list[str]:
    """Say what the log has on the attempts, most frequent first."""
    try:
        answer = client("logs").filter_log_events(
            logGroupName=log_group,
            # By the message where nobody could read its event.
            filterPattern=f'"{letter.event_id or letter.message_id}"',
            startTime=int(letter.sent_at.timestamp() * 1000),
            limit=_LINES_MAX,
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return []
    counted = Counter(_cause(event["message"]) for event in answer["events"])
    counted.pop(None, None)
    return [f"{cause} ({times}x)" for cause, times in counted.most_common()]


def _cause(line: str) -> str | None:
    """Name what a line of a failure says, by its constant text and its code or error."""
    try:
        told: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("level") not in ("WARNING", "ERROR"):
        return None
    which = told.get("code") or told.get("exception_name")
    return f"{told.get('message')}: {which}" if which else str(told.get("message"))

"""Who did what to which message, when and why: an append-only log.

CloudWatch Logs takes what is added and offers no way to change it: see
docs/decisions/0047-operators-acts-are-logged.md. One record is one line of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from infra.cli.deployment import ClientOf

Now = Callable[[], datetime]


class AuditRefusedError(Exception):
    """The record was not taken, so nothing must be done. The message is one line."""


@dataclass(frozen=True, slots=True)
class Act:
    """What an operator is about to do."""

    what: str  # redrive | discard
    queue: str
    run: str  # an id of this one run
    reason: str | None


class AuditLog:
    """The audit log of one stage, written under the name that AWS knows the operator by.

    `logs` is a client of CloudWatch Logs.
    """

    def __init__(self, logs: Any, stage: str, *, by: str, now: Now) -> None:
        self._logs = logs
        self._group = group_of(stage)
        self._by = by
        self._now = now
        self._begun: set[str] = set()

    def record(self, act: Act, step: str, **facts: Any) -> None:
        """Add a line, and return only when it is kept.

        Raises
        ------
        AuditRefusedError
        """
        at = self._now()
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "by": self._by,
            "act": act.what,
            "step": step,
            "queue": act.queue,
            "run": act.run,
            "reason": act.reason,
            **facts,
        }
        answer = self._logs.put_log_events(
            logGroupName=self._group,
            logStreamName=self._stream(act, at),
            logEvents=[{"timestamp": int(at.timestamp() * 1000), "message": json.dumps(line)}],
        )
        if answer.get("rejectedLogEventsInfo"):
            raise AuditRefusedError(f"{self._group} did not take the record: is the clock right?")

    def _stream(self, act: Act, at: datetime) -> str:
        stream = f"dlq/{act.queue}/{at:%Y-%m-%d}/{act.run}"
        if stream not in self._begun:
            self._logs.create_log_stream(logGroupName=self._group, logStreamName=stream)
            self._begun.add(stream)
        return stream


def group_of(stage: str) -> str:
    return f"/tradepost/{stage}/audit"


def operator(client: ClientOf) -> str:
    """Ask AWS who is calling: nobody can give another's name."""
    return str(client("sts").get_caller_identity()["Arn"])


def records(
    logs: Any, stage: str, *, queue: str | None, since: timedelta, now: Now
) -> Iterator[dict[str, Any]]:
    """Read the records back, oldest first; a new one takes some seconds to be found."""
    prefix = "dlq/" if queue is None else f"dlq/{queue}/"
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group_of(stage),
        logStreamNamePrefix=prefix,
        startTime=int((now() - since).timestamp() * 1000),
    )
    for page in pages:
        for event in page["events"]:
            yield json.loads(event["message"])

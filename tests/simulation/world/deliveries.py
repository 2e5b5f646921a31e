"""Event sources: what queues, streams and schedules hold, brought to the functions.

The sources are read from the Chalice apps and `chalice-config`, as packaging reads them; failed
batches follow Lambda's rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chalice.app import (
    DynamoDBEventConfig,
    ScheduledEventConfig,
    ScheduleExpression,
    SQSEventConfig,
)

from infra.local.event_filters import record_filter
from infra.local.event_sources import reported_failures
from infra.local.functions import Functions
from infra.local.schedules import next_time
from tests.simulation.aws.account import Account
from tests.simulation.aws.queues import Message, Queue
from tests.simulation.aws.refusals import NotModelledError
from tests.simulation.aws.tables import Change, Table
from tests.simulation.world.runtime import Outcome, Runtime
from tests.simulation.world.time import VirtualClock

# Lambda's pause after a failed stream batch.
_PAUSE_SECONDS_MIN, _PAUSE_SECONDS_MAX = 0.1, 60.0

Json = dict[str, Any]


class Source(Protocol):
    """Something that has work for a function, now or later."""

    name: str

    def deliver(self) -> bool:
        """Hand over one batch that is due; tell whether there was one."""

    def next_due(self) -> float | None:
        """Tell when there will be work, in seconds since the epoch; None for never."""

    def mark(self) -> Any:
        """Remember how far it is, for `rewind`."""

    def rewind(self, mark: Any) -> None:
        """Be as far as at `mark` again."""


class QueueSource:
    """A queue's messages, in batches."""

    def __init__(
        self,
        function: str,
        queue: Queue,
        size: int,
        properties: Mapping[str, Any],
        runtime: Runtime,
        clock: VirtualClock,
    ) -> None:
        self.name = f"{queue.name} to {function}"
        self._function = function
        self._queue = queue
        self._size = size
        self._accepts = record_filter(properties.get("FilterCriteria"))
        self._reports = _reports_failures(properties)
        self._runtime = runtime
        self._clock = clock

    def next_due(self) -> float | None:
        return self._queue.next_due()

    def mark(self) -> None:
        """Remember nothing: the queue does."""

    def rewind(self, mark: None) -> None:
        """Leave it to the queue."""

    def deliver(self) -> bool:
        messages = self._queue.receive(self._size, self._clock.now())
        records = {str(one.number): self._record(one) for one in messages}
        wanted = [record for record in records.values() if self._accepts(record)]
        failed: set[str] = set()
        if wanted:
            outcome = self._runtime.invoke(self._function, {"Records": wanted})
            failed = self._failed(outcome, {record["messageId"] for record in wanted})
        for message in messages:
            if str(message.number) not in failed:
                self._queue.delete(message)
        return bool(messages)

    def _failed(self, outcome: Outcome, sent: set[str]) -> set[str]:
        if outcome.error is not None:
            return sent
        if not self._reports:
            return set()
        failed = reported_failures(outcome.answer)
        return sent if failed is None or failed - sent else failed

    def _record(self, message: Message) -> Json:
        first = message.first_received_at or 0
        return {
            "messageId": str(message.number),
            "receiptHandle": f"{message.number}.{message.receives}",
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(int(message.sent_at * 1000)),
                "SenderId": "simulation",
                "ApproximateFirstReceiveTimestamp": str(int(first * 1000)),
            },
            "messageAttributes": {
                name: {"stringValue": value.get("StringValue"), "dataType": value["DataType"]}
                for name, value in message.attributes.items()
            },
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": self._queue.arn,
            "awsRegion": "eu-west-1",
        }


class StreamSource:
    """A table's changes, in order and in batches; what fails comes again, halved if so set."""

    def __init__(
        self,
        function: str,
        table: Table,
        size: int,
        properties: Mapping[str, Any],
        runtime: Runtime,
        clock: VirtualClock,
    ) -> None:
        self.name = f"{table.name} to {function}"
        self._function = function
        self._table = table
        self._size = size
        self._accepts = record_filter(properties.get("FilterCriteria"))
        self._reports = _reports_failures(properties)
        self._halves = bool(properties.get("BisectBatchOnFunctionError"))
        attempts = int(properties.get("MaximumRetryAttempts", -1))
        self._retries_max = math.inf if attempts < 0 else attempts
        self._runtime = runtime
        self._clock = clock
        self.mark_state = (0, 0, 0.0, size)

    @property
    def _position(self) -> int:
        return self.mark_state[0]

    def mark(self) -> Any:
        return self.mark_state

    def rewind(self, mark: Any) -> None:
        self.mark_state = mark

    def next_due(self) -> float | None:
        return self.mark_state[2] if self._position < len(self._table.changes) else None

    def deliver(self) -> bool:
        position, retries, not_before, size = self.mark_state
        changes = self._table.changes[position : position + size]
        if not changes or not_before > self._clock.now():
            return False
        records = [
            (place, record)
            for place, change in enumerate(changes)
            if self._accepts(record := self._record(position + place, change))
        ]
        done = self._invoke(records, len(changes)) if records else len(changes)
        if done:
            self.mark_state = (position + done, 0, 0.0, self._size)
        elif self._halves and len(changes) > 1:
            self.mark_state = (position, retries, 0.0, len(changes) // 2)
        elif retries >= self._retries_max:
            self.mark_state = (position + len(changes), 0, 0.0, self._size)
        else:
            pause = min(_PAUSE_SECONDS_MIN * 2**retries, _PAUSE_SECONDS_MAX)
            self.mark_state = (position, retries + 1, self._clock.now() + pause, size)
        return True

    def _invoke(self, records: list[tuple[int, Json]], size: int) -> int:
        """Tell how many changes from the start of the batch are done."""
        outcome = self._runtime.invoke(self._function, {"Records": [one for _, one in records]})
        if outcome.error is not None:
            return 0
        if not self._reports:
            return size
        failed = reported_failures(outcome.answer)
        places = {record["dynamodb"]["SequenceNumber"]: place for place, record in records}
        if failed is None or failed - places.keys():
            return 0
        return min((places[one] for one in failed), default=size)

    def _record(self, number: int, change: Change) -> Json:
        keys = {name: (change.new or change.old or {})[name] for name in self._table.schema.names}
        told: Json = {
            "ApproximateCreationDateTime": int(change.at),
            "Keys": keys,
            "SequenceNumber": f"{number:021d}",
            "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        }
        if change.new is not None:
            told["NewImage"] = change.new
        if change.old is not None:
            told["OldImage"] = change.old
        record: Json = {
            "eventID": f"{self._table.name}-{number}",
            "eventName": _event_name(change),
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-west-1",
            "dynamodb": told,
            "eventSourceARN": f"arn:aws:dynamodb:eu-west-1:123456789012:table/{self._table.name}",
        }
        if change.by_expiry:
            record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        return record


def _event_name(change: Change) -> str:
    if change.old is None:
        return "INSERT"
    return "REMOVE" if change.new is None else "MODIFY"


def _reports_failures(properties: Mapping[str, Any]) -> bool:
    return "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ())


class Deliveries:
    """All sources of all apps, and the functions that only the clock calls."""

    def __init__(
        self,
        functions: Functions,
        account: Account,
        runtime: Runtime,
        clock: VirtualClock,
        prefix: str,
    ) -> None:
        self.sources: list[Source] = []
        self.scheduled: list[tuple[str, str]] = []  # function, and its schedule
        self._runtime = runtime
        self._clock = clock
        for app_name, app in functions.apps.items():
            settings = functions.settings[app_name]
            for declared in app.event_sources:
                function = f"{app_name}-{declared.name}"
                match declared:
                    case SQSEventConfig():
                        found = settings.event_source(declared.name, "sqs")
                        queue = account.queues[prefix + declared.queue]
                        size = int(found.get("BatchSize", declared.batch_size))
                        source: Source = QueueSource(function, queue, size, found, runtime, clock)
                    case DynamoDBEventConfig():
                        found = settings.event_source(declared.name, "dynamodb")
                        table = account.dynamodb.tables[prefix + declared.stream_arn.split("/")[1]]
                        size = int(found.get("BatchSize", declared.batch_size))
                        source = StreamSource(function, table, size, found, runtime, clock)
                    case ScheduledEventConfig():
                        expression = declared.schedule_expression
                        if isinstance(expression, ScheduleExpression):
                            expression = expression.to_string()
                        self.scheduled.append((function, expression))
                        continue
                    case _:
                        raise NotModelledError(f"{function} listens to {declared}")
                self.sources.append(source)

    def step(self, run: Callable[[str, Callable[[], Any]], None]) -> bool:
        """Let each source that has work deliver one batch; tell whether any had."""
        moved = False
        now = self._clock.now()
        for source in self.sources:
            due = source.next_due()
            if due is not None and due <= now:
                run(source.name, source.deliver)
                moved = True
        return moved

    def next_due(self) -> float | None:
        """Tell when the next batch is due; None if nothing is under way."""
        dues = [due for source in self.sources if (due := source.next_due()) is not None]
        return min(dues, default=None)

    def due_between(self, start: float, end: float) -> list[str]:
        """Name the functions whose schedules call them in a span of time, each once."""
        return [name for name, when in self.scheduled if next_time(when, start) <= end]

    def fire(self, function: str) -> None:
        """Call a scheduled function, up to three times, as Lambda does asynchronously."""
        event = {
            "version": "0",
            "id": "simulated",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": self._clock.utc_now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": "eu-west-1",
            "resources": [function],
            "detail": {},
        }
        for _ in range(3):
            if self._runtime.invoke(function, event).error is None:
                return

    def mark(self) -> list[Any]:
        return [source.mark() for source in self.sources]

    def rewind(self, marks: list[Any]) -> None:
        for source, mark in zip(self.sources, marks, strict=True):
            source.rewind(mark)

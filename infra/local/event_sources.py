"""Sources that feed functions: queues and streams, with Lambda's rules for failure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from moto.sqs.models import sqs_backends

from infra.local import boundaries
from infra.local.boundaries import Boundary, Place
from infra.local.clock import Clock
from infra.local.corrections import dynamodb_streams, sqs
from infra.local.corrections.dynamodb_serialisation import wire
from infra.local.event_filters import record_filter
from infra.local.functions import Functions

# Lambda's pause after a failed stream batch.
RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 60.0


class Source(Protocol):
    """Something that has work for a function, now or later."""

    name: str

    def poll(self, now: float) -> int:
        """Hand over one batch that is due at `now`; return how many records it had, 0 for none."""

    def next_due(self) -> float | None:
        """Return when there will be work, in seconds since the epoch; None if nobody knows."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when work arrives."""


class QueueSource:
    """An SQS queue mapped to a function."""

    def __init__(
        self,
        functions: Functions,
        function: str,
        queue: Any,
        batch_size: int,
        properties: Mapping[str, Any],
    ) -> None:
        self.name = f"{queue.name} -> {function}"
        self._functions = functions
        self._function = function
        self._queue = queue
        self._backend = sqs_backends[queue.account_id][queue.region]
        self._batch_size = batch_size
        self._accepts = record_filter(properties.get("FilterCriteria"))
        self._reports_failures = _reports_failures(properties)

    def listen(self, wake: Callable[[], None]) -> None:
        sqs.store_of(self._queue).listeners.append(wake)

    def next_due(self) -> float | None:
        with sqs.LOCK:
            if self._queue.fifo_queue:
                return 0.0 if self._queue.messages else None
            return sqs.store_of(self._queue).next_due()

    def poll(self, now: float) -> int:  # noqa: ARG002 - a queue knows what is due
        queue = self._queue
        messages = self._backend.receive_message(
            queue.name, self._batch_size, 0, queue.visibility_timeout, ["All"]
        )
        if not messages:
            return 0
        delivery = Delivery(self, messages)
        if boundaries.is_watched():
            place = Place(
                boundary=Boundary.QUEUE,
                function=boundaries.short_name(self._function),
                table=boundaries.short_name(queue.name),
                call=delivery,
            )
            boundaries.pass_by(place, delivery.hand_over)
        else:
            delivery.hand_over()
        return len(messages)

    def hand_over(self, messages: list[Any]) -> None:
        """Give messages to the function, and delete those it took."""
        queue = self._queue
        records = {message.id: self._record(message) for message in messages}
        wanted = [record for record in records.values() if self._accepts(_filterable(record))]
        failed = self._invoke(wanted) if wanted else set()
        if queue.fifo_queue and failed:
            # Everything behind the first failure stays, to keep the order.
            first = next(place for place, one in enumerate(messages) if one.id in failed)
            failed = {message.id for message in messages[first:]}
        sqs.delete(queue, [one.receipt_handle for one in messages if one.id not in failed])

    def put_back(self, messages: list[Any], seconds: float) -> None:
        """Hide messages that were received for so long, as if they had not been."""
        sqs.put_back(self._queue, [one.receipt_handle for one in messages], seconds)

    def _invoke(self, records: list[dict[str, Any]]) -> set[str]:
        """Return the ids of the messages that stay in the queue."""
        sent = {record["messageId"] for record in records}
        answer, error = self._functions.run(self._function, json.dumps({"Records": records}))
        if error:
            return sent
        if not self._reports_failures:
            return set()
        failed = reported_failures(json.loads(answer))
        # An answer that is malformed or names a stranger fails the whole batch.
        return sent if failed is None or failed - sent else failed

    def _record(self, message: Any) -> dict[str, Any]:
        attributes = {
            "ApproximateReceiveCount": str(message.approximate_receive_count),
            "SentTimestamp": str(message.sent_timestamp),
            "SenderId": message.sender_id,
            "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
        }
        for name, value in (
            ("MessageGroupId", message.group_id),
            ("MessageDeduplicationId", message.deduplication_id),
            ("SequenceNumber", message.sequence_number),
        ):
            if value:
                attributes[name] = value
        return {
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": attributes,
            "messageAttributes": {
                name: {
                    "stringValue": value.get("StringValue"),
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": value["DataType"],
                }
                for name, value in message.message_attributes.items()
            },
            "md5OfBody": message.body_md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": self._queue.queue_arn,
            "awsRegion": self._queue.region,
        }


class Delivery:
    """A batch of messages on its way from a queue to a function."""

    def __init__(self, source: QueueSource, messages: list[Any]) -> None:
        self.messages = messages
        self._source = source

    def __str__(self) -> str:
        return " ".join(message.body for message in self.messages)

    def hand_over(self) -> None:
        """Bring the messages."""
        if self.messages:
            self._source.hand_over(self.messages)

    def hold_back(self, messages: list[Any], seconds: float) -> None:
        """Take messages out, for the queue to bring them again after so long."""
        self.messages = [one for one in self.messages if one not in messages]
        self._source.put_back(messages, seconds)


class StreamSource:
    """A table's stream mapped to a function: one shard, strictly in order."""

    def __init__(
        self,
        functions: Functions,
        function: str,
        table: Any,
        batch_size: int,
        properties: Mapping[str, Any],
        clock: Clock,
        *,
        from_latest: bool,
    ) -> None:
        self.name = f"{table.name} stream -> {function}"
        self._functions = functions
        self._function = function
        self._table = table
        self._clock = clock
        self._batch_size = batch_size
        self._accepts = record_filter(properties.get("FilterCriteria"))
        self._reports_failures = _reports_failures(properties)
        self._filters_images = "Image" in json.dumps(properties.get("FilterCriteria"))
        self._bisects = bool(properties.get("BisectBatchOnFunctionError"))
        attempts = int(properties.get("MaximumRetryAttempts", -1))
        self._retries_max = math.inf if attempts < 0 else attempts
        destination = properties.get("DestinationConfig", {}).get("OnFailure", {})
        self._destination = destination.get("Destination")
        self._from_latest = from_latest
        self.restart()

    @property
    def gives_up(self) -> bool:
        """Whether a batch that always fails is dropped in the end."""
        return self._retries_max < math.inf

    def restart(self) -> None:
        """Begin anew, as when the stream was emptied."""
        shard = self._table.stream_shard
        self._position = dynamodb_streams.end_of(shard) if self._from_latest else 0
        self._retries = 0
        self._not_before = 0.0
        self._small_until = 0
        self._small_size = 1
        dynamodb_streams.commit(shard, self.name, self._position)

    def listen(self, wake: Callable[[], None]) -> None:
        dynamodb_streams.state_of(self._table.stream_shard).listeners.append(wake)

    def next_due(self) -> float | None:
        if self._position >= dynamodb_streams.end_of(self._table.stream_shard):
            return None
        return self._not_before

    def poll(self, now: float) -> int:
        if now < self._not_before:
            return 0
        small = self._position < self._small_until
        size = self._small_size if small else self._batch_size
        start, records = dynamodb_streams.read(self._table.stream_shard, self._position, size)
        if not records:
            return 0
        wanted = [
            (place, self._event(record))
            for place, record in enumerate(records)
            if self._accepts(record.to_json() if self._filters_images else record.summary())
        ]
        done = self._invoke(wanted, len(records)) if wanted else len(records)
        if done == 0:
            done = self._after_failure(wanted, len(records), start)
        if done:
            self._retries = 0
            self._not_before = 0.0
            self._position = start + done
            dynamodb_streams.commit(self._table.stream_shard, self.name, self._position)
        return len(records)

    def _invoke(self, wanted: list[tuple[int, dict[str, Any]]], size: int) -> int:
        """Return how many records from the start of the batch are done."""
        events = [event for _, event in wanted]
        answer, error = self._functions.run(self._function, json.dumps({"Records": events}))
        if error:
            return 0
        if not self._reports_failures:
            return size
        failed = reported_failures(json.loads(answer))
        places = {event["dynamodb"]["SequenceNumber"]: place for place, event in wanted}
        if failed is None or failed - places.keys():
            return 0
        return min((places[one] for one in failed), default=size)

    def _after_failure(self, wanted: list[tuple[int, Any]], size: int, start: int) -> int:
        """Return how many records to give up; 0 to try again."""
        if self._bisects and size > 1:
            # Splitting does not count as a retry.
            self._small_until = max(self._small_until, start + size)
            self._small_size = size // 2
            return 0
        self._retries += 1
        if self._retries > self._retries_max:
            self._give_up([event for _, event in wanted])
            return size
        pause = min(RETRY_SECONDS_MIN * 2 ** (self._retries - 1), RETRY_SECONDS_MAX)
        self._not_before = self._clock.now() + pause
        return 0

    def _give_up(self, events: list[dict[str, Any]]) -> None:
        if not self._destination or ":sqs:" not in self._destination:
            return
        numbers = [event["dynamodb"]["SequenceNumber"] for event in events]
        message = {
            "requestContext": {"condition": "RetryAttemptsExhausted"},
            "DDBStreamBatchInfo": {
                "shardId": self._table.stream_shard.id,
                "startSequenceNumber": numbers[0],
                "endSequenceNumber": numbers[-1],
                "batchSize": len(events),
                "streamArn": self._stream_arn,
            },
        }
        parts = self._destination.split(":")
        sqs_backends[parts[4]][parts[3]].send_message(parts[5], json.dumps(message))

    @property
    def _stream_arn(self) -> str:
        return f"{self._table.table_arn}/stream/{self._table.latest_stream_label}"

    def _event(self, record: Any) -> dict[str, Any]:
        rendered = record.to_json()
        change = dict(rendered["dynamodb"])
        written_at = change["ApproximateCreationDateTime"]
        change["ApproximateCreationDateTime"] = int(written_at.timestamp())
        for image in ("Keys", "NewImage", "OldImage"):
            if image in change:
                change[image] = {name: wire(value) for name, value in change[image].items()}
        return {**rendered, "eventSourceARN": self._stream_arn, "dynamodb": change}


def reported_failures(answer: Any) -> set[str] | None:
    """Return the identifiers in a partial batch response; None if it is malformed."""
    if answer is None or answer == {}:
        return set()
    try:
        failures = answer.get("batchItemFailures") or []
        identifiers = {failure["itemIdentifier"] for failure in failures}
    except (AttributeError, KeyError, TypeError):
        return None
    return identifiers if all(identifiers) else None


def _reports_failures(properties: Mapping[str, Any]) -> bool:
    return "ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ())


def _filterable(record: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return {**record, "body": json.loads(record["body"])}
    except ValueError:
        return record

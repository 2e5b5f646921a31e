"""Dead-letter queues and the messages in them, over SQS.

SQS has no way to look: a message is received, and hidden from others until it is put back. What
is in hand here is put back when the work ends, however it ends; if the process is killed, SQS puts
it back itself after `HIDDEN_SECONDS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HIDDEN_SECONDS = 120

# SQS: ReceiveMessage and the batches take ten. A wait asks all of a queue's servers, so that
# nothing received is nothing there.
_BATCH_MAX = 10
WAIT_SECONDS = 1


class NoSuchQueueError(Exception):
    """There is no dead-letter queue of this name. The message is one line for a person."""


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """Where a consumer's queue sends what failed too often; `name` is that queue's, unprefixed."""

    name: str
    url: str
    source_url: str
    source_arn: str
    depth: int  # as SQS believes: a few seconds late
    in_hand: int  # somebody is looking at them


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message; `attributes` are as SendMessage takes them."""

    message_id: str
    receipt_handle: str
    body: str
    attributes: dict[str, Any]
    received: int  # how often, looks included
    sent_at: datetime  # for the first time, or when it was last redriven

    @property
    def event(self) -> dict[str, Any]:
        """The event in the body; empty if that is none."""
        try:
            event = json.loads(self.body)
        except ValueError:
            return {}
        return event if isinstance(event, dict) else {}

    @property
    def event_id(self) -> str | None:
        event_id = self.event.get("event_id")
        return event_id if isinstance(event_id, str) else None

    @property
    def type(self) -> str:
        """The event's type, as the body says it or else the message's attribute."""
        told = self.event.get("type") or self.attributes.get("type", {}).get("StringValue")
        return str(told or "unknown")

    def is_one_of(self, ids: frozenset[str]) -> bool:
        """Tell whether it is meant by these ids: its event's, or its own where it has no event."""
        return self.event_id in ids or self.message_id in ids


class DeadLetters:
    """The dead-letter queues of one stage."""

    def __init__(self, sqs: SQSClient, stage: str) -> None:
        self._sqs = sqs
        self._prefix = f"tradepost-{stage}-"

    def queues(self) -> list[DeadLetterQueue]:
        """List them by name: every queue that another one names as its target."""
        attributes = {url: self._attributes(url) for url in self._urls()}
        by_arn = {found["QueueArn"]: url for url, found in attributes.items()}
        queues = []
        for source_url, source in attributes.items():
            target = json.loads(source.get("RedrivePolicy", "{}")).get("deadLetterTargetArn")
            if target in by_arn:
                url = by_arn[target]
                queues.append(
                    DeadLetterQueue(
                        name=_name(source["QueueArn"]).removeprefix(self._prefix),
                        url=url,
                        source_url=source_url,
                        source_arn=source["QueueArn"],
                        depth=int(attributes[url]["ApproximateNumberOfMessages"]),
                        in_hand=int(attributes[url]["ApproximateNumberOfMessagesNotVisible"]),
                    )
                )
        return sorted(queues, key=lambda queue: queue.name)

    def queue(self, name: str) -> DeadLetterQueue:
        """Find one by its own name or its consumer's queue's, in full or without the stage.

        Raises
        ------
        NoSuchQueueError
        """
        wanted = name.removeprefix(self._prefix).removesuffix("-dlq")
        queues = self.queues()
        for queue in queues:
            if queue.name == wanted:
                return queue
        there = ", ".join(queue.name for queue in queues) or f"none named {self._prefix}…"
        raise NoSuchQueueError(f"{name} is no dead-letter queue; there are: {there}")

    @contextmanager
    def in_hand(self, queue: DeadLetterQueue) -> Iterator[Hand]:
        """Take messages in hand; whatever was not deleted is put back at the end."""
        hand = Hand(self._sqs, queue)
        try:
            yield hand
        finally:
            hand.put_back()

    def _urls(self) -> list[str]:
        pages = self._sqs.get_paginator("list_queues").paginate(QueueNamePrefix=self._prefix)
        return [url for page in pages for url in page.get("QueueUrls", [])]

    def _attributes(self, url: str) -> dict[str, str]:
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return {str(name): value for name, value in found["Attributes"].items()}


class Hand:
    """The messages of one queue that are in hand."""

    def __init__(self, sqs: SQSClient, queue: DeadLetterQueue) -> None:
        self._sqs = sqs
        self._queue = queue
        self._held: dict[str, DeadLetter] = {}
        self._seen: set[str] = set()

    def letters(self) -> Iterator[DeadLetter]:
        """Take every message once, in no order; those not wanted stay in hand until the end."""
        while True:
            batch = self._receive()
            # What comes again was hidden too long: everything was seen.
            fresh = [letter for letter in batch if letter.message_id not in self._seen]
            self._held |= {letter.message_id: letter for letter in batch}
            if not fresh:
                return
            for letter in fresh:
                self._seen.add(letter.message_id)
                yield letter

    def send_back(self, letter: DeadLetter) -> str:
        """Send it to its consumer's queue as it was; return the new message's id. It stays here."""
        sent = self._sqs.send_message(
            QueueUrl=self._queue.source_url,
            MessageBody=letter.body,
            MessageAttributes=letter.attributes,
        )
        return sent["MessageId"]

    def delete(self, letter: DeadLetter) -> None:
        self._sqs.delete_message(
            QueueUrl=self._queue.url, ReceiptHandle=self._held[letter.message_id].receipt_handle
        )
        del self._held[letter.message_id]

    def put_back(self) -> None:
        """Show what is still in hand to others again."""
        held = list(self._held.values())
        for start in range(0, len(held), _BATCH_MAX):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._queue.url,
                Entries=[
                    {
                        "Id": str(place),
                        "ReceiptHandle": letter.receipt_handle,
                        "VisibilityTimeout": 0,
                    }
                    for place, letter in enumerate(held[start : start + _BATCH_MAX])
                ],
            )
        self._held.clear()

    def _receive(self) -> list[DeadLetter]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue.url,
            MaxNumberOfMessages=_BATCH_MAX,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [_to_letter(message) for message in answer.get("Messages", [])]


def one_line(error: Exception) -> str:
    """Say what AWS answered in one line."""
    if isinstance(error, ClientError):
        told = error.response.get("Error", {})
        return f"{error.operation_name}: {told.get('Code')}: {told.get('Message')}".strip()
    return " ".join(str(error).split())


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]


def _to_letter(message: Any) -> DeadLetter:
    system = message["Attributes"]
    return DeadLetter(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        attributes={
            name: {
                part: value[part]
                for part in ("DataType", "StringValue", "BinaryValue")
                if part in value
            }
            for name, value in message.get("MessageAttributes", {}).items()
        },
        received=int(system["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1000, UTC),
    )

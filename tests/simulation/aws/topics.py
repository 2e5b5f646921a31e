"""SNS: a topic, and what it hands to each subscribed queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.event_filters import record_filter
from tests.simulation.aws.queues import Queue
from tests.simulation.aws.refusals import NotModelledError, refusal

# PublishBatch: ten messages, and 256 KiB in all.
BATCH_MAX = 10
BATCH_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True)
class Subscription:
    queue: Queue
    accepts: Callable[[Mapping[str, Any]], bool]

    @classmethod
    def described(cls, queue: Queue, properties: Mapping[str, Any]) -> Subscription:
        """Make the subscription that a template's properties describe."""
        if not properties.get("RawMessageDelivery") or "FilterPolicyScope" in properties:
            raise NotModelledError(f"a subscription of {queue.name} that is not raw")
        policy = properties.get("FilterPolicy")
        criteria = {"Filters": [{"Pattern": json.dumps(policy)}]} if policy else None
        return cls(queue, record_filter(criteria))


@dataclass(slots=True)
class Topic:
    arn: str
    subscriptions: list[Subscription] = field(default_factory=list)


class SNS:
    """The topics of an account. `now` gives seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.topics: dict[str, Topic] = {}
        self._now = now

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "PublishBatch":
            raise NotModelledError(f"sns.{operation}")
        topic = self.topics.get(parameters["TopicArn"])
        if topic is None:
            raise refusal("NotFound", "Topic does not exist")
        entries = parameters["PublishBatchRequestEntries"]
        if not 0 < len(entries) <= BATCH_MAX:
            raise refusal("TooManyEntriesInBatchRequest")
        if len({entry["Id"] for entry in entries}) < len(entries):
            raise refusal("BatchEntryIdsNotDistinct")
        if sum(len(entry["Message"].encode()) for entry in entries) > BATCH_BYTES_MAX:
            raise refusal("BatchRequestTooLong")
        for entry in entries:
            self._publish(topic, entry)
        return {
            "Successful": [{"Id": entry["Id"], "MessageId": entry["Id"]} for entry in entries],
            "Failed": [],
        }

    def _publish(self, topic: Topic, entry: Mapping[str, Any]) -> None:
        attributes = entry.get("MessageAttributes", {})
        told = {name: value.get("StringValue") for name, value in attributes.items()}
        for subscription in topic.subscriptions:
            if subscription.accepts(told):
                subscription.queue.send(entry["Message"], attributes, self._now())

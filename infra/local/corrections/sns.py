"""Topics whose subscriptions do not harm one another, and functions as subscribers.

In stock moto a subscription to a queue that is gone makes Publish fail, so later subscriptions
get nothing; a subscription's RedrivePolicy is stored and never used; a function is called inside
Publish with made-up attributes; every published message is kept for ever; and each envelope is
signed with a certificate made for it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from moto.core.utils import iso_8601_datetime_with_milliseconds
from moto.sns.models import Subscription, Topic
from moto.sqs.models import sqs_backends

_moto_publish = Subscription.publish

# Set by the owner of the functions: takes the function's ARN and the event.
call_function: Callable[[str, dict[str, Any]], None] | None = None


def install() -> None:
    """Replace how topics deliver."""
    Topic.publish = _publish
    Subscription.publish = _deliver
    Subscription.get_post_data = _envelope


def _publish(
    self: Any,
    message: str,
    subject: str | None = None,
    message_attributes: dict[str, Any] | None = None,
    group_id: str | None = None,
    deduplication_id: str | None = None,
    message_structure: str | None = None,
) -> str:
    message_id = str(uuid.uuid4())
    for subscription in self.sns_backend._get_topic_subscriptions(self):
        try:
            subscription.publish(
                message,
                message_id,
                subject=subject,
                message_attributes=message_attributes,
                group_id=group_id,
                deduplication_id=deduplication_id,
                message_structure=message_structure,
            )
        except Exception:  # noqa: BLE001 - one endpoint's trouble must not reach the others
            _to_dead_letters(subscription, message, message_attributes)
    return message_id


def _deliver(self: Any, message: str, message_id: str, **rest: Any) -> None:
    if self.protocol != "lambda":
        _moto_publish(self, message, message_id, **rest)
        return
    attributes = rest.get("message_attributes") or {}
    matcher = self._filter_policy_matcher
    if matcher is not None and not matcher.matches(attributes, message):
        return
    if call_function is None:
        raise LookupError("no functions to deliver to")
    call_function(
        self.endpoint, _function_event(self, message, message_id, rest.get("subject"), attributes)
    )


def _function_event(
    subscription: Any,
    message: str,
    message_id: str,
    subject: str | None,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    notification = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic_arn,
        "Subject": subject,
        "Message": message,
        "Timestamp": iso_8601_datetime_with_milliseconds(),
        "MessageAttributes": attributes,
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": notification,
    }
    return {"Records": [record]}


def _to_dead_letters(
    subscription: Any, message: str, message_attributes: dict[str, Any] | None
) -> None:
    policy = subscription.attributes.get("RedrivePolicy")
    if not policy:
        return
    target = json.loads(policy)["deadLetterTargetArn"].split(":")
    backend = sqs_backends[target[4]][target[3]]
    if target[5] in backend.queues:
        attributes = {
            name: {"DataType": value["Type"], "StringValue": str(value["Value"])}
            for name, value in (message_attributes or {}).items()
        }
        backend.send_message(target[5], message, message_attributes=attributes)


def _envelope(
    self: Any,
    message: str,
    message_id: str,
    subject: str | None,
    message_attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": self.topic.arn,
        "Message": message,
        "Timestamp": iso_8601_datetime_with_milliseconds(),
        "SignatureVersion": "1",
        "Signature": "not-signed-locally",
    }
    if subject:
        envelope["Subject"] = subject
    if message_attributes:
        envelope["MessageAttributes"] = message_attributes
    return envelope

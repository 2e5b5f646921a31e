"""SQS queues, as far as their consumers see them: visibility, receive counts, dead letters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """`number` counts the messages of the queue in the order in which they came."""

    number: int
    body: str
    attributes: Mapping[str, Any]
    sent_at: float
    visible_at: float
    receives: int = 0
    first_received_at: float | None = None


@dataclass(slots=True)
class Queue:
    """A standard queue. `dead_letters` takes what was received `receives_max` times in vain."""

    name: str
    arn: str
    visibility_seconds: float
    dead_letters: Queue | None = None
    receives_max: int = 0
    messages: dict[int, Message] = field(default_factory=dict)
    sent: int = 0

    def send(
        self, body: str, attributes: Mapping[str, Any], at: float, *, later: float = 0
    ) -> None:
        self.sent += 1
        message = Message(self.sent, body, attributes, at, at + later)
        self.messages[message.number] = message

    def receive(self, count: int, at: float, *, last_first: bool = False) -> list[Message]:
        """Give up to `count` visible messages, and hide each until its visibility is over.

        A standard queue promises no order: `last_first` gives the newest ones.
        """
        taken: list[Message] = []
        for number in sorted(self.messages, reverse=last_first):
            message = self.messages[number]
            if message.visible_at > at:
                continue
            if self.dead_letters is not None and message.receives >= self.receives_max:
                del self.messages[number]
                self.dead_letters.send(message.body, message.attributes, at)
                continue
            received = replace(
                message,
                receives=message.receives + 1,
                visible_at=at + self.visibility_seconds,
                first_received_at=message.first_received_at or at,
            )
            self.messages[number] = received
            taken.append(received)
            if len(taken) == count:
                break
        return taken

    def delete(self, message: Message) -> None:
        """Take a message out, unless it was received again since: then its receipt is void."""
        here = self.messages.get(message.number)
        if here is not None and here.receives == message.receives:
            del self.messages[message.number]

    def repeat(self, message: Message) -> None:
        """Let a message that was delivered be visible again at once: delivery is at least once."""
        self.messages[message.number] = replace(message, visible_at=message.sent_at)

    def next_due(self) -> float | None:
        """Tell when the next message is visible; None for an empty queue."""
        return min((one.visible_at for one in self.messages.values()), default=None)


def policy_of(properties: Mapping[str, Any]) -> tuple[str, int] | None:
    """Read a queue's redrive policy: the dead-letter queue's ARN, and the most receives."""
    policy = properties.get("RedrivePolicy")
    if policy is None:
        return None
    told = json.loads(policy) if isinstance(policy, str) else policy
    return told["deadLetterTargetArn"], int(told["maxReceiveCount"])

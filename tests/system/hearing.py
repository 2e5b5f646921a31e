"""Consumers as they hear: held while the shop goes on, then told everything in any order."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends

from infra.cloudformation import load_template
from infra.local.corrections import dynamodb_indexes
from infra.local.event_sources import QueueSource
from infra.local.stack import LocalStack
from tradepost.platform.dynamodb import Item, from_item

_TEMPLATE = Path(__file__).parents[2] / "infra" / "templates" / "messaging.yaml"
_BATCH_MAX = 10
_ATTEMPTS_MAX = 5  # as the template has it: maxReceiveCount

# When something was written says nothing of how it stands. How often an order was written depends
# on what came first: a parcel may be delivered before the news of its dispatch.
_TELLS_A_TIME = ("_at", "_until")
_COUNTS_ITS_WRITES = {"ORDER"}


def consumed_queues() -> list[str]:
    """Name every queue that the topic feeds, such as orders-facts."""
    resources = load_template(_TEMPLATE)["Resources"]
    queues = [
        resource["Properties"]["Endpoint"]["Fn::GetAtt"][0]
        for resource in resources.values()
        if resource["Type"] == "AWS::SNS::Subscription"
    ]
    names = [resources[queue]["Properties"]["QueueName"]["Fn::Sub"] for queue in queues]
    return sorted(name.removeprefix("tradepost-${Stage}-") for name in names)


@dataclass
class Consumer:
    """One context's consumer, with what it was sent while it was held."""

    stack: LocalStack
    queue: str
    heard: list[str] = dataclasses.field(default_factory=list)

    @property
    def context(self) -> str:
        return self.queue.partition("-")[0]

    @property
    def function(self) -> str:
        """The deployed name of the function that the queue feeds."""
        fed = f"tradepost-local-{self.queue} -> "
        (name,) = [
            source.name.removeprefix(fed)
            for source in self.stack.pump.sources
            if isinstance(source, QueueSource) and source.name.startswith(fed)
        ]
        return name

    @property
    def types_heard(self) -> set[str]:
        return {json.loads(body)["type"] for body in self.heard}

    @contextmanager
    def held(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """Keep what it is sent, and do nothing."""

        def keep(event: Any, _context: Any) -> dict[str, Any]:
            self.heard += [record["body"] for record in event["Records"]]
            return {"batchItemFailures": []}

        functions = self.stack.functions.by_name
        with patch.context() as patched:
            function = dataclasses.replace(functions[self.function], handler=keep)
            patched.setitem(functions, self.function, function)
            yield

    def hears(self, bodies: list[str], chance: random.Random) -> list[str]:
        """Tell it these in batches, what fails again later; return what was tried too often."""
        waiting = [(body, 0) for body in bodies]
        dead = []
        while waiting:
            size = chance.randint(1, _BATCH_MAX)
            batch, waiting = waiting[:size], waiting[size:]
            records = {f"message-{place}": body for place, (body, _) in enumerate(batch)}
            for place in self._failed(records):
                body, attempts = batch[int(place.rpartition("-")[2])]
                if attempts + 1 == _ATTEMPTS_MAX:
                    dead.append(body)
                else:
                    waiting.insert(chance.randint(0, len(waiting)), (body, attempts + 1))
        return dead

    def _failed(self, bodies: dict[str, str]) -> list[str]:
        records = [
            {
                "messageId": message_id,
                "receiptHandle": message_id,
                "body": body,
                "attributes": {},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:eu-west-1:123456789012:{self.queue}",
                "awsRegion": "eu-west-1",
            }
            for message_id, body in bodies.items()
        ]
        answer, is_error = self.stack.functions.run(self.function, json.dumps({"Records": records}))
        assert not is_error, answer
        return [failure["itemIdentifier"] for failure in json.loads(answer)["batchItemFailures"]]

    def state(self) -> dict[str, Any]:
        """Read all that its context stands for, and what customers were told by mail."""
        pages = boto3.client("dynamodb").get_paginator("scan")
        items = [
            from_item(item)
            for page in pages.paginate(TableName=f"tradepost-local-{self.context}")
            for item in page["Items"]
        ]
        state: dict[str, Any] = {
            f"{item['pk']} {item['sk']}": _stands(item)
            for item in items
            if not str(item["sk"]).startswith("OUTBOX#")
        }
        state["mails"] = sorted((mail["to"], mail["subject"]) for mail in self.stack.mailbox.list())
        return state


class Moment:
    """The tables as they were, to return to."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._items = {name: copy.deepcopy(table.items) for name, table in _tables(stack)}

    def again(self) -> None:
        """Put everything back; mails are forgotten."""
        for name, table in _tables(self._stack):
            table.items.clear()
            table.items.update(copy.deepcopy(self._items[name]))
            dynamodb_indexes.forget(table)
        self._stack.mailbox.clear()


def _tables(stack: LocalStack) -> Any:
    return dynamodb_backends[stack.account_id][stack.region].tables.items()


def _stands(item: Item) -> Item:
    told = {name: value for name, value in item.items() if not name.endswith(_TELLS_A_TIME)}
    if item["sk"] in _COUNTS_ITS_WRITES:
        told.pop("version")
    return told

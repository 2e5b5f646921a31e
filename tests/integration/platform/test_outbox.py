"""The outbox: what was committed is published, whatever dies in between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.integration.tables import tables
from tradepost.contracts.event import event_id
from tradepost.contracts.orders import OrderNeedsAttentionV1
from tradepost.kernel.clock import set_clock
from tradepost.platform import aws, outbox
from tradepost.platform.dynamodb import from_item

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TABLE = "orders"


@pytest.fixture
def client() -> Iterator[Any]:
    with tables(TABLE) as dynamodb:
        set_clock(lambda: NOON)
        yield dynamodb
        set_clock(None)


@pytest.fixture
def topic_arn(client: Any) -> str:
    arn: str = boto3.client("sns").create_topic(Name="events")["TopicArn"]
    return arn


@pytest.fixture
def heard(topic_arn: str) -> Any:
    """The queue of somebody who listens; call it for the texts that arrived since."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    boto3.client("sns").subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint="arn:aws:sqs:eu-west-1:123456789012:listener",
        Attributes={"RawMessageDelivery": "true"},
    )

    def receive() -> list[str]:
        messages: list[str] = []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            messages += [message["Body"] for message in found]
        return messages

    return receive


def committed(client: Any, number: int, at: datetime = NOON) -> None:
    """Commit one event, as a repository does with its change."""
    event = OrderNeedsAttentionV1(
        event_id=event_id("order.needs_attention.v1", f"ord_{number}", 1),
        occurred_at=at,
        correlation_id="cor_1",
        version=1,
        order_id=f"ord_{number}",
        reason="test",
    )
    put = outbox.outbox_put(TABLE, f"ORDER#ord_{number}", event)
    client.transact_write_items(TransactItems=[put])


def stream_event(client: Any) -> dict[str, Any]:
    """Make the stream's batch of everything that is in the outbox."""
    items = client.scan(TableName=TABLE)["Items"]
    return {
        "Records": [
            {"dynamodb": {"NewImage": item, "SequenceNumber": item["pk"]["S"]}} for item in items
        ]
    }


def unsent(client: Any) -> int:
    count: int = client.scan(TableName=TABLE)["Count"]
    return count


class SNSThatRefuses:
    """SNS in which some entries of a batch fail, or all calls do."""

    def __init__(self, refused: set[str] | None = None, *, dies: bool = False) -> None:
        self._sns = boto3.client("sns")
        self._refused = refused or set()
        self._dies = dies

    def publish_batch(self, **request: Any) -> Any:
        if self._dies:
            raise ConnectionError("gone")
        entries = request["PublishBatchRequestEntries"]
        kept = [
            entry for entry in entries if not any(no in entry["Message"] for no in self._refused)
        ]
        answer = self._sns.publish_batch(**{**request, "PublishBatchRequestEntries": kept})
        failed = [{"Id": entry["Id"]} for entry in entries if entry not in kept]
        return {**answer, "Failed": failed}


def test_what_was_committed_is_published_and_leaves_the_outbox(
    client: Any, topic_arn: str, heard: Any
) -> None:
    for number in range(25):
        committed(client, number)

    answer = outbox.relay(stream_event(client), table=TABLE, topic_arn=topic_arn)

    assert answer == {"batchItemFailures": []}
    assert len(heard()) == 25
    assert unsent(client) == 0


def test_an_event_that_the_topic_did_not_take_stays_and_is_reported(
    client: Any, topic_arn: str, heard: Any
) -> None:
    committed(client, 1)
    committed(client, 2)
    aws.set_client_factory(
        lambda service: SNSThatRefuses({"ord_2"}) if service == "sns" else boto3.client(service)
    )

    answer = outbox.relay(stream_event(client), table=TABLE, topic_arn=topic_arn)
    aws.set_client_factory(None)
    again = outbox.relay(stream_event(client), table=TABLE, topic_arn=topic_arn)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "ORDER#ord_2"}]}
    assert again == {"batchItemFailures": []}
    assert len(heard()) == 2


def test_a_relay_that_dies_before_publishing_has_lost_nothing(
    client: Any, topic_arn: str, heard: Any
) -> None:
    committed(client, 1)
    aws.set_client_factory(
        lambda service: SNSThatRefuses(dies=True) if service == "sns" else boto3.client(service)
    )
    with pytest.raises(ConnectionError):
        outbox.relay(stream_event(client), table=TABLE, topic_arn=topic_arn)
    aws.set_client_factory(None)

    outbox.relay(stream_event(client), table=TABLE, topic_arn=topic_arn)

    assert len(heard()) == 1
    assert unsent(client) == 0


def test_what_the_stream_missed_is_swept_after_a_minute_and_not_before(
    client: Any, topic_arn: str, heard: Any
) -> None:
    committed(client, 1, at=NOON - timedelta(minutes=2))
    committed(client, 2, at=NOON - timedelta(seconds=30))

    swept = outbox.relay_overdue(table=TABLE, topic_arn=topic_arn)

    assert swept == 1
    assert len(heard()) == 1
    assert [from_item(item)["pk"] for item in client.scan(TableName=TABLE)["Items"]] == [
        "ORDER#ord_2"
    ]


def test_stating_a_fact_again_states_the_same_fact() -> None:
    assert event_id("order.placed.v1", "ord_1", 1) == event_id("order.placed.v1", "ord_1", 1)
    assert event_id("order.placed.v1", "ord_1", 1) != event_id("order.placed.v1", "ord_1", 2)

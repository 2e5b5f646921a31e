"""Queues, streams and schedules reach the functions under Lambda's rules."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime

import boto3
import pytest

from infra.local.event_filters import record_filter
from infra.local.event_sources import reported_failures
from infra.local.schedules import ScheduleError, next_time

FUNCTIONS = "tradepost-local"


def outbox(number, body):
    return {"pk": {"S": "x"}, "sk": {"S": f"OUTBOX#{number}"}, "body": {"S": body}}


def publish(body, kind):
    boto3.client("sns").publish(
        TopicArn=os.environ["EVENTS_TOPIC_ARN"],
        Message=body,
        MessageAttributes={"type": {"DataType": "String", "StringValue": kind}},
    )


def waiting(url):
    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return int(attributes["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture
def relay(stack, monkeypatch):
    """Replace the relay's handler by one that fails as the test says; note what it is given."""
    name = f"{FUNCTIONS}-counter-relay"
    original = stack.functions.by_name[name]

    def replace(handler):
        import dataclasses

        monkeypatch.setitem(
            stack.functions.by_name, name, dataclasses.replace(original, handler=handler)
        )

    return replace


def test_an_event_travels_from_the_outbox_to_the_consumer(stack, dynamodb, table, batches):
    dynamodb.put_item(TableName=table, Item=outbox(1, "hello"))

    stack.drain()

    assert batches == [["hello"]]


def test_a_poisoned_message_ends_in_dead_letters_and_the_others_do_not(stack, batches):
    for body in ("fine", "poison", "good"):
        publish(body, "counted.v1")

    stack.drain()

    assert batches == [["fine", "good", "poison"], ["poison"], ["poison"]]
    assert waiting(os.environ["READER_DEAD_LETTERS_URL"]) == 1
    assert waiting(os.environ["READER_QUEUE_URL"]) == 0


def test_a_subscription_gets_only_what_its_filter_lets_through(stack, batches):
    publish("mine", "counted.v1")
    publish("not mine", "other.v1")

    stack.drain()

    assert batches == [["mine"]]


def test_a_dead_subscription_does_not_stop_the_others(stack, batches):
    sns = boto3.client("sns")
    gone = sns.subscribe(
        TopicArn=os.environ["EVENTS_TOPIC_ARN"],
        Protocol="sqs",
        Endpoint="arn:aws:sqs:eu-west-1:123456789012:no-such-queue",
        Attributes={
            "RedrivePolicy": json.dumps(
                {
                    "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:"
                    "tradepost-local-reader-events-dead"
                }
            )
        },
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]

    publish("hello", "counted.v1")
    stack.drain()
    sns.unsubscribe(SubscriptionArn=gone)

    assert batches == [["hello"]]
    assert waiting(os.environ["READER_DEAD_LETTERS_URL"]) == 1


def test_a_function_subscribed_to_a_topic_gets_the_attributes(stack, relay):
    seen = []
    relay(lambda event, _: seen.append(event["Records"][0]["Sns"]))
    sns = boto3.client("sns")
    arn = sns.subscribe(
        TopicArn=os.environ["EVENTS_TOPIC_ARN"],
        Protocol="lambda",
        Endpoint=f"arn:aws:lambda:eu-west-1:123456789012:function:{FUNCTIONS}-counter-relay",
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]

    publish("hello", "noted.v1")
    stack.drain()
    sns.unsubscribe(SubscriptionArn=arn)

    assert seen[0]["Message"] == "hello"
    assert seen[0]["MessageAttributes"]["type"]["Value"] == "noted.v1"


def test_a_relay_is_given_only_the_inserts_of_its_filter(stack, dynamodb, table, relay):
    given = []
    relay(lambda event, _: given.extend(r["dynamodb"]["Keys"]["sk"]["S"] for r in event["Records"]))

    dynamodb.put_item(TableName=table, Item={"pk": {"S": "x"}, "sk": {"S": "ORDER"}})
    dynamodb.put_item(TableName=table, Item=outbox(1, "a"))
    dynamodb.delete_item(TableName=table, Key={"pk": {"S": "x"}, "sk": {"S": "OUTBOX#1"}})
    stack.drain()

    assert given == ["OUTBOX#1"]


def test_a_failing_stream_batch_is_split_retried_and_given_up_in_order(
    stack, dynamodb, table, relay
):
    given = []

    def fail_on_the_second(event, _):
        bodies = [record["dynamodb"]["NewImage"]["body"]["S"] for record in event["Records"]]
        given.append(bodies)
        if "bad" in bodies:
            raise RuntimeError("bad")

    relay(fail_on_the_second)
    for number, body in enumerate(("a", "bad", "c", "d")):
        dynamodb.put_item(TableName=table, Item=outbox(number, body))
    stack.drain()

    assert given == [
        ["a", "bad", "c", "d"],
        ["a", "bad"],
        ["a"],
        ["bad"],
        ["bad"],
        ["bad"],
        ["c"],
        ["d"],
    ]


def test_a_partial_answer_goes_on_at_the_first_record_that_failed(stack, dynamodb, table, relay):
    given = []

    def refuse_the_third_once(event, _):
        records = event["Records"]
        given.append([record["dynamodb"]["NewImage"]["body"]["S"] for record in records])
        failed = [records[2]["dynamodb"]["SequenceNumber"]] if len(given) == 1 else []
        return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}

    relay(refuse_the_third_once)
    for number, body in enumerate("abcd"):
        dynamodb.put_item(TableName=table, Item=outbox(number, body))
    stack.drain()

    assert given == [["a", "b", "c", "d"], ["c", "d"]]


def test_threads_bring_an_event_through_at_once(stack, dynamodb, table, batches):
    stack.pump.start()
    try:
        for number in range(20):
            dynamodb.put_item(TableName=table, Item=outbox(number, f"event {number}"))
        stack.drain()
    finally:
        stack.pump.stop()

    assert sorted(body for batch in batches for body in batch) == sorted(
        f"event {number}" for number in range(20)
    )


def test_a_schedule_calls_its_function(stack, dynamodb, table):
    stack.pump.fire(f"{FUNCTIONS}-counter-tick")
    stack.drain()

    assert [one["pk"]["S"] for one in dynamodb.scan(TableName=table)["Items"]] == ["tick"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(5 minutes)", datetime(2026, 3, 6, 10, 35, tzinfo=UTC)),
        ("rate(1 day)", datetime(2026, 3, 7, 10, 30, tzinfo=UTC)),
        ("cron(0 12 * * ? *)", datetime(2026, 3, 6, 12, tzinfo=UTC)),
        # 6 March 2026 is a Friday; 1 is Sunday.
        ("cron(15 6 ? * 1 *)", datetime(2026, 3, 8, 6, 15, tzinfo=UTC)),
        ("cron(0 8 ? * MON-FRI *)", datetime(2026, 3, 9, 8, tzinfo=UTC)),
        ("cron(0/15 * * * ? *)", datetime(2026, 3, 6, 10, 45, tzinfo=UTC)),
        ("cron(0 0 1 1 ? 2028)", datetime(2028, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_schedule_is_due_when_eventbridge_says(expression, expected):
    now = datetime(2026, 3, 6, 10, 30, tzinfo=UTC).timestamp()

    assert next_time(expression, now) == expected.timestamp()


def test_what_is_no_schedule_is_refused():
    with pytest.raises(ScheduleError):
        next_time("every day", 0.0)


@pytest.mark.parametrize(
    ("pattern", "passes"),
    [
        ({"eventName": ["INSERT"]}, True),
        ({"eventName": ["MODIFY", "REMOVE"]}, False),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"prefix": "OUT"}]}}}}, True),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"suffix": "#1"}]}}}}, True),
        ({"dynamodb": {"Keys": {"sk": {"S": [{"anything-but": ["OUTBOX#1"]}]}}}}, False),
        ({"dynamodb": {"OldImage": [{"exists": False}]}}, True),
        ({"size": [{"numeric": [">", 5, "<=", 10]}]}, True),
        ({"size": [{"numeric": ["=", 5]}]}, False),
        ({"missing": ["x"]}, False),
    ],
)
def test_a_filter_lets_through_what_its_pattern_says(pattern, passes):
    record = {"eventName": "INSERT", "dynamodb": {"Keys": {"sk": {"S": "OUTBOX#1"}}}, "size": 7}

    accepts = record_filter({"Filters": [{"Pattern": json.dumps(pattern)}]})

    assert accepts(record) is passes


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "1"}]}, {"1"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, None),
        ({"batchItemFailures": [{"id": "1"}]}, None),
        ("ok", None),
    ],
)
def test_a_malformed_partial_answer_fails_the_batch(answer, failures):
    assert reported_failures(answer) == failures


def test_draining_gives_up_on_what_never_rests(stack, dynamodb, table, relay):
    def again(event, _):
        number = len(event["Records"][0]["eventID"]) + threading.get_ident() % 7
        name = event["Records"][-1]["dynamodb"]["SequenceNumber"]
        dynamodb.put_item(TableName=table, Item=outbox(f"{name}-{number}", "again"))

    relay(again)
    dynamodb.put_item(TableName=table, Item=outbox(0, "start"))

    with pytest.raises(TimeoutError):
        stack.drain(timeout_seconds=0.1)

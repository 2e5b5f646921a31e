"""Time passes when it is told to: waits, attempts, visibility, expiry and schedules follow it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from infra.local.clock import Clock
from infra.local.schedules import first_time, next_time
from infra.local.stack import LocalStack
from tests.integration.local.conftest import SHOP

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FUNCTIONS = "tradepost-local"
COUNT = f"{FUNCTIONS}-counter-count"
TICK = f"{FUNCTIONS}-counter-tick"
ROLE = "arn:aws:iam::123456789012:role/any"
numbers = itertools.count()


@pytest.fixture(scope="module")
def running_stack() -> Iterator[LocalStack]:
    with LocalStack(SHOP, clock=Clock(NOON.timestamp(), stands=True)) as stack:
        yield stack


@pytest.fixture
def seconds(stack):
    """Tell how many seconds have passed since the test began."""
    began = stack.clock.now()
    return lambda: round(stack.clock.now() - began)


@pytest.fixture
def runs(stack, monkeypatch):
    """Replace what a function does."""

    def replace(name, handler):
        function = dataclasses.replace(stack.functions.by_name[name], handler=handler)
        monkeypatch.setitem(stack.functions.by_name, name, function)

    return replace


@pytest.fixture
def begin(stack):
    """Start an execution of a machine of these states."""
    client = boto3.client("stepfunctions")

    def begin(states, **top):
        definition = json.dumps({"StartAt": next(iter(states)), "States": states, **top})
        machine = client.create_state_machine(
            name=f"timed{next(numbers)}", definition=definition, roleArn=ROLE
        )["stateMachineArn"]
        execution = client.start_execution(stateMachineArn=machine)["executionArn"]
        stack.drain()
        return lambda: client.describe_execution(executionArn=execution)

    return begin


@pytest.fixture(autouse=True)
def idle(runs):
    """Let the schedules do nothing, so that only what a test is about falls due."""
    for name in (TICK, COUNT):
        runs(name, lambda event, context: None)


def task(**rest):
    arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{COUNT}"
    return {"Type": "Task", "Resource": arn, "End": True, **rest}


def passes(stack, **time):
    return stack.advance(timedelta(**time))


def test_a_task_is_tried_again_after_each_of_its_waits_and_not_before(stack, runs, begin, seconds):
    tried = []

    def fails(event, context):
        tried.append(seconds())
        raise ConnectionError

    runs(COUNT, fails)
    retry = {
        "ErrorEquals": ["ConnectionError"],
        "IntervalSeconds": 10,
        "BackoffRate": 3,
        "MaxAttempts": 4,
        "MaxDelaySeconds": 100,
    }
    execution = begin({"Try": task(Retry=[retry])})
    before = execution()["status"], list(tried)

    passes(stack, minutes=10)

    assert before == ("RUNNING", [0])
    assert tried == [0, 10, 40, 130, 230]
    assert execution()["status"] == "FAILED"


@pytest.mark.parametrize("kind", ["Seconds", "Timestamp"])
def test_an_execution_waits_as_long_as_its_state_says(stack, begin, kind):
    ends = stack.clock.utc_now() + timedelta(days=1)
    wait = {"Seconds": 86_400, "Timestamp": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}[kind]
    execution = begin({"Wait": {"Type": "Wait", "End": True, kind: wait}})

    passes(stack, hours=23, minutes=59, seconds=58)
    before = execution()["status"]
    passes(stack, seconds=2)

    assert (before, execution()["status"]) == ("RUNNING", "SUCCEEDED")
    assert abs(execution()["stopDate"].astimezone(UTC) - ends) < timedelta(seconds=1)


def test_an_execution_is_ended_when_its_time_is_over(stack, begin):
    wait = {"Wait": {"Type": "Wait", "Seconds": 1_000, "End": True}}
    execution = begin(wait, TimeoutSeconds=290)

    passes(stack, seconds=289)
    before = execution()["status"]
    passes(stack, seconds=1)

    assert (before, execution()["status"]) == ("RUNNING", "TIMED_OUT")


def test_executions_that_sleep_are_ended_when_the_stack_is_emptied(stack, begin):
    begin({"Wait": {"Type": "Wait", "Seconds": 1_000, "End": True}})

    stack.reset()

    assert stack.clock.asleep == 0
    assert stack.clock.next_alarm() is None


def test_a_message_is_redelivered_when_it_is_visible_again_and_at_last_a_dead_letter(
    stack, runs, seconds
):
    heard = []

    def fails(event, context):
        heard.append((seconds(), event["Records"][0]["attributes"]["ApproximateReceiveCount"]))
        raise ConnectionError

    runs(f"{FUNCTIONS}-reader-on-events", fails)
    client = boto3.client("sqs")
    url = os.environ["READER_QUEUE_URL"]
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "180"})
    client.send_message(QueueUrl=url, MessageBody="hello", DelaySeconds=60)
    stack.drain()

    passes(stack, hours=1)
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})

    assert heard == [(60, "1"), (240, "2"), (420, "3")]
    dead = client.receive_message(QueueUrl=os.environ["READER_DEAD_LETTERS_URL"])["Messages"]
    assert [message["Body"] for message in dead] == ["hello"]


def test_a_message_is_forgotten_when_its_queue_has_kept_it_long_enough(stack):
    client = boto3.client("sqs")
    url = os.environ["READER_DEAD_LETTERS_URL"]  # which keeps a message for four days

    def waiting():
        answer = client.receive_message(QueueUrl=url, VisibilityTimeout=0)
        return len(answer.get("Messages", ()))

    client.send_message(QueueUrl=url, MessageBody="old")
    passes(stack, days=3, hours=23)
    before = waiting()
    passes(stack, hours=2)

    assert (before, waiting()) == (1, 0)


def test_a_failing_stream_batch_waits_longer_each_time(stack, runs, dynamodb, table, seconds):
    tried = []

    def fails(event, context):
        tried.append(stack.clock.now())
        raise ConnectionError

    runs(f"{FUNCTIONS}-counter-relay", fails)
    item = {"pk": {"S": "x"}, "sk": {"S": "OUTBOX#1"}, "body": {"S": "hello"}}
    dynamodb.put_item(TableName=table, Item=item)
    stack.drain()
    passes(stack, minutes=1)

    waits = [round(later - earlier, 1) for earlier, later in itertools.pairwise(tried)]
    assert waits == [0.1, 0.2]


def test_an_item_is_deleted_within_a_minute_of_its_time_and_not_before(stack, dynamodb, table):
    expires = round(stack.clock.now()) + 7 * 86_400
    item = {"pk": {"S": "cart"}, "sk": {"S": "CART"}, "expires_at": {"N": str(expires)}}
    dynamodb.put_item(TableName=table, Item=item)

    def is_there():
        key = {"pk": {"S": "cart"}, "sk": {"S": "CART"}}
        return "Item" in dynamodb.get_item(TableName=table, Key=key)

    passes(stack, days=7)
    before = is_there()
    passes(stack, minutes=2)

    assert (before, is_there()) == (True, False)


def test_a_schedule_that_writes_is_called_each_time_it_is_due(stack, runs, dynamodb, table):
    def writes(event, context):
        item = {"pk": {"S": "tick"}, "sk": {"S": event["time"]}}
        dynamodb.put_item(TableName=table, Item=item)

    runs(TICK, writes)
    passes(stack, days=1)

    assert dynamodb.scan(TableName=table, Select="COUNT")["Count"] == 24 * 12


def looks_for_due(called, clock):
    """What asks an index, as a sweep does, for what was due five minutes ago, and does it."""
    client = boto3.client("dynamodb")
    table = os.environ["COUNTER_TABLE"]

    def sweep(event, context):
        called.append(clock.now())
        found = client.query(
            TableName=table,
            IndexName="by-rank",
            KeyConditionExpression="#group = :group AND #rank <= :by",
            ExpressionAttributeNames={"#group": "group", "#rank": "rank"},
            ExpressionAttributeValues={
                ":group": {"S": "due"},
                ":by": {"N": str(int(clock.now() - 300))},
            },
        )["Items"]
        for item in found:
            client.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})

    return sweep


def due(dynamodb, table, name, at):
    item = {"pk": {"S": name}, "sk": {"S": "X"}, "group": {"S": "due"}, "rank": {"N": str(int(at))}}
    dynamodb.put_item(TableName=table, Item=item)


def test_a_schedule_that_can_find_nothing_is_passed_over_until_it_can(stack, runs, dynamodb, table):
    called = []
    runs(TICK, looks_for_due(called, stack.clock))
    begins = stack.clock.now()
    due(dynamodb, table, "in a day", begins + 86_400)
    due(dynamodb, table, "in two", begins + 2 * 86_400)

    passes(stack, days=7)

    # Once at first; when each is due, at the next of its times; and after each to look again.
    assert [round((at - begins) // 60) for at in called[1:]] == pytest.approx(
        [1445, 1450, 2885, 2890], abs=5
    )
    assert dynamodb.scan(TableName=table, Select="COUNT")["Count"] == 0


def test_a_schedule_that_was_passed_over_is_called_after_a_write(stack, runs, dynamodb, table):
    called = []
    runs(TICK, looks_for_due(called, stack.clock))
    passes(stack, days=3)
    idle = len(called)

    due(dynamodb, table, "now", stack.clock.now() - 600)
    passes(stack, minutes=5)

    assert (idle, len(called)) == (1, 2)
    assert dynamodb.scan(TableName=table, Select="COUNT")["Count"] == 0


def test_a_schedule_that_asks_for_the_time_in_another_way_is_never_passed_over(
    stack, runs, dynamodb, table
):
    called = []

    def reads_todays_item(event, context):
        called.append(event["time"])
        day = f"{stack.clock.utc_now():%Y-%m-%d}"
        boto3.client("dynamodb").get_item(
            TableName=table, Key={"pk": {"S": f"DAY#{day}"}, "sk": {"S": "X"}}
        )

    runs(TICK, reads_todays_item)

    passes(stack, hours=2)

    assert len(called) == 24


def test_rules_and_schedules_of_eventbridge_call_their_targets(stack, runs, dynamodb, table):
    called = []

    def counts(event, context):
        called.append(event["name"])
        item = {"pk": {"S": event["name"]}, "sk": {"S": str(len(called))}}
        dynamodb.put_item(TableName=table, Item=item)

    runs(COUNT, counts)

    passes(stack, days=14)

    assert sorted(called) == ["nightly"] * 14 + ["weekly"] * 2


def test_an_event_reaches_the_targets_of_the_rules_it_matches(stack, runs):
    heard = []
    runs(COUNT, lambda event, context: heard.append((event["source"], event["detail"])))

    for source in ("shop", "somebody else"):
        entry = {"Source": source, "DetailType": "told", "Detail": json.dumps({"n": 1})}
        boto3.client("events").put_events(Entries=[entry])
    stack.drain()

    assert heard == [("shop", {"n": 1})]


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("at(2026-11-21T08:00:00)", "2026-11-20", "2026-11-21T07:00:00"),
        ("at(2026-11-19T08:00:00)", "2026-11-20", None),
        ("cron(0 8 * * ? *)", "2026-11-20", "2026-11-20T07:00:00"),
    ],
)
def test_the_scheduler_reads_the_times_of_its_zone(expression, after, expected):
    begins = datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp()

    found = next_time(expression, begins, "Europe/Berlin")

    if expected is None:
        assert found == float("inf")
    else:
        assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        ("rate(5 minutes)", "12:16", "12:20"),
        ("rate(5 minutes)", "12:20", "12:20"),
        ("rate(5 minutes)", "12:01", "12:05"),
        ("cron(0/15 * * * ? *)", "12:16", "12:30"),
        ("cron(0/15 * * * ? *)", "12:30", "12:30"),
    ],
)
def test_the_first_time_from_a_moment_on_is_one_of_the_schedules_times(
    expression, moment, expected
):
    def at(text):
        return datetime.fromisoformat(f"2026-11-20T{text}:00+00:00").timestamp()

    assert first_time(expression, at("12:05"), at(moment)) == at(expected)


def test_a_running_clock_goes_on_from_where_it_was_set(monkeypatch):
    machine = [1_000.0]
    monkeypatch.setattr("infra.local.clock.time.time", lambda: machine[0])
    clock = Clock()

    clock.set_forward(5_000.0)
    machine[0] += 7

    assert clock.now() == 5_007.0
    clock.set_forward(4_000.0)
    assert clock.now() == 5_007.0

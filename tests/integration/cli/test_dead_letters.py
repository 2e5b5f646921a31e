"""What operators do with dead letters: nothing is lost, and nothing is done without a record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner, Result

from infra.cli.dead_letters import queues
from infra.cli.main import app
from infra.local import corrections

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
ATTRIBUTES = {"type": {"DataType": "String", "StringValue": "order.confirmed.v1"}}


@dataclass
class Post:
    """A consumer's queue with its dead-letter queue, in a stage in AWS."""

    sqs: Any
    url: str
    dead_url: str

    def is_given_up(self, *numbers: int, body: str | None = None) -> None:
        """Lay events into the dead-letter queue, as SQS does with what failed too often."""
        for number in numbers:
            self.sqs.send_message(
                QueueUrl=self.dead_url,
                MessageBody=body or event(number),
                MessageAttributes=ATTRIBUTES,
            )

    def waiting(self) -> list[str]:
        """Read the bodies that wait for the consumer."""
        return self._bodies(self.url)

    def dead(self) -> list[str]:
        """Read the bodies that lie in the dead-letter queue, and can be received."""
        return self._bodies(self.dead_url)

    def _bodies(self, url: str) -> list[str]:
        bodies: list[str] = []
        while answer := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10):
            if "Messages" not in answer:
                break
            bodies += [message["Body"] for message in answer["Messages"]]
        return sorted(bodies)


def event(number: int) -> str:
    # Spaces and order are part of what must come through unharmed.
    return f'{{"event_id":  "evt_{number}", "type": "order.confirmed.v1", "note": "é…"}}'


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    corrections.install()
    monkeypatch.setattr(queues, "WAIT_SECONDS", 0)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        sqs = boto3.client("sqs")
        dead = sqs.create_queue(QueueName="tradepost-test-mail-facts-dlq")["QueueUrl"]
        arn = "arn:aws:sqs:eu-west-1:123456789012:tradepost-test-mail-facts-dlq"
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        url = sqs.create_queue(
            QueueName="tradepost-test-mail-facts", Attributes={"RedrivePolicy": policy}
        )["QueueUrl"]
        sqs.create_queue(QueueName="tradepost-other-facts")
        boto3.client("logs").create_log_group(logGroupName="/tradepost/test/audit")
        yield Post(sqs, url, dead)


def dlq(*typed: str) -> Result:
    return CliRunner().invoke(app, ["dlq", *typed, "--stage", "test"])


def audit() -> list[dict[str, Any]]:
    return [json.loads(line) for line in dlq("history").output.splitlines()]


def fail_at(monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    """Have AWS refuse one operation."""
    call = BaseClient._make_api_call

    def refuse(client: Any, name: str, request: Any) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, name)
        return call(client, name, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)


def test_each_dead_letter_queue_is_listed_with_its_depth_and_the_age_of_the_oldest(
    post: Post,
) -> None:
    post.is_given_up(1, 2, 3)

    told = [json.loads(line) for line in dlq("list", "--json").output.splitlines()]

    assert [(one["name"], one["depth"]) for one in told] == [("mail-facts", 3)]
    assert told[0]["oldest_sent_at"] is not None
    assert "0 minutes ago" in dlq("list").output


def test_showing_takes_nothing_away(post: Post) -> None:
    post.is_given_up(1, 2)

    shown = [json.loads(line) for line in dlq("show", "mail-facts", "--json").output.splitlines()]

    assert {one["body"] for one in shown} == {event(1), event(2)}
    assert shown[0]["attributes"] == {"type": "order.confirmed.v1"}
    assert {"sent_at", "received", "message_id"} <= shown[0].keys()
    assert post.dead() == [event(1), event(2)]


def test_what_is_no_event_can_be_shown_and_named_by_its_message(post: Post) -> None:
    post.is_given_up(1, body="{not json")
    shown = json.loads(dlq("show", "mail-facts", "--json").output)

    done = dlq("redrive", "mail-facts", "--event-id", shown["message_id"])

    assert (shown["event_id"], shown["type"]) == (None, "order.confirmed.v1")
    assert (done.exit_code, post.waiting()) == (0, ["{not json"])


def test_a_message_is_shown_with_what_the_consumers_log_says_of_it(post: Post) -> None:
    logs, group = boto3.client("logs"), "/aws/lambda/tradepost-test-mail-on_fact"
    function_of(post, "tradepost-test-mail-on_fact")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    post.is_given_up(1)
    now = queues.datetime.now(queues.UTC).timestamp() * 1000
    lines = [
        {"level": "WARNING", "message": "message refused", "code": "moon_up", "event_id": "evt_1"},
        {"level": "WARNING", "message": "message refused", "code": "moon_up", "event_id": "evt_2"},
        {"level": "INFO", "message": "order read", "event_id": "evt_1"},
    ]
    logs.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[
            {"timestamp": int(now) + place, "message": json.dumps(line)}
            for place, line in enumerate([*lines, lines[0]])
        ],
    )

    shown = json.loads(dlq("show", "mail-facts", "--json").output)

    assert shown["failed_with"] == ["message refused: moon_up (2x)"]


def function_of(post: Post, name: str) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)
    client = boto3.client("lambda")
    client.create_function(
        FunctionName=name,
        Role=role["Role"]["Arn"],
        Runtime="python3.11",
        Handler="app.handler",
        Code={"ZipFile": b"zip"},
    )
    arn = post.sqs.get_queue_attributes(QueueUrl=post.url, AttributeNames=["QueueArn"])
    client.create_event_source_mapping(
        FunctionName=name, EventSourceArn=arn["Attributes"]["QueueArn"]
    )


def test_a_dry_run_says_which_and_changes_nothing(post: Post) -> None:
    post.is_given_up(1, 2)

    done = dlq("redrive", "mail-facts", "--event-id", "evt_2", "--dry-run")

    assert done.output.splitlines() == [
        "evt_2  order.confirmed.v1",
        "1 would be redriven; nothing was changed",
    ]
    assert (post.waiting(), post.dead()) == ([], [event(1), event(2)])
    assert audit() == []


def test_a_message_goes_back_as_it_was_and_only_the_one_that_is_named(post: Post) -> None:
    post.is_given_up(1, 2, 3)

    done = dlq("redrive", "mail-facts-dlq", "--event-id", "evt_2", "--reason", "stock was mended")

    assert done.exit_code == 0
    back = post.sqs.receive_message(QueueUrl=post.url, MessageAttributeNames=["All"])["Messages"]
    assert [(one["Body"], one["MessageAttributes"]) for one in back] == [(event(2), ATTRIBUTES)]
    assert post.dead() == [event(1), event(3)]


def test_no_more_are_redriven_than_was_allowed(post: Post) -> None:
    post.is_given_up(*range(25))

    done = dlq("redrive", "mail-facts", "--all", "--max", "12")

    assert "12 redriven; about 13 left in mail-facts" in done.output
    assert (len(post.waiting()), len(post.dead())) == (12, 13)


def test_all_are_redriven_each_once(post: Post) -> None:
    post.is_given_up(*range(25))

    dlq("redrive", "mail-facts", "--all")

    assert post.waiting() == sorted(event(number) for number in range(25))
    assert post.dead() == []


def test_an_id_that_is_not_there_is_told_and_the_others_are_done(post: Post) -> None:
    post.is_given_up(1)

    done = dlq("redrive", "mail-facts", "--event-id", "evt_1", "--event-id", "evt_9")

    assert done.exit_code == 1
    assert "dlq redrive: not in mail-facts: evt_9" in done.output
    assert post.waiting() == [event(1)]


def test_a_redrive_is_recorded_with_who_why_and_what(post: Post) -> None:
    post.is_given_up(1)

    dlq("redrive", "mail-facts", "--all", "--reason", "stock was mended")

    begun, redriven, ended = audit()
    assert {one["by"] for one in (begun, redriven, ended)} == {
        "arn:aws:sts::123456789012:user/moto"
    }
    assert {one["reason"] for one in (begun, redriven, ended)} == {"stock was mended"}
    assert [one["step"] for one in (begun, redriven, ended)] == ["begun", "redriven", "ended"]
    assert (redriven["event_id"], redriven["queue"]) == ("evt_1", "mail-facts")
    assert (begun["asked_for"], ended["messages"]) == ("all", 1)


def test_discarding_without_a_reason_is_refused(post: Post) -> None:
    post.is_given_up(1)

    for reason in ([], ["--reason", " "]):
        done = dlq("discard", "mail-facts", "--all", *reason)

        assert (done.exit_code, len(done.output.splitlines())) == (2, 1)
    assert post.dead() == [event(1)]


def test_what_is_discarded_is_kept_whole_in_the_record(post: Post) -> None:
    post.is_given_up(1, 2)

    done = dlq("discard", "mail-facts", "--event-id", "evt_1", "--reason", "no such order")

    assert done.exit_code == 0
    assert post.dead() == [event(2)]
    assert post.waiting() == []
    (discarded,) = [one for one in audit() if one["step"] == "discarded"]
    assert discarded["body"] == event(1)
    assert discarded["attributes"] == {"type": "order.confirmed.v1"}
    assert discarded["reason"] == "no such order"


@pytest.mark.parametrize("act", ["redrive", "discard"])
def test_what_cannot_be_recorded_is_not_done(
    act: str, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.is_given_up(1)
    with monkeypatch.context() as patch:
        fail_at(patch, "PutLogEvents")

        done = dlq(act, "mail-facts", "--all", "--reason", "why not")

    assert (done.exit_code, post.waiting(), post.dead()) == (2, [], [event(1)])
    assert done.output.splitlines()[-1].endswith("PutLogEvents: AccessDenied: not you")


@pytest.mark.parametrize(
    ("operation", "waits", "lies"),
    [("SendMessage", 0, 1), ("DeleteMessage", 1, 1)],
)
def test_a_redrive_that_breaks_off_leaves_the_message_in_one_queue_at_least(
    operation: str, waits: int, lies: int, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.is_given_up(1)
    with monkeypatch.context() as patch:
        fail_at(patch, operation)

        done = dlq("redrive", "mail-facts", "--all")

    assert done.exit_code == 2
    assert (len(post.waiting()), len(post.dead())) == (waits, lies)


def test_a_discard_that_breaks_off_leaves_the_message_and_its_record(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.is_given_up(1)
    with monkeypatch.context() as patch:
        fail_at(patch, "DeleteMessage")

        dlq("discard", "mail-facts", "--all", "--reason", "no such order")

    assert post.dead() == [event(1)]
    assert [one["body"] for one in audit() if one["step"] == "discarded"] == [event(1)]


def test_either_some_messages_or_all_must_be_meant(post: Post) -> None:
    for which in ([], ["--all", "--event-id", "evt_1"]):
        done = dlq("redrive", "mail-facts", *which)

        assert (done.exit_code, done.output) == (
            2,
            "dlq redrive: say which messages: either --event-id or --all\n",
        )


def test_a_queue_that_is_not_there_is_one_line_that_names_those_that_are(post: Post) -> None:
    done = dlq("show", "sail-facts")

    assert (done.exit_code, done.output) == (
        2,
        "dlq show: sail-facts is no dead-letter queue; there are: mail-facts\n",
    )


def test_without_a_stage_and_without_a_local_shop_nothing_is_guessed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nobody(*_: Any, **__: Any) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx, "get", nobody)

    done = CliRunner().invoke(app, ["dlq", "list"])

    assert (done.exit_code, done.output) == (
        2,
        "dlq list: no local shop answers at http://localhost:8000;"
        " for a stage in AWS name it: --stage dev\n",
    )

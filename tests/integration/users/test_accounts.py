from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from pydantic import ValidationError

from tradepost.platform import aws
from tradepost.platform.dynamodb import from_item
from users.model import AccountNotFoundError

from .conftest import TABLE, UsersAPI


@pytest.fixture
def token(api) -> str:
    api.register()
    text: str = api.log_in().body["access_token"]
    return text


# Profiles


def test_people_see_their_own_account_and_its_version(api, token):
    answer = api("GET /v1/users/me", token=token)

    assert answer.status == 200
    assert answer.headers["ETag"] == '"1"'
    assert answer.body == {
        "user_id": answer.body["user_id"],
        "email": "mia@example.com",
        "name": "Mia Holmgren",
        "role": "customer",
        "email_verified": False,
        "version": 1,
    }


def test_a_name_changes_at_the_version_that_was_read(api, token):
    answer = api("PATCH /v1/users/me", {"name": " Mia Berg "}, token=token, if_match='"1"')

    assert answer.status == 200
    assert (answer.body["name"], answer.body["version"]) == ("Mia Berg", 2)
    assert answer.headers["ETag"] == '"2"'
    assert api("GET /v1/users/me", token=token).body == answer.body


def test_a_name_does_not_change_at_a_version_that_has_passed(api, token):
    api("PATCH /v1/users/me", {"name": "Mia Berg"}, token=token, if_match='"1"')

    answer = api("PATCH /v1/users/me", {"name": "Mia Late"}, token=token, if_match='"1"')

    assert (answer.status, answer.code) == (412, "version_mismatch")
    assert api("GET /v1/users/me", token=token).body["name"] == "Mia Berg"


def test_without_a_version_the_name_changes_whatever_it_was(api, token):
    answer = api("PATCH /v1/users/me", {"name": "Mia Berg"}, token=token)

    assert (answer.status, answer.body["name"]) == (200, "Mia Berg")


def test_of_ten_changes_to_one_version_exactly_one_is_made(api, token, at_once):
    apis = [UsersAPI() for _ in range(10)]

    answers = at_once(
        lambda numbered: numbered[1](
            "PATCH /v1/users/me", {"name": f"Mia {numbered[0]}"}, token=token, if_match='"1"'
        ),
        list(enumerate(apis)),
    )

    statuses = sorted(answer.status for answer in answers)
    assert statuses == [200] + [412] * 9
    (made,) = (answer.body for answer in answers if answer.status == 200)
    assert api("GET /v1/users/me", token=token).body == made


@pytest.mark.parametrize(
    "body", [{"role": "admin", "name": "Mia"}, {"email": "new@example.com"}, {}, {"name": None}]
)
def test_nothing_but_the_name_can_be_changed(api, token, body):
    answer = api("PATCH /v1/users/me", body, token=token)

    assert answer.status == 422
    assert api("GET /v1/users/me", token=token).body["version"] == 1


def test_a_version_that_is_none_is_refused(api, token):
    answer = api("PATCH /v1/users/me", {"name": "Mia"}, token=token, if_match="soon")

    assert (answer.status, answer.code) == (400, "invalid_header")


def test_the_api_description_names_the_body_of_an_answer_with_headers(api):
    answers = {(spec.method, spec.path): spec.answer for spec in api.app.specs}

    assert answers["GET", "/v1/users/me"].__name__ == "Profile"
    assert answers["GET", "/.well-known/jwks.json"].__name__ == "PublicKeys"


# Roles


def test_an_operator_makes_the_first_admin(api):
    user_id = api.register().body["user_id"]

    granted = api.invoke(
        "grant_role", {"email": "MIA@example.com", "role": "admin", "vouched": True}
    )

    assert granted == {"user_id": user_id, "role": "admin"}
    assert api.log_in().body["role"] == "admin"


def test_granting_a_role_twice_changes_the_account_once(api, token):
    for _ in range(2):
        api.invoke("grant_role", {"email": "mia@example.com", "role": "warehouse", "vouched": True})

    profile = api("GET /v1/users/me", token=token).body
    assert (profile["role"], profile["version"]) == ("warehouse", 2)


@pytest.mark.parametrize(
    "order",
    [
        {"email": "mia@example.com", "role": "guest"},
        {"email": "mia@example.com", "role": "owner"},
        {"email": "mia@example.com"},
        {"email": "mia@example.com", "role": "admin", "user_id": "usr_1"},
    ],
)
def test_an_order_for_no_such_role_is_refused(api, token, order):
    with pytest.raises(ValidationError):
        api.invoke("grant_role", order)

    assert api("GET /v1/users/me", token=token).body["role"] == "customer"


def test_a_role_is_granted_only_to_an_account(api):
    with pytest.raises(AccountNotFoundError):
        api.invoke("grant_role", {"email": "nobody@example.com", "role": "admin", "vouched": True})


def test_no_route_grants_a_role(api):
    granting = [spec.path for spec in api.app.specs if "role" in spec.path]

    assert granting == []


def test_the_event_is_published_and_leaves_the_outbox(api):
    user_id = api.register().body["user_id"]
    queue = _queue_of_everything()

    answer = api.invoke("relay", _stream_of_the_outbox())

    assert answer == {"batchItemFailures": []}
    (message,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["user_id"] == user_id
    assert not _stream_of_the_outbox()["Records"]


def test_the_sweep_leaves_fresh_events_to_the_relay(api):
    api.register()

    swept = api.invoke("relay_overdue", _schedule_event())

    assert swept == 0
    assert _stream_of_the_outbox()["Records"]


def _queue_of_everything() -> str:
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    url: str = sqs.create_queue(QueueName="everything")["QueueUrl"]
    (topic,) = sns.list_topics()["Topics"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic["TopicArn"], Protocol="sqs", Endpoint=arn["QueueArn"])
    return url


def _stream_of_the_outbox() -> dict[str, Any]:
    items = aws.dynamodb().scan(TableName=TABLE)["Items"]
    return {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {"NewImage": item, "SequenceNumber": str(number)}}
            for number, item in enumerate(items)
            if from_item(item)["sk"].startswith("OUTBOX#")
        ]
    }


def _schedule_event() -> dict[str, Any]:
    return {
        "version": "0",
        "id": "1",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-02-03T12:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {},
    }

from __future__ import annotations

import pytest

from tradepost.contracts.users import UserLetterDueV1, UserRegisteredV1
from tradepost.platform import aws
from tradepost.platform.dynamodb import from_item

from .conftest import PASSWORD, TABLE, UsersAPI


def stored(kind: str) -> list[dict]:
    items = [from_item(item) for item in aws.dynamodb().scan(TableName=TABLE)["Items"]]
    return [item for item in items if item["sk"].startswith(kind)]


def test_registering_answers_with_the_account_and_no_secrets(api):
    answer = api.register(email=" Mia@Example.com ")

    assert answer.status == 201
    assert answer.body == {
        "user_id": answer.body["user_id"],
        "email": "mia@example.com",
        "name": "Mia Holmgren",
    }
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_account_its_claim_and_its_event_are_written_together(api):
    user_id = api.register().body["user_id"]

    (account,) = stored("ACCOUNT")
    (claim,) = stored("CLAIM")
    outbox = {item["type"]: item["body"] for item in stored("OUTBOX#")}
    (letter,) = stored("LETTER#")
    event = UserRegisteredV1.model_validate_json(outbox.pop("user.registered.v1"))
    due = UserLetterDueV1.model_validate_json(outbox.pop("user.letter_due.v1"))
    assert account["role"] == "customer"
    assert account["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (claim["pk"], claim["user_id"]) == ("EMAIL#mia@example.com", user_id)
    assert (event.user_id, event.correlation_id) == (user_id, "request-1")
    assert (due.user_id, due.letter_id, outbox) == (user_id, letter["letter_id"], {})
    assert (letter["kind"], letter["digests"]) == ("welcome", [])


def test_a_second_account_for_an_address_is_refused_and_leaves_nothing(api):
    api.register(email="mia@example.com")

    answer = api.register(email="MIA@EXAMPLE.COM", name="Somebody Else")

    assert (answer.status, answer.code) == (409, "email_taken")
    assert len(stored("ACCOUNT")) == len(stored("CLAIM")) == len(stored("LETTER#")) == 1
    assert len(stored("OUTBOX#")) == 2


def test_of_fifty_sign_ups_with_one_address_exactly_one_succeeds(at_once):
    # Each has an app of its own, as each Lambda has: Chalice keeps the request on the app.
    apis = [UsersAPI() for _ in range(50)]

    answers = at_once(lambda api: api.register(), apis)

    statuses = sorted(answer.status for answer in answers)
    assert statuses == [201] + [409] * 49
    assert len(stored("ACCOUNT")) == len(stored("CLAIM")) == len(stored("LETTER#")) == 1
    assert len(stored("OUTBOX#")) == 2


@pytest.mark.parametrize(
    "extra", [{"role": "admin"}, {"user_id": "usr_1"}, {"version": 7}, {"password_hash": "x"}]
)
def test_nobody_registers_with_more_than_they_are_asked_for(api, extra):
    answer = api.register(**extra)

    assert answer.status == 422
    assert answer.body["errors"][0]["at"] == "/" + next(iter(extra))
    assert not stored("ACCOUNT")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": "nowhere"}, "invalid_email"),
        ({"password": "fourteen chars"}, "password_refused"),
        ({"password": "passwordpassword"}, "password_refused"),
        ({"password": "mia@example.com"}, "password_refused"),
        ({"password": "é" * 600}, "password_refused"),
        ({"password": "x" * 1025}, "invalid_request"),
        ({"password": 123456789012345}, "invalid_request"),
        ({"name": ""}, "invalid_request"),
        ({"name": "  "}, "invalid_request"),
        ({"name": "Mia\r\nBcc: all@example.com"}, "invalid_request"),
        ({"name": "M" * 101}, "invalid_request"),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(api, change, code):
    answer = api.register(**change)

    assert (answer.status, answer.code) == (422, code)
    assert {item["sk"] for item in stored("")} <= {"LIMIT"}


def test_what_is_not_json_is_refused(api):
    answer = api("POST /v1/users", '{"email": "mia@example.com", ')

    assert (answer.status, answer.code) == (400, "malformed_json")


def test_spaces_around_a_password_are_part_of_it(api):
    api.register(password=f"  {PASSWORD}  ")

    assert api.log_in(password=PASSWORD).status == 401
    assert api.log_in(password=f"  {PASSWORD}  ").status == 201

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tradepost.kernel.clock import set_clock, utc_now
from tradepost.platform import auth, aws
from users.passwords import Argon2Passwords

from .conftest import PASSWORD, TABLE, UsersAPI

NONCE = "a nonce only the client knows"


def test_logging_in_gives_a_token_that_speaks_for_the_account(api):
    user_id = api.register().body["user_id"]

    answer = api.log_in(email="MIA@example.com")

    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["token_type"] == "Bearer"
    assert answer.body["expires_in"] == 900
    assert (answer.body["user_id"], answer.body["role"]) == (user_id, "customer")
    caller = auth.verify_access_token(answer.body["access_token"])
    assert (caller.principal_id, caller.role) == (user_id, auth.Role.CUSTOMER)


def test_nobody_can_tell_from_a_refused_log_in_whether_the_address_is_registered(api):
    api.register()

    wrong_password = api.log_in(password="not the right password")
    unknown_address = api.log_in(email="noah@example.com")

    assert (wrong_password.status, wrong_password.code) == (401, "invalid_credentials")
    assert unknown_address == wrong_password


def test_a_refused_log_in_does_the_same_work_for_a_known_and_an_unknown_address(api, monkeypatch):
    api.register()
    work: Counter[str] = Counter()
    matches = Argon2Passwords.matches

    def counted(self: Argon2Passwords, password_hash: str, password: str) -> bool:
        work[password_hash.rpartition("$")[0].rpartition("$")[0]] += 1
        return matches(self, password_hash, password)

    monkeypatch.setattr(Argon2Passwords, "matches", counted)
    calls = aws.dynamodb().meta.events
    # First: the local stack's own handler, if it is there, answers and ends the asking.
    calls.register_first(
        "before-call.dynamodb", lambda model, **_: work.update([model.name]), unique_id="count"
    )

    api.log_in(password="not the right password")
    for_a_known_one = dict(work)
    work.clear()
    api.log_in(email="noah@example.com")
    calls.unregister("before-call.dynamodb", unique_id="count")

    assert for_a_known_one == {
        "$argon2id$v=19$m=19456,t=2,p=1": 1,
        "GetItem": 2,
        # Attempts by address, by account in this quarter of an hour, by account in a row.
        "UpdateItem": 3,
    }
    assert dict(work) == for_a_known_one


def test_whoever_is_let_in_was_judged_by_the_latest_state(api):
    api.register()
    consistent: list[bool] = []
    calls = aws.dynamodb().meta.events
    calls.register(
        "provide-client-params.dynamodb.GetItem",
        lambda params, **_: consistent.append(params["ConsistentRead"]),
        unique_id="consistent",
    )

    api.refresh(api.log_in().body["refresh_token"])
    calls.unregister("provide-client-params.dynamodb.GetItem", unique_id="consistent")

    assert consistent == [True] * 4


def test_no_refresh_token_is_stored(api):
    api.register()
    secret = api.log_in().body["refresh_token"].rpartition(".")[2]

    stored = repr(aws.dynamodb().scan(TableName=TABLE)["Items"])

    assert "SESSION#" in stored
    assert secret not in stored


def test_a_refresh_gives_new_tokens_of_the_same_account(api):
    api.register()
    first = api.log_in().body

    second = api.refresh(first["refresh_token"])

    assert second.status == 200
    assert second.body["user_id"] == first["user_id"]
    assert second.body["refresh_token"] != first["refresh_token"]
    assert auth.verify_access_token(second.body["access_token"])


def test_reuse_of_an_old_refresh_token_voids_the_newest(api):
    api.register()
    first = api.log_in().body["refresh_token"]
    newest = api.refresh(first).body["refresh_token"]

    reused = api.refresh(first)

    assert (reused.status, reused.code) == (401, "refresh_token_reused")
    dead = api.refresh(newest)
    assert (dead.status, dead.code) == (401, "refresh_token_invalid")


def test_a_lost_answer_is_given_again(api):
    api.register()
    first = api.log_in().body["refresh_token"]
    lost = api.refresh(first, NONCE).body["refresh_token"]

    again = api.refresh(first, NONCE)

    assert (again.status, again.body["refresh_token"]) == (200, lost)
    assert api.refresh(lost).status == 200


def test_a_lost_answer_is_not_given_again_after_ten_seconds(api):
    api.register()
    first = api.log_in().body["refresh_token"]
    lost = api.refresh(first, NONCE).body["refresh_token"]
    later = utc_now() + timedelta(seconds=11)
    set_clock(lambda: later)

    assert api.refresh(first, NONCE).code == "refresh_token_reused"
    assert api.refresh(lost).code == "refresh_token_invalid"


@pytest.mark.parametrize(("nonce", "good"), [(None, 0), (NONCE, 1)])
def test_simultaneous_refreshes_leave_at_most_one_good_token(at_once, nonce, good):
    apis = [UsersAPI() for _ in range(8)]
    apis[0].register()

    for _ in range(5):
        token = apis[0].log_in().body["refresh_token"]
        answers = at_once(lambda api, token=token: api.refresh(token, nonce), apis)

        given = {answer.body["refresh_token"] for answer in answers if answer.status == 200}
        assert len(given) == 1
        still_good = [child for child in given if apis[0].refresh(child).status == 200]
        assert len(still_good) == good


def test_a_session_that_expired_is_refused_before_dynamodb_deletes_it(api):
    api.register()
    token = api.log_in().body["refresh_token"]
    later = utc_now() + timedelta(days=30)
    set_clock(lambda: later)

    answer = api.refresh(token)

    assert (answer.status, answer.code) == (401, "refresh_token_invalid")
    assert "SESSION#" in repr(aws.dynamodb().scan(TableName=TABLE)["Items"])


def test_logging_out_ends_the_session_and_may_be_repeated(api):
    api.register()
    token = api.log_in().body["refresh_token"]

    once = api("POST /v1/sessions/logout", {"refresh_token": token})
    twice = api("POST /v1/sessions/logout", {"refresh_token": token})

    assert (once.status, once.body) == (204, None)
    assert twice == once
    assert api.refresh(token).code == "refresh_token_invalid"


@pytest.mark.parametrize("path", ["/v1/sessions/refresh", "/v1/sessions/logout"])
def test_an_access_token_is_no_refresh_token(api, path):
    api.register()
    access_token = api.log_in().body["access_token"]

    answer = api(f"POST {path}", {"refresh_token": access_token[:200]})

    assert (answer.status, answer.code) == (401, "refresh_token_invalid")


def test_a_guest_gets_a_token_for_a_week_and_leaves_no_trace(api):
    answer = api("POST /v1/guests")

    assert answer.status == 201
    assert answer.body["expires_in"] == 7 * 24 * 60 * 60
    caller = auth.verify_access_token(answer.body["access_token"])
    assert caller == auth.Caller(answer.body["guest_id"], auth.Role.GUEST)
    assert not aws.dynamodb().scan(TableName=TABLE)["Items"]


def test_nothing_private_is_in_any_log_line(api, log_lines):
    def told(answer: Any) -> list[str]:
        return [answer.body["access_token"], answer.body["refresh_token"]]

    api.register()
    api.register()
    api.register(password="passwordpassword", email="noah@example.com")
    api.log_in(password="not the right password")
    first = api.log_in()
    second = api.refresh(first.body["refresh_token"], NONCE)
    api.refresh(first.body["refresh_token"])
    api("GET /v1/users/me", token=first.body["access_token"])
    api("POST /v1/users", {"email": "mia@example.com", "password": PASSWORD, "name": 1})
    api.invoke("grant_role", {"email": "mia@example.com", "role": "support", "vouched": True})
    api("POST /v1/sessions/logout", {"refresh_token": second.body["refresh_token"]})

    lines = log_lines.getvalue()
    private = [
        PASSWORD,
        "passwordpassword",
        "not the right password",
        "mia@example.com",
        "noah@example.com",
        "Holmgren",
        NONCE,
        *told(first),
        *told(second),
    ]
    assert "refresh_token_reused" in lines
    assert [canary for canary in private if canary in lines] == []


def test_a_fault_is_answered_without_its_insides_and_logged_without_the_body(
    api, log_lines, monkeypatch
):
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("table tradepost-test-users is on fire")

    monkeypatch.setattr(api.module.use_cases, "log_in", broken)

    answer = api.log_in()

    assert (answer.status, answer.code) == (500, "internal_error")
    assert "fire" not in repr(answer.body)
    assert PASSWORD not in log_lines.getvalue()
    assert "mia@example.com" not in log_lines.getvalue()

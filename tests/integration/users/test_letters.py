"""Addresses and passwords confirmed, changed and reset by letters whose codes are good once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.users import QuickPasswords
from tests.integration.schedules import every_schedule
from tradepost.kernel.clock import utc_now
from tradepost.kernel.ids import new_id
from tradepost.kernel.randomness import random_bytes
from tradepost.platform import aws
from tradepost.platform.dynamodb import from_item
from users import use_cases
from users.dynamodb import DynamoDBAccounts, DynamoDBLetters
from users.letters import CONFIRMATION_LIFETIME, RESET_LIFETIME, WITH_A_CODE, LetterKind
from users.model import Account, EmailUnverifiedError

from .conftest import PASSWORD, TABLE, Answer, UsersAPI

pytestmark = pytest.mark.usefixtures("quick_hashes")

NEW_PASSWORD = "another stony path"


def stored() -> list[dict[str, Any]]:
    return [from_item(item) for item in aws.dynamodb().scan(TableName=TABLE)["Items"]]


def post(api: UsersAPI) -> list[dict[str, Any]]:
    """Write every letter that is due, as notifications does; return what each says."""
    due = [item["body"] for item in stored() if item.get("type") == "user.letter_due.v1"]
    told = []
    for body in due:
        event = asked_about(body)
        told.append({**api.invoke("letter", event), **event})
    for item in stored():
        if item["sk"].startswith("OUTBOX#"):
            aws.dynamodb().delete_item(
                TableName=TABLE, Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
            )
    return told


def asked_about(body: str) -> dict[str, str]:
    event = json.loads(body)
    return {"user_id": event["user_id"], "letter_id": event["letter_id"]}


@pytest.fixture
def mia(api: UsersAPI) -> dict[str, Any]:
    api.register()
    session: dict[str, Any] = api.log_in().body
    return session


def confirm(api: UsersAPI, code: str) -> Answer:
    return api("POST /v1/email-confirmations", {"code": code})


def reset(api: UsersAPI, code: str, password: str = NEW_PASSWORD) -> Answer:
    return api("POST /v1/password-resets/completion", {"code": code, "new_password": password})


def ask_for_reset(api: UsersAPI, email: str = "mia@example.com") -> Answer:
    return api("POST /v1/password-resets", {"email": email})


# Confirming an address


def test_the_welcome_letters_code_confirms_the_address(api, mia):
    (welcome,) = post(api)

    answer = confirm(api, welcome["code"])

    assert (welcome["kind"], welcome["email"]) == ("welcome", "mia@example.com")
    assert (answer.status, answer.body["email_verified"]) == (200, True)


def test_a_code_is_good_once(api, mia):
    (welcome,) = post(api)
    confirm(api, welcome["code"])

    again = confirm(api, welcome["code"])

    assert (again.status, again.code) == (422, "code_invalid")


def test_a_letter_written_again_holds_another_code_and_either_is_good(api, mia):
    (welcome,) = post(api)
    question = {"user_id": welcome["user_id"], "letter_id": welcome["letter_id"]}
    again = api.invoke("letter", question)

    assert again["code"] != welcome["code"]
    assert confirm(api, welcome["code"]).status == 200
    assert confirm(api, again["code"]).status == 422


@pytest.mark.parametrize(
    "bent",
    [
        lambda code: code[:-1],
        lambda code: code[:-1] + ("A" if code[-1] != "A" else "B"),
        lambda code: code.replace("usr_", "usr_0")[:-1],
        lambda _: "x",
        lambda _: "usr_" + "0" * 26 + ".ltr_" + "0" * 26 + "." + "A" * 43,
    ],
)
def test_a_code_that_is_not_one_of_ours_is_refused(api, mia, bent):
    (welcome,) = post(api)

    assert confirm(api, bent(welcome["code"])).status == 422


def test_a_code_that_came_too_late_is_refused_before_dynamodb_deletes_it(api, mia, later):
    (welcome,) = post(api)
    later(CONFIRMATION_LIFETIME)

    assert confirm(api, welcome["code"]).code == "code_invalid"


def test_another_letter_can_be_asked_for_until_the_address_is_confirmed(api, mia):
    post(api)
    token = mia["access_token"]

    asked = api("POST /v1/me/email-confirmation", token=token)
    (letter,) = post(api)
    confirm(api, letter["code"])
    again = api("POST /v1/me/email-confirmation", token=token)

    assert (asked.status, letter["kind"], again.status) == (202, "confirm_email", 202)
    assert post(api) == []


def test_nobody_is_written_to_without_end(api, mia):
    answers = [api("POST /v1/me/email-confirmation", token=mia["access_token"]) for _ in range(6)]

    assert [answer.status for answer in answers] == [202] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


# Changing the address


def test_a_new_address_is_the_accounts_once_its_code_comes_back_and_the_old_one_is_told(api, mia):
    post(api)
    asked = api(
        "POST /v1/me/email",
        {"email": "Mia.Berg@example.com", "password": PASSWORD},
        token=mia["access_token"],
    )
    letters = {letter["kind"]: letter for letter in post(api)}

    before = api("GET /v1/users/me", token=mia["access_token"]).body["email"]
    answer = confirm(api, letters["confirm_new_email"]["code"])
    (notice,) = post(api)

    assert asked.status == 202
    assert letters["confirm_new_email"]["email"] == "mia.berg@example.com"
    assert letters["email_change_asked"]["email"] == "mia@example.com"
    assert (before, answer.body["email"]) == ("mia@example.com", "mia.berg@example.com")
    assert (notice["kind"], notice["email"]) == ("email_changed", "mia@example.com")
    assert api.log_in(email="mia.berg@example.com").status == 201
    assert api.log_in(email="mia@example.com").status == 401
    assert api.register(email="mia@example.com").status == 201


def test_an_address_is_changed_by_its_password_only(api, mia):
    body = {"email": "thief@example.com", "password": "not the password"}

    answer = api("POST /v1/me/email", body, token=mia["access_token"])

    assert (answer.status, answer.code) == (403, "password_wrong")
    assert [letter["kind"] for letter in post(api)] == ["welcome"]


def test_an_address_that_somebody_has_meanwhile_is_not_taken_from_them(api, mia):
    post(api)
    body = {"email": "noah@example.com", "password": PASSWORD}
    api("POST /v1/me/email", body, token=mia["access_token"])
    letters = {letter["kind"]: letter for letter in post(api)}
    api.register(email="noah@example.com")

    answer = confirm(api, letters["confirm_new_email"]["code"])

    assert (answer.status, answer.code) == (409, "email_taken")
    assert api("GET /v1/users/me", token=mia["access_token"]).body["email"] == "mia@example.com"


def test_asking_for_another_address_tells_nobody_whether_it_has_an_account(api, mia):
    api.register(email="noah@example.com")

    answers = [
        api("POST /v1/me/email", {"email": email, "password": PASSWORD}, token=mia["access_token"])
        for email in ("noah@example.com", "nobody@example.com")
    ]

    assert answers[0] == answers[1]


# Changing the password


def change_password(api: UsersAPI, session: dict[str, Any], **changes: Any) -> Answer:
    body = {"password": PASSWORD, "new_password": NEW_PASSWORD, **changes}
    return api("POST /v1/me/password", body, token=session["access_token"])


def test_a_new_password_ends_every_session_but_the_one_that_is_shown(api, mia):
    other = api.log_in().body

    answer = change_password(api, mia, refresh_token=mia["refresh_token"])

    assert answer.status == 200
    assert api.refresh(mia["refresh_token"]).status == 200
    assert api.refresh(other["refresh_token"]).status == 401
    assert api.log_in().status == 401
    assert api.log_in(password=NEW_PASSWORD).status == 201
    # The welcome letter is void with the old password, and nobody is written to.
    assert [letter.get("kind") for letter in post(api)].count("password_changed") == 1


def test_a_new_password_voids_every_letter_and_device_of_the_old_one(api, mia):
    ask_for_reset(api)
    letters = {letter["kind"]: letter for letter in post(api)}
    change_password(api, mia)

    assert reset(api, letters["reset_password"]["code"]).code == "code_invalid"
    assert confirm(api, letters["welcome"]["code"]).code == "code_invalid"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"password": "not the password"}, 403),
        ({"new_password": "too short"}, 422),
        ({"new_password": "passwordpassword"}, 422),
        ({"refresh_token": "x"}, 401),
    ],
)
def test_a_change_that_is_refused_changes_nothing(api, mia, changes, status):
    answer = change_password(api, mia, **changes)

    assert answer.status == status
    assert api.log_in().status == 201


def test_somebody_elses_session_is_not_kept(api, mia):
    api.register(email="noah@example.com")
    noah = api.log_in(email="noah@example.com").body

    assert change_password(api, mia, refresh_token=noah["refresh_token"]).status == 401
    assert api.refresh(noah["refresh_token"]).status == 200


def test_a_stolen_token_cannot_try_passwords_without_end(api, mia):
    answers = [change_password(api, mia, password="not the password") for _ in range(11)]

    assert [answer.status for answer in answers] == [403] * 10 + [429]


# Resetting the password


def test_whoever_reads_the_mail_sets_a_new_password_and_every_session_ends(api, mia):
    post(api)
    asked = ask_for_reset(api)
    (letter,) = post(api)

    answer = reset(api, letter["code"])

    assert (asked.status, letter["kind"], answer.status) == (202, "reset_password", 200)
    assert api.refresh(mia["refresh_token"]).status == 401
    assert api.log_in().status == 401
    assert api.log_in(password=NEW_PASSWORD).status == 201
    assert api("GET /v1/users/me", token=mia["access_token"]).body["email_verified"]


def test_a_reset_throws_out_whoever_was_there_before(api, mia):
    """A stranger registered with the address of somebody, who now resets the password."""
    body = {"email": "x@evil.example", "password": PASSWORD}
    api("POST /v1/me/email", body, token=mia["access_token"])
    ask_for_reset(api)
    letters = {letter["kind"]: letter for letter in post(api)}

    reset(api, letters["reset_password"]["code"])

    assert confirm(api, letters["confirm_new_email"]["code"]).code == "code_invalid"
    assert api.refresh(mia["refresh_token"]).status == 401


def test_a_password_that_is_refused_leaves_the_code_good(api, mia):
    ask_for_reset(api)
    (*_, letter) = sorted(post(api), key=lambda letter: letter["kind"] == "reset_password")

    assert reset(api, letter["code"], "too short").code == "password_refused"
    assert reset(api, letter["code"]).status == 200


def test_a_reset_letter_is_good_for_half_an_hour(api, mia, later):
    ask_for_reset(api)
    letters = {letter["kind"]: letter for letter in post(api)}
    later(RESET_LIFETIME)

    assert reset(api, letters["reset_password"]["code"]).code == "code_invalid"


def test_a_code_is_good_for_what_its_letter_was_about_and_nothing_else(api, mia):
    ask_for_reset(api)
    letters = {letter["kind"]: letter for letter in post(api)}

    assert confirm(api, letters["reset_password"]["code"]).code == "code_invalid"
    assert reset(api, letters["welcome"]["code"]).code == "code_invalid"


def test_a_letter_to_the_address_that_the_account_had_resets_nothing(api, mia):
    post(api)
    ask_for_reset(api)
    (to_the_old_one,) = post(api)
    api(
        "POST /v1/me/email",
        {"email": "berg@example.com", "password": PASSWORD},
        token=mia["access_token"],
    )
    letters = {letter["kind"]: letter for letter in post(api)}
    confirm(api, letters["confirm_new_email"]["code"])

    assert reset(api, to_the_old_one["code"]).code == "code_invalid"


def test_a_code_is_used_once_however_many_try_at_once(api, mia, at_once):
    ask_for_reset(api)
    letters = {letter["kind"]: letter for letter in post(api)}
    passwords = [f"the stony path of number {number}" for number in range(10)]
    apis = [UsersAPI() for _ in passwords]

    answers = at_once(
        lambda number: reset(apis[number], letters["reset_password"]["code"], passwords[number]),
        list(range(10)),
    )

    assert sorted(answer.status for answer in answers) == [200] + [422] * 9
    (winner,) = [number for number, answer in enumerate(answers) if answer.status == 200]
    assert api.log_in(password=passwords[winner]).status == 201


def test_in_no_order_of_calls_is_a_code_used_twice():
    client = aws.dynamodb()
    letters = DynamoDBLetters(client, TABLE)
    code = ""
    user_id = ""

    def begin() -> None:
        nonlocal code, user_id
        user_id = a_registered_account()
        (letter,) = [
            item for item in stored() if item["sk"].startswith("LETTER#") and user_id in item["pk"]
        ]
        written = use_cases.write_letter(
            user_id,
            letter["letter_id"],
            accounts=DynamoDBAccounts(client, TABLE),
            letters=letters,
            now=utc_now,
            random_bytes=random_bytes,
        )
        assert written is not None
        code = str(written.code)

    def one(later: timedelta) -> Callable[[Any], Account]:
        return lambda watched: use_cases.confirm_email(
            code,
            correlation_id="request-1",
            accounts=DynamoDBAccounts(watched, TABLE),
            letters=DynamoDBLetters(watched, TABLE),
            now=lambda: utc_now() + later,
            new_id=new_id,
        )

    # A second apart: of two who write the same in one millisecond, each takes the other's write for
    # its own, sent again by the SDK.
    both = [one(timedelta(seconds=seconds)) for seconds in range(2)]
    outcomes = list(every_schedule(client, begin, both))

    assert len(outcomes) >= 10
    assert {sum(isinstance(one, Account) for one in outcome) for outcome in outcomes} == {1}


def a_registered_account() -> str:
    account = use_cases.register(
        use_cases.Registration(f"{new_id('m')}@example.com", PASSWORD, "Mia"),
        correlation_id="request-1",
        accounts=DynamoDBAccounts(aws.dynamodb(), TABLE),
        passwords=QuickPasswords(),
        now=utc_now,
        new_id=new_id,
    )
    return account.user_id


# What strangers learn


def test_a_reset_is_answered_alike_for_an_address_with_an_account_and_one_without(api, mia):
    known = ask_for_reset(api)
    unknown = ask_for_reset(api, "nobody@example.com")

    assert known == unknown


def test_a_reset_does_the_same_work_for_an_address_with_an_account_and_one_without(api, mia):
    def work(email: str) -> list[tuple[str, list[str]]]:
        calls: list[tuple[str, list[str]]] = []
        events = aws.dynamodb().meta.events

        def note(model: Any, params: Any, **_: Any) -> None:
            body = params["body"]
            calls.append((model.name, [len(body) // 40]))

        events.register_first("before-call.dynamodb", note, unique_id="note")
        ask_for_reset(api, email)
        events.unregister("before-call.dynamodb", unique_id="note")
        return calls

    known, unknown = work("mia@example.com"), work("zoe@example.com")

    assert known == unknown
    assert [name for name, _ in known] == [
        "UpdateItem",
        "GetItem",
        "GetItem",
        "UpdateItem",
        "TransactWriteItems",
    ]


def test_an_unknown_address_gets_no_letter(api):
    ask_for_reset(api, "nobody@example.com")

    (letter,) = post(api)

    assert letter["email"] is None


def test_no_code_is_stored_told_in_an_event_or_logged(api, mia, log_lines):
    ask_for_reset(api)
    events = [item["body"] for item in stored() if item["sk"].startswith("OUTBOX#")]
    letters = post(api)
    codes = [letter["code"] for letter in letters if letter["code"]]

    secrets = [code.rpartition(".")[2] for code in codes]
    assert len(secrets) == 2
    kept = repr(stored()) + repr(events) + log_lines.getvalue()
    assert not [secret for secret in secrets if secret in kept]
    assert {LetterKind(letter["kind"]) for letter in letters} <= WITH_A_CODE


def test_the_host_that_a_request_names_is_no_matter(api, mia):
    ask_for_reset(api)
    api("POST /v1/password-resets", {"email": "mia@example.com"}, host="evil.example")

    assert "evil" not in repr(stored())
    assert "evil" not in repr(post(api))


@pytest.mark.parametrize("role", ["support", "warehouse", "admin"])
def test_a_role_of_the_staff_is_given_only_to_an_address_that_is_confirmed_or_vouched_for(
    api, mia, role
):
    order = {"email": "mia@example.com", "role": role}

    with pytest.raises(EmailUnverifiedError):
        api.invoke("grant_role", order)
    (welcome,) = post(api)
    confirm(api, welcome["code"])

    assert api.invoke("grant_role", order)["role"] == role


def test_an_operator_vouches_for_an_address_they_know(api, mia):
    order = {"email": "mia@example.com", "role": "admin", "vouched": True}

    assert api.invoke("grant_role", order)["role"] == "admin"

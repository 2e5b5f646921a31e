"""What people do with their accounts, over the whole shop: mails, sessions, keys that change."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import boto3

from tests.system.shopper import ADDRESS, Person, Town, registered

PASSWORD = "a long enough password"
NEW_PASSWORD = "a longer password still"
CODE = re.compile(r"usr_\w{26}\.ltr_\w{26}\.[\w-]{43}")


def mail(town: Town, to: str, subject: str) -> dict[str, str]:
    """Find the one mail to an address with a subject, once everything has been sent."""
    town.settles()
    (found,) = [one for one in town.stack.mailbox.list(to) if one["subject"] == subject]
    return found


def code_in(letter: dict[str, str]) -> str:
    codes = set(CODE.findall(letter["text"]))
    assert codes == set(CODE.findall(letter["html"]))
    (code,) = codes
    return code


def test_a_registration_is_welcomed_and_its_address_confirmed_by_the_mail(
    lasting_town: Town,
) -> None:
    person = Person(
        lasting_town.http, registered(lasting_town.nobody, "welcome@example.com")["access_token"]
    )
    welcome = mail(lasting_town, "welcome@example.com", "Welcome to Tradepost")

    answer = lasting_town.nobody.post("/v1/email-confirmations", {"code": code_in(welcome)})

    assert answer.status_code == 200
    assert person.get("/v1/users/me").json()["email_verified"]
    assert "https://shop.tradepost.example/confirm-email#" in welcome["text"]


def test_a_forgotten_password_is_set_anew_by_mail(lasting_town: Town) -> None:
    session = registered(lasting_town.nobody, "forgetful@example.com")
    asked = lasting_town.nobody.post("/v1/password-resets", {"email": "forgetful@example.com"})
    letter = mail(lasting_town, "forgetful@example.com", "Set a new password")
    body = {"code": code_in(letter), "new_password": NEW_PASSWORD}

    answer = lasting_town.nobody.post("/v1/password-resets/completion", body)

    refresh = {"refresh_token": session["refresh_token"]}
    assert (asked.status_code, answer.status_code) == (202, 200)
    assert lasting_town.nobody.post("/v1/sessions/refresh", refresh).status_code == 401
    assert lasting_town.nobody.post("/v1/password-resets/completion", body).status_code == 422
    who = {"email": "forgetful@example.com", "password": NEW_PASSWORD}
    assert lasting_town.nobody.post("/v1/sessions", who).status_code == 201
    mail(lasting_town, "forgetful@example.com", "Your password has changed")


def test_nobody_is_written_to_about_an_account_that_there_is_not(lasting_town: Town) -> None:
    asked = lasting_town.nobody.post("/v1/password-resets", {"email": "absent@example.com"})
    lasting_town.settles()

    assert asked.status_code == 202
    assert lasting_town.stack.mailbox.list("absent@example.com") == []


def test_an_address_that_changes_is_told_at_both_ends(lasting_town: Town) -> None:
    person = Person(
        lasting_town.http, registered(lasting_town.nobody, "old@example.com")["access_token"]
    )
    person.post("/v1/me/email", {"email": "new@example.com", "password": PASSWORD})
    letter = mail(lasting_town, "new@example.com", "Confirm your new e-mail address")
    mail(lasting_town, "old@example.com", "Somebody wants to change your e-mail address")

    answer = lasting_town.nobody.post("/v1/email-confirmations", {"code": code_in(letter)})

    assert answer.json()["email"] == "new@example.com"
    mail(lasting_town, "old@example.com", "Your e-mail address has changed")


def test_no_merchants_system_is_told_a_code(town: Town) -> None:
    endpoint = {"url": "https://merchant.example/events"}
    town.admin.post("/v1/webhook-endpoints", endpoint, Idempotency_Key="one")
    registered(town.nobody, "private@example.com")
    letter = mail(town, "private@example.com", "Welcome to Tradepost")

    secret = code_in(letter).rpartition(".")[2]

    tables = boto3.client("dynamodb")
    for name in tables.list_tables()["TableNames"]:
        assert secret not in repr(tables.scan(TableName=name)["Items"]), name


def test_of_fifty_sign_ups_with_one_address_one_is_an_account(lasting_town: Town) -> None:
    body = {"email": "crowd@example.com", "password": PASSWORD, "name": "One of fifty"}

    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: lasting_town.nobody.post("/v1/users", body).status_code, range(50))
        )

    assert sorted(answers) == [201] + [409] * 49
    lasting_town.settles()
    assert len(lasting_town.stack.mailbox.list("crowd@example.com")) == 1


def test_an_address_of_the_book_is_what_a_checkout_takes(lasting_town: Town) -> None:
    lasting_town.sells("BOOKMUG", on_hand=3)
    person = lasting_town.customer()
    kept = person.post("/v1/addresses", {"address": ADDRESS}, Idempotency_Key="home")
    path = f"/v1/addresses/{kept.json()['address_id']}"
    found = person.get(path)

    ordered = person.checks_out(person.fills_cart(BOOKMUG=1), **found.json()["address"])

    assert (kept.status_code, kept.json()["is_default"]) == (201, True)
    assert found.headers["ETag"] == kept.headers["ETag"] == '"1"'
    assert ordered.status_code == 202


def test_a_key_used_for_another_address_is_refused(lasting_town: Town) -> None:
    person = lasting_town.customer()

    first, again, another = (
        person.post("/v1/addresses", {"address": {**ADDRESS, "city": city}}, Idempotency_Key="home")
        for city in ("York", "York", "Leeds")
    )

    assert (first.status_code, again.status_code, another.status_code) == (201, 201, 422)
    assert again.json() == first.json()
    assert another.json()["code"] == "idempotency_key_reused"
    assert person.get("/v1/addresses").json() == {"addresses": [first.json()]}


def test_of_two_edits_of_an_address_one_is_told_that_it_came_late(lasting_town: Town) -> None:
    person = lasting_town.customer()
    kept = person.post("/v1/addresses", {"address": ADDRESS}, Idempotency_Key="home").json()
    path = f"/v1/addresses/{kept['address_id']}"

    answers = [
        person.put(path, {"address": {**ADDRESS, "city": city}}, If_Match='"1"')
        for city in ("York", "Leeds")
    ]

    assert [answer.status_code for answer in answers] == [200, 412]
    assert answers[1].json()["version"] == 2
    assert person.get(path).json()["address"]["city"] == "York"
    assert person.delete(path, If_Match='"1"').status_code == 412
    assert person.delete(path, If_Match='"2"').status_code == 204
    assert person.get("/v1/addresses").json() == {"addresses": []}

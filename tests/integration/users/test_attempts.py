"""Guessing ends after some attempts, and nobody is locked out by a stranger."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tradepost.kernel.clock import set_clock, utc_now
from users.attempts import _network

from .conftest import PASSWORD, Answer, UsersAPI
from .test_letters import NEW_PASSWORD, ask_for_reset, post, reset, stored

pytestmark = pytest.mark.usefixtures("quick_hashes")

QUARTER = timedelta(minutes=15)


@pytest.fixture(autouse=True)
def at_the_beginning_of_a_window() -> None:
    moment = utc_now().replace(minute=0, second=1)
    set_clock(lambda: moment)


def guess(api: UsersAPI, email: str = "mia@example.com", **known: str) -> Answer:
    body = {"email": email, "password": "a wrong guess of it", **known}
    return api("POST /v1/sessions", body)


def on_device(api: UsersAPI, device_token: str, password: str = PASSWORD) -> Answer:
    body = {"email": "mia@example.com", "password": password, "device_token": device_token}
    return api("POST /v1/sessions", body)


def test_after_ten_guesses_strangers_wait_and_are_told_for_how_long(api):
    api.register()

    answers = [guess(api) for _ in range(11)]

    assert [answer.status for answer in answers] == [401] * 10 + [429]
    assert answers[-1].code == "too_many_requests"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 15 * 60
    assert api.log_in().status == 429


def test_of_fifty_guesses_at_once_ten_are_looked_at(api, at_once):
    api.register()
    apis = [UsersAPI() for _ in range(50)]

    answers = at_once(guess, apis)

    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 40


def test_a_stranger_who_fails_on_purpose_does_not_lock_the_owner_out(api):
    api.register()
    device = api.log_in().body["device_token"]
    for _ in range(20):
        guess(api)

    answer = on_device(api, device)

    assert answer.status == 201
    assert on_device(api, answer.body["device_token"]).status == 201


def test_a_known_device_guesses_no_more_often_than_a_stranger(api):
    api.register()
    device = api.log_in().body["device_token"]

    answers = [on_device(api, device, "a wrong guess of it") for _ in range(11)]

    assert [answer.status for answer in answers] == [401] * 10 + [429]
    assert api.log_in().status == 201


@pytest.mark.parametrize("whose", ["noah", "nobody"])
def test_a_device_is_known_to_its_own_account_only(api, whose):
    api.register()
    api.register(email="noah@example.com")
    token = api.log_in(email="noah@example.com").body["device_token"]
    if whose == "nobody":
        token = token[:-4] + "AAAA"
    for _ in range(10):
        guess(api)

    assert on_device(api, token).status == 429


def test_after_a_hundred_failures_in_a_row_strangers_go_by_mail_and_the_owner_does_not(api, later):
    api.register()
    device = api.log_in().body["device_token"]
    statuses = []
    for _ in range(10):
        later(QUARTER)
        statuses += [guess(api).status for _ in range(10)]
    later(QUARTER)

    refused = api.log_in()

    assert statuses == [401] * 100
    assert (refused.status, refused.code) == (429, "password_reset_needed")
    assert on_device(api, device).status == 201


def test_a_reset_opens_the_account_to_whoever_reads_its_mail_and_ends_the_row(api, later):
    api.register()
    for _ in range(11):
        later(QUARTER)
        for _ in range(10):
            guess(api)
    post(api)
    ask_for_reset(api)
    (letter,) = post(api)

    answer = reset(api, letter["code"])

    # At once, though strangers still use up their attempts.
    assert on_device(api, answer.body["device_token"], NEW_PASSWORD).status == 201
    later(QUARTER)
    assert api.log_in(password=NEW_PASSWORD).status == 201


def test_whoever_knows_the_password_logs_in_as_often_as_they_like(api):
    """A script of an operator, say, which keeps no token of its device."""
    api.register()

    answers = [api.log_in().status for _ in range(12)] + [guess(api).status for _ in range(11)]

    assert answers == [201] * 12 + [401] * 10 + [429]


def test_a_success_ends_the_row_of_failures(api, later):
    api.register()
    for _ in range(12):
        later(QUARTER)
        for _ in range(9):
            guess(api)
        assert api.log_in().status == 201


def test_whoever_uses_up_the_reset_letters_leaves_the_owner_good_ones(api):
    api.register()
    post(api)
    answers = [ask_for_reset(api) for _ in range(9)]

    letters = post(api)

    assert {answer.status for answer in answers} == {202}
    assert len(letters) == 5
    assert reset(api, letters[0]["code"]).status == 200


def test_an_unknown_address_is_counted_and_answered_as_a_known_one(api):
    api.register()

    known = [guess(api) for _ in range(12)]
    unknown = [guess(api, "nobody@example.com") for _ in range(12)]

    assert known == unknown


def test_one_address_of_the_internet_tries_only_so_often(api, monkeypatch):
    monkeypatch.setenv("ATTEMPTS_BY_ADDRESS", "4")
    api.register()

    answers = [guess(api, f"somebody{number}@example.com") for number in range(4)]

    assert [answer.status for answer in answers] == [401, 401, 401, 429]
    assert ask_for_reset(api).status == 429
    assert api.register(email="noah@example.com").status == 429


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2:3::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_a_household_has_one_count_however_many_addresses_it_has(first, second, is_one):
    assert (_network(first) == _network(second)) is is_one


def test_no_address_is_kept_as_it_is(api):
    guess(api, "somebody.private@example.com")

    assert "somebody.private" not in repr(stored())
    assert "192.0.2.1" not in repr(stored())

"""The promises of users' ports, kept by DynamoDB and by the fakes the unit tests use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.fakes.users import InMemoryAccounts, InMemorySessions
from tradepost.contracts.users import UserRegisteredV1
from tradepost.kernel.errors import StaleError, UnavailableError
from tradepost.kernel.ids import new_id
from tradepost.kernel.randomness import random_bytes
from tradepost.platform import aws
from users.dynamodb import DynamoDBAccounts, DynamoDBSessions
from users.model import (
    Account,
    AccountNotFoundError,
    AccountRole,
    EmailTakenError,
    VersionMismatchError,
)
from users.ports import AccountRepository, SessionRepository
from users.sessions import RefreshToken, Session

from .conftest import TABLE

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)


def an_account(email: str = "mia@example.com") -> Account:
    return Account(
        user_id=new_id("usr"),
        email=email,
        name="Mia Holmgren",
        password_hash="$argon2id$...",
        role=AccountRole.CUSTOMER,
        registered_at=NOW,
    )


def its_event(account: Account) -> UserRegisteredV1:
    return UserRegisteredV1(
        event_id=f"evt_{account.user_id}",
        occurred_at=NOW,
        correlation_id="request-1",
        version=1,
        user_id=account.user_id,
    )


def a_session() -> tuple[Session, RefreshToken]:
    token = RefreshToken(new_id("usr"), new_id("ses"), random_bytes(32))
    return Session.opened(token, NOW), token


class Repeating:
    """A client whose every write is sent again, as the SDK does when an answer is lost."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def twice(**request: Any) -> Any:
            call(**request)
            return call(**request)

        return twice if name in {"put_item", "transact_write_items", "delete_item"} else call


@pytest.fixture(params=["dynamodb", "dynamodb_with_lost_answers", "in_memory"])
def accounts(request: pytest.FixtureRequest) -> AccountRepository:
    match request.param:
        case "dynamodb":
            return DynamoDBAccounts(aws.dynamodb(), TABLE)
        case "dynamodb_with_lost_answers":
            return DynamoDBAccounts(Repeating(aws.dynamodb()), TABLE)
    return InMemoryAccounts()


@pytest.fixture(params=["dynamodb", "dynamodb_with_lost_answers", "in_memory"])
def sessions(request: pytest.FixtureRequest) -> SessionRepository:
    match request.param:
        case "dynamodb":
            return DynamoDBSessions(aws.dynamodb(), TABLE)
        case "dynamodb_with_lost_answers":
            return DynamoDBSessions(Repeating(aws.dynamodb()), TABLE)
    return InMemorySessions()


# Accounts


def test_an_account_is_read_as_it_was_added(accounts):
    account = an_account()

    accounts.add(account, its_event(account))

    assert accounts.get(account.user_id) == account
    assert accounts.by_email(account.email) == account


def test_who_never_registered_is_not_found(accounts):
    assert accounts.by_email("nobody@example.com") is None
    with pytest.raises(AccountNotFoundError):
        accounts.get("usr_nobody")


def test_adding_the_same_account_again_is_no_second_account(accounts):
    account = an_account()

    accounts.add(account, its_event(account))
    accounts.add(account, its_event(account))

    assert accounts.get(account.user_id) == account


def test_an_address_is_claimed_once(accounts):
    first, second = an_account(), an_account()
    accounts.add(first, its_event(first))

    with pytest.raises(EmailTakenError):
        accounts.add(second, its_event(second))

    assert accounts.by_email(first.email) == first
    with pytest.raises(AccountNotFoundError):
        accounts.get(second.user_id)


def test_the_next_version_replaces_the_one_before(accounts):
    account = an_account()
    accounts.add(account, its_event(account))
    granted = account.granted(AccountRole.ADMIN)

    accounts.save(granted)

    assert accounts.get(account.user_id) == granted


def test_of_two_changes_to_one_version_the_second_is_refused(accounts):
    account = an_account()
    accounts.add(account, its_event(account))
    accounts.save(account.renamed("Mia Berg"))

    with pytest.raises(VersionMismatchError):
        accounts.save(account.renamed("Mia Late"))

    assert accounts.get(account.user_id).name == "Mia Berg"


def test_an_account_that_is_not_there_is_not_saved(accounts):
    account = an_account()

    with pytest.raises(VersionMismatchError):
        accounts.save(account.renamed("Mia Berg"))

    with pytest.raises(AccountNotFoundError):
        accounts.get(account.user_id)


# Sessions


@pytest.mark.parametrize("nonce", [None, "a nonce only the client knows"])
def test_a_session_is_read_as_it_was_written(sessions, nonce):
    session, token = a_session()
    later = NOW + timedelta(minutes=15, milliseconds=7)
    replaced = session.replaced(token, token.successor(random_bytes), nonce, later)

    sessions.add(session)
    assert sessions.find(session.user_id, session.session_id) == session
    sessions.replace(replaced)

    found = sessions.find(session.user_id, session.session_id)
    assert found is not None
    assert replace(found, expires_at=replaced.expires_at) == replaced
    # DynamoDB's time to live counts whole seconds.
    assert timedelta(0) <= replaced.expires_at - found.expires_at < timedelta(seconds=1)


def test_a_session_that_never_was_is_not_found(sessions):
    session, _ = a_session()
    sessions.add(session)

    assert sessions.find(session.user_id, "ses_other") is None
    assert sessions.find("usr_other", session.session_id) is None


def test_of_two_refreshes_of_one_version_the_second_is_refused(sessions):
    session, token = a_session()
    sessions.add(session)
    first = session.replaced(token, token.successor(random_bytes), None, NOW)
    second = session.replaced(token, token.successor(random_bytes), None, NOW)
    sessions.replace(first)

    with pytest.raises(StaleError):
        sessions.replace(second)

    assert sessions.find(session.user_id, session.session_id) == first


def test_a_session_that_ended_cannot_be_brought_back_by_a_refresh(sessions):
    session, token = a_session()
    sessions.add(session)
    sessions.end(session.user_id, session.session_id)
    sessions.end(session.user_id, session.session_id)

    with pytest.raises(StaleError):
        sessions.replace(session.replaced(token, token.successor(random_bytes), None, NOW))

    assert sessions.find(session.user_id, session.session_id) is None


# When DynamoDB does not answer


class Failing:
    """A client that raises at every call."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(**_: Any) -> Any:
            raise self._error

        return fail


@pytest.fixture(
    params=[
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "GetItem"),
    ],
    ids=["no answer", "throttled"],
)
def failing(request: pytest.FixtureRequest) -> Any:
    return Failing(request.param)


@pytest.mark.parametrize(
    "call",
    [
        lambda accounts: accounts.get("usr_1"),
        lambda accounts: accounts.by_email("mia@example.com"),
        lambda accounts: accounts.save(an_account().renamed("Mia Berg")),
        lambda accounts: accounts.add(an_account(), its_event(an_account())),
    ],
    ids=["get", "by_email", "save", "add"],
)
def test_accounts_out_of_reach_may_be_asked_again(failing, call):
    with pytest.raises(UnavailableError):
        call(DynamoDBAccounts(failing, TABLE))


@pytest.mark.parametrize(
    "call",
    [
        lambda sessions: sessions.add(a_session()[0]),
        lambda sessions: sessions.find("usr_1", "ses_1"),
        lambda sessions: sessions.replace(a_session()[0]),
        lambda sessions: sessions.end("usr_1", "ses_1"),
    ],
    ids=["add", "find", "replace", "end"],
)
def test_sessions_out_of_reach_may_be_asked_again(failing, call):
    with pytest.raises(UnavailableError):
        call(DynamoDBSessions(failing, TABLE))

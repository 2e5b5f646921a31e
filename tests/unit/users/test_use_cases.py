from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes.users import (
    EndlessPatience,
    InMemoryAccounts,
    InMemorySessions,
    NamedDevices,
    QuickPasswords,
    ReadableAccessTokens,
)
from tradepost.kernel.errors import UnavailableError
from tradepost.kernel.ids import new_id
from tradepost.kernel.randomness import random_bytes
from users import use_cases
from users.model import (
    Account,
    AccountNotFoundError,
    AccountRole,
    CredentialsError,
    EmailTakenError,
    InvalidEmailError,
    VersionMismatchError,
)
from users.password_policy import PasswordRefusedError
from users.sessions import RefreshToken, RefreshTokenInvalidError, RefreshTokenReusedError
from users.use_cases import LoggedIn, Registration

EMAIL = "mia@example.com"
PASSWORD = "a stony path uphill"
NONCE = "a nonce only the client knows"


@dataclass
class Shop:
    """The use cases with everything they need, and a clock a test can turn."""

    accounts: InMemoryAccounts = field(default_factory=InMemoryAccounts)
    sessions: Any = field(default_factory=InMemorySessions)
    passwords: QuickPasswords = field(default_factory=QuickPasswords)
    access_tokens: Any = field(default_factory=ReadableAccessTokens)
    moment: datetime = datetime(2026, 2, 3, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def register(self, email: str = EMAIL, password: str = PASSWORD) -> Account:
        return use_cases.register(
            Registration(email, password, "Mia Holmgren"),
            correlation_id="request-1",
            accounts=self.accounts,
            passwords=self.passwords,
            now=self.now,
            new_id=new_id,
        )

    def log_in(self, email: str = EMAIL, password: str = PASSWORD) -> LoggedIn:
        return use_cases.log_in(
            email,
            password,
            attempts=EndlessPatience(),
            devices=NamedDevices(),
            accounts=self.accounts,
            sessions=self.sessions,
            passwords=self.passwords,
            access_tokens=self.access_tokens,
            now=self.now,
            new_id=new_id,
            random_bytes=random_bytes,
        )

    def refresh(self, token: RefreshToken, nonce: str | None = None) -> LoggedIn:
        return use_cases.refresh(
            str(token),
            nonce,
            accounts=self.accounts,
            sessions=self.sessions,
            access_tokens=self.access_tokens,
            now=self.now,
            random_bytes=random_bytes,
        )

    def is_good(self, token: RefreshToken) -> bool:
        session = self.sessions.find(token.user_id, token.session_id)
        return session is not None and session.accepts(token)


@pytest.fixture
def shop():
    return Shop()


# Registering


def test_registering_makes_a_customer_and_says_so_once(shop):
    account = shop.register()

    assert account.role is AccountRole.CUSTOMER
    (event,) = shop.accounts.events.values()
    assert (event.user_id, event.version, event.correlation_id) == (
        account.user_id,
        1,
        "request-1",
    )


def test_the_event_holds_nothing_private(shop):
    shop.register()

    (event,) = shop.accounts.events.values()
    assert EMAIL not in event.model_dump_json()
    assert "Mia" not in event.model_dump_json()


def test_an_address_has_one_account_however_it_is_written(shop):
    shop.register(email="mia@example.com")

    with pytest.raises(EmailTakenError):
        shop.register(email=" MIA@Example.com ")


def test_a_refused_registration_leaves_nothing(shop):
    with pytest.raises(PasswordRefusedError):
        shop.register(password="too short")
    with pytest.raises(InvalidEmailError):
        shop.register(email="nowhere")

    assert not shop.accounts.accounts
    assert not shop.accounts.events


# Logging in


def test_the_right_password_opens_a_session_for_fifteen_minutes_at_a_time(shop):
    account = shop.register()

    logged_in = shop.log_in(email="MIA@example.com")

    assert logged_in.access_token.text == f"{account.user_id} as customer"
    assert logged_in.access_token.lifetime == timedelta(minutes=15)
    assert shop.is_good(logged_in.refresh_token)


def test_a_password_typed_on_another_keyboard_is_the_same(shop):
    shop.register(password="caf\u00e9 cr\u00e8me brul\u00e9e")

    assert shop.log_in(password="cafe\u0301 cre\u0300me brule\u0301e")


@pytest.mark.parametrize(
    "password", ["", PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], "another password"]
)
def test_a_wrong_password_opens_nothing(shop, password):
    shop.register()

    with pytest.raises(CredentialsError):
        shop.log_in(password=password)

    assert not shop.sessions.sessions


def test_an_unknown_address_costs_one_check_of_a_hash_as_a_known_one_does(shop):
    account = shop.register()

    with pytest.raises(CredentialsError):
        shop.log_in(password="wrong password here")
    with pytest.raises(CredentialsError):
        shop.log_in(email="nobody@example.com")

    assert shop.passwords.checked == [account.password_hash, shop.passwords.decoy]


def test_logging_in_renews_a_hash_of_older_parameters(shop):
    account = shop.register()
    shop.passwords.scheme = "v2"

    shop.log_in()

    renewed = shop.accounts.get(account.user_id)
    assert renewed.password_hash.startswith("v2:")
    assert renewed.version == account.version + 1
    assert shop.log_in()


def test_a_wrong_password_renews_no_hash(shop):
    account = shop.register()
    shop.passwords.scheme = "v2"

    with pytest.raises(CredentialsError):
        shop.log_in(password="wrong password here")

    assert shop.accounts.get(account.user_id) == account


def test_two_devices_have_sessions_of_their_own(shop):
    shop.register()
    telephone = shop.log_in()
    laptop = shop.log_in()

    use_cases.log_out(str(telephone.refresh_token), sessions=shop.sessions)

    assert not shop.is_good(telephone.refresh_token)
    assert shop.is_good(laptop.refresh_token)


# Staying logged in


def test_a_refresh_gives_a_new_token_and_voids_the_old_one(shop):
    shop.register()
    first = shop.log_in().refresh_token

    second = shop.refresh(first).refresh_token

    assert shop.is_good(second)
    assert not shop.is_good(first)


def test_reuse_of_an_old_refresh_token_voids_the_newest_too(shop):
    shop.register()
    first = shop.log_in().refresh_token
    second = shop.refresh(first).refresh_token
    newest = shop.refresh(second).refresh_token

    with pytest.raises(RefreshTokenReusedError):
        shop.refresh(first)

    with pytest.raises(RefreshTokenInvalidError):
        shop.refresh(newest)


def test_a_lost_answer_is_given_again_and_the_session_lives_on(shop):
    shop.register()
    first = shop.log_in().refresh_token
    lost = shop.refresh(first, NONCE).refresh_token
    shop.moment += timedelta(seconds=9)

    again = shop.refresh(first, NONCE).refresh_token

    assert again == lost
    assert shop.refresh(again).refresh_token


@pytest.mark.parametrize(
    ("nonce", "after"),
    [
        (None, timedelta(seconds=1)),
        ("a nonce the thief made up", timedelta(seconds=1)),
        (NONCE, timedelta(seconds=10)),
    ],
)
def test_asking_again_with_another_nonce_or_too_late_is_reuse(shop, nonce, after):
    shop.register()
    first = shop.log_in().refresh_token
    newest = shop.refresh(first, NONCE).refresh_token
    shop.moment += after

    with pytest.raises(RefreshTokenReusedError):
        shop.refresh(first, nonce)

    assert not shop.is_good(newest)


def test_asking_again_after_the_successor_was_used_is_reuse(shop):
    shop.register()
    first = shop.log_in().refresh_token
    second = shop.refresh(first, NONCE).refresh_token
    newest = shop.refresh(second, NONCE).refresh_token

    with pytest.raises(RefreshTokenReusedError):
        shop.refresh(first, NONCE)

    assert not shop.is_good(newest)


def test_an_unused_session_ends_after_thirty_days_though_it_is_still_stored(shop):
    shop.register()
    token = shop.log_in().refresh_token
    shop.moment += timedelta(days=30)

    with pytest.raises(RefreshTokenInvalidError):
        shop.refresh(token)

    assert shop.sessions.sessions


def test_a_session_in_use_outlives_thirty_days(shop):
    shop.register()
    token = shop.log_in().refresh_token

    for _ in range(3):
        shop.moment += timedelta(days=29)
        token = shop.refresh(token).refresh_token

    assert shop.is_good(token)


def test_logging_out_voids_every_token_of_the_session_old_and_new(shop):
    shop.register()
    first = shop.log_in().refresh_token
    newest = shop.refresh(first).refresh_token

    use_cases.log_out(str(first), sessions=shop.sessions)
    use_cases.log_out(str(first), sessions=shop.sessions)

    with pytest.raises(RefreshTokenInvalidError):
        shop.refresh(newest)


def test_another_persons_session_cannot_be_refreshed_by_naming_it(shop):
    shop.register()
    other = shop.register(email="noah@example.com")
    token = shop.log_in().refresh_token

    with pytest.raises(RefreshTokenInvalidError):
        shop.refresh(RefreshToken(other.user_id, token.session_id, token.secret))

    assert shop.is_good(token)


def test_a_role_taken_away_is_gone_from_the_next_access_token(shop):
    shop.register()
    use_cases.grant_role(EMAIL, AccountRole.ADMIN, vouched=True, accounts=shop.accounts)
    admin = shop.log_in()
    use_cases.grant_role(EMAIL, AccountRole.CUSTOMER, accounts=shop.accounts)

    refreshed = shop.refresh(admin.refresh_token)

    assert admin.access_token.text.endswith("as admin")
    assert refreshed.access_token.text.endswith("as customer")


def test_a_refresh_that_cannot_be_signed_uses_up_nothing(shop):
    class Unsigned:
        def issue(self, *_: Any) -> Any:
            raise UnavailableError("KMS")

    shop.register()
    token = shop.log_in().refresh_token
    shop.access_tokens = Unsigned()

    with pytest.raises(UnavailableError):
        shop.refresh(token)

    assert shop.is_good(token)


class Interrupted:
    """Sessions during whose nth call somebody else does something first."""

    def __init__(self, sessions: InMemorySessions, nth: int, interruption: Any) -> None:
        self._sessions = sessions
        self._calls_left = nth
        self._interruption = interruption

    def __getattr__(self, name: str) -> Any:
        if self._calls_left == 0:
            self._interruption()
        self._calls_left -= 1
        return getattr(self._sessions, name)


@pytest.mark.parametrize("nth_call", range(5))
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [(None, None), (NONCE, None), (NONCE, "a nonce of their own"), (NONCE, NONCE)],
)
def test_of_two_refreshes_at_once_at_most_one_successor_is_good(shop, nth_call, mine, theirs):
    shop.register()
    token = shop.log_in().refresh_token
    given: list[RefreshToken] = []
    sessions = shop.sessions

    def refresh_with(nonce: str | None) -> None:
        try:
            given.append(shop.refresh(token, nonce).refresh_token)
        except (RefreshTokenInvalidError, RefreshTokenReusedError):
            return

    def interrupt() -> None:
        shop.sessions = sessions
        refresh_with(theirs)

    shop.sessions = Interrupted(sessions, nth_call, interrupt)
    refresh_with(mine)
    shop.sessions = sessions

    assert len({str(successor) for successor in given if shop.is_good(successor)}) <= 1
    assert given, "the first of the two always gets an answer"
    if nth_call < 2 and mine == theirs == NONCE:
        assert len(given) == 2
        assert given[0] == given[1]


# Guests, profiles and roles


def test_a_guest_gets_an_identity_of_the_role_guest_for_a_week(shop):
    guest_id, token = use_cases.become_guest(access_tokens=shop.access_tokens, new_id=new_id)

    assert guest_id.startswith("gst_")
    assert token.text == f"{guest_id} as guest"
    assert token.lifetime == timedelta(days=7)


def test_a_name_changes_at_the_version_that_was_read(shop):
    account = shop.register()

    renamed = use_cases.rename(account.user_id, "Mia Berg", 1, accounts=shop.accounts)

    assert (renamed.name, renamed.version) == ("Mia Berg", 2)
    assert shop.accounts.get(account.user_id) == renamed


def test_a_name_does_not_change_at_a_version_that_has_passed(shop):
    account = shop.register()
    use_cases.rename(account.user_id, "Mia Berg", 1, accounts=shop.accounts)

    with pytest.raises(VersionMismatchError):
        use_cases.rename(account.user_id, "Mia Late", 1, accounts=shop.accounts)

    assert shop.accounts.get(account.user_id).name == "Mia Berg"


def test_the_name_it_has_already_is_no_new_version(shop):
    account = shop.register()

    same = use_cases.rename(account.user_id, account.name, None, accounts=shop.accounts)

    assert same == account


def test_granting_a_role_twice_changes_the_account_once(shop):
    shop.register()

    use_cases.grant_role(EMAIL, AccountRole.WAREHOUSE, vouched=True, accounts=shop.accounts)
    granted = use_cases.grant_role(
        EMAIL.upper(), AccountRole.WAREHOUSE, vouched=True, accounts=shop.accounts
    )

    assert (granted.role, granted.version) == (AccountRole.WAREHOUSE, 2)


def test_a_role_is_granted_only_to_an_account(shop):
    with pytest.raises(AccountNotFoundError):
        use_cases.grant_role(
            "nobody@example.com", AccountRole.ADMIN, vouched=True, accounts=shop.accounts
        )

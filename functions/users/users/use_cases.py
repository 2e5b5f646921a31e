"""What people do with their accounts. Collaborators, time and ids are arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tradepost.contracts.event import event_id
from tradepost.contracts.users import UserRegisteredV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import NewId
from tradepost.kernel.randomness import RandomBytes
from users.model import (
    Account,
    AccountNotFoundError,
    AccountRole,
    CredentialsError,
    VersionMismatchError,
    normalised_email,
)
from users.password_policy import acceptable_password, normalised_password
from users.ports import (
    AccessToken,
    AccessTokenIssuer,
    AccountRepository,
    PasswordHasher,
    SessionRepository,
)
from users.sessions import (
    SECRET_BYTES,
    RefreshToken,
    RefreshTokenInvalidError,
    RefreshTokenReusedError,
    Session,
)

# ASVS 5.0 and RFC 9068 want minutes: a role taken away, a log-out, work at the latest after this.
ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)

# A guest has nothing to refresh with, and reaches one cart and the orders made from it.
GUEST_TOKEN_LIFETIME = timedelta(days=7)

_GUEST_ROLE = "guest"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The two tokens a client goes on with. The refresh token is told once and never stored."""

    user_id: str
    role: AccountRole
    access_token: AccessToken
    refresh_token: RefreshToken


@dataclass(frozen=True, slots=True)
class Registration:
    """What a person types to open an account, as typed."""

    email: str = field(repr=False)
    password: str = field(repr=False)
    name: str = field(repr=False)


def register(
    registration: Registration,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    passwords: PasswordHasher,
    now: Clock,
    new_id: NewId,
) -> Account:
    """Open a customer's account. The address is its natural key: one account each.

    Raises
    ------
    InvalidEmailError, PasswordRefusedError
        Nothing was looked up.
    EmailTakenError
        The address has an account, perhaps from this very request sent before: log in.
    """
    email = normalised_email(registration.email)
    password = acceptable_password(registration.password, email=email)
    account = Account(
        user_id=new_id("usr"),
        email=email,
        name=registration.name,
        password_hash=passwords.hash(password),
        role=AccountRole.CUSTOMER,
        registered_at=now(),
    )
    event = UserRegisteredV1(
        event_id=event_id(UserRegisteredV1.TYPE, account.user_id, account.version),
        occurred_at=account.registered_at,
        correlation_id=correlation_id,
        version=account.version,
        user_id=account.user_id,
    )
    accounts.add(account, event)
    return account


def log_in(
    email: str,
    password: str,
    *,
    accounts: AccountRepository,
    sessions: SessionRepository,
    passwords: PasswordHasher,
    access_tokens: AccessTokenIssuer,
    now: Clock,
    new_id: NewId,
    random_bytes: RandomBytes,
) -> LoggedIn:
    """Open a session. Two log-ins are two sessions: one per device.

    Raises
    ------
    InvalidEmailError
        It can be nobody's address.
    CredentialsError
        Unknown address or wrong password, told and worked on alike.
    """
    account = accounts.by_email(normalised_email(email))
    typed = normalised_password(password)
    # An unknown address costs a hash as well: otherwise the clock tells who has an account.
    matches = passwords.matches(account.password_hash if account else passwords.decoy, typed)
    if account is None or not matches:
        raise CredentialsError
    if passwords.is_outdated(account.password_hash):
        _rehash(account, typed, accounts=accounts, passwords=passwords)
    token = RefreshToken(account.user_id, new_id("ses"), random_bytes(SECRET_BYTES))
    access_token = access_tokens.issue(account.user_id, account.role, ACCESS_TOKEN_LIFETIME)
    sessions.add(Session.opened(token, now()))
    return LoggedIn(account.user_id, account.role, access_token, token)


def _rehash(
    account: Account, password: str, *, accounts: AccountRepository, passwords: PasswordHasher
) -> None:
    try:
        accounts.save(account.with_password_hash(passwords.hash(password)))
    except VersionMismatchError:
        # Somebody changed the account meanwhile. The old hash is good; the next log-in tries again.
        return


def refresh(
    refresh_token: str,
    nonce: str | None,
    *,
    accounts: AccountRepository,
    sessions: SessionRepository,
    access_tokens: AccessTokenIssuer,
    now: Clock,
    random_bytes: RandomBytes,
) -> LoggedIn:
    """Trade a refresh token for its successor and a fresh access token, with the role of today.

    A client that sends a nonce may send the same token and nonce again within ten seconds, and
    gets the same successor: its answer was lost. Any other second use ends the session.

    Raises
    ------
    RefreshTokenInvalidError
        Not one of ours, expired, or the session has ended.
    RefreshTokenReusedError
        It was used before, so two parties hold it. The session is ended for both.
    """
    token = RefreshToken.parse(refresh_token)
    session = _living(token, sessions=sessions, now=now)
    account = _holder(token, accounts=accounts)
    # Signed before the token is used up: if signing fails, the client still has a good one.
    access_token = access_tokens.issue(account.user_id, account.role, ACCESS_TOKEN_LIFETIME)
    moment = now()
    successor = None
    if session.accepts(token):
        successor = token.successor(random_bytes)
        try:
            sessions.replace(session.replaced(token, successor, nonce, moment))
        except StaleError:
            # The same token was used at the same time, and the other use came first.
            session, successor = _living(token, sessions=sessions, now=now), None
    successor = successor or session.successor_again(token, nonce, moment)
    if successor is None:
        sessions.end(token.user_id, token.session_id)
        raise RefreshTokenReusedError
    return LoggedIn(account.user_id, account.role, access_token, successor)


def _living(token: RefreshToken, *, sessions: SessionRepository, now: Clock) -> Session:
    session = sessions.find(token.user_id, token.session_id)
    # DynamoDB deletes what has expired when it likes; our own comparison decides.
    if session is None or session.has_expired(now()):
        raise RefreshTokenInvalidError
    return session


def _holder(token: RefreshToken, *, accounts: AccountRepository) -> Account:
    try:
        return accounts.get(token.user_id)
    except AccountNotFoundError as error:
        raise RefreshTokenInvalidError from error


def log_out(refresh_token: str, *, sessions: SessionRepository) -> None:
    """End the session of a refresh token, used or not. One that has ended is no error.

    Raises
    ------
    RefreshTokenInvalidError
        It does not have the shape of a refresh token.
    """
    token = RefreshToken.parse(refresh_token)
    sessions.end(token.user_id, token.session_id)


def become_guest(*, access_tokens: AccessTokenIssuer, new_id: NewId) -> tuple[str, AccessToken]:
    """Give somebody without an account an identity; return the guest id and its token."""
    guest_id = new_id("gst")
    return guest_id, access_tokens.issue(guest_id, _GUEST_ROLE, GUEST_TOKEN_LIFETIME)


def rename(
    user_id: str, name: str, expected_version: int | None, *, accounts: AccountRepository
) -> Account:
    """Change the name on an account. The name it has already changes nothing.

    Raises
    ------
    AccountNotFoundError
        The account is gone; the access token outlived it.
    VersionMismatchError
        It is not at `expected_version` (None: whatever it is at), or changed while we decided.
    """
    account = accounts.get(user_id)
    if expected_version not in (None, account.version):
        raise VersionMismatchError
    if account.name == name:
        return account
    renamed = account.renamed(name)
    accounts.save(renamed)
    return renamed


def grant_role(email: str, role: AccountRole, *, accounts: AccountRepository) -> Account:
    """Give the account of an address another role. The role it has already changes nothing.

    It reaches the holder with the next access token.

    Raises
    ------
    InvalidEmailError, AccountNotFoundError
        Register first.
    VersionMismatchError
        The account changed while we decided. Nothing was written; the call may be repeated.
    """
    account = accounts.by_email(normalised_email(email))
    if account is None:
        raise AccountNotFoundError
    if account.role is role:
        return account
    granted = account.granted(role)
    accounts.save(granted)
    return granted

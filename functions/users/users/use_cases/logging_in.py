"""Logging in and staying so: sessions, and the guests who have none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import NewId
from tradepost.kernel.randomness import RandomBytes
from users import trying
from users.model import (
    Account,
    AccountNotFoundError,
    AccountRole,
    CredentialsError,
    VersionMismatchError,
    normalised_email,
)
from users.password_policy import normalised_password
from users.ports import (
    AccessToken,
    AccessTokenIssuer,
    AccountRepository,
    Attempts,
    Devices,
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
    device_token: str | None = field(default=None, repr=False)  # told at a log-in only


def log_in(
    email: str,
    password: str,
    device_token: str | None = None,
    *,
    attempts: Attempts,
    devices: Devices,
    accounts: AccountRepository,
    sessions: SessionRepository,
    passwords: PasswordHasher,
    access_tokens: AccessTokenIssuer,
    now: Clock,
    new_id: NewId,
    random_bytes: RandomBytes,
) -> LoggedIn:
    """Open a session. Two log-ins are two sessions: one per device.

    A device that has logged in before sends the token it was given, and is counted by itself:
    what strangers do to the account is no matter to it.

    Raises
    ------
    InvalidEmailError
        It can be nobody's address.
    TooManyRequestsError, ResetNeededError
        Nothing was looked at but who is asking.
    CredentialsError
        Unknown address or wrong password, told and worked on alike.
    """
    address = normalised_email(email)
    account = accounts.by_email(address)
    device_id = devices.known(device_token, account) if account else None
    counted_as = trying.device(device_id) if device_id else trying.strangers(address)
    counted_at = attempts.log_in(counted_as)
    typed = normalised_password(password)
    # An unknown address costs a hash as well: otherwise the clock tells who has an account.
    matches = passwords.matches(account.password_hash if account else passwords.decoy, typed)
    if account is None or not matches:
        raise CredentialsError
    if passwords.is_outdated(account.password_hash):
        _rehash(account, typed, accounts=accounts, passwords=passwords)
    token = RefreshToken(account.user_id, new_id("ses"), random_bytes(SECRET_BYTES))
    access_token = access_tokens.issue(account.user_id, account.role, ACCESS_TOKEN_LIFETIME)
    sessions.add(Session.opened(token, now(), account.generation))
    attempts.succeeded(counted_as, counted_at)
    return LoggedIn(account.user_id, account.role, access_token, token, devices.issue(account))


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
    account = _holder(token, session, accounts=accounts)
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


def _holder(token: RefreshToken, session: Session, *, accounts: AccountRepository) -> Account:
    try:
        account = accounts.get(token.user_id)
    except AccountNotFoundError as error:
        raise RefreshTokenInvalidError from error
    # Another password has voided whatever the old one opened.
    if session.generation != account.generation:
        raise RefreshTokenInvalidError
    return account


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

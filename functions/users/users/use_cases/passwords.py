"""Another password: by who knows the old one, or reads the account's mail."""

from __future__ import annotations

from tradepost.kernel.clock import Clock
from tradepost.kernel.ids import NewId
from users import trying
from users.letters import Code, CodeInvalidError, LetterKind
from users.model import Account, VersionMismatchError, normalised_email
from users.password_policy import acceptable_password
from users.ports import (
    AccountRepository,
    Attempts,
    LetterRepository,
    PasswordHasher,
    SessionRepository,
)
from users.sessions import RefreshToken, RefreshTokenInvalidError, Session
from users.use_cases.confirming import proven_holder, redeemable
from users.use_cases.writing import due_letter, letter_for

# Another change of the account may come between; each attempt decides anew.
_ATTEMPTS_MAX = 4


def change_password(
    user_id: str,
    password: str,
    new_password: str,
    refresh_token: str | None,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    sessions: SessionRepository,
    passwords: PasswordHasher,
    attempts: Attempts,
    now: Clock,
    new_id: NewId,
) -> Account:
    """Put another password in the place of the one that is known; tell the holder by mail.

    Every session ends but the one whose refresh token is shown, every device is a stranger, and
    no letter sent before is good.

    Raises
    ------
    AccountNotFoundError, PasswordWrongError, PasswordRefusedError, TooManyRequestsError
    RefreshTokenInvalidError
        The session to keep is none of this account's.
    VersionMismatchError
        The account changed meanwhile; nothing was done.
    """
    account = proven_holder(
        user_id, password, accounts=accounts, passwords=passwords, attempts=attempts
    )
    accepted = acceptable_password(new_password, email=account.email)
    kept = _own_session(refresh_token, account, sessions=sessions, now=now)
    changed = account.with_new_password(passwords.hash(accepted))
    notice = due_letter(
        changed,
        LetterKind.PASSWORD_CHANGED,
        correlation_id=correlation_id,
        now=now,
        new_id=new_id,
    )
    accounts.save_proven(
        changed, letters=[notice], kept=kept.kept(changed.generation) if kept else None
    )
    return changed


def _own_session(
    refresh_token: str | None, account: Account, *, sessions: SessionRepository, now: Clock
) -> Session | None:
    if refresh_token is None:
        return None
    token = RefreshToken.parse(refresh_token)
    session = sessions.find(token.user_id, token.session_id)
    is_good = session is not None and session.accepts(token) and not session.has_expired(now())
    if session is None or not is_good or token.user_id != account.user_id:
        raise RefreshTokenInvalidError
    if session.generation != account.generation:
        raise RefreshTokenInvalidError
    return session


def request_reset(
    email: str,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    letters: LetterRepository,
    attempts: Attempts,
    now: Clock,
    new_id: NewId,
) -> None:
    """Send a letter with which a new password can be set, if the address has an account.

    The same is read and written for an address that has none, so that neither the answer nor its
    time tells. After so many letters as may be, the last ones are still good: no more are sent.

    Raises
    ------
    InvalidEmailError
        It can be nobody's address.
    """
    address = normalised_email(email)
    account = accounts.by_email(address)
    nobody = new_id("usr")
    if not attempts.may_write_reset(address):
        return
    letters.add(
        letter_for(
            account.user_id if account else nobody,
            LetterKind.RESET_PASSWORD,
            generation=account.generation if account else 1,
            correlation_id=correlation_id,
            now=now,
            new_id=new_id,
        )
    )


def reset_password(
    text: str,
    new_password: str,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    letters: LetterRepository,
    passwords: PasswordHasher,
    attempts: Attempts,
    now: Clock,
    new_id: NewId,
) -> Account:
    """Set a new password for whoever read the account's mail, and end every session there is.

    The address is confirmed by it, and strangers' failures are forgotten.

    Raises
    ------
    CodeInvalidError
        Not of such a letter, used, expired, or overtaken by a change of password or address.
    PasswordRefusedError
        The code is still good.
    """
    code = Code.parse(text)
    for _ in range(_ATTEMPTS_MAX):
        letter, account = redeemable(code, accounts=accounts, letters=letters, now=now)
        if letter.kind is not LetterKind.RESET_PASSWORD:
            raise CodeInvalidError
        accepted = acceptable_password(new_password, email=account.email)
        changed = account.with_new_password(passwords.hash(accepted))
        if not changed.is_verified:
            changed = changed.confirmed(now())
        notice = due_letter(
            changed,
            LetterKind.PASSWORD_CHANGED,
            correlation_id=correlation_id,
            now=now,
            new_id=new_id,
        )
        try:
            accounts.save_proven(changed, used=letter, letters=[notice])
        except VersionMismatchError:
            continue
        attempts.succeeded(trying.strangers(account.email))
        return changed
    raise VersionMismatchError

"""Showing that an e-mail address is one's own, and changing it."""

from __future__ import annotations

from tradepost.kernel.clock import Clock
from tradepost.kernel.ids import NewId
from users.letters import Code, CodeInvalidError, Letter, LetterKind
from users.model import (
    Account,
    AccountNotFoundError,
    PasswordWrongError,
    VersionMismatchError,
    normalised_email,
)
from users.password_policy import normalised_password
from users.ports import (
    AccountRepository,
    Attempts,
    DueLetter,
    LetterRepository,
    PasswordHasher,
)
from users.use_cases.writing import due_letter

# Another change of the account may come between; each attempt decides anew.
_ATTEMPTS_MAX = 4


def ask_for_confirmation(
    user_id: str,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    letters: LetterRepository,
    attempts: Attempts,
    now: Clock,
    new_id: NewId,
) -> None:
    """Have another letter sent to the account's address. One that is confirmed gets none.

    Raises
    ------
    AccountNotFoundError, TooManyRequestsError
    """
    account = accounts.get(user_id)
    if account.is_verified:
        return
    attempts.letter(user_id)
    letters.add(
        due_letter(
            account,
            LetterKind.CONFIRM_EMAIL,
            correlation_id=correlation_id,
            now=now,
            new_id=new_id,
        )
    )


def confirm_email(
    text: str,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    letters: LetterRepository,
    now: Clock,
    new_id: NewId,
) -> Account:
    """Believe that an address is its account's, because the code of a letter to it came back.

    A code for a new address puts it in the place of the old one, which is told.

    Raises
    ------
    CodeInvalidError
        Not of such a letter, used, expired, or overtaken by a change of password or address.
    EmailTakenError
        Somebody registered with the new address meanwhile.
    """
    code = Code.parse(text)
    for _ in range(_ATTEMPTS_MAX):
        letter, account = redeemable(code, accounts=accounts, letters=letters, now=now)
        if not letter.is_confirming:
            raise CodeInvalidError
        previous, address = account.email, letter.to or account.email
        changed = account.with_email(address, now())
        notices: list[DueLetter] = []
        if address != previous:
            notices = [
                due_letter(
                    account,
                    LetterKind.EMAIL_CHANGED,
                    to=previous,
                    correlation_id=correlation_id,
                    now=now,
                    new_id=new_id,
                )
            ]
        try:
            accounts.save_proven(
                changed,
                used=letter,
                previous_email=previous if address != previous else None,
                letters=notices,
            )
        except VersionMismatchError:
            continue
        return changed
    raise VersionMismatchError


def change_email(
    user_id: str,
    email: str,
    password: str,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    letters: LetterRepository,
    passwords: PasswordHasher,
    attempts: Attempts,
    now: Clock,
    new_id: NewId,
) -> None:
    """Ask whoever reads a new address to confirm it, and tell the old one so.

    Nothing changes until the new address is confirmed. Whether it has an account already is told
    only then, to somebody who reads its mail.

    Raises
    ------
    InvalidEmailError, AccountNotFoundError, PasswordWrongError, TooManyRequestsError
    """
    address = normalised_email(email)
    account = proven_holder(
        user_id, password, accounts=accounts, passwords=passwords, attempts=attempts
    )
    if address == account.email:
        return
    attempts.letter(user_id)
    asked = [
        due_letter(account, kind, to=to, correlation_id=correlation_id, now=now, new_id=new_id)
        for kind, to in (
            (LetterKind.CONFIRM_NEW_EMAIL, address),
            (LetterKind.EMAIL_CHANGE_ASKED, account.email),
        )
    ]
    letters.add(*asked)


def proven_holder(
    user_id: str,
    password: str,
    *,
    accounts: AccountRepository,
    passwords: PasswordHasher,
    attempts: Attempts,
) -> Account:
    """Read an account for somebody who has its token and knows its password, too.

    Raises
    ------
    AccountNotFoundError, PasswordWrongError, TooManyRequestsError
    """
    account = accounts.get(user_id)
    attempts.password(user_id)
    if not passwords.matches(account.password_hash, normalised_password(password)):
        raise PasswordWrongError
    return account


def redeemable(
    code: Code, *, accounts: AccountRepository, letters: LetterRepository, now: Clock
) -> tuple[Letter, Account]:
    """Find the letter that a code came in, and its account. Raises CodeInvalidError."""
    letter = letters.find(code.user_id, code.letter_id)
    if letter is None or not letter.accepts(code, now()):
        raise CodeInvalidError
    try:
        account = accounts.get(code.user_id)
    except AccountNotFoundError as error:
        raise CodeInvalidError from error
    is_overtaken = letter.generation != account.generation
    # A letter to the address that the account had proves nothing of the one it has.
    went_elsewhere = letter.to is None and letter.sent_to != account.email
    if is_overtaken or went_elsewhere:
        raise CodeInvalidError
    return letter, account

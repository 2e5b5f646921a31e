"""Taking everything along, and leaving for good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tradepost.contracts.event import event_id
from tradepost.contracts.users import UserErasedV1
from tradepost.kernel.clock import Clock
from users.address_book import AddressBook
from users.model import Account, AccountNotFoundError, VersionMismatchError
from users.ports import (
    AccountRepository,
    AddressBookRepository,
    Attempts,
    Erasures,
    HeldElsewhere,
    PasswordHasher,
)
from users.use_cases.confirming import proven_holder

# Another change of the account may come between; each attempt decides anew.
_ATTEMPTS_MAX = 4


@dataclass(frozen=True, slots=True)
class Export:
    """All that the shop holds of a person."""

    account: Account = field(repr=False)
    book: AddressBook = field(repr=False)
    elsewhere: Mapping[str, Any] = field(repr=False)  # by context


def export_account(
    user_id: str,
    password: str,
    *,
    accounts: AccountRepository,
    books: AddressBookRepository,
    elsewhere: HeldElsewhere,
    passwords: PasswordHasher,
    attempts: Attempts,
) -> Export:
    """Collect what every context holds of a person, for themselves.

    Raises
    ------
    AccountNotFoundError, PasswordWrongError, TooManyRequestsError
    ExportTooLargeError
        It does not fit into one answer.
    UnavailableError
        A context did not answer: an export is whole or none.
    """
    account = proven_holder(
        user_id, password, accounts=accounts, passwords=passwords, attempts=attempts
    )
    return Export(account, books.get(user_id), elsewhere.of(user_id))


def erase_account(
    user_id: str,
    password: str,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    erasures: Erasures,
    passwords: PasswordHasher,
    attempts: Attempts,
    now: Clock,
) -> None:
    """Close an account for good, at once, and have every context forget whose it was.

    What runs for the person is finished first: an order under way keeps what its parcel needs
    until it is over. The address is free again.

    Raises
    ------
    AccountNotFoundError
        It is gone already.
    PasswordWrongError, TooManyRequestsError
    """
    account = proven_holder(
        user_id, password, accounts=accounts, passwords=passwords, attempts=attempts
    )
    for _ in range(_ATTEMPTS_MAX):
        version = account.version + 1
        event = UserErasedV1(
            event_id=event_id(UserErasedV1.TYPE, user_id, version),
            occurred_at=now(),
            correlation_id=correlation_id,
            version=version,
            user_id=user_id,
        )
        try:
            accounts.erase(account, event, erasures)
        except VersionMismatchError:
            try:
                account = accounts.get(user_id)
            except AccountNotFoundError:
                # Asked for twice at once, or the SDK repeated what had been done.
                return
            continue
        return
    raise VersionMismatchError


def sweep_erasures(*, accounts: AccountRepository, erasures: Erasures, now: Clock) -> int:
    """Remove what is left of those who are gone: sessions, addresses, letters; tell of how many.

    By now their last access token has expired, so nothing comes after.
    """
    due = erasures.due(now())
    for erasure in due:
        accounts.erase_rest(erasure.user_id)
        erasures.finish(erasure.user_id)
    return len(due)

"""What the use cases need of the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from tradepost.contracts.users import UserErasedV1, UserLetterDueV1, UserRegisteredV1
from users.address_book import AddressBook
from users.api_keys import APIKey
from users.letters import Letter
from users.model import Account
from users.sessions import Session


@dataclass(frozen=True, slots=True)
class DueLetter:
    """A letter, and the event that has it written."""

    letter: Letter
    event: UserLetterDueV1


class Erasures(Protocol):
    """The people to be forgotten."""

    def put(self, user_id: str, asked_at: datetime) -> Any:
        """Build the transaction's write that remembers whom to forget."""

    def due(self, now: datetime) -> Sequence[Any]:
        """Tell whom to forget now."""

    def finish(self, user_id: str) -> None:
        """Look no more."""


class AccountRepository(Protocol):
    def add(
        self, account: Account, event: UserRegisteredV1, letter: DueLetter | None = None
    ) -> None:
        """Write a new account, its claim to the address, event and letter, all or nothing.

        Raises EmailTakenError. Safe to repeat with the same account.
        """

    def get(self, user_id: str) -> Account:
        """Read the latest. Raises AccountNotFoundError."""

    def by_email(self, email: str) -> Account | None:
        """Read the latest by normalised address, with the same work if there is none."""

    def save(self, account: Account) -> None:
        """Replace the version before this one. Raises VersionMismatchError if it is not there."""

    def save_proven(
        self,
        account: Account,
        *,
        used: Letter | None = None,
        previous_email: str | None = None,
        letters: Sequence[DueLetter] = (),
        kept: Session | None = None,
    ) -> None:
        """Replace the version before this one, with all that goes along with it, or nothing.

        Parameters
        ----------
        used
            The letter whose code allowed this: it is gone afterwards.
        previous_email
            The address whose claim is given up for the account's new one.
        letters
            What the holder is told about it.
        kept
            The session that outlives a change of the password.

        Raises
        ------
        VersionMismatchError, EmailTakenError
        CodeInvalidError
            The letter was used by somebody else.
        """

    def erase(self, account: Account, event: UserErasedV1, erasures: Any) -> None:
        """Remove this version and its claim, and say so. Raises VersionMismatchError."""

    def erase_rest(self, user_id: str) -> int:
        """Remove whatever else there is of somebody whose account is gone; tell how much."""


class LetterRepository(Protocol):
    def add(self, *letters: DueLetter) -> None:
        """Write new letters with their events, all or nothing."""

    def find(self, user_id: str, letter_id: str) -> Letter | None:
        """Read the latest; None if it was used, has gone, or never was. It may have expired."""

    def save(self, letter: Letter) -> None:
        """Replace the version before this one. Raises StaleError if it is not there."""


class AddressBookRepository(Protocol):
    def get(self, user_id: str) -> AddressBook:
        """Read the latest; an empty one if nothing was ever written."""

    def save(self, book: AddressBook) -> None:
        """Replace the version before this one. Raises StaleError if it is not there."""


class APIKeyRepository(Protocol):
    def add(self, key: APIKey) -> None:
        """Write a new key. Raises APIKeyLimitError."""

    def get(self, key_id: str) -> APIKey:
        """Read the latest. Raises APIKeyNotFoundError."""

    def all(self) -> list[APIKey]:
        """List every key there is, the oldest first."""

    def save(self, key: APIKey) -> None:
        """Replace the version before this one. Raises StaleError if it is not there."""

    def revoke(self, key: APIKey) -> None:
        """Replace the version before this one by a key that nobody uses any more."""


class Attempts(Protocol):
    """How often somebody may try; see `users.attempts`."""

    def by_address(self, client_address: str) -> None:
        """Count an attempt from an address. Raises TooManyRequestsError."""

    def log_in(self, subject: str) -> datetime:
        """Count an attempt to log in, until it succeeds; tell when.

        Raises TooManyRequestsError, ResetNeededError.
        """

    def succeeded(self, subject: str, counted_at: datetime | None = None) -> None:
        """End the row of failures, and take an attempt back that was none of them."""

    def password(self, user_id: str) -> None:
        """Count an attempt to prove to be an account's holder. Raises TooManyRequestsError."""

    def may_write_reset(self, email: str) -> bool:
        """Count a reset letter; False if there are enough of them for now."""

    def letter(self, user_id: str) -> None:
        """Count a letter that its own reader asked for. Raises TooManyRequestsError."""

    def by_key(self, key: APIKey) -> None:
        """Count a request of a partner. Raises TooManyRequestsError."""


class Devices(Protocol):
    """The tokens by which a device that has logged in before is known again."""

    def issue(self, account: Account) -> str:
        """Make a token for a device that has just shown to be its holder's."""

    def known(self, token: str | None, account: Account) -> str | None:
        """Name the device; None if the token is none of this account's present password's."""


class HeldElsewhere(Protocol):
    """What the other contexts hold of a person."""

    def of(self, user_id: str) -> Mapping[str, Any]:
        """Ask each of them; by its name. Raises UnavailableError, ExportTooLargeError."""


class SessionRepository(Protocol):
    def add(self, session: Session) -> None:
        """Write a new session. Safe to repeat."""

    def find(self, user_id: str, session_id: str) -> Session | None:
        """Read the latest; None if it has ended or never was. One that has expired may be found."""

    def replace(self, session: Session) -> None:
        """Replace the version before this one. Raises StaleError if it is not there.

        Safe to repeat: what is there already counts as written.
        """

    def end(self, user_id: str, session_id: str) -> None:
        """End it for good, in whatever state it is. One that has ended is no error."""


class PasswordHasher(Protocol):
    @property
    def decoy(self) -> str:
        """A hash that no password matches, and that costs as much to check as any other."""

    def hash(self, password: str) -> str:
        """Hash with a fresh salt."""

    def matches(self, password_hash: str, password: str) -> bool:
        """Check in time that does not depend on the answer."""

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether it was made with other parameters than `hash` uses now."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token for the API, and how long it is good from now."""

    text: str = field(repr=False)
    lifetime: timedelta


class AccessTokenIssuer(Protocol):
    def issue(self, principal_id: str, role: str, lifetime: timedelta) -> AccessToken:
        """Sign a token that speaks for the principal. `role` is one of the platform's."""

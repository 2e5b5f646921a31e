"""What the use cases need of the outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from tradepost.contracts.users import UserRegisteredV1
from users.model import Account
from users.sessions import Session


class AccountRepository(Protocol):
    def add(self, account: Account, event: UserRegisteredV1) -> None:
        """Write a new account, its claim to the address and the event, all or nothing.

        Raises EmailTakenError. Safe to repeat with the same account.
        """

    def get(self, user_id: str) -> Account:
        """Read the latest. Raises AccountNotFoundError."""

    def by_email(self, email: str) -> Account | None:
        """Read the latest by normalised address, with the same work if there is none."""

    def save(self, account: Account) -> None:
        """Replace the version before this one. Raises VersionMismatchError if it is not there."""


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

"""
Accounts: who may log in, and what they are to the shop.

* InvalidEmailError        not an address mail could be sent to
* EmailTakenError          the address has an account
* AccountNotFoundError     no account with this id or address
* VersionMismatchError     the account changed since the caller read it
* CredentialsError         e-mail and password do not belong together
* PasswordWrongError       the account's holder did not prove to be its holder
* EmailUnverifiedError     nobody has shown that the address is theirs
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from tradepost.kernel.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    StaleError,
    UnauthenticatedError,
)

# RFC 5321, section 4.5.3.1.3: a path is at most 256 octets, angle brackets included.
EMAIL_BYTES_MAX = 254
NAME_LENGTH_MAX = 100

# Deliberately loose: only a message that arrives proves an address.
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


class InvalidEmailError(InvalidError):
    code = "invalid_email"

    def __init__(self) -> None:
        super().__init__("this is not an e-mail address")


class EmailTakenError(ConflictError):
    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("this e-mail address has an account; log in instead")


class AccountNotFoundError(NotFoundError):
    code = "account_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such account")


class VersionMismatchError(StaleError):
    """Nothing was written. Read the account again and decide anew."""

    code = "version_mismatch"

    def __init__(self) -> None:
        super().__init__("the account changed since you read it")


class CredentialsError(UnauthenticatedError):
    """Says the same whether the address is unknown or the password wrong."""

    code = "invalid_credentials"

    def __init__(self) -> None:
        super().__init__("e-mail and password do not belong together")


class PasswordWrongError(ForbiddenError):
    """Asked again before something that cannot be undone. The token stays good."""

    code = "password_wrong"

    def __init__(self) -> None:
        super().__init__("this is not the account's password")


class EmailUnverifiedError(ConflictError):
    code = "email_unverified"

    def __init__(self) -> None:
        super().__init__("nobody has shown that this e-mail address is theirs")


class AccountRole(StrEnum):
    """What the holder of an account is to the shop. A guest has no account."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    WAREHOUSE = "warehouse"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account. `version` counts the writes it has survived, from 1.

    `generation` counts the passwords: sessions, devices and letters of an older one are void.
    """

    user_id: str
    email: str = field(repr=False)  # as `normalised_email` gives it
    name: str = field(repr=False)
    password_hash: str = field(repr=False)
    role: AccountRole
    registered_at: datetime
    version: int = 1
    email_verified_at: datetime | None = None
    generation: int = 1

    @property
    def is_verified(self) -> bool:
        return self.email_verified_at is not None

    def renamed(self, name: str) -> Account:
        return replace(self, name=name, version=self.version + 1)

    def granted(self, role: AccountRole) -> Account:
        return replace(self, role=role, version=self.version + 1)

    def with_password_hash(self, password_hash: str) -> Account:
        """Hash the same password anew."""
        return replace(self, password_hash=password_hash, version=self.version + 1)

    def with_new_password(self, password_hash: str) -> Account:
        """Put another password in the place of the old one, and void what the old one opened."""
        return replace(
            self,
            password_hash=password_hash,
            generation=self.generation + 1,
            version=self.version + 1,
        )

    def confirmed(self, at: datetime) -> Account:
        """Believe that the address is its holder's, as part of another change."""
        return replace(self, email_verified_at=at)

    def with_email(self, email: str, at: datetime) -> Account:
        """Take over the address whose letter arrived, perhaps the one it has already."""
        return replace(self, email=email, email_verified_at=at, version=self.version + 1)


def normalised_email(text: str) -> str:
    """Write an address in the one form that is compared, stored and shown.

    Trimmed, composed (NFC) and in lower case. Dots and `+tags` stay: only the mailbox's own
    server knows whether they matter.

    Raises
    ------
    InvalidEmailError
        It has no local part or no dotted domain, is longer than 254 bytes, or holds a space, a
        control or an invisible character.
    """
    email = unicodedata.normalize("NFC", text.strip()).lower()
    invisible = any(unicodedata.category(character).startswith("C") for character in email)
    if invisible or len(email.encode()) > EMAIL_BYTES_MAX or not _EMAIL.fullmatch(email):
        raise InvalidEmailError
    return email

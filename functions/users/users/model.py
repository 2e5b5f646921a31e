"""
Accounts: who may log in, and what they are to the shop.

* InvalidEmailError        not an address mail could be sent to
* EmailTakenError          the address has an account
* AccountNotFoundError     no account with this id or address
* VersionMismatchError     the account changed since the caller read it
* CredentialsError         e-mail and password do not belong together
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from tradepost.kernel.errors import (
    ConflictError,
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


class AccountRole(StrEnum):
    """What the holder of an account is to the shop. A guest has no account."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    WAREHOUSE = "warehouse"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account. `version` counts the writes it has survived, from 1."""

    user_id: str
    email: str = field(repr=False)  # as `normalised_email` gives it
    name: str = field(repr=False)
    password_hash: str = field(repr=False)
    role: AccountRole
    registered_at: datetime
    version: int = 1

    def renamed(self, name: str) -> Account:
        return replace(self, name=name, version=self.version + 1)

    def granted(self, role: AccountRole) -> Account:
        return replace(self, role=role, version=self.version + 1)

    def with_password_hash(self, password_hash: str) -> Account:
        return replace(self, password_hash=password_hash, version=self.version + 1)


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

"""
Letters: what is to be told to an account's holder, and the code it may hold.

No event and no table holds a code. It is drawn when the letter is written, told to whoever writes
it, and kept as a digest; a letter that is written again, because the first attempt broke off, has
a code of its own, and each of them is good until one is used.

* CodeInvalidError   none of ours, used, expired, or overtaken by another password or address
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tradepost.kernel.errors import InvalidError
from tradepost.kernel.randomness import RandomBytes

SECRET_BYTES = 32
assert SECRET_BYTES * 8 >= 128, "nobody guesses it"

# How often one letter may be written: its event comes five times before it is set aside, and may
# be sent back from there.
WRITINGS_MAX = 10

# The window in which reset letters are counted is as long, so that whoever uses them up leaves
# the account's holder letters that are still good.
RESET_LIFETIME = timedelta(minutes=30)
CONFIRMATION_LIFETIME = timedelta(hours=24)

_ID = "[0-9a-hjkmnp-tv-z]{26}"
_CODE = re.compile(rf"(usr_{_ID})\.(ltr_{_ID})\.([A-Za-z0-9_-]{{43}})")


class LetterKind(StrEnum):
    WELCOME = "welcome"
    CONFIRM_EMAIL = "confirm_email"
    CONFIRM_NEW_EMAIL = "confirm_new_email"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGED = "email_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of a letter
    RESET_PASSWORD = "reset_password"  # noqa: S105 - the name of a letter


_LIFETIMES = {
    LetterKind.WELCOME: CONFIRMATION_LIFETIME,
    LetterKind.CONFIRM_EMAIL: CONFIRMATION_LIFETIME,
    LetterKind.CONFIRM_NEW_EMAIL: CONFIRMATION_LIFETIME,
    LetterKind.EMAIL_CHANGE_ASKED: CONFIRMATION_LIFETIME,
    LetterKind.EMAIL_CHANGED: CONFIRMATION_LIFETIME,
    LetterKind.PASSWORD_CHANGED: CONFIRMATION_LIFETIME,
    LetterKind.RESET_PASSWORD: RESET_LIFETIME,
}
assert set(_LIFETIMES) == set(LetterKind)

CONFIRMING = frozenset({LetterKind.WELCOME, LetterKind.CONFIRM_EMAIL, LetterKind.CONFIRM_NEW_EMAIL})
WITH_A_CODE = CONFIRMING | {LetterKind.RESET_PASSWORD}


class CodeInvalidError(InvalidError):
    """Says the same whatever is wrong with it."""

    code = "code_invalid"

    def __init__(self) -> None:
        super().__init__("this code is not good (any more); ask for another one")


@dataclass(frozen=True, slots=True)
class Code:
    """A secret, and the letter that it came in. Clients treat the text as opaque."""

    user_id: str
    letter_id: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Code:
        """Read what `str` wrote. Raises CodeInvalidError."""
        found = _CODE.fullmatch(text.strip())
        if found is None:
            raise CodeInvalidError
        user_id, letter_id, secret = found.groups()
        code = cls(user_id, letter_id, urlsafe_b64decode(secret + "="))
        # Base64's last character has two bits to spare: four texts decode alike, one was written.
        if str(code) != found.string:
            raise CodeInvalidError
        return code

    def __str__(self) -> str:
        secret = urlsafe_b64encode(self.secret).decode().rstrip("=")
        return f"{self.user_id}.{self.letter_id}.{secret}"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the secret. No salt and no work factor: 256 random bits need neither."""
        return hashlib.sha256(self.secret).digest()


@dataclass(frozen=True, slots=True)
class Letter:
    """One thing to be told. `to` is an address that is not the account's (any more, or yet)."""

    user_id: str
    letter_id: str
    kind: LetterKind
    expires_at: datetime
    generation: int
    to: str | None = field(default=None, repr=False)
    sent_to: str | None = field(default=None, repr=False)
    digests: tuple[bytes, ...] = field(default=(), repr=False)
    version: int = 1

    @classmethod
    def due(
        cls,
        user_id: str,
        letter_id: str,
        kind: LetterKind,
        *,
        at: datetime,
        generation: int = 1,
        to: str | None = None,
    ) -> Letter:
        return cls(user_id, letter_id, kind, at + _LIFETIMES[kind], generation, to)

    @property
    def is_confirming(self) -> bool:
        return self.kind in CONFIRMING

    def has_expired(self, at: datetime) -> bool:
        return self.expires_at <= at

    def written_to(self, address: str, random_bytes: RandomBytes) -> tuple[Letter, Code | None]:
        """Write it to an address once more; return it with the code it holds, if it holds one.

        The address stays with it: a letter to one address proves nothing of another.
        """
        written = replace(self, sent_to=address, version=self.version + 1)
        if self.kind not in WITH_A_CODE:
            return written, None
        code = Code(self.user_id, self.letter_id, random_bytes(SECRET_BYTES))
        digests = (*self.digests, code.digest)[-WRITINGS_MAX:]
        return replace(written, digests=digests), code

    def accepts(self, code: Code, at: datetime) -> bool:
        good = [hmac.compare_digest(digest, code.digest) for digest in self.digests]
        return any(good) and not self.has_expired(at)

"""
Sessions: what a log-in opens and a refresh prolongs. RFC 9700 calls one a token family.

A session has one refresh token that is good. Using it replaces it, so of a stolen token and its
original only one can be used first; the second use of any token ends the session for both. Used
tokens are not remembered: whoever names a session, whose id only its tokens hold, with a secret
that is not the good one has had an older token.

* RefreshTokenInvalidError   unknown, expired, or its session has ended
* RefreshTokenReusedError    it was used before: the session is ended now
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tradepost.kernel.errors import UnauthenticatedError
from tradepost.kernel.randomness import RandomBytes

SESSION_LIFETIME = timedelta(days=30)  # since its last use

# How long a client whose answer was lost may ask for it again, with the nonce it sent.
REPLAY_WINDOW = timedelta(seconds=10)

SECRET_BYTES = 32
assert SECRET_BYTES * 8 >= 256, "unguessable, and as strong as the hash it is stored under"

_ID = "[0-9a-hjkmnp-tv-z]{26}"
_TOKEN = re.compile(rf"(usr_{_ID})\.(ses_{_ID})\.([A-Za-z0-9_-]{{43}})")


class RefreshTokenInvalidError(UnauthenticatedError):
    code = "refresh_token_invalid"

    def __init__(self) -> None:
        super().__init__("this refresh token is not good (any more); log in again")


class RefreshTokenReusedError(UnauthenticatedError):
    code = "refresh_token_reused"

    def __init__(self) -> None:
        super().__init__("this refresh token was used before; its session is ended, log in again")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A secret, and where to look for its digest. Clients treat the text as opaque."""

    user_id: str
    session_id: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> RefreshToken:
        """Read what `str` wrote.

        Raises
        ------
        RefreshTokenInvalidError
            It has another shape: an access token, one cut short, or anything else.
        """
        found = _TOKEN.fullmatch(text)
        if found is None:
            raise RefreshTokenInvalidError
        user_id, session_id, secret = found.groups()
        return cls(user_id, session_id, urlsafe_b64decode(secret + "="))

    def __str__(self) -> str:
        secret = urlsafe_b64encode(self.secret).decode().rstrip("=")
        return f"{self.user_id}.{self.session_id}.{secret}"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the secret. No salt and no work factor: 256 random bits need neither."""
        return hashlib.sha256(self.secret).digest()

    def successor(self, random_bytes: RandomBytes) -> RefreshToken:
        return RefreshToken(self.user_id, self.session_id, random_bytes(SECRET_BYTES))

    def seal(self, successor: RefreshToken, nonce: str) -> bytes:
        """Encrypt the successor's secret so that only this token with `nonce` opens it."""
        return self._cipher(nonce).encrypt(_ONCE, successor.secret, self.session_id.encode())

    def unseal(self, sealed: bytes, nonce: str) -> RefreshToken | None:
        """Decrypt what `seal` made; None if another token or another nonce sealed it."""
        try:
            secret = self._cipher(nonce).decrypt(_ONCE, sealed, self.session_id.encode())
        except InvalidTag:
            return None
        return RefreshToken(self.user_id, self.session_id, secret)

    def _cipher(self, nonce: str) -> AESGCM:
        info = b"tradepost refresh replay:" + nonce.encode()
        return AESGCM(HKDF(SHA256(), length=32, salt=None, info=info).derive(self.secret))


# AES-GCM must never see one key and one initialisation vector with two messages. Each key here is
# made of a token that is replaced once, so it encrypts one successor that is ever stored.
_ONCE = bytes(12)


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to the last refresh, for a client that lost it. Opened by its token and nonce."""

    given_at: datetime
    sealed_successor: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """One log-in that lives on. `version` counts its refresh tokens, from 1."""

    user_id: str
    session_id: str
    digest: bytes = field(repr=False)  # of the one refresh token that is good
    expires_at: datetime
    version: int = 1
    kept_answer: KeptAnswer | None = None  # None if the last refresh came without a nonce
    generation: int = 1  # of the account's password that opened it

    @classmethod
    def opened(cls, token: RefreshToken, now: datetime, generation: int = 1) -> Session:
        expires_at = now + SESSION_LIFETIME
        return cls(token.user_id, token.session_id, token.digest, expires_at, generation=generation)

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at <= now

    def accepts(self, token: RefreshToken) -> bool:
        return hmac.compare_digest(self.digest, token.digest)

    def replaced(
        self, token: RefreshToken, successor: RefreshToken, nonce: str | None, now: datetime
    ) -> Session:
        """Put `successor` in the place of `token`, and begin the thirty days anew."""
        assert self.accepts(token)
        kept_answer = KeptAnswer(now, token.seal(successor, nonce)) if nonce else None
        return Session(
            user_id=self.user_id,
            session_id=self.session_id,
            digest=successor.digest,
            expires_at=now + SESSION_LIFETIME,
            version=self.version + 1,
            kept_answer=kept_answer,
            generation=self.generation,
        )

    def kept(self, generation: int) -> Session:
        """Let it outlive a change of the password, for whoever changed it."""
        return replace(self, generation=generation, version=self.version + 1)

    def successor_again(
        self, token: RefreshToken, nonce: str | None, now: datetime
    ) -> RefreshToken | None:
        """Find the successor that `token` got moments ago, for the client whose answer was lost.

        None means reuse: no nonce or another one, too late, or the successor has been used. Only
        `token` and its nonce open what is kept, so no other check of them is needed.
        """
        kept = self.kept_answer
        if kept is None or nonce is None or now >= kept.given_at + REPLAY_WINDOW:
            return None
        return token.unseal(kept.sealed_successor, nonce)

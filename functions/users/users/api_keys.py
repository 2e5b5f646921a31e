"""
API keys: how a partner's system calls the shop, and what it may do there.

A key is `tp_<id>_<secret>`. The secret is shown once and kept as a digest. While a key is rotated
its older secrets stay good for a day.

* APIKeyNotFoundError    no such key
* APIKeyLimitError       there are as many as may be
* APIKeyRotatingError    it was rotated a moment ago, more than once
* APIKeyRevokedError     it was good once
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, NotFoundError
from tradepost.kernel.randomness import RandomBytes

SECRET_BYTES = 32
assert SECRET_BYTES * 8 >= 128, "nobody guesses it"

KEYS_MAX = 100
NAME_LENGTH_MAX = 100

# The newest, and those that are on their way out.
SECRETS_MAX = 3
GRACE = timedelta(hours=24)

RATE_MAX = 100_000
RATE_WINDOW = timedelta(minutes=1)


class APIKeyStatus(StrEnum):
    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"


class APIKeyNotFoundError(NotFoundError):
    code = "api_key_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such API key")


class APIKeyLimitError(ConflictError):
    code = "api_key_limit"

    def __init__(self) -> None:
        super().__init__(f"there are at most {KEYS_MAX} API keys; revoke one that nobody uses")
        self.keys_max = KEYS_MAX


class APIKeyRotatingError(ConflictError):
    code = "api_key_rotating"

    def __init__(self, until: datetime) -> None:
        super().__init__("it was rotated a moment ago; wait until its older secrets have expired")
        self.previous_secret_until = until.isoformat()


class APIKeyRevokedError(ConflictError):
    code = "api_key_revoked"

    def __init__(self) -> None:
        super().__init__("this API key is not good any more")


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A secret's digest. `good_until` None: until it is rotated."""

    digest: bytes = field(repr=False)
    good_until: datetime | None = None

    def is_good(self, at: datetime) -> bool:
        return self.good_until is None or at < self.good_until


@dataclass(frozen=True, slots=True)
class APIKey:
    """A partner's key. `version` counts its writes, from 1."""

    key_id: str
    name: str
    scopes: frozenset[str]
    requests_per_minute: int
    secrets: tuple[KeptSecret, ...]  # the newest first
    created_by: str
    created_at: datetime
    status: APIKeyStatus = APIKeyStatus.ACTIVE
    revoked_at: datetime | None = None
    version: int = 1

    def accepts(self, digest: bytes, at: datetime) -> bool:
        """Tell whether a secret's digest is one of those that are good."""
        good = [
            hmac.compare_digest(secret.digest, digest) and secret.is_good(at)
            for secret in self.secrets
        ]
        return any(good) and self.status is APIKeyStatus.ACTIVE

    def require_active(self) -> None:
        if self.status is not APIKeyStatus.ACTIVE:
            raise APIKeyRevokedError

    def previous_good_until(self, at: datetime) -> datetime | None:
        """Tell until when the secret before the newest is good; None if there is none."""
        ends = [one.good_until for one in self.secrets if one.good_until and one.is_good(at)]
        return max(ends, default=None)

    def rotated(self, digest: bytes, at: datetime) -> APIKey:
        """Put a new secret before the others, which stay good for a day at most.

        Raises
        ------
        APIKeyRevokedError, APIKeyRotatingError
        """
        self.require_active()
        ends = at + GRACE
        older = tuple(
            replace(one, good_until=min(one.good_until or ends, ends))
            for one in self.secrets
            if one.is_good(at)
        )
        if len(older) >= SECRETS_MAX:
            raise APIKeyRotatingError(min(one.good_until or ends for one in older))
        return replace(self, secrets=(KeptSecret(digest), *older), version=self.version + 1)

    def revoked(self, at: datetime) -> APIKey:
        """Let nobody use it any more; one that was revoked stays so."""
        if self.status is APIKeyStatus.REVOKED:
            return self
        return replace(
            self,
            status=APIKeyStatus.REVOKED,
            revoked_at=at,
            secrets=(),
            version=self.version + 1,
        )


def new_secret(random_bytes: RandomBytes) -> str:
    return urlsafe_b64encode(random_bytes(SECRET_BYTES)).decode().rstrip("=")


def digest_of(secret: str) -> bytes:
    """SHA-256 of the secret. No salt and no work factor: 256 random bits need neither."""
    return hashlib.sha256(secret.encode()).digest()


def key_text(key_id: str, secret: str) -> str:
    return f"tp_{key_id.removeprefix('key_')}_{secret}"

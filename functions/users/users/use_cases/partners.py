"""API keys: given to partners by staff, and recognised when they call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import NewId
from tradepost.kernel.randomness import RandomBytes
from users.api_keys import (
    APIKey,
    APIKeyNotFoundError,
    APIKeyRevokedError,
    KeptSecret,
    digest_of,
    key_text,
    new_secret,
)
from users.ports import APIKeyRepository, Attempts

_ATTEMPTS_MAX = 5


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with the secret that is told this once."""

    key: APIKey
    text: str = field(repr=False)


def create_api_key(
    name: str,
    scopes: frozenset[str],
    requests_per_minute: int,
    *,
    created_by: str,
    keys: APIKeyRepository,
    now: Clock,
    new_id: NewId,
    random_bytes: RandomBytes,
) -> NewKey:
    """Make a key for a partner. Asked again, it makes another.

    Raises
    ------
    APIKeyLimitError
    """
    secret = new_secret(random_bytes)
    key = APIKey(
        key_id=new_id("key"),
        name=name,
        scopes=scopes,
        requests_per_minute=requests_per_minute,
        secrets=(KeptSecret(digest_of(secret)),),
        created_by=created_by,
        created_at=now(),
    )
    keys.add(key)
    return NewKey(key, key_text(key.key_id, secret))


def rotate_api_key(
    key_id: str, *, keys: APIKeyRepository, now: Clock, random_bytes: RandomBytes
) -> NewKey:
    """Give a key another secret; those before it stay good for a day.

    Asked again because the answer was lost, it makes yet another, and the partner's own stays.

    Raises
    ------
    APIKeyNotFoundError, APIKeyRevokedError, APIKeyRotatingError
    StaleError
        The key kept changing.
    """
    secret = new_secret(random_bytes)
    key = _changed(key_id, lambda key: key.rotated(digest_of(secret), now()), keys, keys.save)
    return NewKey(key, key_text(key_id, secret))


def revoke_api_key(key_id: str, *, keys: APIKeyRepository, now: Clock) -> None:
    """Let nobody use a key from the next request on. One that is revoked stays so.

    Raises
    ------
    APIKeyNotFoundError
    StaleError
        The key kept changing.
    """
    _changed(key_id, lambda key: key.revoked(now()), keys, keys.revoke)


def recognise_partner(
    key_id: str, digest: bytes, *, keys: APIKeyRepository, now: Clock
) -> APIKey | None:
    """Find the key that a secret belongs to; None if it is no key's, or good no more."""
    try:
        key = keys.get(key_id)
    except APIKeyNotFoundError:
        return None
    return key if key.accepts(digest, now()) else None


def admit_partner(
    key_id: str, digest: bytes, *, keys: APIKeyRepository, attempts: Attempts, now: Clock
) -> None:
    """Count a request of a partner, if the key is still good.

    Raises
    ------
    APIKeyRevokedError
        It was revoked, or the secret has been rotated out.
    TooManyRequestsError
        There were as many in this minute as the key allows.
    """
    key = recognise_partner(key_id, digest, keys=keys, now=now)
    if key is None:
        raise APIKeyRevokedError
    attempts.by_key(key)


def _changed(
    key_id: str,
    change: Callable[[APIKey], APIKey],
    keys: APIKeyRepository,
    save: Callable[[APIKey], None],
) -> APIKey:
    for _ in range(_ATTEMPTS_MAX):
        key = keys.get(key_id)
        changed = change(key)
        if changed is key:
            return key
        try:
            save(changed)
        except StaleError:
            continue
        return changed
    raise StaleError("the key kept changing")

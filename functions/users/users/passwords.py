"""Password hashes: argon2id, with the parameters in each hash."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type

from tradepost.kernel.randomness import random_bytes

# OWASP Password Storage Cheat Sheet: argon2id with at least 19 MiB, two passes, one lane. Their
# other settings cost an attacker the same. RFC 9106's low-memory profile wants four lanes, which
# a function with a third of a processor cannot run side by side.
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1

# RFC 9106, section 3.1: 128 bits of salt suffice for all applications.
_SALT_BYTES = 16
_HASH_BYTES = 32


class Argon2Passwords:
    """Satisfies `ports.PasswordHasher`. Hashes are PHC strings: `$argon2id$v=19$m=…`."""

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(
            time_cost=PASSES,
            memory_cost=MEMORY_KIB,
            parallelism=LANES,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._decoy = self.hash(random_bytes(_HASH_BYTES).hex())

    @property
    def decoy(self) -> str:
        return self._decoy

    def hash(self, password: str) -> str:
        return self._argon2.hash(password, salt=random_bytes(_SALT_BYTES))

    def matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except VerifyMismatchError:
            return False

    def is_outdated(self, password_hash: str) -> bool:
        return self._argon2.check_needs_rehash(password_hash)

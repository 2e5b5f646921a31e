"""Identifiers: a prefix that names the thing, then 26 characters.

A fresh id begins with its moment of birth (as a ULID does), so ids of one kind sort by age.
A derived id is a digest of what it stands for, so that a repeated request meets its own work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tradepost.kernel.clock import utc_now
from tradepost.kernel.randomness import random_bytes

NewId = Callable[[str], str]

# Crockford's base 32: no I, L, O or U, so that an id can be read out over the telephone.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 26
_RANDOM_BYTES = 10


def new_id(prefix: str) -> str:
    """Make a fresh id such as `evt_06bq…`: 48 bits of milliseconds, 80 bits of chance."""
    milliseconds = int(utc_now().timestamp() * 1000)
    chance = int.from_bytes(random_bytes(_RANDOM_BYTES), "big")
    return f"{prefix}_{_encode((milliseconds << 80) | chance)}"


def derived_id(prefix: str, *parts: str) -> str:
    """Make the id that the same parts always give.

    The parts are joined with a separator that none of them may hold, so that
    ("a", "bc") and ("ab", "c") differ.
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return f"{prefix}_{_encode(int.from_bytes(digest[:16], 'big'))}"


def _encode(number: int) -> str:
    characters = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))

"""The one place randomness comes from: the operating system's, fit for secrets."""

from __future__ import annotations

import secrets
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]

_source: RandomBytes = secrets.token_bytes


def random_bytes(count: int) -> bytes:
    """Draw `count` unpredictable bytes."""
    return _source(count)


def set_randomness(source: RandomBytes | None) -> None:
    """Put another source behind `random_bytes`; None restores the operating system's."""
    global _source
    _source = source or secrets.token_bytes

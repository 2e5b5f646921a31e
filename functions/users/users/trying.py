"""
Whose attempts to log in are counted together, and what is told when they are too many.

* ResetNeededError   a hundred in a row have failed
"""

from __future__ import annotations

import hashlib

from tradepost.kernel.errors import DomainError


class ResetNeededError(DomainError):
    """Told for every address alike, whether it has an account or not."""

    code = "password_reset_needed"

    def __init__(self) -> None:
        super().__init__("too many attempts have failed; set a new password by e-mail")


def strangers(email: str) -> str:
    """Name the count that all devices share which have not logged in with this address before."""
    return f"STRANGERS#{digest_of(email)}"


def device(device_id: str) -> str:
    """Name the count of a device that has."""
    return f"DEVICE#{device_id}"


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

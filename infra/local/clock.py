"""The one source of time for the local stack."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the pump, the schedules and the expiry of items ask about time."""

    def now(self) -> float:
        """Return seconds since the epoch."""

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Sleep on `condition`, which the caller holds, until notified or for `seconds`."""


class SystemClock:
    """Time as the machine tells it."""

    def now(self) -> float:
        return time.time()

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        condition.wait(seconds)


def as_datetime(seconds: float) -> datetime:
    """Return the aware UTC time of `seconds` since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)

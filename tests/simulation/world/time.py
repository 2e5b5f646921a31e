"""Time that passes when the world lets it."""

from __future__ import annotations

import math
from datetime import UTC, datetime

# Monday morning, before anything happens.
_START_MS = int(datetime(2026, 1, 5, 9, tzinfo=UTC).timestamp()) * 1000


class VirtualClock:
    """A clock in whole milliseconds, the resolution in which the application writes moments."""

    def __init__(self) -> None:
        self.milliseconds = _START_MS
        self.skew_ms = 0  # how far the clock of the machine at work is off

    def now(self) -> float:
        """Tell seconds since the epoch, as AWS has them."""
        return self.milliseconds / 1000

    def utc_now(self) -> datetime:
        """Tell the moment, as the machine at work has it."""
        return datetime.fromtimestamp((self.milliseconds + self.skew_ms) / 1000, UTC)

    def tick(self) -> None:
        """Let the shortest time pass: each call of AWS takes at least that."""
        self.milliseconds += 1

    def advance(self, seconds: float) -> None:
        self.milliseconds += max(0, round(seconds * 1000))

    def advance_to(self, moment: float) -> None:
        # Never a millisecond too early, for then what waits for the moment would wait for ever.
        self.milliseconds = max(self.milliseconds, math.ceil(moment * 1000))

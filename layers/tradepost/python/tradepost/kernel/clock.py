"""The one place the time comes from.

Nothing else reads the machine's clock, so that a simulation can put its own behind
unchanged code with `set_clock`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def _system_clock() -> datetime:
    return datetime.now(UTC)


_clock: Clock = _system_clock


def utc_now() -> datetime:
    """Tell the present moment, aware and in UTC."""
    return _clock()


def set_clock(clock: Clock | None) -> None:
    """Put another clock behind `utc_now`; None restores the machine's own."""
    global _clock
    _clock = clock or _system_clock


def epoch_seconds(moment: datetime) -> int:
    """Count whole seconds since 1970, the form DynamoDB's time to live reads."""
    return int(moment.timestamp())


def to_text(moment: datetime) -> str:
    """Write a moment so that texts sort as the moments do: fixed width, milliseconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment.microsecond // 1000:03d}Z"
    )


def from_text(text: str) -> datetime:
    """Read what `to_text` wrote."""
    return datetime.fromisoformat(text)


def to_text_if_any(moment: datetime | None) -> str | None:
    """Write a moment as `to_text` does, and None as None."""
    return to_text(moment) if moment else None


def from_text_if_any(text: str | None) -> datetime | None:
    """Read what `to_text_if_any` wrote."""
    return from_text(text) if text else None

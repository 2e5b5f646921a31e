"""How fast the checkouts went, and whether they slowed down as the shop filled up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infra.cli.replay.playing import Played

_TENTHS = 10
_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """A stretch of checkouts. Rates are per second of wall time over all buyers."""

    orders: int
    lines: int
    seconds: float

    @property
    def orders_per_second(self) -> float:
        return round(self.orders / self.seconds, 3) if self.seconds else 0.0

    @property
    def lines_per_second(self) -> float:
        """The rate that compares stretches of small orders with stretches of large ones."""
        return round(self.lines / self.seconds, 3) if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class Timing:
    whole: Pace
    first_tenth: Pace
    last_tenth: Pace
    p50_ms: float
    p95_ms: float


def timing_of(played: Sequence[Played]) -> Timing:
    """Measure this replay's own checkouts, in the order in which they ended."""
    spans = sorted(
        (each.ended, each.began, len(each.invoice.lines))
        for each in played
        if each.began is not None and each.ended is not None
    )
    tenth = len(spans) // _TENTHS
    start = min((began for _, began, _ in spans), default=0.0)
    ends = [ended for ended, _, _ in spans]
    lines = [count for _, _, count in spans]
    latencies = sorted(ended - began for ended, began, _ in spans)
    return Timing(
        whole=Pace(len(spans), sum(lines), (ends[-1] - start) if ends else 0.0),
        first_tenth=Pace(tenth, sum(lines[:tenth]), ends[tenth - 1] - start if tenth else 0.0),
        last_tenth=Pace(
            tenth,
            sum(lines[len(lines) - tenth :]),
            ends[-1] - ends[-tenth - 1] if tenth else 0.0,
        ),
        p50_ms=percentile_ms(latencies, 50),
        p95_ms=percentile_ms(latencies, 95),
    )


def percentile_ms(ascending_seconds: Sequence[float], percent: int) -> float:
    """Read a percentile off sorted durations: the smallest that so many per cent do not exceed."""
    if not ascending_seconds:
        return 0.0
    rank = -(-len(ascending_seconds) * percent // 100)
    return round(ascending_seconds[max(rank, 1) - 1] * _MILLISECONDS, 1)

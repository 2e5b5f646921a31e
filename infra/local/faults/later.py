"""What a fault has put off: it happens when the clock says so."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Any


class LaterSource:
    """Satisfies `infra.local.event_sources.Source`."""

    name = "put off by a fault"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, Callable[[], Any]]] = []
        self._wake: list[Callable[[], None]] = []

    def add(self, due: float, do: Callable[[], Any]) -> None:
        """Have something done when it is due."""
        with self._lock:
            heapq.heappush(self._waiting, (due, next(self._numbers), do))
        for wake in self._wake:
            wake()

    def clear(self) -> None:
        """Forget all of it."""
        with self._lock:
            self._waiting.clear()

    def listen(self, wake: Callable[[], None]) -> None:
        self._wake.append(wake)

    def next_due(self) -> float | None:
        with self._lock:
            return self._waiting[0][0] if self._waiting else None

    def poll(self, now: float) -> int:
        with self._lock:
            if not self._waiting or self._waiting[0][0] > now:
                return 0
            _, _, do = heapq.heappop(self._waiting)
        do()
        return 1

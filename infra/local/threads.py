"""Threads that are used again and never keep the process alive."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

# A thread that found nothing to do for this long ends.
IDLE_SECONDS = 10.0


class ThreadReserve:
    """Runs each task at once, on an idle thread or else on a new one.

    Unlike in `concurrent.futures` there is no upper bound, since a task may wait long for another
    one, and the process may end while tasks still run.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._idle = 0
        self._tasks: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()

    def run(self, task: Callable[[], Any]) -> None:
        """Start `task`, which handles its own errors."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                self._tasks.put(task)
                return
        threading.Thread(target=self._work, args=(task,), name=self._name, daemon=True).start()

    def _work(self, task: Callable[[], Any] | None) -> None:
        while task is not None:
            task()
            del task
            with self._lock:
                self._idle += 1
            task = self._next()

    def _next(self) -> Callable[[], Any] | None:
        try:
            return self._tasks.get(timeout=IDLE_SECONDS)
        except queue.Empty:
            with self._lock:
                # `run` may have counted on this thread meanwhile; then its task is here.
                if self._idle > 0:
                    self._idle -= 1
                    return None
            return self._tasks.get()


RESERVE = ThreadReserve("local-stack")

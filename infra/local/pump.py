"""The pump: brings what queues, streams and schedules hold to the functions."""

from __future__ import annotations

import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

from infra.local.clock import Clock
from infra.local.corrections.stepfunctions import REGISTER
from infra.local.event_sources import Source, StreamSource
from infra.local.functions import Functions
from infra.local.schedules import ExpirySource, ScheduleSource

# Nobody is woken for a change that nobody announces; then this is how late it is noticed.
_LOOK_AGAIN_SECONDS = 5.0


class Pump:
    """Runs every source, either on threads or, for tests, step by step."""

    def __init__(self, functions: Functions, sources: Sequence[Source], clock: Clock) -> None:
        self.sources = sources
        self._functions = functions
        self._clock = clock
        self._workers: list[Worker] = []
        self._stirred = threading.Condition()
        self._stirs = 0
        for source in sources:
            source.listen(self._stir)
        REGISTER.listeners.append(self._stir)
        clock.listeners.append(self._stir)

    def start(self) -> None:
        """Run each source on a thread of its own until `stop`."""
        if not self._workers:
            self._workers = [Worker(source, self._clock, self._stir) for source in self.sources]
            for worker in self._workers:
                worker.start()

    def stop(self) -> None:
        """Let each thread finish its batch, and end it."""
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.join()
        self._workers = []

    def close(self) -> None:
        """Stop, and hear no more of executions."""
        self.stop()
        REGISTER.listeners.remove(self._stir)
        self._clock.listeners.remove(self._stir)

    def advance(self, seconds: float, timeout_seconds: float = 60.0) -> int:
        """Let time pass: all that falls due meanwhile happens in its order, each at its moment.

        The clock goes from one due moment to the next, and at each everything comes to rest
        before it goes on. Returns how many records moved. Calls of schedules that cannot find
        anything to do are not made (`infra.local.idleness`).

        Raises
        ------
        TimeoutError
            Things still move after `timeout_seconds`, by the machine's clock.
        """
        clock, deadline = self._clock, time.monotonic() + timeout_seconds
        end = clock.now() + seconds
        moved = self.drain(timeout_seconds)
        while (due := self.next_due()) is not None and due <= end:
            clock.set_forward(due)
            moved += self.drain(max(deadline - time.monotonic(), 0.0))
        clock.set_forward(end)
        return moved + self.drain(max(deadline - time.monotonic(), 0.0))

    def next_due(self) -> float | None:
        """Tell when something is due next, in seconds since the epoch; None if nothing will be."""
        dues = [*(source.next_due() for source in self.sources), self._clock.next_alarm()]
        return min((due for due in dues if due is not None and due < math.inf), default=None)

    def drain(self, timeout_seconds: float = 60.0) -> int:
        """Run until nothing moves any more, executions included; return how many records moved.

        What is not due yet, such as a message that is invisible after a failure, stays, and an
        execution that sleeps goes on sleeping.

        Raises
        ------
        TimeoutError
            Things still move after `timeout_seconds`.
        """
        deadline = time.monotonic() + timeout_seconds
        moved = 0
        while True:
            if time.monotonic() > deadline:
                raise TimeoutError("the local stack does not come to rest")
            stirs = self._stirs
            step = 0 if self._workers else self._step(deadline)
            moved += step
            if step:
                continue
            if self._is_at_rest():
                return moved
            self._await_stir(stirs)

    def fire(self, function: str) -> None:
        """Call the scheduled function with this deployed name now, whatever its schedule.

        Raises
        ------
        LookupError
            No such function has a schedule.
        """
        for source in self.sources:
            if isinstance(source, ScheduleSource) and source.function == function:
                source.fire(self._clock.now())
                return
        raise LookupError(function)

    def expire_items(self) -> int:
        """Delete now what has expired; return how many items."""
        sources = [source for source in self.sources if isinstance(source, ExpirySource)]
        return sum(source.expire(self._clock.now()) for source in sources)

    def _await_stir(self, stirs: int) -> None:
        with self._stirred:
            if self._stirs == stirs:
                self._stirred.wait(timeout=0.05)

    def _step(self, deadline: float) -> int:
        moved = 0
        for source in self.sources:
            # A stream that gives up in the end need not wait between its attempts.
            hurried = (
                self._clock.skips_pauses and isinstance(source, StreamSource) and source.gives_up
            )
            polled = source.poll(math.inf if hurried else self._clock.now())
            moved += polled
            # Where time stands still, what a source began ends before the next one's turn.
            while polled and self._clock.stands and time.monotonic() < deadline:
                stirs = self._stirs
                if not self._is_at_work():
                    break
                self._await_stir(stirs)
        return moved

    def _is_at_rest(self) -> bool:
        if self._is_at_work():
            return False
        if any(not worker.is_idle() for worker in self._workers):
            return False
        now = self._clock.now()
        dues = (source.next_due() for source in self.sources)
        if any(due is not None and due <= now for due in dues):
            return False
        # A step that just ended may have started something before we looked.
        return not self._is_at_work()

    def _is_at_work(self) -> bool:
        return REGISTER.running > self._clock.asleep or self._functions.pending > 0

    def _stir(self) -> None:
        with self._stirred:
            self._stirs += 1
            self._stirred.notify_all()


class Worker:
    """The thread of one source. It tells when it has nothing to do."""

    def __init__(self, source: Source, clock: Clock, tell: Callable[[], None]) -> None:
        self._source = source
        self._clock = clock
        self._tell = tell
        self._condition = threading.Condition()
        self._woken = True
        self._idle = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=source.name, daemon=True)
        source.listen(self._wake)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def join(self) -> None:
        self._thread.join(timeout=1.0)

    def is_idle(self) -> bool:
        with self._condition:
            return self._idle and not self._woken

    def _wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def _run(self) -> None:
        while True:
            with self._condition:
                if self._stopped:
                    return
                self._woken = False
            if self._poll():
                continue
            due = self._source.next_due()
            pause = _LOOK_AGAIN_SECONDS
            if due is not None:
                pause = min(pause, max(due - self._clock.now(), 0.001))
            with self._condition:
                if not self._woken and not self._stopped:
                    self._idle = True
                    self._tell()
                    self._clock.wait(self._condition, pause)
                    self._idle = False

    def _poll(self) -> int:
        try:
            return self._source.poll(self._clock.now())
        except Exception:  # noqa: BLE001 - one source must not end the others
            sys.stderr.write(f"{self._source.name}: {traceback.format_exc()}")
            return 0

"""The one clock of the local stack: the functions, the queues, the executions and moto ask it."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime


class Alarm:
    """When a sleeper is to be woken. It rings once, for its time or because it was called."""

    def __init__(self, due: float, number: int, on_time: Callable[[], None] | None) -> None:
        self.due = due
        self.number = number
        self.asleep = False
        self._on_time = on_time
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake the sleeper."""
        self._rung.set()

    def ring_for_time(self) -> None:
        """Wake the sleeper because it is time, after what is to be done at that."""
        if self._on_time is not None:
            self._on_time()
        self._rung.set()

    def wait(self, seconds: float | None) -> bool:
        """Sleep until it rings, or for so long by the machine's clock; tell whether it rang."""
        return self._rung.wait(seconds)


class Clock:
    """The machine's time, set forward when told.

    Parameters
    ----------
    start
        What it shows at first, in seconds since the epoch; None: what the machine's shows.
    stands
        Whether it stands still until it is set forward, instead of running as the machine's does.
    skips_pauses
        Whether the pause between two attempts of one step, in which nothing else of it happens,
        takes no time: for tests that are not about time.
    """

    def __init__(
        self, start: float | None = None, *, stands: bool = False, skips_pauses: bool = False
    ) -> None:
        self.skips_pauses = skips_pauses
        self.stands = stands
        self.listeners: list[Callable[[], None]] = []  # told when an execution falls asleep
        self._shown = time.time() if start is None else start
        self._ahead = self._shown - time.time()
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._alarms: dict[int, Alarm] = {}
        self._conditions: list[threading.Condition] = []

    def now(self) -> float:
        """Tell the time, in seconds since the epoch."""
        return self._shown if self.stands else time.time() + self._ahead

    def utc_now(self) -> datetime:
        """Tell the time as the functions ask for it."""
        return as_datetime(self.now())

    def set_forward(self, to: float) -> None:
        """Show a later moment, and wake everybody who sleeps until then, the earliest first.

        It never goes back: a moment that is past is as good as now.
        """
        with self._lock:
            to = max(to, self.now())
            self._shown = to
            self._ahead = to - time.time()
            due = sorted(
                (alarm for alarm in self._alarms.values() if alarm.due <= to),
                key=lambda alarm: (alarm.due, alarm.number),
            )
            for alarm in due:
                del self._alarms[alarm.number]
            conditions = list(self._conditions)
        for alarm in due:
            alarm.ring_for_time()
        for condition in conditions:
            with condition:
                condition.notify_all()

    def next_alarm(self) -> float | None:
        """Tell when the next sleeper is to be woken."""
        with self._lock:
            return min((alarm.due for alarm in self._alarms.values()), default=None)

    @property
    def asleep(self) -> int:
        """How many executions sleep: they go on when it is time, and not before."""
        with self._lock:
            return sum(alarm.asleep for alarm in self._alarms.values())

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Sleep on `condition`, which the caller holds: notified, for so long, or less."""
        with self._lock:
            self._conditions.append(condition)
        try:
            condition.wait(seconds)
        finally:
            with self._lock:
                self._conditions.remove(condition)

    def alarm(
        self, due: float, *, asleep: bool = False, on_time: Callable[[], None] | None = None
    ) -> Alarm:
        """Set an alarm; `sleep` on it, and `cancel` it."""
        alarm = Alarm(due, next(self._numbers), on_time)
        alarm.asleep = asleep
        with self._lock:
            self._alarms[alarm.number] = alarm
        if asleep:
            for tell in list(self.listeners):
                tell()
        return alarm

    def sleep(self, alarm: Alarm) -> None:
        """Return when the alarm rings, or its time has come by itself."""
        while not alarm.wait(self._real_seconds_until(alarm.due)):
            if self.now() >= alarm.due:
                self.cancel(alarm)
                alarm.ring_for_time()

    def _real_seconds_until(self, moment: float) -> float | None:
        """Tell how long that is without anybody setting the clock; None: for ever."""
        left = max(moment - self.now(), 0.0)
        return None if left and (self.stands or math.isinf(left)) else left

    def cancel(self, alarm: Alarm) -> None:
        """Let an alarm not ring any more."""
        with self._lock:
            self._alarms.pop(alarm.number, None)


class ClockEvent:
    """As `threading.Event`, but that waiting for it ends by the clock in use.

    Waiting with `asleep` says that what waits has nothing else to do until then, so that time may
    pass; otherwise the wait is a limit to what somebody else does meanwhile.
    """

    asleep = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._waiting: list[Alarm] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        with self._lock:
            self._is_set = True
            waiting = list(self._waiting)
        for alarm in waiting:
            # Whoever is called is at work again, even before its thread is.
            alarm.asleep = False
            alarm.ring()

    def clear(self) -> None:
        with self._lock:
            self._is_set = False

    def wait(self, timeout: float | None = None, on_time: Callable[[], None] | None = None) -> bool:
        """Wait until it is set, or so many seconds; tell whether it is set.

        Whoever lets the time pass does `on_time` before it passes any further.
        """
        clock = in_use()
        due = math.inf if timeout is None else clock.now() + timeout
        with self._lock:
            if self._is_set:
                return True
            alarm = clock.alarm(due, asleep=self.asleep, on_time=on_time)
            self._waiting.append(alarm)
        try:
            clock.sleep(alarm)
        finally:
            clock.cancel(alarm)
            with self._lock:
                self._waiting.remove(alarm)
        return self._is_set


def as_datetime(seconds: float) -> datetime:
    """Return the aware UTC time of `seconds` since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


_machine = Clock()
_in_use = _machine


def in_use() -> Clock:
    """Return the clock of the stack that runs, or else the machine's."""
    return _in_use


def use(clock: Clock | None) -> None:
    """Have moto ask this clock from now on; None: the machine's."""
    global _in_use
    _in_use = clock or _machine

"""Whose turn it is: the tasks of a history, and the choice between them before every call of AWS.

Without a choice tasks run one after the other, each to its end. With one, each runs in a greenlet
of its own and the choice is asked before every call which of those that can go on does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from tests.simulation.world.time import VirtualClock


@dataclass(slots=True)
class Frame:
    """An invocation at work: which one it is, and how many calls of AWS it has made."""

    function: str
    nth: int
    calls: int = 0
    skew_ms: int = 0


@dataclass(slots=True, eq=False)
class Task:
    """Something that runs beside other things: a person's command, an execution, a delivery."""

    name: str
    run: Callable[[], Any]
    frames: list[Frame] = field(default_factory=list)
    wakes_at: float = 0.0
    greenlet: Any = None


# What a call touches: tables with the partition key of an item, or with a whole index.
Touched = frozenset[tuple[str, str]]

# Given those that can go on, who is at work (None if it cannot go on), and what it is about to
# touch: who does?
Choice = Callable[[Sequence[Task], Task | None, Touched], Task]

NOTHING: Touched = frozenset()


class Turns:
    """Runs tasks. `current` is the one at work."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._outside = Task("outside", lambda: None)
        self._begun: deque[Task] = deque()
        self._side_by_side: list[Task] = []
        self._choose: Choice | None = None
        self._hub: Any = None
        self.current = self._outside

    def begin(self, name: str, run: Callable[[], Any]) -> None:
        """Have something run: at once beside the others, or else when its turn comes."""
        task = Task(name, run)
        if self._choose is None:
            self._begun.append(task)
        else:
            self._side_by_side.append(task)

    def forget(self) -> None:
        self._begun.clear()

    def run_begun(self) -> bool:
        """Run what was begun, one after the other; tell whether there was anything."""
        ran = bool(self._begun)
        while self._begun:
            self._run_whole(self._begun.popleft())
        return ran

    def run_one(self, name: str, run: Callable[[], Any]) -> None:
        """Run something now, to its end."""
        self._run_whole(Task(name, run))

    def _run_whole(self, task: Task) -> None:
        before, self.current = self.current, task
        try:
            task.run()
        finally:
            self.current = before

    def run_side_by_side(
        self, commands: Sequence[tuple[str, Callable[[], Any]]], choose: Choice
    ) -> None:
        """Run commands, and all that they begin, in turns that `choose` decides."""
        self._choose = choose
        self._hub = getcurrent()
        try:
            for name, run in commands:
                self.begin(name, run)
            while self._side_by_side:
                self._turn(self._next(None))
        finally:
            self._end_all()
            self._choose = None
            self.current = self._outside

    def _end_all(self) -> None:
        """End what is still under way, now and not when it is found to be garbage."""
        while self._side_by_side:
            task = self._side_by_side.pop()
            if task.greenlet is not None and not task.greenlet.dead:
                self.current = task
                task.greenlet.throw(GreenletExit)

    @property
    def is_side_by_side(self) -> bool:
        return self._choose is not None

    def pause(self, touched: Touched) -> None:
        """Let somebody else go on, if the choice is so: called before every call of AWS."""
        me = self.current
        if self._choose is None or me.greenlet is None:
            return
        chosen = self._choose(self._able(), me, touched)
        if chosen is not me:
            self._hub.switch(chosen)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the task at work; others may use it."""
        me = self.current
        if self._choose is None or me.greenlet is None:
            self._clock.advance(seconds)
            return
        me.wakes_at = self._clock.now() + seconds
        self._hub.switch(None)

    def _able(self) -> list[Task]:
        now = self._clock.now()
        return [task for task in self._side_by_side if task.wakes_at <= now]

    def _next(self, current: Task | None) -> Task:
        able = self._able()
        if not able:
            self._clock.advance_to(min(task.wakes_at for task in self._side_by_side))
            able = self._able()
        assert self._choose is not None
        return self._choose(able, current, NOTHING)

    def _turn(self, task: Task | None) -> None:
        """Let a task go on, and then whomever each one names, until one ends or sleeps."""
        while task is not None:
            if task.greenlet is None:
                task.greenlet = greenlet(task.run)
            self.current = task
            wanted = task.greenlet.switch()
            if task.greenlet.dead:
                self._side_by_side.remove(task)
                return
            task = wanted

"""Interleavings: which task goes on before every call of AWS, all of them up to a bound.

A schedule is the list of places at which a task that could have gone on had to wait, and for whom.
Most faults of order need two such places or fewer (Musuvathi and Qadeer, CHESS), so all schedules
with at most that many are played, in a fixed order. A task is made to wait only before a call on a
partition that another task was seen to touch, too: elsewhere the order makes no difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.simulation.world.turns import Task, Touched


class Schedules:
    """Goes through all schedules with at most `preemptions_max` preemptions, depth first.

        for choose in Schedules(2):
            world.turns.run_side_by_side(commands, choose)

    `name` tells the schedule at hand: the places of the choices that were not the first.
    """

    def __init__(self, preemptions_max: int) -> None:
        self._preemptions_max = preemptions_max
        self._choices: list[tuple[int, int]] = []  # taken, of how many
        self._place = 0
        self._preemptions = 0
        self._touched_by: dict[tuple[str, str], set[str]] = defaultdict(set)

    def __iter__(self) -> Iterator[Schedules]:
        # Twice, to see what each task touches before any is made to wait.
        self._restart()
        yield self
        self._choices.clear()
        while True:
            self._restart()
            yield self
            del self._choices[self._place :]
            while self._choices and self._choices[-1][0] + 1 >= self._choices[-1][1]:
                self._choices.pop()
            if not self._choices:
                return
            taken, of = self._choices[-1]
            self._choices[-1] = (taken + 1, of)

    def _restart(self) -> None:
        self._place = self._preemptions = 0

    @property
    def name(self) -> str:
        return written([choice for choice, _ in self._choices[: self._place]])

    def __call__(self, able: Sequence[Task], current: Task | None, touched: Touched) -> Task:
        order = _in_order(able, current)
        if self._place == len(self._choices):
            self._choices.append((0, self._width(order, current, touched)))
        chosen = order[self._choices[self._place][0]]
        self._place += 1
        if current is not None and chosen is not current:
            self._preemptions += 1
        return chosen

    def _width(self, order: list[Task], current: Task | None, touched: Touched) -> int:
        """Tell between how many tasks there is a choice."""
        if current is None:
            return len(order)
        for one in touched:
            self._touched_by[one].add(current.name)
        is_shared = any(len(self._touched_by[one]) > 1 for one in touched)
        return len(order) if is_shared and self._preemptions < self._preemptions_max else 1


class OneSchedule:
    """Plays the schedule that a name tells."""

    def __init__(self, name: str) -> None:
        self._taken = read(name)
        self._place = 0

    def __call__(self, able: Sequence[Task], current: Task | None, touched: Touched) -> Task:
        taken = self._taken[self._place] if self._place < len(self._taken) else 0
        self._place += 1
        return _in_order(able, current)[taken]


def _in_order(able: Sequence[Task], current: Task | None) -> list[Task]:
    """Put the task at work first: going on is no preemption."""
    if current is None:
        return list(able)
    return [current, *(task for task in able if task is not current)]


def written(taken: Sequence[int]) -> str:
    """Write the choices: `12:1,20:2` is the other one at place 12, and a third one at 20."""
    return ",".join(f"{place}:{choice}" for place, choice in enumerate(taken) if choice)


def read(name: str) -> list[int]:
    """Read what `written` wrote. Raises ValueError."""
    pairs = [part.split(":") for part in filter(None, name.split(","))]
    taken = [0] * (1 + max((int(place) for place, _ in pairs), default=-1))
    for place, choice in pairs:
        taken[int(place)] = int(choice)
    return taken

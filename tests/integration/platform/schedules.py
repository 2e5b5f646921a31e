"""Every schedule of a few contenders: their calls of AWS in every order, on the deployed code.

A contender runs in a thread and stops before each call it makes of AWS. The explorer says who goes
on, whether time passes meanwhile, and where one dies, loses an answer or has its call repeated. A
schedule is the list of these moves, and the same list does the same again.

Beginnings that lead to the same tables, the same time and contenders that were told the same have
the same futures, so only one of them is followed: what a contender does depends on nothing else.
The schedules are counted all the same, by summing over the moves what lies below each.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ReadTimeoutError

Move = tuple[str, str]  # what happens, and to whom

GOES_ON = "goes on"
DIES_BEFORE = "dies before its call"
DIES_AFTER = "dies after its call"
LOSES_ANSWER = "loses the answer to its call"
IS_REPEATED = "has its call repeated by the SDK"
TIME_PASSES: Move = ("time passes", "")

FAULTS = (DIES_BEFORE, DIES_AFTER, LOSES_ANSWER, IS_REPEATED)


class World(Protocol):
    """What the contenders share: made anew for each schedule."""

    contenders: dict[str, Callable[[], None]]

    def let_time_pass(self) -> None: ...

    def done(self, name: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Hear of a call that had its effect."""

    def state(self) -> Hashable:
        """Tell all that is stored, the time, and what `wrong` depends on."""

    def wrong(self) -> set[str]:
        """Say what has gone wrong so far."""

    def wrong_in_the_end(self) -> set[str]:
        """Say what is wrong once every contender has ended."""


@dataclass
class Explored:
    """`wrong` tells of each complaint in how many schedules it is justified, and one of them."""

    schedules: int = 0
    states: int = 0
    wrong: dict[str, tuple[int, list[Move]]] = field(default_factory=dict)


def explore(make: Callable[[], World], *, ticks: int, faults: int = 0) -> Explored:
    """Follow every schedule with up to so many ticks of time and so many faults."""
    explored = Explored()
    firsts: dict[str, list[Move]] = {}
    known: dict[Hashable, tuple[int, dict[str, int]]] = {}

    def below(moves: list[Move]) -> tuple[int, dict[str, int]]:
        """Count the schedules that begin so, and those of them with each complaint."""
        play = _Play(make(), moves)
        left = (
            ticks - moves.count(TIME_PASSES),
            faults - sum(what in FAULTS for what, _ in moves),
        )
        here = (play.state(), left)
        possible = play.moves(*left)
        wrong = play.world.wrong()
        play.end()
        if here in known:
            return known[here]
        if not possible:
            wrong = wrong | play.world.wrong_in_the_end()
        for complaint in wrong:
            firsts.setdefault(complaint, moves)
        counted = [below([*moves, move]) for move in possible]
        total = sum(count for count, _ in counted) or 1
        bad = dict.fromkeys(wrong, total)
        for _, complaints in counted:
            for complaint, times in complaints.items():
                if complaint not in wrong:
                    bad[complaint] = bad.get(complaint, 0) + times
        known[here] = total, bad
        return total, bad

    with patch.object(BaseClient, "_make_api_call", _make_api_call):
        explored.schedules, bad = below([])
    explored.states = len(known)
    explored.wrong = {complaint: (times, firsts[complaint]) for complaint, times in bad.items()}
    return explored


class _Play:
    """One schedule, come as far as its moves."""

    def __init__(self, world: World, moves: list[Move]) -> None:
        self.world = world
        self._time = 0
        self._runners = {
            name: _Runner(name, work, world) for name, work in world.contenders.items()
        }
        for runner in self._runners.values():
            runner.begin()
        for what, name in moves:
            if (what, name) == TIME_PASSES:
                self._time += 1
                world.let_time_pass()
            else:
                self._runners[name].go(what, self._time)

    def moves(self, ticks: int, faults: int) -> list[Move]:
        waiting = [name for name, runner in self._runners.items() if not runner.is_over]
        possible: list[Move] = [(GOES_ON, name) for name in waiting]
        # Once everybody is done, time changes nothing.
        if ticks and waiting:
            possible.append(TIME_PASSES)
        if faults:
            possible += [(fault, name) for name in waiting for fault in FAULTS]
        return possible

    def state(self) -> Hashable:
        runners = self._runners.values()
        return self.world.state(), tuple((tuple(one.told), one.is_over) for one in runners)

    def end(self) -> None:
        for runner in self._runners.values():
            while not runner.is_over:
                runner.go(DIES_BEFORE, self._time)


class _Killed(BaseException):
    """The contender's process is over: nothing of ours can catch it."""


class _Runner:
    """One contender, in a thread that runs only while it is let."""

    by_thread: dict[int, _Runner] = {}

    def __init__(self, name: str, work: Callable[[], None], world: World) -> None:
        self.told: list[Any] = []
        self.is_over = False
        self._name = name
        self._work = work
        self._world = world
        self._turn: tuple[str, int] = (GOES_ON, 0)
        self._may_go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)

    def begin(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()
        self._stopped.acquire()

    def go(self, what: str, time: int) -> None:
        self._turn = (what, time)
        self._may_go.release()
        self._stopped.acquire()

    def _run(self) -> None:
        self.by_thread[threading.get_ident()] = self
        try:
            self._work()
        except _Killed:
            pass
        finally:
            del self.by_thread[threading.get_ident()]
            self.is_over = True
            self._stopped.release()

    def call(self, request: dict[str, Any], perform: Callable[[], dict[str, Any]]) -> Any:
        self._stopped.release()
        self._may_go.acquire()
        what, _ = self._turn
        if what == DIES_BEFORE:
            raise _Killed
        if what == IS_REPEATED:
            self._perform(request, perform)
        try:
            answer = self._perform(request, perform)
        except Exception as error:
            self._remember(getattr(error, "response", {"error": repr(error)}))
            raise
        self._remember(answer)
        if what == DIES_AFTER:
            raise _Killed
        if what == LOSES_ANSWER:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return answer

    def _perform(self, request: dict[str, Any], perform: Callable[[], dict[str, Any]]) -> Any:
        answer = perform()
        self._world.done(self._name, request, answer)
        return answer

    def _remember(self, answer: dict[str, Any]) -> None:
        heard = {name: told for name, told in answer.items() if name != "ResponseMetadata"}
        self.told.append((self._turn, json.dumps(heard, sort_keys=True, default=str)))


_unpatched = BaseClient._make_api_call


def _make_api_call(client: Any, operation: str, request: Any) -> Any:
    runner = _Runner.by_thread.get(threading.get_ident())
    if runner is None:
        return _unpatched(client, operation, request)
    return runner.call(request, lambda: _unpatched(client, operation, request))

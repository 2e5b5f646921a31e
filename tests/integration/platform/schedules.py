"""Every schedule of a few contenders: their calls of AWS in every order, on the deployed code.

A contender runs in a greenlet and stops before it begins and before each call it makes of AWS. The
explorer says who goes on, whether time passes meanwhile, and where one dies, loses an answer or has
its call repeated. A schedule is the list of these moves, and the same list does the same again.

Beginnings that lead to the same tables, the same time and contenders that were told the same have
the same futures, so only one of them is followed: what a contender does depends on nothing else.
The schedules are counted all the same, by summing over the moves what lies below each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError
from greenlet import getcurrent, greenlet

Move = tuple[str, str]  # what happens, and to whom

GOES_ON = "goes on"
DIES_BEFORE = "dies before its call"
DIES_AFTER = "dies after its call"
LOSES_ANSWER = "loses the answer to its call"
IS_REPEATED = "has its call repeated by the SDK"
TIME_PASSES: Move = ("time passes", "")

FAULTS = (DIES_BEFORE, DIES_AFTER, LOSES_ANSWER, IS_REPEATED)


# Does an operation of DynamoDB with its parameters, as a client's caller is answered.
Perform = Callable[[str, dict[str, Any]], dict[str, Any]]


class World(Protocol):
    """What the contenders share: made anew for each schedule."""

    contenders: dict[str, Callable[[], None]]
    perform: Perform

    def let_time_pass(self) -> None: ...

    def done(self, name: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        """Hear of a call that had its effect."""

    def state(self) -> Hashable:
        """Tell all that is stored, the time, and what `wrong` depends on."""

    def wrong(self) -> frozenset[str]:
        """Say what has gone wrong so far."""

    def wrong_in_the_end(self) -> frozenset[str]:
        """Say what is wrong once every contender has ended."""


@dataclass
class Explored:
    """`wrong` tells of each complaint in how many schedules it is justified, and one of them."""

    schedules: int = 0
    states: int = 0
    wrong: dict[str, tuple[int, tuple[Move, ...]]] = field(default_factory=dict)


def explore(make: Callable[[], World], *, ticks: int, faults: int = 0) -> Explored:
    """Follow every schedule with up to so many ticks of time and so many faults."""
    explored = Explored()
    firsts: dict[str, tuple[Move, ...]] = {}
    known: dict[Hashable, tuple[int, dict[str, int]]] = {}

    def below(play: _Play) -> tuple[int, dict[str, int]]:
        """Count the schedules that begin so, and those of them with each complaint."""
        left = play.left(ticks, faults)
        here = (play.state(), left)
        if here in known:
            play.end()
            return known[here]
        moves, possible, wrong = play.moves, play.possible(*left), play.world.wrong()
        if not possible:
            wrong = wrong | play.world.wrong_in_the_end()
        for complaint in wrong:
            firsts.setdefault(complaint, moves)
        counted = []
        for position, move in enumerate(possible):
            # The first goes on from here; the others begin at the beginning.
            next_play = play if position == 0 else _Play(make(), moves)
            next_play.do(move)
            counted.append(below(next_play))
        total = sum(count for count, _ in counted) or 1
        bad = dict.fromkeys(wrong, total)
        for _, complaints in counted:
            for complaint, times in complaints.items():
                if complaint not in wrong:
                    bad[complaint] = bad.get(complaint, 0) + times
        known[here] = total, bad
        return total, bad

    with patch.object(BaseClient, "_make_api_call", _make_api_call):
        explored.schedules, bad = below(_Play(make(), ()))
    explored.states = len(known)
    explored.wrong = {complaint: (times, firsts[complaint]) for complaint, times in bad.items()}
    return explored


class _Play:
    """One schedule, come as far as its moves."""

    def __init__(self, world: World, moves: tuple[Move, ...]) -> None:
        self.world = world
        self.moves: tuple[Move, ...] = ()
        self._runners = {
            name: _Runner(name, work, world) for name, work in world.contenders.items()
        }
        for move in moves:
            self.do(move)

    def do(self, move: Move) -> None:
        what, name = move
        if move == TIME_PASSES:
            self.world.let_time_pass()
        else:
            self._runners[name].go(what, self.moves.count(TIME_PASSES))
        self.moves = (*self.moves, move)

    def left(self, ticks: int, faults: int) -> tuple[int, int]:
        """Tell how many ticks and faults may still come, of so many."""
        faulty = sum(what in FAULTS for what, _ in self.moves)
        return ticks - self.moves.count(TIME_PASSES), faults - faulty

    def possible(self, ticks: int, faults: int) -> list[Move]:
        waiting = {name: one for name, one in self._runners.items() if not one.is_over}
        possible: list[Move] = [(GOES_ON, name) for name in waiting]
        # Once everybody is done, time changes nothing.
        if ticks and waiting:
            possible.append(TIME_PASSES)
        if faults:
            calling = [name for name, one in waiting.items() if one.has_begun]
            possible += [(fault, name) for name in calling for fault in FAULTS]
        return possible

    def state(self) -> Hashable:
        runners = self._runners.values()
        return self.world.state(), tuple((tuple(one.told), one.is_over) for one in runners)

    def end(self) -> None:
        for runner in self._runners.values():
            while runner.has_begun and not runner.is_over:
                runner.go(DIES_BEFORE, 0)


class _Killed(BaseException):
    """The contender's process is over: nothing of ours can catch it."""


class _Runner(greenlet):
    """One contender, which runs only while it is let."""

    def __init__(self, name: str, work: Callable[[], None], world: World) -> None:
        super().__init__(self._run)
        self.told: list[Any] = []
        self._name = name
        self._work = work
        self._world = world
        self._turn: tuple[str, int] = (GOES_ON, 0)

    @property
    def has_begun(self) -> bool:
        return bool(self)

    @property
    def is_over(self) -> bool:
        return bool(self.dead)

    def go(self, what: str, time: int) -> None:
        self._turn = (what, time)
        self.switch()

    def _run(self) -> None:
        self.told.append(self._turn)
        try:
            self._work()
        except _Killed:
            return

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert self.parent is not None
        self.parent.switch()
        what, _ = self._turn
        if what == DIES_BEFORE:
            raise _Killed
        if what == IS_REPEATED:
            self._perform(operation, request)
        try:
            answer = self._perform(operation, request)
        except ClientError as error:
            self.told.append((self._turn, repr(error.response)))
            raise
        self.told.append((self._turn, repr(answer)))
        if what == DIES_AFTER:
            raise _Killed
        if what == LOSES_ANSWER:
            raise ReadTimeoutError(endpoint_url="https://dynamodb")
        return answer

    def _perform(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._world.perform(operation, request)
        answer.pop("ResponseMetadata", None)
        self._world.done(self._name, request, answer)
        return answer


unstopped = BaseClient._make_api_call


def _make_api_call(client: Any, operation: str, request: Any) -> Any:
    runner = getcurrent()
    if isinstance(runner, _Runner):
        return runner.call(operation, request)
    return unstopped(client, operation, request)

"""Commands that meet, in whichever order their calls of AWS come: no order has two ends.

Here some meetings are played with one preemption; `make prove` plays every pair with two.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.commands import meetings
from tests.simulation.exploring import Explorer, seldom_collected
from tests.simulation.schedules import OneSchedule, Schedules, read, written
from tests.simulation.world.turns import NOTHING, Task
from tests.simulation.world.world import World

MEETINGS = meetings()
SCHEDULES_MAX = 25


@pytest.fixture(scope="module")
def explorer(world: World) -> Iterator[Explorer]:
    with seldom_collected():
        yield Explorer(world)


@pytest.mark.parametrize(
    "name",
    [
        "checking out: checkout and checkout",
        "checking out: checkout and second buyer",
        "checking out: checkout and cancel",
        "bought: cancel and edit",
        "bought: cancel and refund all",
        "bought: cancel and dispatch",
        "bought: edit and pick",
        "bought: refund and refund all",
    ],
)
def test_two_commands_at_once_leave_books_that_agree(explorer: Explorer, name: str) -> None:
    explorer.side_by_side(MEETINGS[name], preemptions_max=1, limit=SCHEDULES_MAX)

    assert [str(one) for one in explorer.report.findings if one.played == name] == []


def test_every_pair_of_commands_of_an_order_is_a_meeting() -> None:
    commands = {name for one in MEETINGS.values() for name in one.names}
    pairs = [one for one in MEETINGS.values() if one.flow.name == "bought"]

    assert len(commands) >= 12
    assert len(pairs) == 11 * 12 / 2


def played(choose: Schedules | OneSchedule) -> str:
    """Let two tasks of three calls each, on one partition, take the turns they are given."""
    tasks = [Task("a", lambda: None), Task("b", lambda: None)]
    left = {"a": 3, "b": 3}
    seen = ""
    current = None
    while any(left.values()):
        able = [task for task in tasks if left[task.name]]
        at_work = current if current in able else None
        touched = frozenset({("table", "pk")}) if at_work else NOTHING
        current = choose(able, at_work, touched)
        left[current.name] -= 1
        seen += current.name
    return seen


def test_all_schedules_up_to_a_bound_are_played_and_each_once() -> None:
    first, *orders = [played(one) for one in Schedules(1)]

    # aaabbb, and one preemption of either after its first or its second call, both ways round.
    assert first == "aaabbb"
    assert sorted(orders) == sorted(set(orders))
    assert {"aaabbb", "abbbaa", "aabbba", "bbbaaa", "baaabb", "bbaaab"} == set(orders)


def test_a_schedule_is_played_again_by_its_name() -> None:
    for one in Schedules(2):
        order, name = played(one), one.name

        assert played(OneSchedule(name)) == order
        assert written(read(name)) == name

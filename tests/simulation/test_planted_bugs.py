"""The proof that the proof works: what is planted is found, each in the place it names.

Here those that are found at once; `make prove` plants all of them.
"""

from __future__ import annotations

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.commands import meetings
from tests.simulation.flows import FLOWS
from tests.simulation.hunting import hunt
from tests.simulation.planting import Bug, NothingToReplaceError, planted
from tests.simulation.world.world import World

SOON = (
    "units are held that are not there",
    "the last units are sold to two who come at once",
    "what was sold stays sold when its order is cancelled",
    "the last to write an order wins",
    "an order that is being cancelled can be edited",
    "a customer's cancelling while money is captured is forgotten",
)


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in SOON], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(world: World, bug: Bug) -> None:
    assert hunt(world, bug).finding is not None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_still_be_planted_and_is_looked_for_somewhere(world: World, bug: Bug) -> None:
    with planted(bug, world):
        assert bug.found_by in FLOWS or bug.found_by in meetings()


def test_a_bug_whose_place_is_gone_is_refused(world: World) -> None:
    nowhere = Bug("nowhere", "orders.model", "this text stands nowhere", "", "checkout")

    with pytest.raises(NothingToReplaceError), planted(nowhere, world):
        pass

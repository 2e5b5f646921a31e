"""Whatever fails, and wherever it fails: every order ends as it should, and all books agree.

Here each site of each flow meets one fault, another one from site to site. `make prove` has every
site meet every fault that can befall it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest

from tests.simulation.exploring import Explorer, seldom_collected
from tests.simulation.flows import FLOWS
from tests.simulation.world.world import World


@pytest.fixture(scope="module")
def explorer(world: World) -> Iterator[Explorer]:
    with seldom_collected():
        yield Explorer(world)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_that_meets_a_fault_at_any_site_ends_as_it_should(
    explorer: Explorer, name: str
) -> None:
    at_each_site = groupby(explorer.begin(FLOWS[name]), key=lambda one: one[0])
    for turn, (_, faults) in enumerate(at_each_site):
        kinds = list(faults)
        site, fault = kinds[turn % len(kinds)]
        explorer.play({site: fault}, fault)

    assert explorer.report.histories[name, fault] > 0
    assert [str(one) for one in explorer.report.findings if one.flow == name] == []
    assert explorer.report.unreached == 0

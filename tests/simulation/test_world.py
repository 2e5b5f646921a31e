"""The simulated world runs the application as it is, and runs it the same way every time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.flows import FLOWS
from tests.simulation.people import Town
from tests.simulation.recording import recorded
from tests.simulation.world.world import ROOT, World

_TELL_DIGEST = "from tests.simulation.recording import digest; print(digest('checkout', seed=7))"


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_ends_as_it_does_on_aws_and_botocore_accepts_each_of_its_requests(
    world: World, name: str
) -> None:
    flow = FLOWS[name]
    world.boundary.validates = True
    start = world.beginning()
    try:
        scene = flow.begin(Town(world))
        flow.play(scene)
        scene.settles()
        order = scene.town.admin.get(f"/v1/staff/orders/{scene.order_id}")
    finally:
        world.boundary.validates = False
        world.restart(start)

    assert order["status"] in flow.ends
    assert [reply.status for reply in scene.replies if reply.status >= 300] == []


def test_a_history_is_the_same_again_after_others(world: World) -> None:
    start = world.beginning()
    first = recorded(world, FLOWS["checkout"], seed=7)
    recorded(world, FLOWS["declined"], seed=8)
    again = recorded(world, FLOWS["checkout"], seed=7)
    world.restart(start)

    assert first == again


def test_a_history_is_the_same_whatever_the_hash_seed_of_the_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", _TELL_DIGEST],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "1", "4711")
    }

    assert len(digests) == 1, digests

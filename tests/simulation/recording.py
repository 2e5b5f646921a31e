"""A history written down, call by call: what is compared to see that nothing is left to chance."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.simulation.flows import FLOWS, Flow
from tests.simulation.people import Town
from tests.simulation.world.boundary import printed
from tests.simulation.world.faults import Plan
from tests.simulation.world.world import World


def recorded(world: World, flow: Flow, *, seed: int, plan: Plan | None = None) -> list[str]:
    """Play a flow, from an empty shop, and return each call with its request and its answer.

    It is played once before: what a process keeps for ever, it asks for the first time only.
    """
    lines: list[str] = []

    def note(step: str, request: Any, answer: Any) -> None:
        lines.append(f"{step} {printed(request)} {printed(answer)}")

    _played(world, flow, seed=seed)
    world.boundary.records = note
    try:
        _played(world, flow, seed=seed, plan=plan)
    finally:
        world.boundary.records = None
    return lines


def _played(world: World, flow: Flow, *, seed: int, plan: Plan | None = None) -> None:
    world.restart(world.empty, seed=seed)
    scene = flow.begin(Town(world))
    world.restart(world.beginning(), seed=seed, plan=plan)
    flow.play(scene)
    world.drain()


def digest(flow: str, *, seed: int) -> str:
    """Play a flow in a world of its own; return a digest of all that was called and answered."""
    with World.opened() as world:
        lines = recorded(world, FLOWS[flow], seed=seed)
    told = "\n".join(lines)
    return f"{len(lines)} {hashlib.sha256(told.encode()).hexdigest()}"

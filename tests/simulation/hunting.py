"""The hunt for a planted bug: explore where it should show until an invariant does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.commands import meetings
from tests.simulation.exploring import Explorer, Finding
from tests.simulation.flows import FLOWS
from tests.simulation.invariants import Violation
from tests.simulation.planting import Bug, planted
from tests.simulation.world.world import World

# What is found is found early: most preemptions are tried from the end on.
_SCHEDULES_MAX = 400


@dataclass(frozen=True, slots=True)
class Hunt:
    """What came of it: how many histories it took, and what was found, None if nothing was."""

    bug: Bug
    histories: int
    finding: str | None


def hunt(world: World, bug: Bug) -> Hunt:
    """Plant a bug and look for it, in the one flow or meeting that it names."""
    explorer = Explorer(world)
    with planted(bug, world):
        try:
            found = next(_explored(explorer, bug), None)
        except (Violation, AssertionError) as violation:
            # It shows before any fault: what comes before the flow cannot even be played.
            return Hunt(bug, explorer.report.total, f"{type(violation).__name__} {violation}")
        finally:
            world.restart(world.empty)
    return Hunt(bug, explorer.report.total, str(found) if found else None)


def _explored(explorer: Explorer, bug: Bug) -> Iterator[Finding]:
    findings = explorer.report.findings
    if bug.found_by in FLOWS:
        for site, fault in explorer.begin(FLOWS[bug.found_by]):
            yield from findings
            explorer.play({site: fault}, fault)
        yield from findings
        return
    for _ in explorer.schedules_of(meetings()[bug.found_by], limit=_SCHEDULES_MAX):
        yield from findings

"""Histories by the thousand: every fault at every site of a flow, one or two at a time."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.simulation.flows import Flow, Scene
from tests.simulation.invariants import Violation, Watch, all_is_well, come_to_rest
from tests.simulation.people import Town
from tests.simulation.world.boundary import Step
from tests.simulation.world.faults import (
    Fault,
    Plan,
    Site,
    faults_of_call,
    faults_of_invocation,
    told,
)
from tests.simulation.world.world import Beginning, NeverRestsError, World


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Look for garbage in circles less often: histories make little of it, and many objects."""
    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()


@dataclass(frozen=True, slots=True)
class Finding:
    """A history in which an invariant did not hold, by the name that plays it again."""

    flow: str
    plan: str
    seed: int
    violation: str

    def __str__(self) -> str:
        return f"FLOW={self.flow!r} SEED={self.seed} PLAN={self.plan!r}\n    {self.violation}"


@dataclass(slots=True)
class Report:
    """What exploring brought."""

    histories: Counter[tuple[str, str]] = field(default_factory=Counter)  # by flow and fault
    findings: list[Finding] = field(default_factory=list)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)  # by flow and status
    ticks: Counter[int] = field(default_factory=Counter)
    sites: Counter[str] = field(default_factory=Counter)
    unreached: int = 0
    calls: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.histories.values())


class Explorer:
    """Plays histories of flows in one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watch = Watch(world)
        self.report = Report()
        self._flow: Flow | None = None

    def begin(self, flow: Flow) -> list[tuple[Site, Fault]]:
        """Bring the world to a flow's beginning; return each fault at each site of it."""
        self._flow = flow
        self.world.restart(self.world.empty)
        self.watch.restart()
        self._scene: Scene = flow.begin(Town(self.world))
        self._beginning: Beginning = self.world.beginning()
        self._replies: list[int] | None = None
        # What a process asks for once and keeps is asked for here.
        self.play({}, "none")
        scene = self._played({})
        self._replies = [reply.status for reply in scene.replies]
        self.report.sites[flow.name] = len(self._trace)
        return list(_faults_at(self._trace))

    def one_fault_each(self, flow: Flow) -> None:
        """Play every fault at every site."""
        for site, fault in self.begin(flow):
            self.play({site: fault}, fault)

    def two_faults_each(self, flow: Flow, *, every: int = 1) -> None:
        """Play every pair of faults, the second after the first; or one of `every` pairs."""
        count = 0
        for site, fault in self.begin(flow):
            self._played({site: fault})
            then = [one for one in _faults_at(self._trace) if one[0] in self._after(site)]
            for second, second_fault in then:
                count += 1
                if count % every == 0:
                    self.play({site: fault, second: second_fault}, f"{fault} and another")

    def play(self, plan: Plan, kind: str, *, seed: int = 0) -> str | None:
        """Play a history and check it; return how the order ended, None where it is a finding."""
        assert self._flow is not None
        began, calls = time.process_time(), self.world.boundary.calls
        try:
            scene = self._played(plan, seed=seed)
            if plan and not self.world.boundary.hit:
                self.report.unreached += 1
            self.report.ticks[come_to_rest(scene)] += 1
            ended = all_is_well(self._flow, scene, self._replies)
        except (Violation, NeverRestsError, AssertionError) as violation:
            self._find(plan, seed, f"{type(violation).__name__} {violation}")
            return None
        finally:
            self.report.histories[self._flow.name, kind] += 1
            self.report.calls += self.world.boundary.calls - calls
            self.report.seconds += time.process_time() - began
        self.report.ends[self._flow.name, ended] += 1
        return ended

    def _played(self, plan: Plan, *, seed: int = 0) -> Scene:
        assert self._flow is not None
        scene = self._scene.again()
        self.world.restart(self._beginning, seed=seed, plan=plan)
        self.watch.restart()
        self._flow.play(scene)
        self.world.drain()
        self._trace = list(self.world.boundary.trace)
        return scene

    def _after(self, site: Site) -> set[Site]:
        sites = [step.site for step in self._trace]
        return set(sites[sites.index(site) + 1 :]) if site in sites else set()

    def _find(self, plan: Plan, seed: int, violation: str) -> None:
        assert self._flow is not None
        self.report.findings.append(Finding(self._flow.name, told(plan), seed, violation))


def _faults_at(trace: list[Step]) -> Iterator[tuple[Site, Fault]]:
    for step in trace:
        if step.site.number == 0:
            faults = faults_of_invocation(step.site.function, is_step=step.call == "step")
        else:
            operation = step.call.partition(".")[2]
            faults = faults_of_call(operation, may_be_stale=step.may_be_stale)
        for fault in faults:
            yield step.site, fault

"""Histories by the thousand: every fault at every site, every order of two commands.

A history has a name by which it is played again: what is played, its seed, its plan of faults and
its schedule.
"""

from __future__ import annotations

import functools
import gc
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.simulation.commands import Meeting
from tests.simulation.flows import Flow, Scene
from tests.simulation.invariants import Violation, Watch, all_is_well, come_to_rest
from tests.simulation.people import Town
from tests.simulation.schedules import OneSchedule, Schedules
from tests.simulation.world.boundary import Step
from tests.simulation.world.faults import (
    Fault,
    Plan,
    Site,
    faults_of_call,
    faults_of_invocation,
    told,
)
from tests.simulation.world.turns import Choice
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
    """A history in which an invariant did not hold, by its name."""

    played: str  # a flow, or a meeting
    plan: str
    schedule: str
    seed: int
    violation: str

    def __str__(self) -> str:
        name = f"PLAY='{self.played}' SEED={self.seed} PLAN='{self.plan}'"
        schedule = f" SCHEDULE='{self.schedule}'" if self.schedule else ""
        return f"make prove {name}{schedule}\n    {self.violation}"


@dataclass(slots=True)
class Report:
    """What exploring brought."""

    histories: Counter[tuple[str, str]] = field(default_factory=Counter)  # by flow and fault
    findings: list[Finding] = field(default_factory=list)
    ends: Counter[tuple[str, str]] = field(default_factory=Counter)  # by flow and status
    ticks: Counter[int] = field(default_factory=Counter)  # how often the timers had to ring
    sites: Counter[str] = field(default_factory=Counter)  # by flow
    unreached: int = 0  # histories in which no fault came about
    calls: int = 0
    seconds: float = 0.0  # of the processor

    @property
    def total(self) -> int:
        return sum(self.histories.values())

    def add(self, other: Report) -> None:
        """Take in what another process found."""
        for mine, its in (
            (self.histories, other.histories),
            (self.ends, other.ends),
            (self.ticks, other.ticks),
            (self.sites, other.sites),
        ):
            mine.update(its)  # type: ignore[attr-defined]
        self.findings += other.findings
        self.unreached += other.unreached
        self.calls += other.calls
        self.seconds += other.seconds


class Explorer:
    """Plays histories in one world. `heard` is called after each with the report so far."""

    def __init__(self, world: World, heard: Callable[[Report], None] = lambda _: None) -> None:
        self.world = world
        self.report = Report()
        self.trace: list[Step] = []
        self._watch = Watch(world)
        self._heard = heard
        self._flow: Flow
        self._scene: Scene
        self._beginning: Beginning
        self._replies: list[int] | None = None

    # --- faults ---------------------------------------------------------------------------------

    def begin(self, flow: Flow) -> list[tuple[Site, Fault]]:
        """Bring the world to a flow's beginning; return each fault at each site of it."""
        self._flow = flow
        self.world.restart(self.world.empty)
        self._watch.restart()
        self._scene = flow.begin(Town(self.world))
        self._beginning = self.world.beginning()
        # What a process asks for once and keeps is asked for here.
        self._replies = None
        self.play({}, "none")
        self._replies = [reply.status for reply in self._played({}, 0).replies]
        self.report.sites[flow.name] = len(self.trace)
        return list(_faults_at(self.trace))

    def one_fault_each(self, flow: Flow) -> None:
        """Play every fault at every site."""
        for site, fault in self.begin(flow):
            self.play({site: fault}, fault)

    def two_faults_each(self, flow: Flow, *, every: int = 1) -> None:
        """Play every pair of faults, the second after the first; or one of `every` pairs."""
        count = 0
        for site, fault in self.begin(flow):
            self._played({site: fault}, 0)
            sites = [step.site for step in self.trace]
            later = self.trace[sites.index(site) + 1 :]
            for second, second_fault in list(_faults_at(later)):
                count += 1
                if count % every == 0:
                    self.play({site: fault, second: second_fault}, "two faults")

    def play(self, plan: Plan, kind: str, *, seed: int = 0) -> str | None:
        """Play a history and check it; return how the order ended, None where it is a finding."""
        return self._check(
            lambda: self._played(plan, seed),
            kind,
            lambda violation: Finding(self._flow.name, told(plan), "", seed, violation),
        )

    def _played(self, plan: Plan, seed: int) -> Scene:
        scene = self._restarted(plan, seed)
        self._flow.play(scene)
        self.world.drain()
        self.trace = list(self.world.boundary.trace)
        if plan and not self.world.boundary.hit:
            self.report.unreached += 1
        return scene

    # --- interleavings --------------------------------------------------------------------------

    def side_by_side(
        self, meeting: Meeting, *, preemptions_max: int = 2, limit: int | None = None
    ) -> int:
        """Play a meeting in every schedule up to a bound; tell how many there were."""
        return sum(1 for _ in self.schedules_of(meeting, preemptions_max, limit=limit))

    def schedules_of(
        self, meeting: Meeting, preemptions_max: int = 2, *, limit: int | None = None
    ) -> Iterator[None]:
        """Play a schedule at a time."""
        self.begin_meeting(meeting)
        for one in itertools.islice(Schedules(preemptions_max), limit):
            self._meet(meeting, one, {}, functools.partial(getattr, one, "name"))
            yield

    def replay_meeting(self, meeting: Meeting, schedule: str, plan: Plan) -> str | None:
        """Play one schedule of a meeting."""
        self.begin_meeting(meeting)
        return self._meet(meeting, OneSchedule(schedule), plan, lambda: schedule)

    def begin_meeting(self, meeting: Meeting) -> None:
        self.begin(meeting.flow)
        self._replies = None
        # Alone, the flow's checkout has the id that it has in every schedule.
        self._scene.known_order_id = self._scene.order_id or self._played({}, 0).order_id

    def _meet(
        self, meeting: Meeting, choose: Choice, plan: Plan, name: Callable[[], str]
    ) -> str | None:
        return self._check(
            lambda: self._met(meeting, choose, plan),
            "schedule",
            lambda violation: Finding(meeting.name, told(plan), name(), 0, violation),
        )

    def _met(self, meeting: Meeting, choose: Choice, plan: Plan) -> Scene:
        scene = self._restarted(plan, 0)
        commands = [
            (f"{place}. {name}", functools.partial(command, scene))
            for place, (name, command) in enumerate(
                zip(meeting.names, meeting.commands, strict=True), start=1
            )
        ]
        self.world.turns.run_side_by_side(commands, choose)
        return scene

    # --- both -----------------------------------------------------------------------------------

    def _restarted(self, plan: Plan, seed: int) -> Scene:
        self.world.restart(self._beginning, seed=seed, plan=plan)
        self._watch.restart()
        return self._scene.again()

    def _check(
        self, played: Callable[[], Scene], kind: str, found: Callable[[str], Finding]
    ) -> str | None:
        began, calls = time.process_time(), self.world.boundary.calls
        ended = None
        try:
            scene = played()
            self.report.ticks[come_to_rest(scene)] += 1
            ended = all_is_well(self._flow, scene, self._replies)
            self.report.ends[self._flow.name, ended] += 1
        except (Violation, NeverRestsError, AssertionError) as violation:
            self.report.findings.append(found(f"{type(violation).__name__} {violation}"))
        self.report.histories[self._flow.name, kind] += 1
        self.report.calls += self.world.boundary.calls - calls
        self.report.seconds += time.process_time() - began
        self._heard(self.report)
        return ended


def _faults_at(trace: list[Step]) -> Iterator[tuple[Site, Fault]]:
    for step in trace:
        if step.site.number == 0:
            faults = faults_of_invocation(step.site.function, is_step=step.call == "step")
        else:
            operation = step.call.partition(".")[2]
            faults = faults_of_call(operation, may_be_stale=step.may_be_stale)
        for fault in faults:
            yield step.site, fault

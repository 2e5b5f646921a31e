"""`make prove`: explore, with a display of how far it is, and print what was explored.

make prove                                       every fault, meetings, planted bugs
make prove SECONDS=120                           as far as that goes
make prove PLAY='checkout' PLAN='...'            play one history again, and print its trace
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.queues import Queue

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.simulation.bugs import BUGS
from tests.simulation.commands import Meeting, meetings
from tests.simulation.exploring import Explorer, Report, seldom_collected
from tests.simulation.flows import FLOWS, Flow
from tests.simulation.hunting import Hunt, hunt
from tests.simulation.world.faults import Fault, read_plan
from tests.simulation.world.world import World

PROCESSES = 2
# Of each meeting; most have fewer schedules with two preemptions.
SCHEDULES_MAX = 300

Work = tuple[str, str]  # a kind of work, and the name of what it is about


@dataclass(frozen=True, slots=True)
class Done:
    """What a piece of work brought."""

    work: Work
    report: Report
    hunt: Hunt | None = None


def main(arguments: list[str] | None = None) -> int:
    """Explore, or play one history again; return 1 if anything is not as it should be."""
    asked = _parser().parse_args(arguments)
    if asked.play:
        return replay(asked.play, asked.plan, asked.schedule, asked.seed)
    # Where nobody looks on, the tables are as wide as they need to be.
    console = Console()
    return explore(asked.seconds, console if console.is_terminal else Console(width=160))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--play", default="", help="a flow or a meeting, by its name")
    parser.add_argument("--plan", default="", help="the faults of the one history")
    parser.add_argument("--schedule", default="", help="the schedule of the one history")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=900, help="stop after so long")
    return parser


# --- one history --------------------------------------------------------------------------------


def replay(name: str, plan_text: str, schedule: str, seed: int) -> int:
    """Play one history and print its trace."""
    known: dict[str, Flow | Meeting] = {**FLOWS, **meetings()}
    if name not in known:
        sys.stderr.write(f"no flow or meeting {name!r}; there are:\n  " + "\n  ".join(known) + "\n")
        return 2
    try:
        plan = read_plan(plan_text)
    except ValueError as error:
        sys.stderr.write(f"PLAN is not one: {error}\n")
        return 2
    with World.opened() as world:
        explorer = Explorer(world)
        what = known[name]
        if isinstance(what, Flow):
            explorer.begin(what)
            explorer.report.findings.clear()
            ended = explorer.play(plan, "replay", seed=seed)
        else:
            ended = explorer.replay_meeting(what, schedule, plan)
        for step in explorer.trace or world.boundary.trace:
            outcome = f"  <-- {step.outcome}" if step.outcome else ""
            sys.stdout.write(f"{step.task:32.32}  {step.site!s:42} {step.call}{outcome}\n")
        for finding in explorer.report.findings:
            sys.stdout.write(f"{finding}\n")
    sys.stdout.write(f"ended {ended}\n")
    return 1 if explorer.report.findings else 0


# --- all of them --------------------------------------------------------------------------------


def explore(seconds: int, console: Console) -> int:
    """Do all the work there is in two processes, and print the matrix."""
    began = time.monotonic()
    work = list(_all_work())
    context = multiprocessing.get_context("spawn")
    to_do: Queue[Work | None] = context.Queue()
    done: Queue[Done | None] = context.Queue()
    for one in work:
        to_do.put(one)
    for _ in range(PROCESSES):
        to_do.put(None)
    workers = [
        context.Process(target=_work, args=(to_do, done, began + seconds)) for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    total, hunts, skipped = _gathered(work, done, console)
    for worker in workers:
        worker.join()
    _print(total, hunts, skipped, time.monotonic() - began, console)
    failed = any(worker.exitcode for worker in workers)
    return 1 if failed or total.findings or any(one.finding is None for one in hunts) else 0


def _all_work() -> Iterator[Work]:
    yield from (("bug", bug.name) for bug in BUGS)
    yield from (("faults", name) for name in FLOWS)
    yield from (("meeting", name) for name in meetings())


def _work(to_do: Queue[Work | None], done: Queue[Done | None], until: float) -> None:
    try:
        with World.opened() as world, seldom_collected():
            while (work := to_do.get()) is not None:
                if time.monotonic() < until:
                    done.put(_do(work, world))
    finally:
        # Also where it failed: whoever gathers waits for this.
        done.put(None)


def _do(work: Work, world: World) -> Done:
    kind, name = work
    if kind == "bug":
        (bug,) = (bug for bug in BUGS if bug.name == name)
        return Done(work, Report(), hunt(world, bug))
    explorer = Explorer(world)
    if kind == "faults":
        explorer.one_fault_each(FLOWS[name])
    else:
        explorer.side_by_side(meetings()[name], limit=SCHEDULES_MAX)
    return Done(work, explorer.report)


def _gathered(
    work: list[Work], done: Queue[Done | None], console: Console
) -> tuple[Report, list[Hunt], int]:
    """Take in what the processes bring; tell how much they left when the time was over."""
    total, hunts, working, count = Report(), [], PROCESSES, 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[histories]} histories, {task.fields[findings]} violations"),
    )
    with Progress(*columns, console=console) as progress:
        shown = progress.add_task("exploring", total=len(work), histories=0, findings=0)
        while working:
            one = done.get()
            if one is None:
                working -= 1
                continue
            count += 1
            total.add(one.report)
            if one.hunt is not None:
                hunts.append(one.hunt)
            for finding in one.report.findings[:3]:
                progress.console.print(str(finding), markup=False, soft_wrap=True)
            progress.update(
                shown,
                advance=1,
                description=f"{one.work[0]}: {one.work[1]}"[:48].ljust(48),
                histories=total.total,
                findings=len(total.findings),
            )
    return total, hunts, len(work) - count


def _print(
    total: Report, hunts: list[Hunt], skipped: int, seconds: float, console: Console
) -> None:
    console.print(_matrix(total))
    console.print(_bugs(hunts))
    found = sum(one.finding is not None for one in hunts)
    rate = round(total.total / total.seconds) if total.seconds else 0
    calls = round(total.calls / total.seconds) if total.seconds else 0
    for line in (
        f"{total.total} histories in {seconds:.0f} s, {rate} a second of a processor, "
        f"{calls} calls of AWS",
        f"{len(total.findings)} violations, {total.unreached} histories whose fault did not occur",
        f"timers rang {dict(sorted(total.ticks.items()))} times until all was quiet",
        f"{found} of {len(hunts)} planted bugs found",
        *([f"{skipped} pieces of work left undone: time was up"] if skipped else []),
    ):
        console.print(line, highlight=False)


def _matrix(total: Report) -> Table:
    """Lay out how many histories each fault had with each flow."""
    flows = list(dict.fromkeys(flow for flow, _ in total.histories))
    table = Table(title="Histories, by fault and flow")
    table.add_column("", no_wrap=True)
    for flow in flows:
        table.add_column(flow, justify="right")
    table.add_row("sites", *[str(total.sites[flow] or "") for flow in flows], end_section=True)
    for kind in (*Fault, "schedule"):
        counts = [total.histories[flow, kind] for flow in flows]
        table.add_row(kind.replace("_", " "), *[str(count or "") for count in counts])
    found = Counter(finding.played.partition(":")[0] for finding in total.findings)
    table.add_section()
    table.add_row("violations", *[str(found[flow]) for flow in flows])
    return table


def _bugs(hunts: list[Hunt]) -> Table:
    table = Table(title="Planted bugs")
    table.add_column("bug")
    table.add_column("looked for in")
    table.add_column("histories", justify="right")
    table.add_column("found by")
    for one in sorted(hunts, key=lambda hunt: hunt.bug.name):
        told = (one.finding or "NOT FOUND").splitlines()[-1].strip()
        table.add_row(one.bug.name, one.bug.found_by, str(one.histories), told[:90])
    return table


if __name__ == "__main__":
    sys.exit(main())

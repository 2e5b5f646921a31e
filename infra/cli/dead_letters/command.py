"""`tradepost dlq`, as it is typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NoReturn, Protocol
from uuid import uuid4

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from infra.cli.dead_letters import handling
from infra.cli.dead_letters.audit import Act, AuditLog, AuditRefusedError, operator, records
from infra.cli.dead_letters.causes import causes, log_group_of
from infra.cli.dead_letters.handling import Advance, Audit, Missing, Wanted
from infra.cli.dead_letters.queues import (
    DeadLetter,
    DeadLetterQueue,
    DeadLetters,
    Hand,
    NoSuchQueueError,
    one_line,
)
from infra.cli.deployment import Deployment, NoDeploymentError, deployment_of
from infra.cli.progress import Phases
from infra.cli.staff import DEFAULT_URL, Url

_EXIT_MISSING = 1
_EXIT_NOT_DONE = 2

# So many are looked at to tell since when the oldest waits.
_AGED_MAX = 100

app = typer.Typer(
    help="Messages that a consumer gave up: look at them, send them back, throw them away.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Queue = Annotated[
    str, typer.Argument(metavar="QUEUE", help="Whose messages, such as orders-facts.")
]
Ids = Annotated[
    list[str] | None,
    typer.Option("--event-id", help="Only this event, or message where it has none; repeatable."),
]
All = Annotated[bool, typer.Option("--all", help="Every message, up to --max.")]
Most = Annotated[int, typer.Option("--max", min=1, help="At most so many.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which, and change nothing.")]
Stage = Annotated[
    str | None,
    typer.Option("--stage", help="A stage in AWS, by your credentials; else the local shop."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


class Do(Protocol):
    """What is done with messages in hand."""

    def __call__(
        self, hand: Hand, wanted: Wanted, act: Act, *, audit: Audit, advance: Advance
    ) -> Missing: ...


@dataclass(frozen=True, slots=True)
class Place:
    """The stage and queue that a command is about."""

    deployment: Deployment
    letters: DeadLetters
    queue: DeadLetterQueue


@app.command("list")
def list_queues(url: Url = DEFAULT_URL, stage: Stage = None, as_json: AsJson = False) -> None:
    """List the dead-letter queues, with how many messages each has and since when."""
    with _in_one_line("list"):
        letters = _letters(deployment_of(url, stage))
        rows = [(queue, *_oldest(letters, queue)) for queue in letters.queues()]
    if as_json:
        for queue, oldest, _ in rows:
            told = {name: asdict(queue)[name] for name in ("name", "depth", "in_hand")}
            print(json.dumps({**told, "oldest_sent_at": oldest and oldest.isoformat()}))
        return
    table = Table("Queue", "Messages", "In hand", "Oldest sent")
    for queue, oldest, is_oldest in rows:
        age = "" if oldest is None else f"{'' if is_oldest else 'at least '}{_ago(oldest)}"
        table.add_row(queue.name, str(queue.depth), str(queue.in_hand or ""), age)
    Console().print(table)


@app.command()
def show(
    name: Queue,
    event_ids: Ids = None,
    at_most: Most = 10,
    url: Url = DEFAULT_URL,
    stage: Stage = None,
    as_json: AsJson = False,
) -> None:
    """Show messages whole, and why they failed; they stay where they are."""
    wanted = Wanted(frozenset(event_ids) if event_ids else None, at_most)
    shown = []
    with _in_one_line("show"):
        place = _place(name, url, stage)
        log_group = log_group_of(place.deployment.client, place.queue)
        with place.letters.in_hand(place.queue) as hand:
            for letter in handling.find(hand, wanted):
                why = causes(place.deployment.client, log_group, letter) if log_group else []
                _show(letter, why, as_json=as_json)
                shown.append(letter)
    if not as_json:
        print(f"{len(shown)} shown of about {place.queue.depth} in {place.queue.name}")
    _end("show", handling.missing(wanted, shown), place)


@app.command()
def redrive(
    name: Queue,
    event_ids: Ids = None,
    everything: All = False,
    at_most: Most = 100,
    dry_run: DryRun = False,
    reason: Annotated[
        str | None, typer.Option("--reason", help="What was mended, for the record.")
    ] = None,
    url: Url = DEFAULT_URL,
    stage: Stage = None,
) -> None:
    """Send messages back to their consumer's queue. One may arrive twice, none is lost."""
    wanted = _wanted("redrive", event_ids, everything, at_most)
    with _in_one_line("redrive"):
        place = _place(name, url, stage)
    if dry_run:
        _rehearse("redrive", "redriven", wanted, place)
    else:
        _act("redrive", "redriven", handling.redrive, wanted, reason, place)


@app.command()
def discard(
    name: Queue,
    event_ids: Ids = None,
    everything: All = False,
    at_most: Most = 100,
    dry_run: DryRun = False,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why it can never be done. Must be given.")
    ] = None,
    url: Url = DEFAULT_URL,
    stage: Stage = None,
) -> None:
    """Throw messages away; the audit log keeps each whole."""
    wanted = _wanted("discard", event_ids, everything, at_most)
    if reason is None or not reason.strip():
        _fail("discard", "say why it can never be done: --reason")
    with _in_one_line("discard"):
        place = _place(name, url, stage)
    if dry_run:
        _rehearse("discard", "discarded", wanted, place)
    else:
        _act("discard", "discarded", handling.discard, wanted, reason, place)


@app.command()
def history(
    name: Annotated[
        str | None, typer.Argument(metavar="QUEUE", help="Of one queue; else of all.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="So many days back.")] = 30,
    url: Url = DEFAULT_URL,
    stage: Stage = None,
) -> None:
    """Print who did what, when and why, from the audit log: one JSON object a line."""
    with _in_one_line("history"):
        deployment = deployment_of(url, stage)
        for record in records(
            deployment.client("logs"),
            deployment.stage,
            queue=name,
            since=timedelta(days=days),
            now=_now,
        ):
            print(json.dumps(record))


def _wanted(command: str, event_ids: list[str] | None, everything: bool, at_most: int) -> Wanted:
    if bool(event_ids) is everything:
        _fail(command, "say which messages: either --event-id or --all")
    return Wanted(None if everything else frozenset(event_ids or ()), at_most)


def _rehearse(command: str, done: str, wanted: Wanted, place: Place) -> None:
    found = []
    with _in_one_line(command), place.letters.in_hand(place.queue) as hand:
        for letter in handling.find(hand, wanted):
            print(f"{letter.event_id or letter.message_id}  {letter.type}")
            found.append(letter)
    print(f"{len(found)} would be {done}; nothing was changed")
    _end(command, handling.missing(wanted, found), place)


def _act(command: str, done: str, do: Do, wanted: Wanted, reason: str | None, place: Place) -> None:
    count = 0

    def advance() -> None:
        nonlocal count
        count += 1
        step()

    act = Act(command, place.queue.name, run=uuid4().hex[:12], reason=reason)
    with _in_one_line(command, lambda: f"stopped after {count} messages: " if count else ""):
        client = place.deployment.client
        audit = AuditLog(client("logs"), place.deployment.stage, by=operator(client), now=_now)
        total = len(wanted.ids) if wanted.ids else place.queue.depth
        with (
            place.letters.in_hand(place.queue) as hand,
            Phases() as phases,
            phases.phase(command.capitalize(), min(total, wanted.at_most)) as step,
        ):
            missing = do(hand, wanted, act, audit=audit, advance=advance)
        left = place.letters.queue(place.queue.name).depth
    print(f"{count} {done}; about {left} left in {place.queue.name} (run {act.run})")
    _end(command, missing, place)


def _place(name: str, url: str, stage: str | None) -> Place:
    deployment = deployment_of(url, stage)
    letters = _letters(deployment)
    return Place(deployment, letters, letters.queue(name))


def _letters(deployment: Deployment) -> DeadLetters:
    return DeadLetters(deployment.client("sqs"), deployment.stage)


def _oldest(letters: DeadLetters, queue: DeadLetterQueue) -> tuple[datetime | None, bool]:
    """Tell when the oldest was sent, and whether all were looked at."""
    if queue.depth == 0:
        return None, True
    with letters.in_hand(queue) as hand:
        looked_at = list(handling.find(hand, Wanted(None, _AGED_MAX)))
    oldest = min((letter.sent_at for letter in looked_at), default=None)
    return oldest, len(looked_at) < _AGED_MAX


def _show(letter: DeadLetter, why: list[str], *, as_json: bool) -> None:
    told = {
        "event_id": letter.event_id,
        "type": letter.type,
        "message_id": letter.message_id,
        "sent_at": letter.sent_at.isoformat(timespec="seconds"),
        "received": letter.received,
        "attributes": handling.attributes_of(letter),
        "failed_with": why,
    }
    if as_json:
        print(json.dumps({**told, "body": letter.body}))
        return
    for key, value in told.items():
        if value:
            text = value if isinstance(value, str | int) else json.dumps(value)
            print(f"{key:<12} {text}")
    print(f"{'body':<12} {letter.body}\n")


@contextmanager
def _in_one_line(command: str, before: Any = lambda: "") -> Iterator[None]:
    """End with one line about what stands in the way, and not with a traceback."""
    try:
        yield
    except (
        AuditRefusedError,
        BotoCoreError,
        ClientError,
        NoDeploymentError,
        NoSuchQueueError,
    ) as error:
        _fail(command, f"{before()}{one_line(error)}")


def _fail(command: str, what: str) -> NoReturn:
    typer.echo(f"dlq {command}: {what}", err=True)
    raise typer.Exit(_EXIT_NOT_DONE)


def _end(command: str, missing: Missing, place: Place) -> None:
    if missing:
        hidden = f" ({place.queue.in_hand} are in somebody's hand)" if place.queue.in_hand else ""
        what = f"not in {place.queue.name}{hidden}: {', '.join(missing)}"
        typer.echo(f"dlq {command}: {what}", err=True)
        raise typer.Exit(_EXIT_MISSING)


def _ago(moment: datetime) -> str:
    minutes = int((_now() - moment).total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} minutes ago"
    return f"{minutes // 60} hours ago" if minutes < 2880 else f"{minutes // 1440} days ago"


def _now() -> datetime:
    return datetime.now(UTC)

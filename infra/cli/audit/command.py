"""`tradepost audit`, as it is typed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.audit.auditing import audited, days_to_reconcile, violations
from infra.cli.audit.reading import UnreadableRowError, read_books
from infra.cli.audit.violations import Checked
from infra.cli.books import UnreadableBooksError
from infra.cli.dead_letters.queues import one_line
from infra.cli.deployment import Deployment, NoDeploymentError, deployment_of
from infra.cli.reconcile import compared
from infra.cli.shop import Session, Shop, ShopRefusedError, ShopUnreachableError
from infra.cli.staff import (
    DEFAULT_URL,
    Email,
    NoCredentialsError,
    Password,
    Url,
    staff_session,
)
from tradepost.kernel.clock import from_text, utc_now

EXIT_VIOLATIONS = 1
EXIT_NOT_READ = 2

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an audit is made: the stage, its clock, and how a member of the staff gets in."""

    deployment: Deployment
    now: Callable[[], datetime]
    staff: Callable[[], Session]
    pause: Callable[[float], None] = time.sleep


def audit(
    url: Url = DEFAULT_URL,
    stage: Annotated[
        str | None,
        typer.Option("--stage", help="A stage in AWS, by your credentials; else the local shop."),
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Have the owners mend what reconciling can mend.")
    ] = False,
    email: Email = None,
    password: Password = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object alone.")] = False,
) -> None:
    """Check every invariant of money and stock on the tables themselves, and say what to do.

    Exit status 0: all hold. 1: some do not. 2: the tables could not be read.
    """
    err = Console(stderr=True)
    if repair and stage is not None and url == DEFAULT_URL:
        # Whoever audits a stage in AWS does not mean to have a shop on this machine mended.
        _say(err, f"name the shop of {stage} that is to mend: --url")
        raise typer.Exit(EXIT_NOT_READ)
    try:
        deployment = deployment_of(url, stage)
    except NoDeploymentError as error:
        _say(err, str(error))
        raise typer.Exit(EXIT_NOT_READ) from error
    shop = Shop(url)
    clock = partial(_time_at, shop) if stage is None else utc_now
    place = Place(deployment, clock, partial(staff_session, shop, email, password))
    try:
        status = run_audit(place, repair=repair, as_json=as_json, out=Console(), err=err)
    finally:
        shop.close()
    raise typer.Exit(status)


def run_audit(place: Place, *, repair: bool, as_json: bool, out: Console, err: Console) -> int:
    """Audit, with `repair` have mended what can be and audit again; return the exit status."""
    read = partial(read_books, place.deployment, place.now)
    repaired: list[str] = []
    try:
        found = audited(read, place.pause)
        days = days_to_reconcile(found, place.now().date().isoformat()) if repair else []
        if days:
            session = place.staff()
            for day in days:
                repaired += _mended(compared(session, day, repair=True))
            found = audited(read, place.pause)
    except (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        ShopRefusedError,
        ShopUnreachableError,
        UnreadableBooksError,
        UnreadableRowError,
    ) as error:
        _say(err, one_line(error))
        return EXIT_NOT_READ
    if as_json:
        out.print_json(json.dumps(_report(found, repaired)), highlight=False, indent=2)
    else:
        _show(found, repaired, out)
    return EXIT_VIOLATIONS if violations(found) else 0


def _time_at(shop: Shop) -> datetime:
    """Ask a local shop for the time: its clock may have been put forward."""
    try:
        return from_text(str(shop.call("GET", "/_local/clock")["now"]))
    except (KeyError, ValueError) as error:
        raise UnreadableBooksError(f"the shop at {shop.url} does not tell the time") from error


def _mended(pages: list[Json]) -> list[str]:
    return [
        f"{finding['outcome']}: {finding['kind']} {finding['order_id']}"
        for page in pages
        for finding in page["findings"]
        if finding["outcome"] != "left"
    ]


def _report(found: list[Checked], repaired: list[str]) -> Json:
    return {
        "clean": not violations(found),
        "repaired": repaired,
        "invariants": [
            {
                "invariant": each.rule,
                "promise": each.promise,
                "checked": each.count,
                "of": each.of,
                "violations": len(each.violations),
            }
            for each in found
        ],
        "violations": [
            {
                "invariant": one.rule,
                "subject": one.subject,
                "figures": [{"of": name, "is": value} for name, value in (one.one, one.other)],
                "remedy": one.remedy.name.lower(),
                "plan": one.plan,
            }
            for one in violations(found)
        ],
    }


def _show(found: list[Checked], repaired: list[str], out: Console) -> None:
    table = Table()
    for heading in ("", "Invariant", "Checked", "", "Violations"):
        table.add_column(heading, justify="right" if heading[:1] in ("C", "V") else "left")
    for each in found:
        broken = len(each.violations)
        style = "bold red" if broken else None
        table.add_row(
            each.rule, each.promise, f"{each.count:,}", each.of, str(broken or ""), style=style
        )
    out.print(table)
    for line in repaired:
        out.print(f"repaired {escape(line)}", highlight=False, soft_wrap=True)
    for one in violations(found):
        line = f"{one.rule}  {one.told}\n    {one.plan}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if not violations(found):
        out.print("Every invariant holds.")


def _say(err: Console, what: str) -> None:
    err.print(f"audit: {what}", markup=False, highlight=False, soft_wrap=True)

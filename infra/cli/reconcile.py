"""`tradepost reconcile`: a day's orders compared with provider, ledger and stock."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from infra.cli.progress import Phases
from infra.cli.shop import Session, Shop, ShopRefusedError, ShopUnreachableError
from infra.cli.staff import (
    DEFAULT_URL,
    Email,
    NoCredentialsError,
    Password,
    Url,
    staff_session,
)

_EXIT_DIFFERENCES = 1
_EXIT_NOT_COMPARED = 2

# One at a time mends: whoever was there first is waited for, five minutes in all.
_IN_TURN = {"work_in_progress", "lease_lost"}
_WAIT_SECONDS = 5.0
_WAITS_MAX = 60

Json = dict[str, Any]


def reconcile(
    url: Url = DEFAULT_URL,
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The UTC day; today if none is named."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="So many days, ending there.")] = 1,
    repair: Annotated[
        bool, typer.Option("--repair", help="Have the owners mend what they safely can.")
    ] = False,
    email: Email = None,
    password: Password = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object alone.")] = False,
) -> None:
    """Compare orders, provider, ledger and stock; say what differs, and mend it if told to.

    Exit status 0: all agree, or were mended. 1: something is left for a person.
    """
    last = (day or datetime.now(UTC)).date()
    wanted = [last - timedelta(days=back) for back in reversed(range(days))]
    shop = Shop(url)
    err = Console(stderr=True)
    try:
        session = staff_session(shop, email, password)
        answers = []
        with Phases(err) as phases, phases.phase("Comparing", len(wanted)) as advance:
            for one in wanted:
                answers += compared(session, one.isoformat(), repair=repair)
                advance()
    except (NoCredentialsError, ShopRefusedError, ShopUnreachableError) as error:
        err.print(f"reconcile: {error}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(_EXIT_NOT_COMPARED) from error
    finally:
        shop.close()
    report = _report(answers)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _show(report, Console())
    raise typer.Exit(0 if report["agrees"] else _EXIT_DIFFERENCES)


def compared(session: Session, day: str, *, repair: bool) -> list[Json]:
    """Have a day's books compared, page after page, and mended if so told. Safe to repeat.

    Raises what `Session.call` raises.
    """
    pages: list[Json] = []
    after: str | None = None
    while not pages or after is not None:
        asked: Json = {"day": day, "repair": repair}
        if after is not None:
            asked["after"] = after
        pages.append(_page(session, asked))
        after = pages[-1]["after"]
    return pages


def _page(session: Session, asked: Json) -> Json:
    """Have a page compared; wait while another is at it, which takes them minutes at most."""
    for _ in range(_WAITS_MAX):
        try:
            return session.call("POST", "/v1/staff/reconciliations", asked)
        except ShopRefusedError as refusal:
            if refusal.code not in _IN_TURN:
                raise
        session.shop.pause(_WAIT_SECONDS)
    return session.call("POST", "/v1/staff/reconciliations", asked)


def _report(answers: list[Json]) -> Json:
    sums: dict[str, Counter[str]] = {}
    for answer in answers:
        for one in answer["sums"]:
            counted = sums.setdefault(one["currency"], Counter())
            counted.update({name: n for name, n in one.items() if name != "currency"})
    # What is held past its due is listed again with each day: it is one difference.
    findings = {
        (finding["order_id"], finding["kind"]): finding
        for answer in answers
        for finding in answer["findings"]
    }
    return {
        "agrees": all(finding["outcome"] == "mended" for finding in findings.values()),
        "compared": sum(answer["compared"] for answer in answers),
        "sums": {currency: dict(counted) for currency, counted in sorted(sums.items())},
        "findings": list(findings.values()),
    }


def _show(report: Json, console: Console) -> None:
    table = Table(title=f"{report['compared']} orders compared")
    for heading in ("", "Sold", "Ledger, net", "Provider, net"):
        table.add_column(heading, justify="left" if not heading else "right")
    for currency, sums in report["sums"].items():
        ledger = sums["ledger_captured_minor"] - sums["ledger_refunded_minor"]
        provider = sums["provider_captured_minor"] - sums["provider_refunded_minor"]
        table.add_row(currency, *(f"{n:,}" for n in (sums["orders_minor"], ledger, provider)))
    console.print(table)
    console.print("In minor units. Sold is before refunds.", style="dim")
    for finding in report["findings"]:
        outcome, kind, order_id = finding["outcome"].upper(), finding["kind"], finding["order_id"]
        line = f"{outcome:<7}{kind}  {order_id}: {finding['detail']}{_advice(finding)}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not report["findings"]:
        console.print("All books agree.")


def _advice(finding: Json) -> str:
    if finding["outcome"] == "mended":
        return ""
    if finding["outcome"] == "begun":
        return " (look again in a minute)"
    if finding["repair"] is None:
        return " (a person has to judge: docs/runbooks/books-differ.md)"
    return " (run again with --repair)"

"""`tradepost faults`: a plan of faults on the running local shop, switched on and off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer
from rich.console import Console
from rich.table import Table

from infra.cli.staff import DEFAULT_URL, Url
from infra.local.faults.plan import Plan, PlanError, read_plan

_PATH = "/_local/faults"
_TIMEOUT_SECONDS = 10.0
_FIRED_SHOWN_MAX = 20

app = typer.Typer(
    help="Let calls of the running local shop fail as a plan says: docs/faults.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print what the shop tells, and no more.")]


def plan_in(path: Path) -> Plan:
    """Read a plan from a file.

    Raises
    ------
    PlanError
        There is none in it.
    """
    try:
        return read_plan(path.read_bytes())
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}") from error
    except PlanError as error:
        raise PlanError(f"{path}: {error}") from error


@app.command("on")
def switch_on(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="YAML or JSON.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Let the plan's faults befall calls from now on."""
    try:
        plan_in(plan)
    except PlanError as error:
        _refuse(str(error))
    told = _asked("PUT", url, plan.read_bytes())
    print(f"on: {len(told['faults'])} faults, by the seed {told['seed']}")


@app.command("off")
def switch_off(url: Url = DEFAULT_URL) -> None:
    """Let nothing befall any call any more, and tell what did."""
    _show(_asked("DELETE", url), Console())


@app.command()
def show(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Tell what is on, how often each fault fired, and the latest that did."""
    told = _asked("GET", url)
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        _show(told, Console())


def _asked(method: str, url: str, body: bytes = b"") -> dict[str, Any]:
    """Ask the local shop, as the administrator that it names itself."""
    try:
        with httpx.Client(base_url=url.rstrip("/"), timeout=_TIMEOUT_SECONDS) as client:
            staff = client.get("/_local").json()["staff"]
            answer = client.request(
                method, _PATH, content=body, auth=(staff["email"], staff["password"])
            )
            told: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        _refuse(f"there is no local shop at {url}")
    if answer.is_error:
        _refuse(f"{answer.status_code} {told.get('code')}: {told.get('detail')}")
    return told


def _show(told: dict[str, Any], console: Console) -> None:
    counts = Table(title=f"Faults are {'on' if told['on'] else 'off'} (seed {told['seed']})")
    for heading in ("", "at", "kind", "which", "fired", "of calls"):
        counts.add_column(heading, justify="right" if heading in ("fired", "of calls") else "left")
    for number, fault in enumerate(told["faults"]):
        said = {"at", "kind", "met", "fired", "probability", "nth", "times", "seconds"}
        which = ", ".join(f"{name} {text}" for name, text in fault.items() if name not in said)
        counts.add_row(
            str(number), fault["at"], fault["kind"], which, str(fault["fired"]), str(fault["met"])
        )
    console.print(counts)
    if not told["fired"]:
        return
    console.print("The latest:")
    for one in told["fired"][:_FIRED_SHOWN_MAX]:
        parts = (one["at"], one["kind"], one["function"], one["what"], one["order_id"] or "")
        console.print("  ".join(parts), markup=False, highlight=False, soft_wrap=True)


def _refuse(line: str) -> NoReturn:
    Console(stderr=True).print(f"faults: {line}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)

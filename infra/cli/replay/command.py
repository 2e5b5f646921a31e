"""`tradepost replay`, as it is typed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.cli.books import Stage, books_of
from infra.cli.progress import Phases
from infra.cli.replay.replaying import Options, Place, run_replay
from infra.cli.shop import Shop
from infra.cli.staff import DEFAULT_URL, Email, Password, Url, staff_session


def replay_history(
    file: Annotated[Path, typer.Argument(help="Order history: Online Retail CSV, or .csv.gz.")],
    url: Url = DEFAULT_URL,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N invoices.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Buyers at once.")] = 4,
    run: Annotated[
        str | None, typer.Option(help="Name of this replay; the same name goes on where it was.")
    ] = None,
    sell_services: Annotated[
        bool, typer.Option("--sell-services", help="Sell carriage, fees and the like, too.")
    ] = False,
    list_to: Annotated[
        Path | None, typer.Option("--list", help="Write the rows not played there, as CSV.")
    ] = None,
    matched_to: Annotated[
        Path | None,
        typer.Option("--matched", help="Write the cancelled rows and their orders there, as CSV."),
    ] = None,
    email: Email = None,
    password: Password = None,
    stage: Stage = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object alone.")] = False,
) -> None:
    """Play a retailer's order history through the shop, and reconcile every penny."""
    options = Options(file, limit, concurrency, run, sell_services, as_json, list_to, matched_to)
    shop = Shop(url, connections=concurrency)
    err = Console(stderr=True)
    place = Place(
        shop=shop,
        staff=partial(staff_session, shop, email, password),
        books=partial(books_of, shop, stage),
        phases=Phases(err),
    )
    try:
        status = run_replay(options, place, Console(), err)
    finally:
        shop.close()
    raise typer.Exit(status)

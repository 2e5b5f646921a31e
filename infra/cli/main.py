"""`tradepost`: the command line. Each command's work is in a module of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.cli.books import UnreadableBooksError, books_of
from infra.cli.dev import dev
from infra.cli.exporter import export_products
from infra.cli.flash_sale import Place, run_sales, sales_of
from infra.cli.importer import import_products
from infra.cli.progress import Phases
from infra.cli.replay.command import EXIT_NOT_PLAYED, Options, Stage, run_replay
from infra.cli.shop import Shop, ShopRefusedError, ShopUnreachableError
from infra.cli.staff import (
    DEFAULT_URL,
    Email,
    NoCredentialsError,
    Password,
    Url,
    staff_session,
)
from infra.event_schemas import schemas
from infra.package.command import package

app = typer.Typer(
    help="The shop's command line.", no_args_is_help=True, pretty_exceptions_enable=False
)

app.command()(dev)
app.command("import")(import_products)
app.command("export")(export_products)
app.command()(package)
app.command()(schemas)

StageName = Annotated[
    str | None, typer.Option(help="Whose tables to read; a local shop tells its own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
ERR = Console(stderr=True)


@app.callback()
def tradepost() -> None:
    """Keep the commands' names even where there is only one."""


@app.command("replay")
def replay(
    file: Annotated[Path, typer.Argument(help="Order history: Online Retail CSV, or .csv.gz.")],
    url: Url = DEFAULT_URL,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N invoices.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Buyers at once.")] = 4,
    run: Annotated[
        str | None, typer.Option(help="Name of this replay; the same name goes on where it was.")
    ] = None,
    sell_services: Annotated[
        bool, typer.Option(help="Sell carriage, fees and the like as articles, too.")
    ] = False,
    list_to: Annotated[
        Path | None, typer.Option("--list", help="Write the rows not played there, as CSV.")
    ] = None,
    email: Email = None,
    password: Password = None,
    stage: StageName = None,
    as_json: AsJson = False,
) -> None:
    """Play a retailer's order history through the shop, and reconcile every penny."""
    options = Options(file, limit, concurrency, run, sell_services, as_json, list_to)
    with _shop(url, concurrency) as shop:
        place = Stage(
            shop=shop,
            staff=partial(staff_session, shop, email, password),
            books=partial(books_of, shop, stage),
            phases=Phases(ERR),
        )
        status = run_replay(options, place, Console(), ERR)
    raise typer.Exit(status)


@app.command("flash-sale")
def flash_sale(
    url: Url = DEFAULT_URL,
    buyers: Annotated[int, typer.Option(min=1, max=2000, help="Who all want it at once.")] = 200,
    units: Annotated[int, typer.Option(min=0, help="How many there are.")] = 50,
    runs: Annotated[int, typer.Option(min=1, help="Sales, one after another.")] = 1,
    email: Email = None,
    password: Password = None,
    stage: StageName = None,
    as_json: AsJson = False,
) -> None:
    """Let many buyers at once want few units, and check that exactly those were sold."""
    with _shop(url, buyers) as shop:
        try:
            place = Place(shop, staff_session(shop, email, password), books_of(shop, stage))
            status = run_sales(sales_of(buyers, units, runs), place, Console(), as_json=as_json)
        except (
            NoCredentialsError,
            ShopRefusedError,
            ShopUnreachableError,
            UnreadableBooksError,
        ) as error:
            ERR.print(f"flash-sale: {error}", markup=False, highlight=False, soft_wrap=True)
            status = EXIT_NOT_PLAYED
    raise typer.Exit(status)


@contextmanager
def _shop(url: str, connections: int) -> Iterator[Shop]:
    shop = Shop(url, connections=connections)
    try:
        yield shop
    finally:
        shop.close()

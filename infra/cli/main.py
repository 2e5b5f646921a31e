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
from infra.cli.flash_sale import new_sale, run_sales
from infra.cli.progress import Phases
from infra.cli.replay.command import EXIT_NOT_PLAYED, Options, Stage, run_replay
from infra.cli.shop import Shop, ShopRefusedError, ShopUnreachableError, session_of

app = typer.Typer(
    help="The shop's command line.", no_args_is_help=True, pretty_exceptions_enable=False
)

Url = Annotated[str, typer.Option(help="The shop's address.")]
StaffEmail = Annotated[
    str, typer.Option("--email", envvar="TRADEPOST_STAFF_EMAIL", help="An administrator's e-mail.")
]
StaffPassword = Annotated[
    str, typer.Option("--password", envvar="TRADEPOST_STAFF_PASSWORD", help="And their password.")
]
StageName = Annotated[
    str | None, typer.Option(help="Whose tables to read; a local shop tells its own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

DEFAULT_URL = "http://localhost:8000"
# The administrator of the shop that `tradepost dev` opens; no other shop has this account.
DEV_EMAIL = "admin@tradepost.example"
DEV_PASSWORD = "tradepost-admin-of-dev"  # noqa: S105 - for the local shop alone


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
    email: StaffEmail = DEV_EMAIL,
    password: StaffPassword = DEV_PASSWORD,
    stage: StageName = None,
    as_json: AsJson = False,
) -> None:
    """Play a retailer's order history through the shop, and reconcile every penny."""
    options = Options(file, limit, concurrency, run, sell_services, as_json, list_to)
    out, err = Console(), Console(stderr=True)
    with _shop(url, concurrency) as shop:
        place = Stage(
            shop=shop,
            staff=session_of(shop, email, password),
            books=partial(books_of, shop, stage),
            phases=Phases(err),
        )
        raise typer.Exit(run_replay(options, place, out, err))


@app.command("flash-sale")
def flash_sale(
    url: Url = DEFAULT_URL,
    buyers: Annotated[int, typer.Option(min=1, max=2000, help="Who all want it at once.")] = 200,
    units: Annotated[int, typer.Option(min=0, help="How many there are.")] = 50,
    runs: Annotated[int, typer.Option(min=1, help="Sales, one after another.")] = 1,
    email: StaffEmail = DEV_EMAIL,
    password: StaffPassword = DEV_PASSWORD,
    stage: StageName = None,
    as_json: AsJson = False,
) -> None:
    """Let many buyers at once want few units, and check that exactly those were sold."""
    sales = [new_sale(buyers, units) for _ in range(runs)]
    err = Console(stderr=True)
    with _shop(url, buyers) as shop:
        try:
            books = books_of(shop, stage)
            staff = session_of(shop, email, password)
            status = run_sales(sales, shop, staff, books, Console(), as_json=as_json)
        except (ShopRefusedError, ShopUnreachableError, UnreadableBooksError) as error:
            err.print(f"flash-sale: {error}", markup=False, highlight=False, soft_wrap=True)
            status = EXIT_NOT_PLAYED
    raise typer.Exit(status)


@contextmanager
def _shop(url: str, connections: int) -> Iterator[Shop]:
    shop = Shop(url, connections=connections)
    try:
        yield shop
    finally:
        shop.close()

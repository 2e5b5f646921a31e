"""`tradepost import`: products and stock from a file into the shop."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from infra.cli.importing.drafts import UnreadableFileError
from infra.cli.importing.journal import Journal
from infra.cli.importing.loading import REQUESTS_IN_FLIGHT, Imported, load
from infra.cli.shop import Shop, ShopRefusedError, ShopUnreachableError
from infra.cli.staff import (
    DEFAULT_URL,
    Email,
    NoCredentialsError,
    Password,
    Url,
    staff_session,
)

EXIT_FAILED = 1
EXIT_SOME_BAD = 3
# What a shell expects of a command that was interrupted: 128 and the number of SIGINT.
EXIT_INTERRUPTED = 130


def import_products(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="Shopify product CSV, or JSON Lines; .gz too."
        ),
    ],
    url: Url = DEFAULT_URL,
    currency: Annotated[
        str, typer.Option(help="Of a CSV's prices, which do not tell it (ISO 4217).")
    ] = "GBP",
    errors: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write all bad rows there, as CSV.")
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin at the beginning, whatever was done before.")
    ] = False,
    email: Email = None,
    password: Password = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object.")
    ] = False,
) -> None:
    """Load products and stock from a file; again, and nothing changes.

    A bad row is told with its line and reason, and the rest is taken. A variant without a SKU
    gets one made of its handle and options. An import that broke off goes on where it was when
    the same command is run again. The exit status is 0 if all rows were good, 3 if some were
    bad, 1 if the import failed and has to be repeated, and 130 if it was interrupted.
    """
    shop = Shop(url, connections=REQUESTS_IN_FLIGHT)
    journal = None
    try:
        if len(currency) != 3 or not (currency.isascii() and currency.isupper()):
            raise UnreadableFileError(f"{currency} is no currency such as GBP")
        staff = staff_session(shop, email, password)
        journal = Journal.beside(file, url=shop.url, currency=currency)
        if anew:
            journal.forget()
        imported = load(file, staff, currency=currency, errors_to=errors, journal=journal)
        journal.forget()
    except KeyboardInterrupt as interruption:
        typer.echo("import: interrupted", err=True)
        _say_how_to_go_on(journal)
        raise typer.Exit(EXIT_INTERRUPTED) from interruption
    except (
        NoCredentialsError,
        OSError,
        ShopRefusedError,
        ShopUnreachableError,
        UnreadableFileError,
    ) as error:
        typer.echo(f"import: {error}", err=True)
        _say_how_to_go_on(journal)
        raise typer.Exit(EXIT_FAILED) from error
    finally:
        shop.close()
    _print_summary(imported, errors, as_json=as_json)
    raise typer.Exit(EXIT_SOME_BAD if imported.bad_rows else 0)


def _say_how_to_go_on(journal: Journal | None) -> None:
    done = 0
    for taken in journal.taken() if journal is not None else ():
        done = taken.end
    if done:
        typer.echo(
            f"import: {done} products are done; the same command again goes on after them", err=True
        )


def _print_summary(imported: Imported, errors: Path | None, *, as_json: bool) -> None:
    for bad in imported.first_bad_rows:
        handle = f"{bad.handle}: " if bad.handle else ""
        typer.echo(f"line {bad.line}: {handle}{bad.reason}", err=True)
    untold = imported.bad_rows - len(imported.first_bad_rows)
    if untold:
        where = f"in {errors}" if errors is not None else "--errors FILE writes them all"
        typer.echo(f"... and {untold} more ({where})", err=True)
    if as_json:
        counters = {"products": dict(imported.products), "counts": dict(imported.counts)}
        rest = {
            "notes": asdict(imported.notes),
            "bad_rows": imported.bad_rows,
            "first_bad_rows": [asdict(bad) for bad in imported.first_bad_rows],
        }
        typer.echo(json.dumps(counters | rest, indent=2))
        return
    typer.echo(f"products: {_counted(imported.products)}")
    typer.echo(f"stock:    {_counted(imported.counts)}")
    typer.echo(f"bad rows: {imported.bad_rows}")
    for number, what in (
        (imported.notes.derived_skus, "SKUs made of handle and options, where the file has none"),
        (imported.notes.changed_skus, "SKUs written without spaces and accents"),
        (imported.notes.changed_handles, "handles written as an address takes them"),
        (imported.notes.negative_counts, "negative counts taken as none on hand"),
    ):
        if number:
            typer.echo(f"note:     {number} {what}")


def _counted(outcomes: Counter[str]) -> str:
    parts = [f"{number} {outcome}" for outcome, number in sorted(outcomes.items())]
    return ", ".join(parts) or "none"

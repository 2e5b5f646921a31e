"""`tradepost export`: all products and their stock as JSON Lines that `import` takes back."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO
from urllib.parse import quote

import typer

from infra.cli.progress import products_counted
from infra.cli.shop import Session, Shop, ShopRefusedError, ShopUnreachableError
from infra.cli.staff import (
    DEFAULT_URL,
    Email,
    NoCredentialsError,
    Password,
    Url,
    staff_session,
)

EXIT_FAILED = 1

_REQUESTS_IN_FLIGHT = 8
_MAIN_WAREHOUSE = "main"
_NOT_FOUND = 404


def export_products(
    url: Url = DEFAULT_URL,
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write there, not to standard output.")
    ] = None,
    email: Email = None,
    password: Password = None,
) -> None:
    """Write all products, on sale or not, with what is on hand: one JSON object a line.

    `tradepost import` takes the file back and changes nothing. There are no CSV cells in it, so
    no spreadsheet can take a product's text for a formula.
    """
    shop = Shop(url, connections=_REQUESTS_IN_FLIGHT)
    try:
        staff = staff_session(shop, email, password)
        with _open(output) as file, products_counted() as progress:
            task = progress.add_task("export", total=None, products=0)
            for product in products(staff):
                file.write(json.dumps(product, ensure_ascii=False) + "\n")
                progress.update(task, advance=1)
    except (NoCredentialsError, OSError, ShopRefusedError, ShopUnreachableError) as error:
        typer.echo(f"export: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from error
    finally:
        shop.close()


def products(staff: Session) -> Iterator[dict[str, Any]]:
    """Read all products with what the main warehouse has `on_hand` of each variant.

    Raises
    ------
    ShopRefusedError, ShopUnreachableError
        The shop does not show them to us.
    """
    cursor: str | None = None
    with ThreadPoolExecutor(_REQUESTS_IN_FLIGHT) as pool:
        while True:
            query = f"?cursor={quote(cursor)}" if cursor is not None else ""
            page = staff.call("GET", f"/v1/products-export{query}")
            variants = [each for product in page["products"] for each in product["variants"]]
            counts = pool.map(lambda variant: _on_hand(staff, variant["sku"]), variants)
            for variant, on_hand in zip(variants, counts, strict=True):
                if on_hand is not None:
                    variant["on_hand"] = on_hand
            yield from page["products"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _on_hand(staff: Session, sku: str) -> int | None:
    try:
        level = staff.call("GET", f"/v1/stock/{quote(sku, safe='')}/levels")
    except ShopRefusedError as refusal:
        if refusal.status == _NOT_FOUND:
            return None
        raise
    # What is imported is counted in the main warehouse; the others are no file's business.
    here = (one["on_hand"] for one in level["warehouses"] if one["warehouse"] == _MAIN_WAREHOUSE)
    return int(next(here, 0))


@contextmanager
def _open(output: Path | None) -> Iterator[TextIO]:
    """Open the output; a file appears under its name only when it is whole."""
    if output is None:
        yield sys.stdout
        return
    unfinished = output.with_name(output.name + ".part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        os.replace(unfinished, output)
    finally:
        unfinished.unlink(missing_ok=True)

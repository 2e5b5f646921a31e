"""`tradepost flash-sale`, as it is typed."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from infra.cli.books import Stage, UnreadableBooksError, books_of
from infra.cli.selling_out import Place, run_sales, sales_of
from infra.cli.shop import Shop, ShopRefusedError, ShopUnreachableError
from infra.cli.staff import (
    DEFAULT_URL,
    Email,
    NoCredentialsError,
    Password,
    Url,
    staff_session,
)

_EXIT_NOT_HELD = 2


def flash_sale(
    url: Url = DEFAULT_URL,
    buyers: Annotated[int, typer.Option(min=1, max=2000, help="Who all want it at once.")] = 200,
    units: Annotated[int, typer.Option(min=0, help="How many there are.")] = 50,
    runs: Annotated[int, typer.Option(min=1, help="Sales, one after another.")] = 1,
    email: Email = None,
    password: Password = None,
    stage: Stage = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object alone.")] = False,
) -> None:
    """Let many buyers at once want few units, and check that exactly those were sold."""
    shop = Shop(url, connections=buyers)
    try:
        place = Place(shop, staff_session(shop, email, password), books_of(shop, stage))
        status = run_sales(sales_of(buyers, units, runs), place, Console(), as_json=as_json)
    except (
        NoCredentialsError,
        ShopRefusedError,
        ShopUnreachableError,
        UnreadableBooksError,
    ) as error:
        err = Console(stderr=True)
        err.print(f"flash-sale: {error}", markup=False, highlight=False, soft_wrap=True)
        status = _EXIT_NOT_HELD
    finally:
        shop.close()
    raise typer.Exit(status)

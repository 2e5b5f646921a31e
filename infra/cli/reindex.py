"""`tradepost reindex`: the search index built anew from the products, while the shop is open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

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
# What a shell expects of a command that was interrupted: 128 and the number of SIGINT.
EXIT_INTERRUPTED = 130


def reindex(
    url: Url = DEFAULT_URL,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Go on where a rebuild ended, as it said; within a day."),
    ] = None,
    email: Email = None,
    password: Password = None,
) -> None:
    """Build the search index anew; searches, sales and edits go on meanwhile.

    Each step is small and may be repeated. A rebuild that ends early says how to go on.
    """
    shop = Shop(url)
    done, cursor = 0, start
    try:
        staff = staff_session(shop, email, password)
        with products_counted() as progress:
            task = progress.add_task("reindex", total=None)
            for count, following in steps(staff, start):
                done, cursor = done + count, following
                progress.update(task, completed=done)
    except (NoCredentialsError, ShopRefusedError, ShopUnreachableError) as error:
        typer.echo(f"reindex: {error}", err=True)
        _say_how_to_go_on(cursor)
        raise typer.Exit(EXIT_FAILED) from error
    except KeyboardInterrupt as interruption:
        _say_how_to_go_on(cursor)
        raise typer.Exit(EXIT_INTERRUPTED) from interruption
    finally:
        shop.close()
    typer.echo(f"products indexed anew: {done}")


def steps(staff: Session, start: str | None) -> Iterator[tuple[int, str | None]]:
    """Rebuild step by step: how many products each did, and where the next begins.

    Raises
    ------
    ShopRefusedError, ShopUnreachableError
        The shop does not do it; what was done stays done.
    """
    cursor = start
    while True:
        asked = {"cursor": cursor} if cursor is not None else {}
        answer = staff.call("POST", "/v1/products/rebuild-search", asked)
        cursor = answer["next_cursor"]
        yield int(answer["products"]), cursor
        if cursor is None:
            return


def _say_how_to_go_on(cursor: str | None) -> None:
    if cursor is not None:
        typer.echo(f"reindex: to go on: tradepost reindex --from {cursor}", err=True)

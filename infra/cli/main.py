"""`tradepost`: every command of the project."""

from __future__ import annotations

import typer

from infra.event_schemas import schemas
from infra.package.command import package

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(package)
app.command()(schemas)


@app.callback()
def tradepost() -> None:
    """Run, feed and package the shop."""

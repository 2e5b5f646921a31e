"""`tradepost`: every command of the project."""

from __future__ import annotations

import typer

from infra.package.command import package

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(package)


@app.callback()
def tradepost() -> None:
    """Run, feed and package the shop."""

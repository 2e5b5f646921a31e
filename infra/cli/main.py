"""`tradepost`: the command line. Each command is a function of its own module."""

from __future__ import annotations

import typer

from infra.cli.exporter import export_products
from infra.cli.importer import import_products

app = typer.Typer(
    help="The shop's command line.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.command("import")(import_products)
app.command("export")(export_products)


@app.callback()
def tradepost() -> None:
    """Keep the commands' names even where there is only one."""

"""`tradepost`: the command line. Each command is a function of its own module."""

from __future__ import annotations

import typer

from infra.cli.audit.command import audit
from infra.cli.dead_letters.command import app as dead_letters
from infra.cli.dev import dev
from infra.cli.exporter import export_products
from infra.cli.faults import app as faults
from infra.cli.flash_sale import flash_sale
from infra.cli.importer import import_products
from infra.cli.reconcile import reconcile
from infra.cli.reindex import reindex
from infra.cli.replay.command import replay_history
from infra.event_compatibility import release_events
from infra.event_schemas import schemas
from infra.package.command import package

app = typer.Typer(
    help="The shop's command line.", no_args_is_help=True, pretty_exceptions_enable=False
)
app.command()(dev)
app.command("import")(import_products)
app.command("export")(export_products)
app.command()(reindex)
app.command("replay")(replay_history)
app.command()(reconcile)
app.command()(audit)
app.command("flash-sale")(flash_sale)
app.add_typer(dead_letters, name="dlq")
app.add_typer(faults, name="faults")
app.command()(package)
app.command()(schemas)
app.command()(release_events)


@app.callback()
def tradepost() -> None:
    """Keep the commands' names even where there is only one."""

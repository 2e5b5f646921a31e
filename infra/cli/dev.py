"""`tradepost dev`: the shop on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_PORT = 8000


def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to listen.")] = DEFAULT_PORT,
    empty: Annotated[bool, typer.Option("--empty", help="Without the demonstration shop.")] = False,
    stripe: Annotated[
        bool, typer.Option("--stripe", help="Paid through Stripe's test mode: docs/payments.md.")
    ] = False,
    at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
            help="What the shop's clock shows at first, in UTC; else the time.",
        ),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(metavar="PLAN", help="Switch on this plan of faults: docs/faults.md."),
    ] = None,
    log: Annotated[
        str, typer.Option(help="From which level the functions' log is shown.")
    ] = "ERROR",
) -> None:
    """Run the shop on this machine: no account, no Docker, nothing left behind."""
    # moto takes seconds to import, and the other commands do without it.
    from infra.cli.local_shop import open_shop

    begins = None if at is None else at.replace(tzinfo=UTC)
    open_shop(port, empty=empty, stripe=stripe, log=log, begins=begins, plan=faults)

"""`tradepost package`: build what CloudFormation deploys."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]


def package(
    stage: Annotated[str, typer.Option(help="A stage of chalice-config/defaults.json.")] = "dev",
    out: Annotated[Path | None, typer.Option(help="Where to; build/<stage> if not said.")] = None,
) -> None:
    """Build templates, zips and layers for a stage, without credentials and without AWS."""
    # Chalice's command line, which this uses, asks the terminal questions when it is imported.
    from infra.package.build import build
    from infra.package.layout import Layout, PackagingError, configured_target

    console = Console()
    layout = Layout(ROOT)
    started = time.monotonic()
    try:
        built = build(layout, stage, configured_target(layout), out or ROOT / "build" / stage)
    except PackagingError as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(code=1) from error
    for archive in built.archives:
        kilobytes = archive.stat().st_size / 1024
        console.print(f"{kilobytes:10,.0f} KB  {archive.relative_to(built.folder)}")
    seconds = time.monotonic() - started
    console.print(f"{len(built.templates)} templates in {built.folder}, {seconds:.1f} s")
    console.print(
        f"deploy, in {built.folder}: aws cloudformation package --template-file root.json"
        " --s3-bucket BUCKET --output-template-file packaged.json, then aws cloudformation deploy"
        " --template-file packaged.json --stack-name NAME --capabilities CAPABILITY_NAMED_IAM"
        " CAPABILITY_AUTO_EXPAND",
        soft_wrap=True,
    )

"""
What a product costs to import, the first of many and the last of them.

    .venv/bin/python tests/bench/importing.py [--products 10000]

A made-up shop (tests/bench/large_catalogue.py) is imported in tenths, as `tradepost import` does
it, into an empty shop of this process; after each tenth the consumers, the search index among
them, finish what follows. Milliseconds are those of the processor, importer and shop together.
Then the whole is imported once more, which changes nothing.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from infra.cli import local_shop
from infra.cli.importing.loading import load
from infra.cli.shop import Session, Shop
from infra.local import call_counts
from infra.local.server import LocalSite
from infra.local.stack import LocalStack
from tests.bench.large_catalogue import rows, write
from tradepost.platform.logger import logger

_PARTS = 10
_OPERATIONS = (
    "BatchGetItem", "GetItem", "TransactWriteItems", "UpdateItem", "BatchWriteItem", "Publish",
    "PublishBatch",
)  # fmt: skip


def main(products: Annotated[int, typer.Option(min=_PARTS)] = 10_000, seed: int = 1) -> None:
    """Import in tenths and tell what each cost."""
    logger.setLevel("ERROR")
    everything = list(rows(products, seed))
    size = len(everything) // _PARTS
    table = Table("products", "CPU ms each", "products/s", *_OPERATIONS, title="calls a product")
    with tempfile.TemporaryDirectory() as folder, LocalStack(local_shop.ROOT) as stack:
        site = LocalSite(stack, "http://localhost/_aws")
        shop = Shop("http://localhost", transport=httpx.WSGITransport(app=site))
        staff = local_shop.appointed(shop)
        parts = [everything[start : start + size] for start in range(0, size * _PARTS, size)]
        for number, part in enumerate([*parts, everything]):
            file = Path(folder) / f"part-{number}.csv"
            with file.open("w", encoding="utf-8", newline="") as written:
                write(written, part)
            name = f"{number * size:,} to {(number + 1) * size:,}" if number < _PARTS else "again"
            _measure(name, len(part), file, staff, stack, table)
        shop.close()
    Console().print(table)


def _measure(
    name: str, products: int, file: Path, staff: Session, stack: LocalStack, table: Table
) -> None:
    calls, cpu, wall = Counter(call_counts.counted()), time.process_time(), time.monotonic()
    imported = load(file, staff, currency="GBP")
    assert imported.bad_rows == 0
    stack.drain(3_600)
    seconds, lasted = time.process_time() - cpu, time.monotonic() - wall
    calls = Counter(call_counts.counted()) - calls
    table.add_row(
        name,
        f"{seconds * 1000 / products:.1f}",
        f"{products / lasted:,.0f}",
        *(
            f"{sum(n for call, n in calls.items() if call.endswith(f'.{one}')) / products:.2f}"
            for one in _OPERATIONS
        ),
    )
    Console(stderr=True).print(name, f"{seconds * 1000 / products:.1f} ms each")


if __name__ == "__main__":
    typer.run(main)

"""
What the catalogue's memory buys: requests a second and AWS calls a request, without it and with it.

    .venv/bin/python tests/bench/catalogue_reads.py 2010-12.csv.gz [--requests 2000]

The products of an order history are put on sale in a shop of this process; then they are read,
in turns with and without the memory, by one client that waits for each answer. The first row takes
the products in the order in which the file sells them and begins with nothing remembered; the
others ask the same thing again and again. Seconds are those of the processor, so that the ratio
holds on a busy machine. DynamoDB is moto here: on AWS each call saved is milliseconds of waiting
instead.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from catalog.dynamodb import DynamoDBProducts
from catalog.model.product import Content, Variant
from catalog.use_cases import editing
from infra.cli.replay.reading import Row, read_history
from infra.local import call_counts
from infra.local.gateway import Request
from infra.local.stack import LocalStack
from tradepost.kernel.clock import utc_now
from tradepost.kernel.money import Money
from tradepost.platform import aws
from tradepost.platform.logger import logger

ROOT = Path(__file__).parents[2]
_ROUNDS = 4
_HANDLE = re.compile(r"[a-z0-9]+")
_ENTRIES = "CATALOG_CACHE_ENTRIES"

# Makes the requests of one round.
Requests = Callable[[], Iterator[Request]]


@dataclass
class Cost:
    """What so many requests came to."""

    requests: int = 0
    seconds: float = 0.0
    calls: int = 0

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def calls_each(self) -> float:
        return self.calls / self.requests


@dataclass
class Read:
    """One row of the table: how it is asked, and what it cost with (True) and without."""

    name: str
    requests: Requests
    begins_empty: bool = False
    costs: dict[bool, Cost] = field(default_factory=lambda: {False: Cost(), True: Cost()})


def main(
    history: Annotated[Path, typer.Argument(help="Orders whose products are read.")],
    requests: Annotated[int, typer.Option(min=10, help="Of each kind, in each round.")] = 2_000,
) -> None:
    """Compare reads with and without the memory."""
    logger.setLevel("ERROR")
    rows = [row for row in read_history(history).rows if row.quantity > 0 and row.price > 0]
    rows = [row for row in rows if _HANDLE.fullmatch(row.code.lower())]
    with LocalStack(ROOT) as stack:
        _put_on_sale(rows)
        stack.drain(600)
        reads = list(_reads(stack, rows, requests))
        for _ in range(_ROUNDS):
            for read in reads:
                for remembers in (False, True):
                    _measure(stack, read, remembers=remembers)
    products = len({row.code for row in rows})
    table = Table(
        *("read", "requests/s before", "after", "times", "AWS calls each before", "after"),
        title=f"{products:,} products; {requests:,} requests in each of {_ROUNDS} rounds",
    )
    for read in reads:
        before, after = read.costs[False], read.costs[True]
        table.add_row(
            read.name,
            *(f"{before.rate:,.0f}", f"{after.rate:,.0f}", f"{after.rate / before.rate:.1f}"),
            *(f"{before.calls_each:.2f}", f"{after.calls_each:.3f}"),
        )
    Console().print(table)


def _put_on_sale(rows: list[Row]) -> None:
    sold = {row.code: row for row in rows}
    editing.put_products(
        [_content(row) for row in sold.values()],
        correlation_id="bench",
        products=DynamoDBProducts(aws.dynamodb(), os.environ["CATALOG_TABLE"]),
        now=utc_now,
    )


def _content(row: Row) -> Content:
    title = " ".join(row.description.split())[:200] or row.code
    variant = Variant(row.code, (), Money(int(row.price * 100), "GBP"), None, 100, None)
    return Content(
        handle=row.code.lower(),
        title=title,
        description=" ".join([f"{title}."] * 8),
        vendor="Bench",
        categories=(f"shelf-{sum(map(ord, row.code)) % 20}",),
        tags=("bench",),
        attributes={},
        images=(),
        options=(),
        variants=(variant,),
        published=True,
    )


def _reads(stack: LocalStack, rows: list[Row], requests: int) -> Iterator[Read]:
    handles = itertools.cycle([row.code.lower() for row in rows])

    def trace() -> Iterator[Request]:
        return (_get(f"/v1/products/{next(handles)}") for _ in range(requests))

    def same(path: str, query: str = "", **headers: str) -> Requests:
        return lambda: itertools.repeat(_get(path, query, **headers), requests)

    yield Read("products, as December sold them", trace, begins_empty=True)
    product = f"/v1/products/{rows[0].code.lower()}"
    yield Read("one product", same(product))
    tag = dict(stack.gateway.handle(_get(product)).headers)["ETag"]
    yield Read("one product, unchanged (304)", same(product, **{"if-none-match": tag}))
    yield Read("the first page, 20 products", same("/v1/products"))
    yield Read("a search of one word", same("/v1/products", "q=heart"))
    yield Read("the categories", same("/v1/categories"))


def _get(path: str, query: str = "", **headers: str) -> Request:
    return Request("GET", path, query, headers, b"", "127.0.0.1")


def _measure(stack: LocalStack, read: Read, *, remembers: bool) -> None:
    app = sys.modules["functions_catalog_app"]
    kept = os.environ[_ENTRIES]
    os.environ[_ENTRIES] = kept if remembers else "0"
    app.answers.cache_clear()
    try:
        asked = list(read.requests())
        if not read.begins_empty:
            stack.gateway.handle(asked[0])
        calls, began = _calls(), time.thread_time()
        for request in asked:
            answer = stack.gateway.handle(request)
            if answer.status not in (200, 304):
                raise RuntimeError(f"{request.path}: {answer.status} {answer.body.decode()}")
        cost = read.costs[remembers]
        cost.seconds += time.thread_time() - began
        cost.calls += _calls() - calls
        cost.requests += len(asked)
    finally:
        os.environ[_ENTRIES] = kept


def _calls() -> int:
    return sum(
        count for name, count in call_counts.counted().items() if name.startswith("dynamodb.")
    )


if __name__ == "__main__":
    typer.run(main)

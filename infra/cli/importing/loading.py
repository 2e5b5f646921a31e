"""A file of products into the shop, batch by batch, a few at once."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from infra.cli.importing.drafts import BadRow, Draft, Notes, Tell, UnreadableFileError
from infra.cli.importing.journal import Journal, Taken
from infra.cli.importing.jsonl import read_jsonl
from infra.cli.importing.shopify import read_shopify
from infra.cli.shop import Session

REQUESTS_IN_FLIGHT = 4
_PRODUCTS_PER_REQUEST = 50
_COUNTS_PER_REQUEST = 100
# The shop takes 4 MB a batch; the largest product is far below the rest.
_BATCH_BYTES_MAX = 2 * 1024 * 1024
_BAD_ROWS_SHOWN = 20
_STOCK_REASON = "import"


@dataclass
class Imported:
    """What an import came to."""

    products: Counter[str] = field(default_factory=Counter)  # by outcome
    counts: Counter[str] = field(default_factory=Counter)  # SKUs, by outcome
    notes: Notes = field(default_factory=Notes)
    bad_rows: int = 0
    first_bad_rows: list[BadRow] = field(default_factory=list)


def load(
    file: Path,
    staff: Session,
    *,
    currency: str,
    errors_to: Path | None = None,
    journal: Journal | None = None,
) -> Imported:
    """Send a file to the shop, a few batches at once.

    What the journal has as taken is not sent again; what the shop answers is added to it. In
    memory stays what tells rows apart, the handles and SKUs, and no product.

    Raises
    ------
    UnreadableFileError
        It is not a file of products.
    ShopRefusedError, ShopUnreachableError
        The shop takes nothing from us; repeating the whole import does no harm.
    """
    imported = Imported()
    with ExitStack() as stack:
        errors = None
        if errors_to is not None:
            errors = stack.enter_context(errors_to.open("w", encoding="utf-8", newline=""))
        tell = _teller(imported, errors)
        raw = stack.enter_context(file.open("rb"))
        progress = stack.enter_context(_progress())
        task = progress.add_task(file.name, total=file.stat().st_size, products=0)
        done = 0
        for taken in journal.taken() if journal is not None else ():
            _take(taken, imported, tell)
            done = taken.end
        progress.update(task, products=imported.products.total())

        def take(taken: Taken) -> None:
            nonlocal journal
            _take(taken, imported, tell)
            progress.update(task, products=imported.products.total())
            if journal is not None and not _noted(taken, journal):
                journal = None

        pool = stack.enter_context(ThreadPoolExecutor(REQUESTS_IN_FLIGHT))
        waiting: deque[Future[Taken]] = deque()
        drafts = _drafts(file, raw, currency, tell, imported.notes)
        stack.callback(drafts.close)
        try:
            for start, batch in _batches(islice(enumerate(drafts), done, None)):
                waiting.append(pool.submit(_send, staff, start, batch))
                progress.update(task, completed=raw.tell())
                if len(waiting) >= REQUESTS_IN_FLIGHT * 2:
                    take(waiting.popleft().result())
            while waiting:
                take(waiting.popleft().result())
        except BaseException:
            # What is under way is answered in a moment, and need not be done again; what waits
            # for a busy shop is given up.
            staff.shop.interrupt()
            pool.shutdown(cancel_futures=True)
            while waiting and not waiting[0].cancelled() and waiting[0].exception() is None:
                take(waiting.popleft().result())
            raise
        progress.update(task, completed=file.stat().st_size)
    return imported


def _noted(taken: Taken, journal: Journal) -> bool:
    try:
        journal.add(taken)
    except OSError as error:
        typer.echo(f"import: if this breaks off it begins anew: {error}", err=True)
        return False
    return True


def _drafts(
    file: Path, raw: Any, currency: str, tell: Tell, notes: Notes
) -> Generator[Draft, None, None]:
    unpacked: Any = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
    # What is not UTF-8 is told row by row, so it must get that far.
    lines = io.TextIOWrapper(unpacked, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        beginning = lines.readline()
        if beginning.lstrip().startswith("{"):
            return (yield from read_jsonl(chain([beginning], lines), tell))
        yield from read_shopify(
            chain([beginning], lines), currency=currency, tell=tell, notes=notes
        )
    except (EOFError, gzip.BadGzipFile) as error:
        raise UnreadableFileError(f"{file.name} is not whole: {error}") from error
    finally:
        lines.detach()


def _batches(drafts: Iterator[tuple[int, Draft]]) -> Iterator[tuple[int, list[Draft]]]:
    """Gather numbered products; a batch has the number of its first."""
    batch: list[Draft] = []
    start, size = 0, 0
    for number, draft in drafts:
        draft_size = len(json.dumps(draft.body))
        if batch and (len(batch) == _PRODUCTS_PER_REQUEST or size + draft_size > _BATCH_BYTES_MAX):
            yield start, batch
            batch, size = [], 0
        if not batch:
            start = number
        batch.append(draft)
        size += draft_size
    if batch:
        yield start, batch


def _send(staff: Session, start: int, batch: list[Draft]) -> Taken:
    """Put the products on sale, then count the stock of those that were taken."""
    body = {"products": [draft.body for draft in batch]}
    results = staff.call("POST", "/v1/products/batch", body)["results"]
    lines = [
        {"sku": sku, "on_hand": units}
        for draft, result in zip(batch, results, strict=True)
        if "problem" not in result or result["problem"] is None
        for sku, units in draft.on_hand.items()
    ]
    counts: Counter[str] = Counter()
    for at in range(0, len(lines), _COUNTS_PER_REQUEST):
        part = {"lines": lines[at : at + _COUNTS_PER_REQUEST], "reason": _STOCK_REASON}
        counted = staff.call("POST", "/v1/stock/batch", part)["results"]
        counts.update(result["outcome"] for result in counted)
    return Taken(
        start=start,
        end=start + len(batch),
        products=Counter(result["outcome"] for result in results),
        counts=counts,
        bad=tuple(
            BadRow(draft.line, draft.handle, _reason(result["problem"]))
            for draft, result in zip(batch, results, strict=True)
            if result.get("problem") is not None
        ),
    )


def _take(taken: Taken, imported: Imported, tell: Tell) -> None:
    imported.products.update(taken.products)
    imported.counts.update(taken.counts)
    for bad in taken.bad:
        tell(bad)


def _reason(problem: dict[str, Any]) -> str:
    wrong = "; ".join(f"{each['at']} {each['problem']}" for each in problem.get("errors", []))
    return f"{problem['code']}: {wrong or problem['detail']}"


def _teller(imported: Imported, errors: TextIO | None) -> Tell:
    writer = csv.writer(errors) if errors is not None else None
    if writer is not None:
        writer.writerow(["line", "handle", "reason"])

    def tell(bad: BadRow) -> None:
        imported.bad_rows += 1
        if len(imported.first_bad_rows) < _BAD_ROWS_SHOWN:
            imported.first_bad_rows.append(bad)
        if writer is not None:
            writer.writerow([bad.line, _inert(bad.handle), _inert(bad.reason)])

    return tell


def _inert(cell: str) -> str:
    """Keep a spreadsheet from running what a file made us repeat."""
    shown = cell.encode("utf-8", "replace").decode()
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@", "\t", "\r")) else shown


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[products]} products"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )

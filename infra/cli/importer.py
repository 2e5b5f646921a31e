"""`tradepost import`: products and stock from a file into the shop."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from infra.cli.importing.drafts import BadRow, Draft, Notes, Tell, UnreadableFileError
from infra.cli.importing.jsonl import read_jsonl
from infra.cli.importing.shopify import read_shopify
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
EXIT_SOME_BAD = 3

_PRODUCTS_PER_REQUEST = 50
_COUNTS_PER_REQUEST = 100
# The shop takes 4 MB a batch; the largest product is far below the rest.
_BATCH_BYTES_MAX = 2 * 1024 * 1024
_REQUESTS_IN_FLIGHT = 4
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


def import_products(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="Shopify product CSV, or JSON Lines; .gz too."
        ),
    ],
    url: Url = DEFAULT_URL,
    currency: Annotated[
        str, typer.Option(help="Of a CSV's prices, which do not tell it (ISO 4217).")
    ] = "GBP",
    errors: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write all bad rows there, as CSV.")
    ] = None,
    email: Email = None,
    password: Password = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object.")
    ] = False,
) -> None:
    """Load products and stock from a file; again, and nothing changes.

    A bad row is told with its line and reason, and the rest is taken. A variant without a SKU
    gets one made of its handle and options. The exit status is 0 if all rows were good, 3 if
    some were bad, and 1 if the import failed and has to be repeated.
    """
    shop = Shop(url, connections=_REQUESTS_IN_FLIGHT)
    try:
        if len(currency) != 3 or not (currency.isascii() and currency.isupper()):
            raise UnreadableFileError(f"{currency} is no currency such as GBP")
        staff = staff_session(shop, email, password)
        imported = load(file, staff, currency=currency, errors_to=errors)
    except (
        NoCredentialsError,
        OSError,
        ShopRefusedError,
        ShopUnreachableError,
        UnreadableFileError,
    ) as error:
        typer.echo(f"import: {error}", err=True)
        raise typer.Exit(EXIT_FAILED) from error
    finally:
        shop.close()
    _print_summary(imported, errors, as_json=as_json)
    raise typer.Exit(EXIT_SOME_BAD if imported.bad_rows else 0)


def load(file: Path, staff: Session, *, currency: str, errors_to: Path | None = None) -> Imported:
    """Send a file to the shop, a few batches at once. Memory does not grow with the file.

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
        pool = stack.enter_context(ThreadPoolExecutor(_REQUESTS_IN_FLIGHT))
        waiting: deque[Future[_Sent]] = deque()
        for batch in _batches(_drafts(file, raw, currency, tell, imported.notes)):
            waiting.append(pool.submit(_send, staff, batch))
            progress.update(task, completed=raw.tell())
            if len(waiting) >= _REQUESTS_IN_FLIGHT * 2:
                _take(waiting.popleft().result(), imported, tell)
                progress.update(task, products=imported.products.total())
        while waiting:
            _take(waiting.popleft().result(), imported, tell)
            progress.update(task, products=imported.products.total())
        progress.update(task, completed=file.stat().st_size)
    return imported


@dataclass(frozen=True, slots=True)
class _Sent:
    batch: list[Draft]
    results: list[dict[str, Any]]
    counts: Counter[str]


def _drafts(file: Path, raw: Any, currency: str, tell: Tell, notes: Notes) -> Iterator[Draft]:
    unpacked: Any = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
    # What is not UTF-8 is told row by row, so it must get that far.
    lines = io.TextIOWrapper(unpacked, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        beginning = lines.readline()
        if beginning.lstrip().startswith("{"):
            return (yield from read_jsonl(_from(beginning, lines), tell))
        yield from read_shopify(_from(beginning, lines), currency=currency, tell=tell, notes=notes)
    except (EOFError, gzip.BadGzipFile) as error:
        raise UnreadableFileError(f"{file.name} is not whole: {error}") from error
    finally:
        lines.detach()


def _from(beginning: str, rest: Iterable[str]) -> Iterator[str]:
    yield beginning
    yield from rest


def _batches(drafts: Iterator[Draft]) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    size = 0
    for draft in drafts:
        draft_size = len(json.dumps(draft.body))
        if batch and (len(batch) == _PRODUCTS_PER_REQUEST or size + draft_size > _BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(draft)
        size += draft_size
    if batch:
        yield batch


def _send(staff: Session, batch: list[Draft]) -> _Sent:
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
    for start in range(0, len(lines), _COUNTS_PER_REQUEST):
        part = {"lines": lines[start : start + _COUNTS_PER_REQUEST], "reason": _STOCK_REASON}
        counted = staff.call("POST", "/v1/stock/batch", part)["results"]
        counts.update(result["outcome"] for result in counted)
    return _Sent(batch, results, counts)


def _take(sent: _Sent, imported: Imported, tell: Tell) -> None:
    imported.counts.update(sent.counts)
    for draft, result in zip(sent.batch, sent.results, strict=True):
        imported.products[result["outcome"]] += 1
        problem = result.get("problem")
        if problem is not None:
            tell(BadRow(draft.line, draft.handle, _reason(problem)))


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


def _print_summary(imported: Imported, errors: Path | None, *, as_json: bool) -> None:
    for bad in imported.first_bad_rows:
        handle = f"{bad.handle}: " if bad.handle else ""
        typer.echo(f"line {bad.line}: {handle}{bad.reason}", err=True)
    untold = imported.bad_rows - len(imported.first_bad_rows)
    if untold:
        where = f"in {errors}" if errors is not None else "--errors FILE writes them all"
        typer.echo(f"... and {untold} more ({where})", err=True)
    if as_json:
        counters = {"products": dict(imported.products), "counts": dict(imported.counts)}
        rest = {
            "notes": asdict(imported.notes),
            "bad_rows": imported.bad_rows,
            "first_bad_rows": [asdict(bad) for bad in imported.first_bad_rows],
        }
        typer.echo(json.dumps(counters | rest, indent=2))
        return
    typer.echo(f"products: {_counted(imported.products)}")
    typer.echo(f"stock:    {_counted(imported.counts)}")
    typer.echo(f"bad rows: {imported.bad_rows}")
    for number, what in (
        (imported.notes.derived_skus, "SKUs made of handle and options, where the file has none"),
        (imported.notes.changed_skus, "SKUs written without spaces and accents"),
        (imported.notes.changed_handles, "handles written as an address takes them"),
        (imported.notes.negative_counts, "negative counts taken as none on hand"),
    ):
        if number:
            typer.echo(f"note:     {number} {what}")


def _counted(outcomes: Counter[str]) -> str:
    parts = [f"{number} {outcome}" for outcome, number in sorted(outcomes.items())]
    return ", ".join(parts) or "none"

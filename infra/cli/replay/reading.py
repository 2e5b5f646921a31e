"""Order history in the Online Retail format, row by row.

A file is CSV, plain or gzipped, in UTF-8; a file that is not UTF-8 is read as ISO-8859-1, as
the original of the data set is. The header decides where each column stands; both editions'
spellings of it are known. A row that cannot be read is kept as a `RowError` with its line.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

_GZIP_MAGIC = b"\x1f\x8b"
_DELIMITERS = ",;\t"

# Column names as compared: lower case, without blanks and underscores. The second edition of the
# data set calls three of them otherwise.
_COLUMNS = {
    "invoice": ("invoiceno", "invoice"),
    "code": ("stockcode",),
    "description": ("description",),
    "quantity": ("quantity",),
    "date": ("invoicedate",),
    "price": ("unitprice", "price"),
    "customer": ("customerid",),
    "country": ("country",),
}
_OPTIONAL = {"description", "country"}

# Twelve digits are more than any count or price; the bound keeps a hostile number cheap.
_QUANTITY = re.compile(r"([+-]?[0-9]{1,12})(?:\.0{1,12})?")
_PRICE = re.compile(r"[+-]?(?:[0-9]{1,12}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})")
_WHOLE_FLOAT = re.compile(r"([0-9]+)\.0+")
_NO_CUSTOMER = {"", "nan", "none", "null"}

# Where day and month cannot be told apart in a whole file, the month comes first, as in the
# data set's own CSV.
_MONTH_FIRST = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%y %H:%M", "%m/%d/%Y")
_DAY_FIRST = (
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%y %H:%M",
    "%d/%m/%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
)


class UnreadableFileError(Exception):
    """The file as a whole cannot be read. The message is one line for the person who named it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an invoice, as the file has it. The price is in pounds, exact."""

    line: int  # in the file, the header being 1
    invoice: str  # upper case
    code: str  # upper case: `85123a` and `85123A` are one article
    description: str
    quantity: int
    placed_at: datetime
    price: Decimal
    customer: str | None  # upper case: nobody is two people by spelling; None: a guest
    country: str

    @property
    def amount(self) -> Decimal:
        """The row's worth in pounds, negative where goods or money went back."""
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class RowError:
    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class History:
    """Everything a file holds: rows in the file's order, and what could not be read."""

    rows: tuple[Row, ...]
    errors: tuple[RowError, ...]


def read_history(path: Path) -> History:
    """Read a whole file.

    Raises
    ------
    UnreadableFileError
        There is no such file, its compression is broken, or its columns are not there.
    """
    return parse_history(_text(_content(path), path.name), path.name)


def parse_history(text: str, name: str) -> History:
    """Read the rows of a text; `name` stands in the message if its columns are not there."""
    delimiter, positions = _header(text, name)
    rows: list[Row] = []
    errors: list[RowError] = []
    raw: list[tuple[int, list[str]]] = []
    for line, fields in _records(text, delimiter):
        if isinstance(fields, str):
            errors.append(RowError(line, fields))
        elif any(field.strip() for field in fields):
            raw.append((line, fields))
    width = len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)))
    moments = _moments(raw, positions["date"])
    for line, fields in raw:
        if len(fields) != width:
            errors.append(RowError(line, f"has {len(fields)} columns instead of {width}"))
            continue
        try:
            rows.append(_row(line, fields, positions, moments))
        except ValueError as error:
            errors.append(RowError(line, str(error)))
    return History(tuple(rows), tuple(sorted(errors, key=lambda error: error.line)))


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP_MAGIC) else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFileError(f"{path.name} is no whole gzip file: {error}") from error
    except OSError as error:
        raise UnreadableFileError(f"{path}: {error.strerror or error}") from error


def _text(content: bytes, name: str) -> str:
    if not content.strip():
        raise UnreadableFileError(f"{name} is empty")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("iso-8859-1")


def _header(text: str, name: str) -> tuple[str, dict[str, int]]:
    first = next(iter(io.StringIO(text)), "").strip("\r\n")
    found = {delimiter: _positions(first, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda each: len(found[each]))
    missing = [
        names[0]
        for column, names in _COLUMNS.items()
        if column not in found[delimiter] and column not in _OPTIONAL
    ]
    if missing:
        raise UnreadableFileError(f"{name} is no order history: it has no {', '.join(missing)}")
    return delimiter, found[delimiter]


def _positions(header: str, delimiter: str) -> dict[str, int]:
    try:
        names = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return {}
    plain = [re.sub(r"[\s_]", "", name).lower() for name in names]
    return {
        column: plain.index(known)
        for column, spellings in _COLUMNS.items()
        for known in spellings
        if known in plain
    }


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """Yield each record with the line it begins at; a text in place of fields is what is wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    next(reader)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"is no CSV up to line {reader.line_num}: {error}"


def _row(
    line: int, fields: list[str], positions: dict[str, int], moments: dict[str, datetime]
) -> Row:
    values = {column: fields[position].strip() for column, position in positions.items()}
    if not values["invoice"]:
        raise ValueError("has no invoice number")
    if not values["code"]:
        raise ValueError("has no stock code")
    quantity = _QUANTITY.fullmatch(values["quantity"])
    if quantity is None:
        raise ValueError(f"quantity {values['quantity'][:40]!r} is no whole number")
    if _PRICE.fullmatch(values["price"]) is None:
        raise ValueError(f"price {values['price'][:40]!r} is no decimal number")
    if values["date"] not in moments:
        raise ValueError(f"date {values['date'][:40]!r} is not understood")
    return Row(
        line=line,
        invoice=_without_float(values["invoice"]).upper(),
        code=_without_float(values["code"]).upper(),
        description=" ".join(values.get("description", "").split()),
        quantity=int(quantity[1]),
        placed_at=moments[values["date"]],
        price=Decimal(values["price"]),
        customer=_customer(values["customer"]),
        country=values.get("country", ""),
    )


def _without_float(text: str) -> str:
    """Undo what spreadsheets do to numbers that are names: `17850.0` is 17850."""
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole[1] if whole else text


def _customer(text: str) -> str | None:
    return None if text.lower() in _NO_CUSTOMER else _without_float(text).upper()


def _moments(raw: Sequence[tuple[int, list[str]]], position: int) -> dict[str, datetime]:
    """Read the file's distinct dates, day and month in the order in which more of them exist."""
    texts = {fields[position].strip() for _, fields in raw if position < len(fields)}
    readings = [
        {text: moment for text in texts if (moment := _moment(text, formats)) is not None}
        for formats in (_MONTH_FIRST, _DAY_FIRST)
    ]
    return max(readings, key=len)


def _moment(text: str, formats: Sequence[str]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    for form in formats:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None

"""Shopify's product CSV: several rows a product, of variants and of pictures.

The rows of a product stand together; the first has its title and text, each row with an option
value, a SKU or a price is a variant, each with an image address a picture. Headings are known by
their old and their new names, in any case and order; other columns are ignored.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from infra.cli.importing.drafts import BadRow, Draft, Notes, Tell, UnreadableFileError
from infra.cli.importing.product_rows import ProductRows, read_product

# One description may be long, and Python's own limit is 128 KB.
_FIELD_LENGTH_MAX = 4_000_000

# What we read, by the name Shopify's help gave it until 2025 and gives it since.
_COLUMNS = {
    "handle": ("handle", "url handle"),
    "title": ("title",),
    "html": ("body (html)", "description", "body html"),
    "vendor": ("vendor",),
    "type": ("type", "custom product type"),
    "category": ("product category", "standard product type", "standardized product type"),
    "collection": ("collection",),
    "tags": ("tags",),
    "published": ("published", "published on online store"),
    "status": ("status",),
    "option1_name": ("option1 name",),
    "option1_value": ("option1 value",),
    "option2_name": ("option2 name",),
    "option2_value": ("option2 value",),
    "option3_name": ("option3 name",),
    "option3_value": ("option3 value",),
    "sku": ("variant sku", "sku"),
    "grams": ("variant grams", "weight value (grams)"),
    "taxable": ("variant taxable", "charge tax"),
    "quantity": ("variant inventory qty", "inventory quantity"),
    "price": ("variant price", "price"),
    "compare_at": ("variant compare at price", "compare-at price"),
    "barcode": ("variant barcode", "barcode"),
    "image": ("image src", "product image url"),
    "image_position": ("image position",),
    "image_alt": ("image alt text",),
    "variant_image": ("variant image", "variant image url"),
}
_NEEDED = ("handle", "title", "price")
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file: the line it begins on, and the cells we read, stripped."""

    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def read_shopify(
    lines: Iterable[str], *, currency: str, tell: Tell, notes: Notes
) -> Iterator[Draft]:
    """Read the products of a Shopify CSV; rows that are none are told and left out.

    Raises
    ------
    UnreadableFileError
        The headings are not those of a product file.
    """
    first_lines: dict[str, int] = {}
    sku_holders: dict[str, str] = {}
    for together in _products(_rows(lines, tell)):
        handle = together[0]["handle"]
        first = first_lines.setdefault(handle, together[0].line)
        if first != together[0].line:
            reason = f"this product is on line {first} already: its rows must stand together"
            for row in together:
                tell(BadRow(row.line, handle, reason))
            continue
        draft = read_product(ProductRows(together, currency), sku_holders, tell, notes)
        if draft is not None:
            yield draft


def _rows(lines: Iterable[str], tell: Tell) -> Iterator[Row]:
    given = iter(lines)
    heading = next(given, "").lstrip("\ufeff")
    delimiter = max(_DELIMITERS, key=heading.count)
    previous_limit = csv.field_size_limit(_FIELD_LENGTH_MAX)
    try:
        reader = csv.reader(chain([heading], given), delimiter=delimiter)
        positions = _positions(next(reader, []))
        begins = reader.line_num + 1
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                tell(BadRow(begins, "", f"not CSV: {error}"))
                begins = reader.line_num + 1
                continue
            if cells is None:
                return
            line, begins = begins, reader.line_num + 1
            row = Row(line, {name: cells[at].strip() for name, at in positions.items()
                             if at < len(cells)})  # fmt: skip
            if not any(row.cells.values()):
                continue
            if not row["handle"]:
                tell(BadRow(line, "", "no handle"))
            elif any(
                "\udc80" <= letter <= "\udcff" for cell in row.cells.values() for letter in cell
            ):
                tell(BadRow(line, row["handle"], "not UTF-8: save the file as UTF-8"))
            else:
                yield row
    finally:
        csv.field_size_limit(previous_limit)


def _positions(headings: list[str]) -> dict[str, int]:
    known = {heading.strip().casefold(): at for at, heading in reversed(list(enumerate(headings)))}
    found = {
        column: known[name]
        for column, names in _COLUMNS.items()
        for name in reversed(names)
        if name in known
    }
    missing = [_COLUMNS[column][0] for column in _NEEDED if column not in found]
    if missing:
        raise UnreadableFileError(f"no Shopify product CSV: no column {', '.join(missing)}")
    return found


def _products(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Gather the rows of one handle that stand together."""
    together: list[Row] = []
    for row in rows:
        if together and row["handle"] != together[0]["handle"]:
            yield together
            together = []
        together.append(row)
    if together:
        yield together

"""The rows of one product in a Shopify CSV, made into the product."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from infra.cli.importing.drafts import ON_HAND_MAX, BadRow, Draft, Json, Notes, Tell, slug
from infra.cli.importing.plain_text import plain_text
from infra.cli.importing.prices import minor_units

_SKU_LENGTH_MAX = 100
_TEXT_LENGTH_MAX = 255
_CATEGORIES_MAX = 6

_HANDLE = re.compile(r"[^\W_][\w.\-]*")
_SKU = re.compile(r"[!-~]+")
_COUNT = re.compile(r"-?\d{1,15}(?:\.0*)?")
_GRAMS = re.compile(r"\d{1,9}(?:\.\d*)?")
_OPTIONS = ("option1", "option2", "option3")

_NO = frozenset({"false", "no", "0"})

# How Shopify writes that there is nothing to choose.
_NO_CHOICE = ("Title", "Default Title")


class _Row(Protocol):
    @property
    def line(self) -> int: ...
    def __getitem__(self, column: str) -> str: ...


@dataclass(frozen=True, slots=True)
class ProductRows:
    """All rows of one handle, and the currency of their prices, which the file does not tell."""

    rows: Sequence[_Row]
    currency: str


class _BadRowError(ValueError):
    """Why a row is left out, for a person."""


def read_product(
    product: ProductRows, sku_holders: dict[str, str], tell: Tell, notes: Notes
) -> Draft | None:
    """Make a product of its rows; None, and told, if nothing is left that could be sold.

    A row that is bad costs its own variant or picture and no more. `sku_holders` remembers whose
    each SKU is: that of a second product is a bad row.
    """
    first = product.rows[0]
    handle = _handle(first["handle"], notes)
    title = _one_line(first["title"])
    if not handle or not title:
        what = "no title in the product's first row" if handle else "the handle has no letters"
        tell(BadRow(first.line, first["handle"], f"{what}: its rows were left out"))
        return None
    options = _option_names(first)
    variants: list[Json] = []
    on_hand: dict[str, int] = {}
    for row in product.rows:
        if not (row["option1_value"] or row["sku"] or row["price"]):
            if not row["image"]:
                tell(BadRow(row.line, handle, "neither a variant nor a picture"))
            continue
        try:
            values = _option_values(row, options, variants)
            price = _price(row, product.currency)
            count = _count(row, notes)
            weight = _weight(row)
            sku = _sku(row, handle, values, sku_holders, notes)
        except _BadRowError as error:
            tell(BadRow(row.line, handle, str(error)))
            continue
        variants.append(
            {**price, "sku": sku, "option_values": values, "weight_grams": weight,
             "barcode": _one_line(row["barcode"].lstrip("'")) or None,
             "tax_class": "zero" if row["taxable"].lower() in _NO else "standard"}
        )  # fmt: skip
        if count is not None:
            on_hand[sku] = count
    if not variants:
        tell(BadRow(first.line, handle, "no variant is left: the product was left out"))
        return None
    body = {
        "handle": handle,
        "title": title[:_TEXT_LENGTH_MAX].strip(),
        "description": plain_text(first["html"]),
        "vendor": _one_line(first["vendor"]),
        "categories": _categories(first),
        "tags": list(dict.fromkeys(filter(None, map(_one_line, first["tags"].split(","))))),
        "images": _images(product.rows, handle, tell),
        "options": options,
        "variants": variants,
        "published": _is_published(first),
    }
    return Draft(first.line, body, on_hand)


def derived_sku(handle: str, option_values: Sequence[str]) -> str:
    """Make a SKU of what a variant is; the same variant always has the same.

    What does not fit, or is not told apart by plain letters, ends in a digest of the whole.
    """
    plain = "-".join(filter(None, (slug(handle), *map(slug, option_values)))).upper()
    exact = handle == slug(handle) and all(
        slug(value) == value.casefold().replace(" ", "-") for value in option_values
    )
    if plain and exact and len(plain) <= _SKU_LENGTH_MAX:
        return plain
    whole = "\x1f".join((handle, *option_values)).encode()
    digest = hashlib.sha256(whole).hexdigest()[:8].upper()
    return f"{plain[: _SKU_LENGTH_MAX - 9].rstrip('-')}-{digest}".lstrip("-")


def _handle(written: str, notes: Notes) -> str:
    handle = written.lower()
    if len(handle) > _TEXT_LENGTH_MAX or not _HANDLE.fullmatch(handle):
        handle = slug(written)[:_TEXT_LENGTH_MAX].strip("-")
    notes.changed_handles += handle != written
    return handle


def _option_names(first: _Row) -> list[str]:
    names = [_one_line(first[f"{option}_name"]) for option in _OPTIONS]
    if (names[0], first["option1_value"]) == _NO_CHOICE and not any(names[1:]):
        return []
    if first["option1_value"] and not names[0]:
        names[0] = "Option"
    return list(dict.fromkeys(name for name in names if name))


def _option_values(row: _Row, options: Sequence[str], others: Sequence[Json]) -> list[str]:
    values = [_one_line(row[f"{option}_value"]) for option in _OPTIONS[: len(options)]]
    for name, value in zip(options, values, strict=True):
        if not value:
            raise _BadRowError(f"no value of the option {name}")
    if any(other["option_values"] == values for other in others):
        what = " / ".join(values) or "without options"
        raise _BadRowError(f"a second variant {what}")
    return values


def _price(row: _Row, currency: str) -> Json:
    if not row["price"]:
        raise _BadRowError("no price")
    try:
        amount = minor_units(row["price"], currency)
        before = minor_units(row["compare_at"], currency) if row["compare_at"] else 0
    except ValueError as error:
        raise _BadRowError(str(error)) from error
    compare_at = {"amount_minor": before, "currency": currency} if before else None
    return {"price": {"amount_minor": amount, "currency": currency}, "compare_at": compare_at}


def _count(row: _Row, notes: Notes) -> int | None:
    written = row["quantity"].lstrip("'")
    if not written:
        return None
    if not _COUNT.fullmatch(written) or int(written.partition(".")[0]) > ON_HAND_MAX:
        raise _BadRowError(f"{written!r} is no count of stock")
    count = int(written.partition(".")[0])
    # Shopify counts what was sold beyond the stock as negative: none is there.
    notes.negative_counts += count < 0
    return max(count, 0)


def _weight(row: _Row) -> int:
    written = row["grams"].lstrip("'")
    if not written:
        return 0
    if not _GRAMS.fullmatch(written) or int(written.partition(".")[0]) > ON_HAND_MAX:
        raise _BadRowError(f"{written!r} is no weight in grams")
    return int(written.partition(".")[0])


def _sku(
    row: _Row, handle: str, values: Sequence[str], holders: dict[str, str], notes: Notes
) -> str:
    written = row["sku"].lstrip("'").strip()
    sku = written
    if written and not (_SKU.fullmatch(written) and len(written) <= _SKU_LENGTH_MAX):
        sku = "-".join(filter(None, re.split(r"[^!-~]+", written)))[:_SKU_LENGTH_MAX]
        notes.changed_skus += 1
    if not sku:
        sku = derived_sku(handle, values)
        notes.derived_skus += 1
    if sku in holders:
        whose = f"belongs to {holders[sku]}" if holders[sku] != handle else "stands here twice"
        raise _BadRowError(f"the SKU {sku} {whose}")
    holders[sku] = handle
    return sku


def _images(rows: Sequence[_Row], handle: str, tell: Tell) -> list[Json]:
    found: list[tuple[int, str, str]] = []
    for row in rows:
        for column in ("image", "variant_image"):
            url = _image_url(row[column])
            if url is None:
                tell(BadRow(row.line, handle, f"{row[column][:80]!r} is no address of a picture"))
            elif url and not any(url == other for _, other, _ in found):
                position = row["image_position"] if column == "image" else ""
                place = int(position) if position.isdecimal() else len(rows) + len(found)
                alt = _one_line(row["image_alt"]) if column == "image" else ""
                found.append((place, url, alt))
    found.sort(key=lambda image: image[0])
    return [{"url": url, "alt": alt} for _, url, alt in found]


def _image_url(written: str) -> str | None:
    """Mend an address as browsers do; empty for none, None for what is no address."""
    if not written:
        return ""
    whole = f"https:{written}" if written.startswith("//") else written
    url = quote(whole, safe="!#$%&'()*+,/:;=?@[]~")
    return url if re.fullmatch(r"https?://[^/]+\.[^/]+/?.*", url) and len(url) <= 2048 else None


def _categories(first: _Row) -> list[str]:
    taxonomy = first["category"].split(">")[-1]
    slugs = (slug(text) for text in (first["type"], taxonomy, first["collection"]))
    return list(dict.fromkeys(each for each in slugs if each))[:_CATEGORIES_MAX]


def _is_published(first: _Row) -> bool:
    return first["published"].lower() not in _NO and first["status"].lower() in {
        "",
        "active",
    }


def _one_line(text: str) -> str:
    """Leave out what cannot be shown, and write it on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

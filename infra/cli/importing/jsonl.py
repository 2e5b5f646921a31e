"""Our own product files: JSON, one product a line, as `PUT /v1/products` takes it.

Each has its `handle`, and each variant may have `on_hand`, the units counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from infra.cli.importing.drafts import ON_HAND_MAX, BadRow, Draft, Json, Tell


def read_jsonl(lines: Iterable[str], tell: Tell) -> Iterator[Draft]:
    """Read the products line by line; what is none is told and left out."""
    first_lines: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            draft = _draft(number, line)
        except ValueError as error:
            tell(BadRow(number, "", str(error)))
            continue
        first = first_lines.setdefault(draft.handle, number)
        if first != number:
            tell(BadRow(number, draft.handle, f"this handle is on line {first} already"))
            continue
        yield draft


def _draft(number: int, line: str) -> Draft:
    try:
        body = json.loads(line.encode("utf-8", "surrogateescape").decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except RecursionError as error:
        raise ValueError("not a product: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(body, dict) or not isinstance(body.get("handle"), str):
        raise ValueError("not a product: an object with a handle")
    variants = body.get("variants")
    if not isinstance(variants, list) or not all(isinstance(each, dict) for each in variants):
        raise ValueError("not a product: a list of variants")
    return Draft(number, body, {sku: units for sku, units in map(_count, variants) if sku})


def _count(variant: Json) -> tuple[str, int]:
    """Take the count out of a variant; no SKU where there is none."""
    units = variant.pop("on_hand", None)
    if units is None:
        return "", 0
    if type(units) is not int or not 0 <= units <= ON_HAND_MAX:
        raise ValueError("on_hand is a whole number of units, not negative")
    return str(variant.get("sku", "")), units

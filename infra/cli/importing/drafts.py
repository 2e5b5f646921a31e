"""What a product file is read into, whichever its form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

ON_HAND_MAX = 10_000_000  # what a count of stock takes

_NO_LETTER = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Draft:
    """A product as `POST /v1/products/batch` takes it, and the stock the file tells."""

    line: int  # where it begins in the file
    body: Json
    on_hand: dict[str, int] = field(default_factory=dict)  # units, by SKU

    @property
    def handle(self) -> str:
        return str(self.body.get("handle", ""))


@dataclass(frozen=True, slots=True)
class BadRow:
    """Something in the file that was left out, and why."""

    line: int
    handle: str
    reason: str


class UnreadableFileError(Exception):
    """The file is not one of products at all."""


@dataclass
class Notes:
    """What the reading changed or made up, to be stated at the end. Counted, not kept."""

    derived_skus: int = 0
    changed_skus: int = 0
    changed_handles: int = 0
    negative_counts: int = 0


Tell = Callable[[BadRow], None]


def slug(text: str) -> str:
    """Write a text with the letters and digits an address takes: `Mug & Cup` is mug-cup."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return _NO_LETTER.sub("-", plain).strip("-")

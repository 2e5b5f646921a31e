"""What a merchant may write: each rule tells what is wrong with a text, or None."""

from __future__ import annotations

import re

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def wrong_text(
    text: str, length_max: int, *, required: bool = False, lines: bool = False
) -> str | None:
    """Tell what keeps it from being shown; `lines` may break."""
    if len(text) > length_max:
        return f"at most {length_max} characters"
    if text != text.strip() or (required and not text):
        return "must not be blank, nor begin or end with space"
    if not (text.replace("\n", "").replace("\t", "") if lines else text).isprintable():
        return "holds characters that cannot be shown"
    return None


def wrong_slug(slug: str) -> str | None:
    """Tell what keeps it from naming a category in an address."""
    return None if _SLUG.fullmatch(slug) else "a slug such as home-garden"

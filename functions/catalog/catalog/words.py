"""From text to the words it is found by."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

WORD_LENGTH_MAX = 30

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile("['\u2018\u2019]")


def fold(text: str) -> str:
    """Strip what people leave out when they type: case, accents, ligatures, widths."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def words_of(text: str) -> list[str]:
    """Cut a text into its different words, folded, in the order of their first use.

    An apostrophe joins (men's is mens); anything else that is no letter or digit parts.
    """
    found = _WORD.findall(fold(_APOSTROPHES.sub("", text)))
    return list(dict.fromkeys(word[:WORD_LENGTH_MAX] for word in found))


def first_words(texts: Iterable[str], count_max: int) -> list[str]:
    """Take the first different words of several texts, the weightier texts first."""
    found: dict[str, None] = {}
    for text in texts:
        for word in words_of(text):
            if len(found) == count_max:
                return list(found)
            found.setdefault(word)
    return list(found)

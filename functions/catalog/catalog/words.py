"""From text to the words it is found by."""

from __future__ import annotations

import functools
import re
import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WORD_LENGTH_MAX = 30

# Of a shorter beginning too much would be a form.
_ROOT_LENGTH_MIN = 3
_STEMS_KEPT = 10_000

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile("['\u2018\u2019]")


# A stemmer keeps the word it works on in itself.
_STEMMING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A word as somebody typed it, with what its other forms have in common.

    Forms of a word are its plural and its singular, and what English derives from them: mugs and
    mug, berries and berry. Those that change their beginning, as mice do, are not known as forms.
    """

    word: str
    stem: str
    root: str  # the forms begin with it, and so does the word

    @classmethod
    def of(cls, word: str) -> Wanted:
        stem = stem_of(word)
        # Of berry and berries the stem is berri.
        common = stem[:-1] if stem.endswith(("i", "y")) else stem
        is_root = len(common) >= _ROOT_LENGTH_MIN and word.startswith(common)
        return cls(word, stem, common if is_root else word)

    def begins(self, other: str) -> bool:
        return other.startswith(self.word)

    def is_form_of(self, other: str) -> bool:
        return other.startswith(self.root) and stem_of(other) == self.stem


@functools.lru_cache(maxsize=_STEMS_KEPT)
def stem_of(word: str) -> str:
    """Reduce a folded word to what its forms share, by the rules of English."""
    with _STEMMING:
        stem: str = _stemmer().stemWord(word)
        return stem


@functools.cache
def _stemmer() -> Any:
    # Importing it takes a dozen milliseconds, for all its languages: only who searches pays.
    from snowballstemmer import stemmer

    return stemmer("english")


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

"""docs/glossary.md explains words that the code uses, each once."""

from __future__ import annotations

import re
from collections import Counter

from tests.contract.documents import CODE, rows, text_of
from tests.contract.project import ROOT, application_modules


def entries():
    return rows(text_of("glossary.md"))


def test_every_word_is_met_where_the_glossary_says():
    places = [*application_modules(), *(ROOT / "infra").rglob("*.yaml")]
    places += (ROOT / "infra").rglob("*.py")
    words = set(re.findall(r"\w+", " ".join(path.read_text() for path in places)))
    # A name may be part of a longer one: CartsProductsDeadLetterQueue.
    parts = " ".join(words)

    missing = [name for row in entries() for name in CODE.findall(row[2]) if name not in parts]

    assert missing == []


def test_no_word_is_explained_twice():
    words = Counter(word for row in entries() for word in row[0].split(", "))

    assert [word for word, times in words.items() if times > 1] == []


def test_every_meaning_is_a_sentence():
    assert [row[0] for row in entries() if not re.fullmatch(r"[A-Z].*\.", row[1])] == []

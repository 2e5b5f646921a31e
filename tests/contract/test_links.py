"""The documents' links to each other lead somewhere."""

from __future__ import annotations

import re

import pytest

from tests.contract.project import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("events/*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")


def by_path(path):
    return str(path.relative_to(ROOT))


def anchors(path):
    """Name each heading as GitHub does: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_path)
def test_a_link_to_another_document_finds_it(document):
    for path, anchor in LINK.findall(document.read_text()):
        target = (document.parent / path) if path else document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), (path, anchor)

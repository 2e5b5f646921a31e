"""Tables and diagrams of the Markdown documents, as the contract tests read them."""

from __future__ import annotations

import re

from tests.contract.project import ROOT

CODE = re.compile(r"`([^`]+)`")


def text_of(document):
    return (ROOT / "docs" / document).read_text()


def sections(document):
    """Map each heading of the second level to the text below it."""
    _, *parts = re.split(r"^## ", text_of(document), flags=re.MULTILINE)
    return {heading: body for heading, _, body in (part.partition("\n") for part in parts)}


def rows(text):
    """Read the rows of every table in a text, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [number for number, row in enumerate(cells) if set("".join(row)) <= set("-:")]
    heads = {number - 1 for number in rules} | set(rules)
    return [row for number, row in enumerate(cells) if number not in heads]


def code(cell):
    """Read the first thing written as code in a cell."""
    return CODE.search(cell)[1]


def diagrams(text):
    return re.findall(r"```mermaid\n(.*?)```", text, flags=re.DOTALL)

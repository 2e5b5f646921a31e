"""docs/claims.md names tests that exist, and for each claim one of its refused side."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.contract.documents import rows, sections
from tests.contract.project import ROOT

DOCUMENT = "claims.md"
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def claims():
    return [row for section in sections(DOCUMENT).values() for row in rows(section)]


@functools.cache
def named_in(path):
    tree = ast.parse((ROOT / path).read_text(), filename=path)
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim[0])
def test_a_claim_is_shown_by_tests_that_exist_from_both_sides(claim):
    _, _, *sides = claim

    for side in sides:
        named = REFERENCE.findall(side)
        assert named, "no test is named"
        assert [f"{path}::{name}" for path, name in named if name not in named_in(path)] == []


def test_no_claim_is_numbered_twice():
    numbers = [number for number, *_ in claims()]

    assert len(numbers) == len(set(numbers))

"""docs/limits.md gives the values that the constants have, and forgets no limit."""

from __future__ import annotations

import ast
import importlib
import re
from datetime import timedelta

import pytest

from tests.contract.documents import code, rows, text_of
from tests.contract.project import LAYER, LAYOUT, application_modules, parsed

DOCUMENT = "limits.md"
UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2}
SPANS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
A_LIMIT = re.compile(r"[A-Z][A-Z_]*_(MAX|MIN)")


def listed():
    """Map each constant named to its value as the document writes it."""
    limits = [row for row in rows(text_of(DOCUMENT)) if re.fullmatch(r"`[\w.]+`", row[2])]
    return {code(row[2]): row[1] for row in limits}


def value_of(text):
    number, _, unit = text.partition(" ")
    count = int(number.replace(",", ""))
    span = SPANS.get(unit.removesuffix("s"))
    return timedelta(seconds=count * span) if span else count * UNITS[unit]


def module_name(path):
    if path.is_relative_to(LAYER):
        return ".".join(path.relative_to(LAYER.parent).with_suffix("").parts)
    # A context's folder holds its app and, under the same name, its package.
    return ".".join(path.relative_to(LAYOUT.functions).with_suffix("").parts[1:])


def limits_in_code():
    return {
        f"{module_name(path)}.{target.id}"
        for path in application_modules()
        for node in parsed(path).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and A_LIMIT.fullmatch(target.id)
    }


@pytest.mark.parametrize("constant", listed())
def test_a_limit_is_told_as_the_code_has_it(constant):
    module, _, name = constant.rpartition(".")

    assert value_of(listed()[constant]) == getattr(importlib.import_module(module), name)


def test_no_limit_that_the_code_names_for_others_is_left_out():
    assert limits_in_code() - listed().keys() == set()

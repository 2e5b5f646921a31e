"""What may be kept is what is said here: nothing of stock, of money or of a person."""

from __future__ import annotations

import ast

import pytest

from tests.contract.project import (
    CONTEXTS,
    LAYER,
    LAYOUT,
    application_modules,
    parsed,
    place,
    specs,
)
from tests.contract.test_source import imported
from tradepost.platform.auth import PUBLIC

# Whatever else is to be kept takes its place here, and its bound in docs/caches.md.
CACHEABLE = {"/v1/products", "/v1/products/{handle}", "/v1/categories"}
KEEPERS = {"catalog"}
LIBRARIES = {"cachetools", "tradepost.platform.cache"}


def test_only_what_is_listed_may_be_kept_by_browsers_and_cdns():
    assert {spec.path for _, spec in specs() if spec.is_cacheable} == CACHEABLE


def test_what_may_be_kept_by_everybody_may_be_read_by_everybody():
    kept = [spec for _, spec in specs() if spec.is_cacheable]

    assert {(spec.method, spec.roles) for spec in kept} == {("GET", PUBLIC)}


@pytest.mark.parametrize("context", sorted(set(CONTEXTS) - KEEPERS))
def test_no_context_of_stock_money_or_people_keeps_what_it_read(context):
    modules = [path for path in application_modules() if LAYOUT.functions / context in path.parents]
    found = [
        place(path, node)
        for path in modules
        for name, node in imported(path)
        if name in LIBRARIES or name.startswith("tradepost.platform.cache")
    ]

    assert modules
    assert found == []


def test_the_layer_keeps_answers_in_one_place():
    users = {
        path.name
        for path in sorted(LAYER.rglob("*.py"))
        for name, _ in imported(path)
        if name in LIBRARIES
    }

    assert users == {"cache.py"}


def test_every_setting_of_the_cache_is_a_parameter_with_a_default():
    told = {
        node.slice.value
        for path in application_modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and str(node.slice.value).startswith("CATALOG_CACHE_")
    }
    template = (LAYOUT.templates / "data.yaml").read_text()

    assert len(told) == 5
    for variable in told:
        parameter = variable.title().replace("_", "")
        assert f"  {parameter}:\n" in template
        assert f"  {parameter}: {{Value: !Ref {parameter}," in template

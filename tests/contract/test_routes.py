"""Routes have a policy, may be repeated, and stand in docs/api.md as they are."""

from __future__ import annotations

import re

import pytest

from tests.contract.project import CONTEXTS, ROOT, app_of, specs
from tradepost.platform.auth import Role

LETTERS = {
    "G": Role.GUEST,
    "C": Role.CUSTOMER,
    "S": Role.SUPPORT,
    "W": Role.WAREHOUSE,
    "A": Role.ADMIN,
}
METHOD_AND_PATH = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`]+)`")


def documented():
    """Map (method, path) to (roles, what it does), for the contexts that are here."""
    rows = {}
    section = None
    for line in (ROOT / "docs" / "api.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        heading = re.fullmatch(r"\*\*([\w ]+)\*\*", cells[0]) if cells else None
        if heading:
            section = heading[1]
        elif cells and section in CONTEXTS:
            roles = frozenset(LETTERS[letter] for letter in cells[1] if letter in LETTERS)
            for method, path in METHOD_AND_PATH.findall(cells[0]):
                rows[method, path] = (roles, cells[2])
    return rows


def declared():
    return {(spec.method, spec.path): spec for _, spec in specs()}


def test_every_route_is_declared_with_a_policy():
    for context in CONTEXTS:
        app = app_of(context)
        routes = {(method, path) for path, methods in app.routes.items() for method in methods}

        assert routes == {(spec.method, spec.path) for spec in app.specs}


def test_the_api_table_lists_every_route_and_no_other():
    assert documented().keys() == declared().keys()


@pytest.mark.parametrize("route", sorted(declared()), ids=" ".join)
def test_the_api_table_names_the_roles_that_reach_a_route(route):
    assert documented()[route][0] == declared()[route].roles


@pytest.mark.parametrize("route", sorted(declared()), ids=" ".join)
def test_the_api_table_marks_the_headers_a_route_takes(route):
    told = documented()[route][1]
    spec = declared()[route]

    assert bool(re.search(r"; K\b", told)) == spec.needs_idempotency_key
    assert bool(re.search(r"; N\b", told)) == spec.is_cacheable
    if spec.takes_if_match:
        assert re.search(r"; M\b", told)


def test_a_post_is_done_once_however_often_it_is_sent():
    unsafe = [
        f"{spec.method} {spec.path}"
        for _, spec in specs()
        if spec.method == "POST" and not spec.needs_idempotency_key and not spec.repeatable
    ]

    assert unsafe == []


def test_every_path_begins_with_its_version():
    paths = {spec.path for _, spec in specs()}

    assert {path for path in paths if not path.startswith(("/v1/", "/.well-known/"))} == set()

"""The API's description says what the routes say, in valid OpenAPI."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from infra.openapi import documentation, generate, page
from infra.package.chalice_project import load_app
from infra.package.layout import Layout

LAYOUT = Layout(Path(__file__).resolve().parents[2])


@pytest.fixture(scope="module")
def apps():
    return [load_app(LAYOUT, context) for context in LAYOUT.contexts()]


@pytest.fixture(scope="module")
def document(apps):
    return generate(apps)


@pytest.fixture(scope="module")
def operations(apps, document):
    return [
        (spec, document["paths"][spec.path][spec.method.lower()])
        for app in apps
        for spec in app.specs
    ]


def test_the_document_is_valid_openapi(document):
    assert document["openapi"] == "3.1.0"
    validate(document)


def test_the_same_apps_in_any_order_give_the_same_document(apps, document):
    assert json.dumps(generate(reversed(apps))) == json.dumps(document)


def test_every_operation_has_a_name_of_its_own(operations):
    names = [operation["operationId"] for _, operation in operations]

    assert len(set(names)) == len(names)


def test_a_route_that_is_not_everybodys_asks_for_a_token_and_can_refuse_it(operations):
    for spec, operation in operations:
        assert operation["x-roles"] == sorted(spec.roles)
        assert bool(operation["security"]) == bool(spec.roles)
        assert ({"401", "403"} <= operation["responses"].keys()) == bool(spec.roles)


def test_headers_that_a_route_takes_are_parameters(operations):
    for spec, operation in operations:
        headers = {one["name"] for one in operation["parameters"] if one["in"] == "header"}

        assert ("Idempotency-Key" in headers) == spec.needs_idempotency_key
        assert ("If-Match" in headers) == spec.takes_if_match
        assert ("If-None-Match" in headers) == spec.is_cacheable


def test_what_may_be_kept_is_told_with_its_tag_and_how_it_is_asked_for_again(operations):
    for spec, operation in operations:
        told = operation["responses"]

        assert ("304" in told) == spec.is_cacheable
        if spec.is_cacheable:
            assert {"ETag", "Cache-Control"} <= told["200"]["headers"].keys()
            assert told["304"].get("content") is None


def test_every_declared_refusal_is_told(operations):
    for spec, operation in operations:
        told = " ".join(one["description"] for one in operation["responses"].values())

        assert all(f"`{refusal.code}`" in told for refusal in spec.refusals)


def test_every_reference_leads_to_a_component(document):
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))

    assert references <= document["components"]["schemas"].keys()


def test_every_operation_says_what_it_does(operations):
    assert [spec.path for spec, operation in operations if not operation["summary"]] == []


def test_the_page_fetches_nothing_from_elsewhere(document):
    text = page(document)

    assert re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(?!data:)', text) == []
    assert "validatorUrl: null" in text


def test_the_document_cannot_end_the_script_it_stands_in(document):
    hostile = {**document, "info": {"title": "</script><script>alert(1)</script>"}}

    assert "</script><script>alert(1)" not in page(hostile)


def test_only_two_addresses_are_answered(apps):
    find = documentation(apps)

    assert find("/v1/openapi.json")[0] == "application/json"
    assert find("/docs")[0].startswith("text/html")
    assert find("/v1/orders") is None

"""docs/api.md tells the fields that answers have, at every depth it draws."""

from __future__ import annotations

import re

import pytest

from infra.openapi import generate
from payments.simulator import CARDS
from shipping import simulator as carrier
from tests.contract.documents import CODE, rows, sections, text_of
from tests.contract.project import CONTEXTS, app_of
from tests.contract.test_routes import METHOD_AND_PATH

SHAPES = {row[0]: CODE.search(row[1])[1] for row in rows(sections("api.md")["Shapes"])}
# Listed inside other answers only.
INSIDE = {
    "variant": "VariantView",
    "product summary": "SummaryView",
    "order summary": "OrderSummary",
}
DOCUMENT = generate([app_of(context) for context in CONTEXTS])


def top_level(shape):
    """Read the names of a shape's own fields: `{a, b: [{c}], d: x|null}` is a, b and d."""
    inner = shape.strip()[1:-1]
    while re.search(r"[\[{][^\[\]{}]*[\]}]", inner):
        inner = re.sub(r"[\[{][^\[\]{}]*[\]}]", "", inner)
    return [field.partition(":")[0].strip() for field in inner.split(",")]


def told():
    """Map (method, path) to the shape that its row promises."""
    found = {}
    for row in rows(text_of("api.md").partition("## Shapes")[0]):
        answer = row[-1]
        drawn = re.search(r"`(\{.*\})`", answer)
        named = re.match(r"\d{3} ([a-z ]+)", answer)
        shape = drawn[1] if drawn else SHAPES.get(named[1].strip()) if named else None
        for method, path in METHOD_AND_PATH.findall(row[0]):
            found[method, path] = shape
    return found


def described():
    """Map (method, path) to the fields of the answer that the API's description has."""
    fields = {}
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            (answer,) = (a for status, a in operation["responses"].items() if status < "300")
            schema = answer.get("content", {}).get("application/json", {}).get("schema")
            fields[method.upper(), path] = fields_of(schema["$ref"]) if schema else None
    return fields


def fields_of(reference):
    return list(DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]["properties"])


@pytest.mark.parametrize("route", sorted(described()), ids=" ".join)
def test_the_api_table_tells_the_fields_of_an_answer(route):
    shape = told()[route]

    assert (top_level(shape) if shape else None) == described()[route]


@pytest.mark.parametrize("name", INSIDE)
def test_a_shape_inside_another_has_the_fields_of_its_model(name):
    assert top_level(SHAPES[name]) == fields_of(INSIDE[name])


def test_every_way_the_simulators_misbehave_is_told():
    names = set(CODE.findall(sections("api.md")["The simulated provider and carrier"]))
    codes = {
        carrier.REFUSED_POSTAL_CODE,
        carrier.UNANSWERED_POSTAL_CODE,
        carrier.LOST_ANSWER_POSTAL_CODE,
        carrier.NO_LABEL_POSTAL_CODE,
    }

    assert names == CARDS.keys() | codes | {"postal_code"}

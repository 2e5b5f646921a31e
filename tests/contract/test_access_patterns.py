"""docs/access-patterns.md names every table, every index, and methods that exist."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

from infra.cloudformation import load_template
from tests.contract.documents import code, rows, sections
from tests.contract.project import CONTEXTS, ROOT

DOCUMENT = "access-patterns.md"


def tables():
    """Map each table's name, without the stage, to the names of its indexes."""
    template = load_template(ROOT / "infra" / "templates" / "data.yaml")
    return {
        resource["Properties"]["TableName"]["Fn::Sub"].rpartition("-")[2]: {
            index["IndexName"] for index in resource["Properties"].get("GlobalSecondaryIndexes", ())
        }
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }


def found(dotted):
    """Find what a dotted name such as `orders.dynamodb.DynamoDBOrders.get` names."""
    parts = dotted.split(".")
    split = next((n for n, part in enumerate(parts) if part[0].isupper()), len(parts) - 1)
    thing = importlib.import_module(".".join(parts[:split]))
    for part in parts[split:]:
        thing = getattr(thing, part)
    return thing


def patterns():
    return [(table, row) for table in sections(DOCUMENT) for row in rows(sections(DOCUMENT)[table])]


def test_every_table_has_its_patterns_and_there_is_no_other():
    assert sections(DOCUMENT).keys() == tables().keys()


@pytest.mark.parametrize("table", tables())
def test_every_index_of_a_table_serves_a_pattern_and_no_other_is_named(table):
    keys = " ".join(row[1] for row in rows(sections(DOCUMENT)[table]))

    assert set(re.findall(r"index `([a-z-]+)`", keys)) == tables()[table]


def test_every_pattern_is_served_where_it_says():
    for _, row in patterns():
        assert callable(found(code(row[2]))), row


def test_every_kind_of_key_named_stands_in_the_module_that_uses_it():
    for _, row in patterns():
        source = inspect.getsource(inspect.getmodule(found(code(row[2]))))
        for kind in re.findall(r"`([A-Z]+)#[^`]*`", row[1]):
            assert f"{kind}#" in source, (row, kind)


@pytest.mark.parametrize("context", [context for context in CONTEXTS if context in tables()])
def test_every_method_that_reaches_a_contexts_table_serves_a_pattern(context):
    module = importlib.import_module(f"{context}.dynamodb")
    methods = {
        f"{context}.dynamodb.{name}.{method}"
        for name, repository in inspect.getmembers(module, inspect.isclass)
        if repository.__module__.startswith(module.__name__) and not name.startswith("_")
        for method in vars(repository)
        if not method.startswith("_")
    }

    served = {code(row[2]) for table, row in patterns() if table == context}
    assert methods - served - ELSEWHERE == set()


# Put together of patterns that have a row of their own.
ELSEWHERE = {
    "carts.dynamodb.DynamoDBPriceBook.withdraw_offer",
    # It reaches no table: it says what is supposed of one.
    "inventory.dynamodb.DynamoDBStock.presumed",
    "users.dynamodb.DynamoDBSessions.add",
}

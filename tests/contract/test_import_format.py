"""docs/import.md describes the files that `tradepost import` takes."""

from __future__ import annotations

import re

from catalog.api import ImageBody, VariantBody, WholeProduct, content_of
from catalog.model.product import Content
from infra.cli.importing.jsonl import read_jsonl
from tests.contract.documents import code, text_of

DOCUMENT = text_of("import.md")


def table_under(heading):
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", DOCUMENT, re.M)
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table.splitlines()
    ]


def needed(model):
    return {name for name, field in model.model_fields.items() if field.is_required()}


def test_the_example_is_read_as_products():
    (example,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.S)
    bad = []

    drafts = list(read_jsonl(example.splitlines(), bad.append))

    contents = [content_of(draft.body) for draft in drafts]
    assert bad == []
    assert all(isinstance(content, Content) for content in contents), contents
    assert [draft.on_hand for draft in drafts] == [{"MUG-SAND": 12}, {}]
    assert drafts[0].body.keys() == WholeProduct.model_fields.keys()


def test_every_field_of_a_product_is_explained_and_no_other():
    rows = table_under("Field")

    assert {code(row[0]) for row in rows} == WholeProduct.model_fields.keys()
    assert {code(row[0]) for row in rows if row[1]} == needed(WholeProduct)
    assert ImageBody.model_fields.keys() == {"url", "alt"}


def test_every_field_of_a_variant_is_explained_and_no_other():
    rows = table_under("Field of a variant")

    assert {code(row[0]) for row in rows} == VariantBody.model_fields.keys() | {"on_hand"}
    assert {code(row[0]) for row in rows if row[1] == "yes"} == needed(VariantBody)

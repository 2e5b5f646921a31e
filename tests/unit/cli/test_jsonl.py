"""Our own product files, read line by line."""

from __future__ import annotations

import json

import pytest

from infra.cli.importing.drafts import BadRow
from infra.cli.importing.jsonl import read_jsonl

MUG = {"handle": "mug", "title": "Mug", "variants": [{"sku": "MUG", "on_hand": 4}, {"sku": "CUP"}]}


def test_the_stock_is_taken_out_of_the_product_it_stands_in():
    (draft,) = read_jsonl([json.dumps(MUG)], pytest.fail)

    assert draft.on_hand == {"MUG": 4}
    assert draft.body["variants"] == [{"sku": "MUG"}, {"sku": "CUP"}]


def test_a_line_that_is_no_product_is_told_and_the_rest_taken():
    bad: list[BadRow] = []
    lines = [
        "{not json}\n",
        "\n",
        "[1]\n",
        '{"handle": 7, "variants": []}\n',
        '{"handle": "x", "variants": [1]}\n',
        '{"handle": "x", "variants": [{"sku": "X", "on_hand": -1}]}\n',
        b'{"handle": "caf\xe9", "variants": []}\n'.decode("utf-8", "surrogateescape"),
        json.dumps(MUG),
        json.dumps(MUG),
        "[" * 100_000,
    ]

    drafts = list(read_jsonl(lines, bad.append))

    assert [draft.handle for draft in drafts] == ["mug"]
    assert [each.line for each in bad] == [1, 3, 4, 5, 6, 7, 9, 10]
    assert bad[-2].reason == "this handle is on line 8 already"

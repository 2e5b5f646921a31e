"""The demonstration shop: everything in it can be sold, and has its picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from catalog.api import WholeProduct
from infra.cli.importing.jsonl import read_jsonl
from infra.demo.pictures import picture
from infra.demo.products import as_jsonl

DRAFTS = list(read_jsonl(as_jsonl().splitlines(keepends=True), pytest.fail))
URLS = [image["url"] for draft in DRAFTS for image in draft.body["images"]]


def test_every_product_is_one_the_catalogue_takes():
    contents = [WholeProduct.model_validate(draft.body).content(draft.handle) for draft in DRAFTS]

    skus = [sku for content in contents for sku in content.skus]
    assert 50 <= len(contents) <= 80
    assert len(set(skus)) == len(skus)
    assert {sku for draft in DRAFTS for sku in draft.on_hand} == set(skus)


def test_a_visitor_meets_an_empty_shelf_and_a_last_piece():
    on_hand = [units for draft in DRAFTS for units in draft.on_hand.values()]

    assert on_hand.count(0) == 2
    assert on_hand.count(1) == 2


@pytest.mark.parametrize("url", URLS)
def test_every_picture_is_drawn_small_and_well_formed(url):
    drawn = picture(url)

    assert drawn is not None
    assert len(drawn) < 3_000
    assert ElementTree.fromstring(drawn).attrib["viewBox"] == "0 0 800 800"
    assert drawn == picture(url)


def test_the_colours_of_one_product_look_different():
    assert len({picture(url) for url in URLS}) == len(URLS)


@pytest.mark.parametrize(
    "path", ["/demo/nothing.svg", "/demo/desk-lamp--pink.svg", "/demo/desk-lamp.png", "/demo/", ""]
)
def test_there_is_no_picture_of_what_is_not_sold(path):
    assert picture(path) is None

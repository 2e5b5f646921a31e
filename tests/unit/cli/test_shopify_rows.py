"""Shopify's product CSV as shops really export it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.cli.importing.drafts import BadRow, Draft, Notes, UnreadableFileError
from infra.cli.importing.product_rows import derived_sku
from infra.cli.importing.shopify import read_shopify

APPAREL = Path(__file__).parents[4] / "shared" / "data" / "shopify" / "apparel.csv"

HEADING = (
    "Handle,Title,Body (HTML),Option1 Name,Option1 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src,Image Position,"
    "Image Alt Text,Status,Published,Variant Taxable,Some Metafield\n"
)

Read = Callable[..., tuple[list[Draft], list[BadRow], Notes]]


@pytest.fixture
def read() -> Read:
    def read_text(text: str, heading: str = HEADING, currency: str = "GBP") -> Any:
        bad: list[BadRow] = []
        notes = Notes()
        lines = (heading + text).splitlines(keepends=True)
        drafts = list(read_shopify(lines, currency=currency, tell=bad.append, notes=notes))
        return drafts, bad, notes

    return read_text


def row(handle: str = "mug", **cells: str) -> str:
    names = ["title", "html", "option", "value", "sku", "grams", "quantity", "price", "before",
             "image", "position", "alt", "status", "published", "taxable", "metafield"]  # fmt: skip
    assert set(cells) <= set(names)
    return ",".join([handle, *(cells.get(name, "") for name in names)]) + "\n"


def a_row(handle: str = "mug", **cells: str) -> str:
    return row(handle, **{"title": "Mug", "sku": f"{handle}-1", "price": "12.50", **cells})


def test_a_product_without_a_choice_has_no_options(read):
    drafts, bad, _ = read(a_row(option="Title", value="Default Title", quantity="3"))

    assert bad == []
    assert drafts[0].body["options"] == []
    assert drafts[0].body["variants"][0]["option_values"] == []
    assert drafts[0].body["variants"][0]["price"] == {"amount_minor": 1250, "currency": "GBP"}
    assert drafts[0].on_hand == {"mug-1": 3}


def test_rows_of_variants_and_pictures_make_one_product(read):
    drafts, bad, _ = read(
        a_row(option="Size", value="S", sku="S", image="https://cdn.example/2.jpg", position="2")
        + row(value="M", sku="M", price="13", before="15.00", grams="350")
        + row(image="//cdn.example/a b.jpg", position="1", alt="Front")
    )

    assert bad == []
    body = drafts[0].body
    assert body["options"] == ["Size"]
    assert [variant["sku"] for variant in body["variants"]] == ["S", "M"]
    assert body["variants"][1]["compare_at"] == {"amount_minor": 1500, "currency": "GBP"}
    assert body["variants"][1]["weight_grams"] == 350
    assert body["images"] == [
        {"url": "https://cdn.example/a%20b.jpg", "alt": "Front"},
        {"url": "https://cdn.example/2.jpg", "alt": ""},
    ]


def test_html_is_reduced_to_what_a_reader_sees(read):
    html = '"<p>Strong &amp; <b>light</b></p><style>p{}</style>\n<ul><li>one<li>two</ul>"'

    drafts, _, _ = read(a_row(html=html))

    assert drafts[0].body["description"] == "Strong & light\n\n- one\n- two"


def test_a_bad_row_costs_its_variant_and_names_its_own_line(read):
    drafts, bad, _ = read(
        a_row(html='"two\nlines"', option="Size", value="S", sku="S")
        + row(value="M", sku="M", price="12,50".replace(",", "."), quantity="many")
        + row(value="L", sku="L", price="free")
        + row(value="XL", sku="XL", price="14")
        + row(value="XXL", sku="XXL")
    )

    assert [variant["sku"] for variant in drafts[0].body["variants"]] == ["S", "XL"]
    assert [(each.line, each.reason) for each in bad] == [
        (4, "'many' is no count of stock"),
        (5, "'free' is no price such as 12.50"),
        (7, "no price"),
    ]


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"price": "-1"}, "'-1' is no price such as 12.50"),
        ({"price": "1e3"}, "'1e3' is no price such as 12.50"),
        ({"price": "1.999"}, "'1.999' has more decimals than GBP"),
        ({"price": "£5"}, "'£5' is no price such as 12.50"),
        ({"price": "NaN"}, "'NaN' is no price such as 12.50"),
        ({"price": "1", "before": "x"}, "'x' is no price such as 12.50"),
        ({"grams": "heavy"}, "'heavy' is no weight in grams"),
        ({"quantity": "1.5"}, "'1.5' is no count of stock"),
    ],
)
def test_what_is_no_number_is_no_number(read, cells, reason):
    drafts, bad, _ = read(a_row(**cells))

    assert drafts == []
    assert [each.reason for each in bad] == [reason, "no variant is left: the product was left out"]


def test_prices_are_exact_in_the_currency_s_own_minor_unit(read):
    prices = "".join(
        a_row(f"p{n}", price=price) for n, price in enumerate(["19.99", "0.07", "8.1"])
    )

    assert [draft.body["variants"][0]["price"]["amount_minor"] for draft in read(prices)[0]] == [
        1999,
        7,
        810,
    ]
    assert read(a_row(price="500.0"), currency="JPY")[0][0].body["variants"][0]["price"] == {
        "amount_minor": 500,
        "currency": "JPY",
    }


def test_a_missing_sku_is_made_of_handle_and_options_and_stated(read):
    text = a_row(option="Size", value="Extra Large", sku="") + row(value="A+", price="3")

    (first,), bad, notes = read(text)
    (again,), _, _ = read(text)

    skus = [variant["sku"] for variant in first.body["variants"]]
    assert bad == []
    assert skus[0] == "MUG-EXTRA-LARGE"
    assert skus[1].startswith("MUG-A-")
    assert [variant["sku"] for variant in again.body["variants"]] == skus
    assert notes.derived_skus == 2


def test_options_that_letters_do_not_tell_apart_get_different_skus():
    assert derived_sku("cap", ["A+"]) != derived_sku("cap", ["A-"])
    assert derived_sku("cap", ["大"]) != derived_sku("cap", ["小"])
    assert len(derived_sku("h" * 255, ["red"])) <= 100


def test_a_sku_with_spaces_is_written_without_them_and_stated(read):
    (draft,), _, notes = read(a_row(sku="'MUG  RED"))

    assert draft.body["variants"][0]["sku"] == "MUG-RED"
    assert notes.changed_skus == 1


def test_a_sku_of_another_product_or_twice_in_one_is_a_bad_row(read):
    drafts, bad, _ = read(
        a_row("one", sku="X", option="Size", value="S")
        + row("one", sku="X", value="M", price="1")
        + a_row("two", sku="X")
    )

    assert [draft.handle for draft in drafts] == ["one"]
    assert [(each.line, each.reason) for each in bad] == [
        (3, "the SKU X stands here twice"),
        (4, "the SKU X belongs to one"),
        (4, "no variant is left: the product was left out"),
    ]


def test_rows_that_do_not_stand_with_their_product_are_bad(read):
    drafts, bad, _ = read(a_row("one") + a_row("two") + row("one", value="M", price="1"))

    assert [draft.handle for draft in drafts] == ["one", "two"]
    assert [each.line for each in bad] == [4]


def test_a_negative_count_is_none_on_hand_and_an_empty_one_is_no_count(read):
    drafts, _, notes = read(a_row("one", quantity="-4") + a_row("two"))

    assert [draft.on_hand for draft in drafts] == [{"one-1": 0}, {}]
    assert notes.negative_counts == 1


@pytest.mark.parametrize(
    ("cells", "published"),
    [
        ({"published": "TRUE"}, True),
        ({"published": "false"}, False),
        ({"published": "true", "status": "draft"}, False),
        ({"status": "active"}, True),
    ],
)
def test_only_what_is_published_and_active_goes_on_sale(read, cells, published):
    assert read(a_row(**cells))[0][0].body["published"] is published


def test_the_names_of_columns_since_2025_other_cases_and_semicolons_are_read(read):
    heading = "title;URL HANDLE;Price;Inventory quantity\n"

    drafts, bad, _ = read("Mug;mug;9.5;2\n", heading="\ufeff" + heading)

    assert bad == []
    assert drafts[0].on_hand == {"MUG": 2}


def test_a_file_of_something_else_is_refused_whole(read):
    with pytest.raises(UnreadableFileError):
        read("1,2\n", heading="InvoiceNo,StockCode\n")


def test_short_rows_blank_rows_and_rows_without_a_handle_do_no_harm(read):
    drafts, bad, _ = read("\n,,,\n,Mug\nshort\n" + a_row())

    assert [draft.handle for draft in drafts] == ["mug"]
    assert [(each.line, each.reason.split(":")[0]) for each in bad] == [
        (4, "no handle"),
        (5, "no title in the product's first row"),
    ]


def test_a_row_that_is_not_utf_8_is_told_and_the_rest_taken(read):
    latin = b"Caf\xe9".decode("utf-8", "surrogateescape")

    drafts, bad, _ = read(a_row("one", title=latin) + a_row("two"))

    assert [draft.handle for draft in drafts] == ["two"]
    assert bad[0].reason.startswith("not UTF-8")


def test_a_description_longer_than_pythons_own_limit_is_read(read):
    drafts, bad, _ = read(a_row(html="x" * 200_000))

    assert bad == []
    assert len(drafts[0].body["description"]) == 200_000


@pytest.mark.skipif(not APPAREL.exists(), reason="the real file is not part of the repository")
def test_a_real_export_is_read_without_a_bad_row(read):
    heading, _, rest = APPAREL.read_text("utf-8-sig").partition("\n")

    drafts, bad, notes = read(rest, heading=heading + "\n")

    assert bad == []
    assert len(drafts) == 20
    assert sum(len(draft.body["variants"]) for draft in drafts) == 22
    assert notes.derived_skus == 22
    assert drafts[1].body["options"] == ["Size"]


@pytest.mark.parametrize(
    ("taxable", "tax_class"), [("", "standard"), ("TRUE", "standard"), ("false", "zero")]
)
def test_what_is_not_taxable_has_the_tax_class_zero(read, taxable, tax_class):
    assert read(a_row(taxable=taxable))[0][0].body["variants"][0]["tax_class"] == tax_class

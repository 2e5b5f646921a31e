"""Products over HTTP, on their table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.api import EXPORT_BYTES_MAX, WholeProduct
from catalog.dynamodb import DynamoDBProducts
from catalog.model.product import (
    VARIANTS_MAX,
    Content,
    InvalidProductError,
    Outcome,
    SKUTakenError,
    StaleProductError,
    TooManySKUChangesError,
    VersionMismatchError,
    new_product,
)
from catalog.use_cases import editing
from tradepost.kernel.clock import utc_now


def content(a_product: Any, handle: str, **fields: Any) -> Content:
    return WholeProduct.model_validate(a_product(handle, **fields)).content(handle)


def variants(*skus: str) -> list[dict[str, Any]]:
    price = {"amount_minor": 500, "currency": "GBP"}
    return [{"sku": sku, "option_values": [sku], "price": price} for sku in skus]


def one_variant(**fields: Any) -> list[dict[str, Any]]:
    return [{"sku": "ONE", "price": {"amount_minor": 500, "currency": "GBP"}, **fields}]


def put(products: DynamoDBProducts, wanted: Content) -> Outcome:
    _, outcome = editing.put_product(
        wanted,
        stored=products.find(wanted.handle),
        correlation_id="req_1",
        products=products,
        now=utc_now,
    )
    return outcome


def events(items: Any, handle: str) -> list[dict[str, Any]]:
    bodies = [
        json.loads(item["body"])
        for item in items(f"PRODUCT#{handle}")
        if item["sk"].startswith("OUTBOX#")
    ]
    return sorted(bodies, key=lambda body: (body["version"], body["type"]))


def export_pages(shop: Any, limit: int = 50) -> list[list[dict[str, Any]]]:
    pages, query = [], {"limit": str(limit)}
    while True:
        answer = shop.call("GET", "/v1/products-export", query=query).body
        pages.append(answer["products"])
        if answer["next_cursor"] is None:
            return pages
        query["cursor"] = answer["next_cursor"]


def test_a_product_put_on_sale_is_shown_to_the_public(shop, a_product):
    answer = shop.put("red-mug", a_product(title="Red mug", amount=1250))

    shown = shop.show("red-mug")

    assert (answer.status, answer.body["outcome"]) == (200, "created")
    assert shown.status == 200
    assert shown.body["title"] == "Red mug"
    assert shown.body["variants"][0]["price"] == {"amount_minor": 1250, "currency": "GBP"}


def test_the_same_content_again_writes_nothing(shop, a_product, items):
    shop.put("mug", a_product())
    before = items()

    again = shop.put("mug", a_product())

    assert again.body["outcome"] == "unchanged"
    assert items() == before


def test_a_product_replaced_keeps_nothing_of_what_is_not_said_again(shop, a_product):
    shop.put("mug", a_product(vendor="Kiln", tags=["blue"]))

    changed = shop.put("mug", a_product(amount=1300))

    assert changed.body["outcome"] == "changed"
    assert (changed.body["vendor"], changed.body["tags"]) == ("", [])
    assert changed.body["version"] == 2


def test_an_unpublished_product_is_kept_but_not_shown(shop, a_product):
    shop.put("mug", a_product(published=False))

    shown = shop.show("mug")
    exported = shop.call("GET", "/v1/products-export")

    assert (shown.status, shown.body["code"]) == (404, "product_not_found")
    assert [product["handle"] for product in exported.body["products"]] == ["mug"]


def test_a_withdrawn_product_is_gone_for_the_public_and_may_come_back(shop, a_product):
    shop.put("mug", a_product())

    first, second = shop.withdraw("mug"), shop.withdraw("mug")

    assert (first.status, second.status) == (204, 204)
    assert shop.show("mug").status == 404
    assert shop.put("mug", a_product()).body["outcome"] == "changed"
    assert shop.show("mug").status == 200


def test_withdrawing_what_never_was_is_refused(shop):
    assert shop.withdraw("nothing").status == 404


def test_a_sku_of_another_product_is_refused_and_named(shop, a_product, items):
    shop.put("mug", a_product(sku="MUG"))
    before = items()

    refused = shop.put("cup", a_product(sku="MUG"))

    assert (refused.status, refused.body["code"]) == (409, "sku_taken")
    assert (refused.body["sku"], refused.body["holder"]) == ("MUG", "mug")
    assert items() == before


def test_a_sku_given_up_may_be_taken_by_another_product(shop, a_product):
    shop.put("mug", a_product(sku="OLD"))
    shop.put("mug", a_product(sku="NEW"))

    taken = shop.put("cup", a_product(sku="OLD"))

    assert taken.body["outcome"] == "created"


def test_a_withdrawn_product_keeps_its_skus(shop, a_product):
    shop.put("mug", a_product(sku="MUG"))
    shop.withdraw("mug")

    assert shop.put("cup", a_product(sku="MUG")).body["code"] == "sku_taken"


@pytest.mark.parametrize("role", ["guest", "customer", "support", "warehouse"])
def test_only_an_administrator_writes_products(shop, a_product, role):
    refused = shop.call("PUT", "/v1/products/{handle}", handle="mug", body=a_product(), role=role)

    assert (refused.status, refused.body["code"]) == (403, "role_forbidden")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"title": " "}, "invalid_request"),
        ({"variants": []}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
        ({"variants": variants("A", "A"), "options": ["Size"]}, "invalid_product"),
        ({"variants": variants("A")}, "invalid_product"),
        ({"images": [{"url": "javascript:alert(1)"}]}, "invalid_product"),
        ({"categories": ["Not A Slug"]}, "invalid_request"),
        ({"description": "bell\x07"}, "invalid_request"),
    ],
)
def test_a_product_that_contradicts_itself_is_refused(shop, a_product, items, fields, code):
    refused = shop.put("mug", a_product(**fields))

    assert (refused.status, refused.body["code"]) == (422, code)
    assert items() == []


def test_prices_in_two_currencies_are_refused(shop, a_product):
    two = variants("A", "B")
    two[1]["price"] = {"amount_minor": 500, "currency": "EUR"}

    assert shop.put("mug", a_product(variants=two, options=["Size"])).status == 422


@pytest.mark.parametrize("handle", ["Red-Mug", "-mug", "a/b", "mug?", " mug"])
def test_a_handle_that_does_not_fit_an_address_is_refused(shop, a_product, handle):
    assert shop.put(handle, a_product()).status == 422


def test_a_batch_takes_the_good_products_and_tells_of_the_others(shop, a_product):
    results = shop.batch(
        a_product("one"),
        a_product("two", title=""),
        a_product("three", sku="ONE-1"),
        a_product("four"),
        {"title": "no handle"},
    )

    assert [(result["handle"], result["outcome"]) for result in results] == [
        ("one", "created"),
        ("two", "refused"),
        ("three", "refused"),
        ("four", "created"),
        ("", "refused"),
    ]
    assert results[1]["problem"]["errors"][0]["at"] == "/title"
    assert results[2]["problem"]["code"] == "sku_taken"
    assert [r["outcome"] for r in shop.batch(a_product("one"), a_product("four"))] == [
        "unchanged",
        "unchanged",
    ]


def test_one_product_twice_in_a_batch_is_written_in_turn(shop, a_product):
    results = shop.batch(a_product("mug"), a_product("mug", amount=900), a_product("mug"))

    assert [result["outcome"] for result in results] == ["created", "changed", "changed"]
    assert shop.show("mug").body["version"] == 3


def test_each_change_on_sale_is_told_once_with_a_version_counting_up(shop, a_product, items):
    two = {"options": ["Size"], "variants": variants("S", "M")}
    shop.put("mug", a_product(published=False))
    shop.put("mug", a_product(**two))
    shop.put("mug", a_product(**two))
    shop.put("mug", a_product(options=["Size"], variants=variants("M", "L")))
    shop.withdraw("mug")

    told = events(items, "mug")

    assert [(event["type"], event["version"]) for event in told] == [
        ("product.published.v1", 2),
        ("product.published.v2", 2),
        ("product.changed.v1", 3),
        ("product.changed.v2", 3),
        ("product.withdrawn.v1", 4),
    ]
    assert told[0]["variants"][0] == {
        "sku": "S",
        "title": "Mug / S",
        "amount_minor": 500,
        "currency": "GBP",
        "weight_grams": 0,
    }
    assert told[1]["variants"][0] == {**told[0]["variants"][0], "tax_class": "standard"}
    assert [told[2]["removed_skus"], told[3]["removed_skus"]] == [["S"], ["S"]]
    assert told[4]["skus"] == ["M", "L"]
    assert {event["correlation_id"] for event in told} == {"req_test"}


def test_staff_see_a_product_that_is_not_on_sale_with_its_version(shop, a_product):
    shop.put("mug", a_product(published=False))
    shop.put("mug", a_product(published=False, amount=1300))

    shown = shop.call("GET", "/v1/staff/products/{handle}", handle="mug")
    unknown = shop.call("GET", "/v1/staff/products/{handle}", handle="cup")
    customer = shop.call("GET", "/v1/staff/products/{handle}", handle="mug", role="customer")

    assert (shown.status, shown.body["version"], shown.headers["ETag"]) == (200, 2, '"2"')
    assert (unknown.status, unknown.body["code"]) == (404, "product_not_found")
    assert customer.status == 403


def test_an_editor_replaces_the_version_that_was_read(shop, a_product):
    read = shop.put("mug", a_product())

    changed = shop.put("mug", a_product(amount=1300), seen=read.body["version"])

    assert (changed.status, changed.body["outcome"]) == (200, "changed")
    assert changed.headers["ETag"] == '"2"'


def test_of_two_editors_who_read_one_version_the_second_is_refused(shop, a_product, items):
    shop.put("mug", a_product())

    first = shop.put("mug", a_product(amount=1300), seen=1)
    before = items()
    second = shop.put("mug", a_product(amount=1400), seen=1)
    third = shop.withdraw("mug", seen=1)

    assert first.status == 200
    assert [(refused.status, refused.body["code"]) for refused in (second, third)] == [
        (412, "version_mismatch")
    ] * 2
    assert (second.body["version"], third.body["version"]) == (2, 2)
    assert items() == before


def test_an_editor_overtaken_between_reading_and_writing_is_refused_too(products, a_product):
    put(products, content(a_product, "mug"))
    read = products.find("mug")
    put(products, content(a_product, "mug", amount=1300))

    with pytest.raises(VersionMismatchError) as refusal:
        editing.put_product(
            content(a_product, "mug", amount=1400),
            stored=read,
            version=1,
            correlation_id="req_1",
            products=products,
            now=utc_now,
        )

    assert refusal.value.version == 2
    assert products.find("mug").content.price_from.amount_minor == 1300


def test_an_edit_whose_answer_was_lost_may_be_sent_again(shop, a_product):
    shop.put("mug", a_product())
    shop.put("mug", a_product(amount=1300), seen=1)

    again = shop.put("mug", a_product(amount=1300), seen=1)

    assert (again.status, again.body["outcome"], again.body["version"]) == (200, "unchanged", 2)


def test_an_edit_of_a_product_that_is_not_there_creates_none(shop, a_product):
    refused = shop.put("mug", a_product(), seen=1)

    assert (refused.status, refused.body["version"]) == (412, 0)
    assert shop.show("mug").status == 404


def test_a_variants_tax_class_is_shown_and_told(shop, a_product, items):
    shop.put("bread", a_product(variants=one_variant(tax_class="zero")))

    assert shop.show("bread").body["variants"][0]["tax_class"] == "zero"
    assert events(items, "bread")[1]["variants"][0]["tax_class"] == "zero"


def test_a_tax_class_that_no_country_has_a_rate_for_is_refused(shop, a_product):
    refused = shop.put("bread", a_product(variants=one_variant(tax_class="luxury")))

    assert (refused.status, refused.body["code"]) == (422, "invalid_request")


def test_two_writers_who_read_one_version_do_not_both_write(products, a_product):
    put(products, content(a_product, "mug"))
    read = products.find("mug")
    cheap, dear = content(a_product, "mug", amount=1), content(a_product, "mug", amount=9)

    products.save(read.revised(cheap, at=utc_now()), replacing=read, events=())
    with pytest.raises(StaleProductError):
        products.save(read.revised(dear, at=utc_now()), replacing=read, events=())

    assert products.find("mug").content == cheap


def test_a_writer_who_was_overtaken_reads_again_and_writes_last(products, a_product):
    put(products, content(a_product, "mug"))
    outdated = products.find("mug")
    put(products, content(a_product, "mug", amount=1))

    product, outcome = editing.put_product(
        content(a_product, "mug", amount=9),
        stored=outdated,
        correlation_id="req_1",
        products=products,
        now=utc_now,
    )

    assert (outcome, product.version) == (Outcome.CHANGED, 3)


def test_two_products_cannot_both_be_created_with_one_sku(products, a_product):
    mug, cup = content(a_product, "mug", sku="X"), content(a_product, "cup", sku="X")

    products.save(new_product(mug, at=utc_now()), replacing=None, events=())
    with pytest.raises(SKUTakenError) as refusal:
        products.save(new_product(cup, at=utc_now()), replacing=None, events=())

    assert (refusal.value.sku, refusal.value.holder) == ("X", "mug")
    assert products.find("cup") is None


def test_the_largest_product_is_written_and_told_whole(products, a_product, items):
    skus = [f"S{number}" for number in range(VARIANTS_MAX)]
    largest = content(a_product, "mug", options=["Size"], variants=variants(*skus))

    assert put(products, largest) is Outcome.CREATED

    assert len(items("SKU#")) == VARIANTS_MAX
    assert len(events(items, "mug")[0]["variants"]) == VARIANTS_MAX


def test_the_largest_product_exchanges_many_skus_at_once_but_not_all(products, a_product, items):
    skus = [f"S{number}" for number in range(VARIANTS_MAX)]
    other = [f"T{number}" for number in range(VARIANTS_MAX)]
    put(products, content(a_product, "mug", options=["Size"], variants=variants(*skus)))

    with pytest.raises(TooManySKUChangesError):
        put(products, content(a_product, "mug", options=["Size"], variants=variants(*other)))
    mixed = variants(*skus[:3], *other[:97])
    put(products, content(a_product, "mug", options=["Size"], variants=mixed))

    assert {item["pk"] for item in items("SKU#")} == {f"SKU#{sku['sku']}" for sku in mixed}


def test_a_product_too_large_for_its_item_is_refused(products, a_product):
    huge = content(a_product, "mug", description="é" * 90_000, images=[
        {"url": f"/{number}" + "x" * 2_000} for number in range(100)
    ])  # fmt: skip

    with pytest.raises(InvalidProductError):
        put(products, huge)


def test_an_export_is_what_a_batch_takes_and_changes_nothing(shop, a_product):
    shop.batch(*(a_product(f"mug-{number}", published=number % 2 == 0) for number in range(7)))

    exported = [product for page in export_pages(shop, limit=3) for product in page]

    assert [product["handle"] for product in exported] == [f"mug-{n}" for n in range(7)]
    assert {result["outcome"] for result in shop.batch(*exported)} == {"unchanged"}


def test_an_export_page_ends_before_an_answer_grows_too_large(shop, a_product):
    bulk = {
        "description": "x" * 90_000,
        "attributes": {f"a{number}": "y" * 1_000 for number in range(50)},
        "tags": [f"{number}-" + "z" * 240 for number in range(250)],
    }
    for number in range(17):
        shop.put(f"mug-{number:02}", a_product(sku=f"M{number}", **bulk))

    pages = export_pages(shop)

    handles = [product["handle"] for page in pages for product in page]
    assert handles == [f"mug-{number:02}" for number in range(17)]
    assert max(len(json.dumps(page)) for page in pages) < EXPORT_BYTES_MAX * 1.1

"""Finding products: the index over its table, fed by the table's own stream."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog import search
from catalog.use_cases import searching
from tradepost.kernel.clock import set_clock
from tradepost.kernel.errors import UnavailableError

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


def fill(shop: Any, a_product: Any) -> None:
    for minutes, (handle, amount, fields) in enumerate(
        [
            ("red-mug", 1200, {"title": "Red mug", "categories": ["kitchen"]}),
            ("blue-mug", 900, {"title": "Blue mugs", "categories": ["kitchen", "gifts"]}),
            ("cafe-creme", 2000, {"title": "Café Crème set", "tags": ["mug", "red"]}),
            ("lamp", 4500, {"title": "Desk lamp", "categories": ["lighting"],
                            "description": "Stands beside a mug without complaint."}),
        ]
    ):  # fmt: skip
        set_clock(lambda moment=MORNING + timedelta(minutes=minutes): moment)
        assert shop.put(handle, a_product(amount=amount, sku=handle, **fields)).status == 200
    shop.catch_up()


def everything_indexed(items: Any) -> list[dict[str, Any]]:
    """The index without the revisions, which count writes."""
    found = [
        item
        for item in items()
        if item["pk"].startswith(("WORD#", "LISTING#", "CATEGORIES")) or item["sk"] == "INDEX"
    ]
    return [{k: v for k, v in item.items() if k != "revision"} for item in found]


def test_products_are_found_by_the_beginnings_of_all_words_the_best_first(shop, a_product):
    fill(shop, a_product)

    for words, found in [
        ("mug", ["red-mug", "blue-mug", "cafe-creme", "lamp"]),
        ("RED MUG", ["red-mug", "cafe-creme"]),
        ("mug re", ["red-mug", "cafe-creme"]),
        ("cafe creme", ["cafe-creme"]),
        ("CAF\u00c9", ["cafe-creme"]),
        ("mugs", ["blue-mug", "red-mug", "cafe-creme", "lamp"]),
        ("complain mug", ["lamp"]),
        ("mug sofa", []),
        ("!?", []),
        ("m", []),
    ]:
        assert shop.found(q=words) == found, words


@pytest.mark.parametrize(
    ("one", "other"),
    [("mug", "mugs"), ("dish", "dishes"), ("berry", "berries"), ("Gläser", "Gläsers"),
     ("cushion", "cushions"), ("glass", "glasses")],
)  # fmt: skip
def test_a_word_finds_its_plural_and_its_singular(shop, a_product, one, other):
    shop.put("one", a_product(sku="ONE", title=one))
    shop.put("other", a_product(sku="OTHER", title=other))
    shop.catch_up()

    assert shop.found(q=one) == ["one", "other"]
    assert shop.found(q=other) == ["other", "one"]


def test_words_that_only_begin_alike_are_no_forms_of_each_other(shop, a_product):
    shop.put("one", a_product(title="Universal glue", sku="ONE"))
    shop.put("other", a_product(title="Muggle costume", sku="OTHER"))
    shop.catch_up()

    assert shop.found(q="mugs") == []
    assert shop.found(q="unicorns") == []


def test_forms_of_a_word_beyond_the_limit_are_left_out_for_the_word_itself(
    shop, a_product, monkeypatch
):
    monkeypatch.setattr(search, "CANDIDATES_MAX", 5)
    for number in range(6):
        shop.put(f"mug-{number}", a_product(sku=f"S{number}", title="Mug"))
    shop.put("set", a_product(title="Mugs"))
    shop.catch_up()

    assert shop.found(q="mugs") == ["set"]


def test_a_single_letter_is_found_as_a_word_of_its_own(shop, a_product):
    shop.put("a", a_product(title="Sign A"))
    shop.catch_up()

    assert shop.found(q="a") == ["a"]
    assert shop.found(q="sign a") == ["a"]


def test_a_listing_and_a_search_have_each_order(shop, a_product):
    fill(shop, a_product)

    for sort, found in [
        ("newest", ["lamp", "cafe-creme", "blue-mug", "red-mug"]),
        ("price", ["blue-mug", "red-mug", "cafe-creme", "lamp"]),
        ("-price", ["lamp", "cafe-creme", "red-mug", "blue-mug"]),
        ("title", ["blue-mug", "cafe-creme", "lamp", "red-mug"]),
    ]:
        assert shop.found(sort=sort) == found, sort
        assert shop.found(sort=sort, q="mug") == found, sort
    assert shop.found() == shop.found(sort="newest")


@pytest.mark.parametrize("asked", [{}, {"q": "mug"}])
def test_filters_hold_in_every_order_with_and_without_words(shop, a_product, asked):
    fill(shop, a_product)

    for filters, found in [
        ({"category": "kitchen"}, ["blue-mug", "red-mug"]),
        ({"category": "gifts", "price_max": 899}, []),
        ({"price_min": 900, "price_max": 1200}, ["blue-mug", "red-mug"]),
        ({"price_min": 901, "price_max": 2000}, ["cafe-creme", "red-mug"]),
        ({"price_min": 901, "category": "kitchen", "currency": "GBP"}, ["red-mug"]),
        ({"currency": "EUR"}, []),
    ]:
        for sort in ("price", "title", "newest"):
            assert sorted(shop.found(sort=sort, **asked, **filters)) == found, (filters, sort)


def test_a_listing_shows_what_a_shelf_needs(shop, a_product):
    price = {"amount_minor": 900, "currency": "GBP"}
    dear = {"amount_minor": 1500, "currency": "GBP"}
    shop.put(
        "mug",
        a_product(
            vendor="Kiln",
            categories=["kitchen"],
            images=[{"url": "/demo/mug.svg", "alt": "A mug"}, {"url": "/demo/2.svg"}],
            options=["Size"],
            variants=[
                {"sku": "L", "option_values": ["Large"], "price": dear},
                {"sku": "S", "option_values": ["Small"], "price": price},
            ],
        ),
    )
    shop.catch_up()

    answer = shop.search(category="kitchen")

    (summary,) = answer.body["products"]
    assert summary.pop("product_id").startswith("prd_")
    assert summary == {
        "handle": "mug",
        "title": "Mug",
        "vendor": "Kiln",
        "categories": ["kitchen"],
        "image": {"url": "/demo/mug.svg", "alt": "A mug"},
        "price_from": price,
        "price_to": dear,
        "variant_count": 2,
    }


def test_a_product_off_sale_is_not_found_and_not_counted(shop, a_product, items):
    fill(shop, a_product)

    shop.withdraw("blue-mug")
    shop.put("red-mug", a_product(sku="red-mug", published=False))
    shop.catch_up()

    assert shop.found(q="mug") == ["cafe-creme", "lamp"]
    assert shop.found(category="kitchen") == []
    assert counted(shop) == {"lighting": 1}
    assert not [item for item in items("WORD#") if item["sk"].endswith("-mug")]


def counted(shop: Any) -> dict[str, int]:
    categories = shop.call("GET", "/v1/categories").body["categories"]
    return {category["slug"]: category["product_count"] for category in categories}


def test_a_changed_product_is_found_by_its_new_words_only(shop, a_product):
    fill(shop, a_product)

    shop.put("lamp", a_product(title="Green lantern", sku="lamp", categories=["garden"]))
    shop.catch_up()

    assert shop.found(q="desk") == []
    assert shop.found(q="lantern", category="garden") == ["lamp"]
    assert counted(shop) == {"garden": 1, "gifts": 1, "kitchen": 2}


def test_changes_that_come_late_twice_and_shuffled_leave_the_newest(shop, a_product, stream, items):
    shop.put("mug", a_product(title="Old mug", categories=["kitchen"]))
    shop.put("mug", a_product(title="Middle mug", categories=["gifts"]))
    shop.put("mug", a_product(title="New mug", categories=["gifts", "garden"]))
    records = stream()
    shop.index_records(records)
    right = everything_indexed(items)

    shuffled = [*records, *records]
    random.Random(7).shuffle(shuffled)
    for record in shuffled:
        assert shop.index_records([record]) == {"batchItemFailures": []}

    assert everything_indexed(items) == right
    assert shop.found(q="mug") == ["mug"]
    assert shop.found(q="old") == []
    assert counted(shop) == {"garden": 1, "gifts": 1}


def test_a_product_that_could_not_be_indexed_comes_again_and_holds_up_no_other(
    shop, a_product, stream, catalog_app, monkeypatch
):
    shop.put("one", a_product())
    shop.put("two", a_product(sku="TWO"))
    records = stream()
    monkeypatch.setattr(catalog_app.index(), "_advance", _refusing("one", catalog_app.index()))

    answer = shop.index_records(records)

    assert answer == {
        "batchItemFailures": [{"itemIdentifier": records[0]["dynamodb"]["SequenceNumber"]}]
    }
    assert shop.found() == ["two"]


def _refusing(handle: str, index: search.DynamoDBSearch) -> Any:
    advance = index._advance

    def refuse(product: Any, *arguments: Any, **options: Any) -> None:
        if product.handle == handle:
            raise UnavailableError("throttled")
        advance(product, *arguments, **options)

    return refuse


def rebuilding(shop: Any) -> Iterator[int]:
    """Rebuild step by step, telling after each how many products it did."""
    cursor = None
    while True:
        body = {"cursor": cursor} if cursor else {}
        answer = shop.call("POST", "/v1/products/rebuild-search", body=body).body
        yield answer["products"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return


def rebuild(shop: Any) -> int:
    return sum(rebuilding(shop))


def drop(client: Any, indexed: list[dict[str, Any]]) -> None:
    for item in indexed:
        key = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
        client.delete_item(TableName="tradepost-test-catalog", Key=key)


@pytest.mark.parametrize("kept", ["nothing", "the guards"])
def test_a_dropped_index_is_rebuilt_equal(shop, a_product, items, client, kept):
    fill(shop, a_product)
    shop.put("off", a_product(published=False))
    shop.catch_up()
    whole = everything_indexed(items)
    drop(client, [item for item in whole if item["sk"] != "INDEX" or kept == "nothing"])

    count = rebuild(shop)

    assert count == 5
    assert everything_indexed(items) == whole


@pytest.mark.parametrize("seed", range(4))
def test_an_index_dropped_and_rebuilt_amid_edits_ends_as_the_live_one(
    shop, a_product, items, stream, client, monkeypatch, seed
):
    monkeypatch.setattr(searching, "REBUILT_PER_CALL_MAX", 3)
    chance = random.Random(seed)
    handles = [f"thing-{number}" for number in range(10)]
    titles = ("Old", "New", "Odd")

    def edit(handle: str) -> None:
        title = f"{chance.choice(titles)} {handle}"
        categories = chance.sample(["kitchen", "gifts", "garden"], 2)
        shop.put(handle, a_product(sku=handle, title=title, categories=categories,
                                   published=chance.random() < 0.8))  # fmt: skip

    for handle in handles:
        edit(handle)
    shop.catch_up()
    drop(client, everything_indexed(items))

    late: list[dict[str, Any]] = []
    for _ in rebuilding(shop):
        for handle in chance.choices([*handles, f"new-{chance.random()}"], k=3):
            edit(handle)
        late += stream()
        chance.shuffle(late)
        shop.index_records([late.pop() for _ in range(len(late) // 2)])
    for record in late:
        shop.index_records([record])
    rebuilt = everything_indexed(items)

    drop(client, rebuilt)
    rebuild(shop)
    # A category that nothing is in any more may be left behind, and is not listed.
    assert counted_only(rebuilt) == counted_only(everything_indexed(items))


def counted_only(indexed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in indexed if item["pk"] != "CATEGORIES" or item["product_count"]]


def test_a_rebuild_that_read_before_an_edit_does_not_undo_it(
    shop, a_product, items, catalog_app, monkeypatch
):
    shop.put("mug", a_product(title="Old mug"))
    shop.catch_up()
    products = catalog_app.products()
    read = products.find_many

    def overtaken(handles: Any) -> Any:
        found = read(handles)
        shop.put("mug", a_product(title="New mug"))
        shop.catch_up()
        return found

    monkeypatch.setattr(products, "find_many", overtaken)
    rebuild(shop)

    assert shop.found(q="new") == ["mug"]
    assert shop.found(q="old") == []


def test_rebuilding_a_whole_index_changes_nothing_and_mends_a_wrong_count(
    shop, a_product, items, client
):
    fill(shop, a_product)
    whole = everything_indexed(items)
    client.update_item(
        TableName="tradepost-test-catalog",
        Key={"pk": {"S": "CATEGORIES"}, "sk": {"S": "kitchen"}},
        UpdateExpression="SET product_count = :wrong",
        ExpressionAttributeValues={":wrong": {"N": "77"}},
    )

    rebuild(shop)

    assert everything_indexed(items) == whole


def pages(shop: Any, after_each_page: Any = None, **query: Any) -> list[str]:
    found: list[str] = []
    while True:
        body = shop.search(limit=3, **query).body
        found += [product["handle"] for product in body["products"]]
        if body["next_cursor"] is None:
            return found
        if after_each_page is not None:
            after_each_page(len(found))
        query["cursor"] = body["next_cursor"]


@pytest.mark.parametrize("words", [None, "thing"])
@pytest.mark.parametrize("sort", ["title", "price", "-price", "newest", "relevance"])
def test_paging_while_others_insert_and_withdraw_gives_no_duplicate_and_no_gap(
    shop, a_product, sort, words
):
    numbers = list(range(10, 90, 10))
    random.Random(3).shuffle(numbers)
    for minutes, number in enumerate(numbers):
        set_clock(lambda moment=MORNING + timedelta(minutes=minutes): moment)
        shop.put(f"thing-{number}", a_product(amount=number, sku=f"S{number}",
                                              title=f"Thing {number}"))  # fmt: skip
    shop.catch_up()

    def meddle(seen: int) -> None:
        for number in (1, 45, 99):
            handle = f"thing-{number}-{seen}"
            shop.put(handle, a_product(amount=number, sku=handle, title=f"Thing {number}"))
        shop.catch_up()

    query = {"sort": sort, **({"q": words} if words else {})}
    found = pages(shop, after_each_page=meddle, **query)

    assert len(found) == len(set(found))
    assert {f"thing-{number}" for number in numbers} <= set(found)


def test_a_page_goes_on_after_an_item_that_is_gone_meanwhile(shop, a_product):
    for number in range(8):
        shop.put(f"thing-{number}", a_product(sku=f"S{number}", title=f"Thing {number}"))
    shop.catch_up()

    def meddle(seen: int) -> None:
        shop.withdraw(f"thing-{seen - 1}")
        shop.catch_up()

    assert pages(shop, after_each_page=meddle, sort="title") == [f"thing-{n}" for n in range(8)]


def test_a_page_of_a_narrow_filter_may_be_short_but_the_pages_hold_all(
    shop, a_product, monkeypatch
):
    monkeypatch.setattr(search, "_READ_ITEMS", 2)
    monkeypatch.setattr(search, "_READS_MAX", 2)
    for number in range(12):
        shop.put(f"thing-{number:02}", a_product(sku=f"S{number}", amount=number,
                                                 title=f"Thing {number:02}"))  # fmt: skip
    shop.catch_up()

    first = shop.search(sort="title", price_min=10, limit=3).body

    assert first["products"] == []
    assert first["next_cursor"] is not None
    assert pages(shop, sort="title", price_min=10) == ["thing-10", "thing-11"]


def test_a_cursor_of_another_question_is_refused(shop, a_product):
    fill(shop, a_product)
    cursor = shop.search(sort="title", limit=1).body["next_cursor"]

    other = shop.search(sort="price", limit=1, cursor=cursor)
    forged = shop.search(sort="title", limit=1, cursor=cursor[:-2])
    wider = shop.search(sort="title", limit=50, cursor=cursor)

    assert (other.status, other.body["code"]) == (400, "invalid_cursor")
    assert forged.status == 400
    assert len(wider.body["products"]) == 3


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 101}, {"sort": "random"}, {"price_min": -1}, {"currency": "gbp"},
     {"q": "x" * 201}, {"page": 2}],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(shop, query):
    assert shop.search(**query).status == 422


def test_a_common_word_reads_no_more_than_the_limit_and_a_second_word_makes_it_complete(
    shop, a_product, monkeypatch
):
    monkeypatch.setattr(search, "CANDIDATES_MAX", 5)
    for number in range(9):
        colour = "vermilion" if number == 8 else "red"
        shop.put(f"thing-{number}", a_product(sku=f"S{number}", title=f"Common {colour}"))
    shop.catch_up()

    assert shop.found(q="common") == [f"thing-{number}" for number in range(5)]
    assert shop.found(q="comm vermilion") == ["thing-8"]


def test_a_product_of_many_words_and_categories_is_exchanged_whole(shop, a_product):
    for turn in ("a", "b"):
        shop.put(
            "mug",
            a_product(
                title=" ".join(f"{turn}word{number}" for number in range(30)),
                tags=[f"{turn}tag{number}" for number in range(100)],
                categories=[f"{turn}-{number}" for number in range(6)],
            ),
        )
        shop.catch_up()

    assert shop.found(q="bword29") == ["mug"]
    assert shop.found(q="aword29") == []
    assert set(counted(shop).values()) == {1}


def test_the_relay_publishes_nothing_the_index_reads_and_the_index_nothing_it_wrote(
    shop, a_product, stream
):
    shop.put("mug", a_product())

    shop.catch_up()

    assert stream() == []

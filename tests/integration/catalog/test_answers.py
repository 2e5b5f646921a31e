"""What the public reads of the catalogue is kept for a while, and no longer than stated."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tradepost.kernel.clock import set_clock
from tradepost.platform import aws

MONDAY = datetime(2026, 3, 2, 9, 10, tzinfo=UTC)


def show(shop: Any, **sent: Any) -> Any:
    return shop.show("mug", **sent)


def search(shop: Any, **sent: Any) -> Any:
    return shop.call("GET", "/v1/products", query={"q": "mug"}, **sent)


def browse(shop: Any, **sent: Any) -> Any:
    return shop.call("GET", "/v1/products", query={"limit": "1"}, **sent)


def list_categories(shop: Any, **sent: Any) -> Any:
    return shop.call("GET", "/v1/categories", **sent)


EVERY_READ = pytest.mark.parametrize("read", [show, search, browse, list_categories])


@pytest.fixture
def passes(client: Any) -> Any:
    """A clock that stands until so many seconds are said to pass."""
    moment = MONDAY

    def move(seconds: float) -> None:
        nonlocal moment
        moment += timedelta(seconds=seconds)

    set_clock(lambda: moment)
    return move


@pytest.fixture
def mugs(shop: Any, a_product: Any, passes: Any) -> Any:
    """Two products on sale, found by the index, and nothing of them read yet."""
    shop.put("mug", a_product(sku="MUG", title="Mug", categories=["kitchen"]))
    shop.put("mug-large", a_product(sku="LARGE", title="Large mug", categories=["kitchen"]))
    shop.catch_up()
    return shop


@pytest.fixture
def calls(mugs: Any) -> Counter[str]:
    """What DynamoDB is asked from here on, and how often."""
    counted: Counter[str] = Counter()
    # First: another that answers a call in moto's stead ends the asking of those behind it.
    aws.dynamodb().meta.events.register_first(
        "before-call.dynamodb", lambda model, **_: counted.update([model.name])
    )
    return counted


def price_shown(shop: Any) -> int:
    amount: int = shop.show("mug").body["variants"][0]["price"]["amount_minor"]
    return amount


def price_listed(shop: Any) -> int:
    (mug,) = (each for each in search(shop).body["products"] if each["handle"] == "mug")
    amount: int = mug["price_from"]["amount_minor"]
    return amount


# Read once


@EVERY_READ
def test_a_warm_read_asks_nothing_of_aws(mugs, calls, read):
    first = read(mugs)
    calls.clear()

    again = [read(mugs) for _ in range(5)]

    assert {answer.text for answer in again} == {first.text}
    assert calls == {}


@EVERY_READ
def test_a_cold_read_asks_once_and_the_next_when_the_time_is_over(mugs, calls, passes, read):
    read(mugs)
    once = calls.copy()
    passes(30)
    read(mugs)

    assert once.total() <= 2
    assert calls == once + once


def test_a_product_is_kept_as_its_last_write_left_it(mugs, calls):
    requests = []
    aws.dynamodb().meta.events.register_first(
        "before-parameter-build.dynamodb.GetItem", lambda params, **_: requests.append(params)
    )

    show(mugs)

    assert [request["ConsistentRead"] for request in requests] == [True]


def test_each_page_and_each_question_is_kept_for_itself(mugs, calls):
    first = browse(mugs).body
    second = mugs.search(limit=1, cursor=first["next_cursor"]).body
    dearest = mugs.search(limit=1, sort="-price").body

    assert first["products"] != second["products"]
    assert calls["Query"] == 3
    assert dearest["next_cursor"] != first["next_cursor"]


# A price change


def test_a_price_change_is_seen_at_once_by_the_instance_that_made_it(mugs, a_product):
    before = price_shown(mugs)

    mugs.put("mug", a_product(sku="MUG", title="Mug", amount=1300))

    assert (before, price_shown(mugs)) == (1200, 1300)


def test_a_price_change_is_seen_at_once_where_its_event_arrived(mugs, elsewhere, a_product):
    before = price_shown(mugs), price_listed(mugs)

    elsewhere.put("mug", a_product(sku="MUG", title="Mug", amount=1300))
    mugs.catch_up()

    assert before == (1200, 1200)
    assert (price_shown(mugs), price_listed(mugs)) == (1300, 1300)


def test_a_price_change_is_seen_by_every_other_instance_within_the_bound(
    mugs, elsewhere, a_product, passes
):
    price_shown(mugs), price_listed(mugs)
    passes(1)
    elsewhere.put("mug", a_product(sku="MUG", title="Mug", amount=1300))
    elsewhere.catch_up()

    passes(28.999)
    before = price_shown(mugs), price_listed(mugs)
    passes(0.001)

    assert before == (1200, 1200)
    assert (price_shown(mugs), price_listed(mugs)) == (1300, 1300)


def test_what_instance_browser_and_cdn_keep_together_is_no_older_than_the_bound(mugs, passes):
    told = []
    for seconds in (0, 10, 19.5):
        passes(seconds)
        told.append(show(mugs).headers["Cache-Control"])

    assert told == ["public, max-age=30", "public, max-age=20", "public, max-age=0"]


def test_a_withdrawn_product_is_gone_at_once_here_and_within_the_bound_elsewhere(
    mugs, elsewhere, passes
):
    show(mugs), show(elsewhere)

    mugs.withdraw("mug")
    here, there = show(mugs), show(elsewhere)
    passes(30)

    assert (here.status, there.status, show(elsewhere).status) == (404, 200, 404)


def test_a_batch_is_seen_at_once_by_the_instance_that_took_it(mugs, a_product):
    show(mugs)

    mugs.batch(a_product("mug", sku="MUG", amount=1400))

    assert price_shown(mugs) == 1400


def test_an_import_elsewhere_leaves_the_listings_right_after_its_events(mugs, elsewhere, a_product):
    search(mugs), list_categories(mugs)

    elsewhere.batch(a_product("mug-tall", categories=["kitchen"], title="Tall mug"))
    mugs.catch_up()

    assert len(search(mugs).body["products"]) == 3
    assert list_categories(mugs).body["categories"][0]["product_count"] == 3


def test_an_index_built_anew_is_listed_at_once(mugs, client, items):
    for item in items("WORD#mu"):
        client.delete_item(
            TableName="tradepost-test-catalog", Key={key: {"S": item[key]} for key in ("pk", "sk")}
        )
    assert search(mugs).body["products"] == []

    mugs.call("POST", "/v1/products/rebuild-search", body={})

    assert len(search(mugs).body["products"]) == 2


# What there is not


def test_that_a_product_is_unknown_is_kept_for_five_seconds(
    mugs, elsewhere, a_product, passes, calls
):
    unknown = [mugs.show("cup").status for _ in range(3)]
    assert calls["GetItem"] == 1
    elsewhere.put("cup", a_product(sku="CUP"))

    passes(4.9)
    before = mugs.show("cup").status
    passes(0.1)

    assert (unknown, before, mugs.show("cup").status) == ([404] * 3, 404, 200)


def test_a_product_put_on_sale_is_shown_at_once_although_it_was_asked_for_before(mugs, a_product):
    assert mugs.show("cup").status == 404

    mugs.put("cup", a_product(sku="CUP"))

    assert mugs.show("cup").status == 200


def test_a_refusal_may_be_kept_by_nobody(mugs):
    refused = [mugs.show("cup"), mugs.search(cursor="forged")]

    assert [answer.status for answer in refused] == [404, 400]
    for answer in refused:
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers


def test_a_forged_cursor_is_refused_each_time(mugs):
    assert [mugs.search(cursor="forged").body["code"] for _ in range(2)] == ["invalid_cursor"] * 2


def test_a_fault_of_the_table_is_not_kept(mugs, passes):
    events = aws.dynamodb().meta.events

    def fails(**_: Any) -> None:
        raise ConnectionError

    events.register_first("before-call.dynamodb.GetItem", fails)
    broken = show(mugs)
    events.unregister("before-call.dynamodb.GetItem", fails)

    assert (broken.status, show(mugs).status) == (500, 200)


# Who has it already


@EVERY_READ
def test_whoever_has_the_answer_is_spared_its_body(mugs, read):
    had = read(mugs)

    spared = read(mugs, headers={"if-none-match": had.headers["ETag"]})

    assert (spared.status, spared.text) == (304, "")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert spared.headers[name] == had.headers[name]
    assert "Content-Type" not in spared.headers


@EVERY_READ
def test_a_validator_is_strong_and_the_same_for_the_same_bytes(mugs, elsewhere, passes, read):
    tags = []
    for instance in (mugs, elsewhere):
        tags.append(read(instance).headers["ETag"])
        passes(31)
        tags.append(read(instance).headers["ETag"])

    assert len(set(tags)) == 1
    assert tags[0].startswith('"')


@EVERY_READ
def test_who_has_an_older_answer_gets_the_new_one(mugs, a_product, read):
    had = read(mugs)
    for handle, sku in (("mug", "MUG"), ("mug-large", "LARGE")):
        mugs.put(handle, a_product(sku=sku, title="Mug", amount=1, categories=["bar"]))
    mugs.catch_up()

    given = read(mugs, headers={"if-none-match": had.headers["ETag"]})

    assert given.status == 200
    assert given.headers["ETag"] != had.headers["ETag"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("{}", 304),
        ("W/{}", 304),  # a gateway that compresses may weaken it
        ('"other", {}', 304),
        ("*", 304),
        ('"other"', 200),
        ('W/"other", "another"', 200),
        ("", 200),
        ("no tag at all", 200),
        ('"' * 5_000, 200),
    ],
)
def test_only_the_tag_of_this_very_answer_spares_it(mugs, sent, status):
    tag = show(mugs).headers["ETag"]

    assert show(mugs, headers={"if-none-match": sent.replace("{}", tag)}).status == status


def test_a_product_that_is_gone_is_404_whatever_the_caller_has(mugs):
    tag = show(mugs).headers["ETag"]
    mugs.withdraw("mug")

    assert show(mugs, headers={"if-none-match": tag}).status == 404
    assert show(mugs, headers={"if-none-match": "*"}).status == 404


@EVERY_READ
def test_an_answer_is_the_same_for_everybody_and_says_so(mugs, read):
    alone = read(mugs, role="guest")
    staff = read(mugs, role="admin", headers={"authorization": "Bearer x", "origin": "https://a"})

    assert alone.text == staff.text
    assert alone.headers["ETag"] == staff.headers["ETag"]
    assert alone.headers["Vary"] == "Accept-Encoding"

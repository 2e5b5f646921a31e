"""Categories as a merchant describes them and a customer goes through them."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.dynamodb_categories import DynamoDBCategories
from catalog.model.category import NO_CATEGORIES, InvalidCategoryError, Place
from catalog.use_cases import filing
from tests.integration.catalog.conftest import TABLE
from tradepost.kernel.errors import StaleError


@pytest.fixture
def home(shop: Any, a_product: Any) -> Any:
    """Kitchen and its mugs and cups inside of home; a product in each, and one in two of them."""
    for slug, parent in (("home", None), ("kitchen", "home"), ("mugs", "kitchen"),
                         ("cups", "kitchen"), ("garden", None)):  # fmt: skip
        assert shop.describe(slug, slug.title(), parent).status == 200
    for amount, (handle, categories) in enumerate(
        [("lamp", ["home"]), ("pan", ["kitchen"]), ("mug", ["mugs"]), ("cup", ["cups"]),
         ("set", ["mugs", "cups"]), ("rake", ["garden"]), ("gift", ["odds-and-ends"])]
    ):  # fmt: skip
        product = a_product(title=handle, amount=100 + amount, sku=handle, categories=categories)
        shop.put(handle, product)
    shop.catch_up()
    return shop


def listed(shop: Any, resource: str = "/v1/categories") -> dict[str, tuple[Any, ...]]:
    answer = shop.call("GET", resource)
    return {
        each["slug"]: (each["title"], each["parent"], each["product_count"])
        for each in answer.body["categories"]
    }


def pages(shop: Any, after_each_page: Any = None, **query: Any) -> list[str]:
    found: list[str] = []
    while True:
        body = shop.search(**query).body
        found += [product["handle"] for product in body["products"]]
        if body["next_cursor"] is None:
            return found
        if after_each_page is not None:
            after_each_page(len(found))
        query["cursor"] = body["next_cursor"]


def test_a_category_is_browsed_with_all_that_is_in_it_each_product_once(home):
    for sort in ("price", "-price", "title", "newest"):
        everything = [each for each in home.found(sort=sort) if each not in ("rake", "gift")]
        for limit in (1, 2, 20):
            assert pages(home, category="home", sort=sort, limit=limit) == everything, sort
            assert pages(home, category="cups", sort=sort, limit=limit) == [
                each for each in everything if each in ("cup", "set")
            ], sort


def test_a_filter_and_words_hold_in_all_that_is_in_a_category(home):
    assert home.found(category="home", price_min=102, sort="price") == ["mug", "cup", "set"]
    assert pages(home, category="home", price_max=101, sort="title", limit=1) == ["lamp", "pan"]
    assert home.found(category="kitchen", q="mugs") == ["mug", "set"]
    assert home.found(category="garden", q="mugs") == []


def test_paging_through_a_category_while_others_insert_gives_no_duplicate_and_no_gap(
    home, a_product
):
    def meddle(seen: int) -> None:
        for slug in ("mugs", "cups", "home")[: 3 if seen < 6 else 0]:
            handle = f"{slug}-{seen}"
            home.put(handle, a_product(sku=handle, amount=100 + seen, categories=[slug]))
        home.catch_up()

    found = pages(home, after_each_page=meddle, category="home", sort="price", limit=2)

    assert len(found) == len(set(found))
    assert {"lamp", "pan", "mug", "cup", "set"} <= set(found)


def test_a_category_has_its_title_its_place_and_its_own_products(home):
    home.describe("empty", "Nothing here")

    assert listed(home) == {
        "cups": ("Cups", "kitchen", 2),
        "garden": ("Garden", None, 1),
        "home": ("Home", None, 1),
        "kitchen": ("Kitchen", "home", 1),
        "mugs": ("Mugs", "kitchen", 2),
        "odds-and-ends": ("Odds and ends", None, 1),
    }
    assert listed(home, "/v1/staff/categories")["empty"] == ("Nothing here", None, 0)


def test_a_category_that_leads_to_products_is_shown_though_it_holds_none(home):
    home.withdraw("lamp")
    home.withdraw("pan")
    home.catch_up()

    assert {
        slug: each[2] for slug, each in listed(home).items() if slug in ("home", "kitchen")
    } == {
        "home": 0,
        "kitchen": 0,
    }


def test_a_category_is_renamed_and_its_products_stay_in_it(home):
    home.describe("mugs", "Mugs & beakers", "kitchen")

    assert listed(home)["mugs"] == ("Mugs & beakers", "kitchen", 2)
    assert set(home.found(category="mugs")) == {"mug", "set"}


def test_a_category_is_moved_with_its_products_and_none_is_written(home, items, stream):
    stream()

    home.describe("mugs", "Mugs", "garden")

    assert set(home.found(category="garden")) == {"rake", "mug", "set"}
    assert set(home.found(category="kitchen")) == {"pan", "cup", "set"}
    assert stream() == []


def test_a_category_cannot_be_moved_into_itself(home, items):
    before = items()

    refused = home.describe("home", "Home", "mugs")

    assert (refused.status, refused.body["code"], refused.body["field"]) == (
        422,
        "invalid_category",
        "parent",
    )
    assert items() == before


def test_a_category_is_not_deleted_while_something_is_in_it(home, a_product):
    home.describe("sale", "Sale")
    home.put("old", a_product(sku="OLD", categories=["sale"], published=False))
    home.catch_up()

    refused = [home.forget_category(slug) for slug in ("kitchen", "garden", "sale")]
    unknown = home.forget_category("odds-and-ends")

    assert [(each.status, each.body["code"], each.body["holds"]) for each in refused] == [
        (409, "category_in_use", "categories"),
        (409, "category_in_use", "products"),
        (409, "category_in_use", "products"),
    ]
    assert (unknown.status, unknown.body["code"]) == (404, "category_not_found")


def test_a_category_is_deleted_when_all_has_gone_from_it(home, a_product):
    home.put("rake", a_product(sku="rake", categories=["home"]))
    home.catch_up()

    assert home.forget_category("garden").status == 204
    assert "garden" not in listed(home, "/v1/staff/categories")


def test_of_two_who_read_one_version_of_the_categories_the_second_is_refused(home):
    version = int(home.call("GET", "/v1/staff/categories").headers["ETag"].strip('"'))

    first = home.describe("mugs", "Beakers", "kitchen", seen=version)
    second = home.describe("cups", "Teacups", "kitchen", seen=version)
    third = home.forget_category("cups", seen=version)

    assert first.status == 200
    assert [(each.status, each.body["code"]) for each in (second, third)] == [
        (412, "version_mismatch")
    ] * 2
    assert listed(home)["cups"][0] == "Cups"


def test_two_moves_at_once_make_no_circle(client):
    repository = DynamoDBCategories(client, TABLE)
    for slug in ("a", "b"):
        filing.put_category(Place(slug, slug, None), version=None, categories=repository)

    class Overtaken(DynamoDBCategories):
        overtaken = False

        def save(self, tree: Any) -> None:
            if not self.overtaken:
                self.overtaken = True
                filing.put_category(Place("b", "b", "a"), version=None, categories=repository)
            super().save(tree)

    with pytest.raises(InvalidCategoryError):
        filing.put_category(Place("a", "a", "b"), version=None, categories=Overtaken(client, TABLE))

    assert repository.tree().with_those_below("a") == ("a", "b")


def test_a_version_of_the_categories_is_written_once(client):
    repository = DynamoDBCategories(client, TABLE)
    first = NO_CATEGORIES.with_place(Place("a", "a", None))
    repository.save(first)

    for tree in (first, first.with_place(Place("b", "b", None)).with_place(Place("c", "c", None))):
        with pytest.raises(StaleError):
            repository.save(tree)

    assert repository.tree() == first


def test_only_an_administrator_describes_categories(shop):
    for role in ("guest", "customer", "support", "warehouse"):
        body = {"title": "Mine"}
        refused = shop.call(
            "PUT", "/v1/categories/{slug}", path={"slug": "mugs"}, body=body, role=role
        )
        assert refused.status == 403, role

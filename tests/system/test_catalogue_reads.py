"""The catalogue's memory in the whole shop: nothing asked when warm, nothing old after a change."""

from __future__ import annotations

from typing import Any

from infra.local import call_counts
from tests.system.shopper import Town

READS = ("/v1/products/mug", "/v1/products?q=product", "/v1/products", "/v1/categories")


def read_all(town: Town) -> list[Any]:
    return [town.nobody.get(path).json() for path in READS]


def test_reads_from_a_warm_cache_make_no_call_of_aws(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    cold = read_all(town)
    before = call_counts.counted()

    warm = [read_all(town) for _ in range(5)]

    made = {name: n - before.get(name, 0) for name, n in call_counts.counted().items()}
    assert warm == [cold] * 5
    # What the pump polls is no doing of theirs.
    assert [made.get(f"dynamodb.{name}", 0) for name in ("GetItem", "BatchGetItem", "Query")] == [
        0, 0, 0,
    ]  # fmt: skip


def test_a_price_change_is_shown_at_once_listed_after_its_event_and_never_sold_past(
    town: Town,
) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1200)
    read_all(town)
    guest = town.guest()
    guest.fills_cart(MUG=1)

    town.sells("MUG", on_hand=10, amount_minor=1300)

    shown, found, listed, _ = read_all(town)
    assert shown["variants"][0]["price"]["amount_minor"] == 1300
    for page in (found, listed):
        assert [each["price_from"]["amount_minor"] for each in page["products"]] == [1300]
    refused = guest.checks_out(1200)
    assert (refused.status_code, refused.json()["code"]) == (409, "cart_changed")


def test_stock_is_read_each_time_and_kept_by_nobody(town: Town) -> None:
    town.sells("MUG", on_hand=10)

    seen = []
    for on_hand in (10, 3, 0):
        town.stocks("MUG", on_hand)
        answer = town.nobody.get("/v1/stock/MUG")
        seen.append((answer.json()["available"], answer.headers["cache-control"]))

    assert seen == [(10, "no-store"), (3, "no-store"), (0, "no-store")]


def test_a_shop_begun_anew_remembers_nothing(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    assert town.nobody.get("/v1/products/mug").status_code == 200

    town.stack.reset()

    assert town.nobody.get("/v1/products/mug").status_code == 404

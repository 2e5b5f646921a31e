"""Stock over HTTP: warehouses, shards, thresholds, back-orders, from setting to parcel."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.system.books import items
from tests.system.parcels import bought
from tests.system.shopper import Town


def kept(town: Town, sku: str = "MUG", **how: Any) -> httpx.Response:
    return town.admin.put(f"/v1/stock/{sku}/keeping", {"reason": "test", **how})


def open_warehouse(town: Town, code: str, country: str, **more: Any) -> httpx.Response:
    body = {"name": code.title(), "country": country, **more}
    return town.admin.put(f"/v1/staff/warehouses/{code}", body)


def receives(town: Town, units: int, key: str, **more: Any) -> httpx.Response:
    body = {"quantity": units, "reason": "delivery 4711", **more}
    return town.admin.post("/v1/stock/MUG/receipts", body, Idempotency_Key=key)


def picks(town: Town, order_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = town.admin.get(f"/v1/staff/picks/{order_id}").json()
    return shown


def test_a_back_ordered_parcel_waits_for_its_units_and_then_leaves(town: Town) -> None:
    town.sells("MUG", on_hand=1)
    kept(town, backorders_max=3)
    offered = town.nobody.get("/v1/stock/MUG").json()

    order = bought(town, quantity=3)
    waiting = picks(town, order.order_id)
    refused = order.staff("pick")
    left = town.nobody.get("/v1/stock/MUG").json()
    receives(town, 5, "r1")
    town.settles()
    packed = order.staff("pick")

    assert offered == {"sku": "MUG", "available": 1, "back_orders": 3}
    assert waiting["warehouses"] == [
        {"warehouse": "main", "lines": [{"sku": "MUG", "quantity": 1}]}
    ]
    assert waiting["waiting"] == [{"sku": "MUG", "quantity": 2}]
    assert (refused.status_code, refused.json()["code"]) == (409, "parcel_incomplete")
    assert left == {"sku": "MUG", "available": 0, "back_orders": 1}
    assert packed.status_code == 200
    assert picks(town, order.order_id)["waiting"] == []
    assert town.level("MUG") == (3, 0)


def test_more_than_may_be_promised_is_not_sold(town: Town) -> None:
    town.sells("MUG", on_hand=1)
    kept(town, backorders_max=1)
    buyer = town.guest()

    order_id = buyer.checks_out(buyer.fills_cart(MUG=3)).json()["order_id"]
    town.settles()

    assert buyer.get(f"/v1/checkouts/{order_id}").json()["reason"] == "out_of_stock"
    assert town.level("MUG") == (1, 0)


def test_an_order_is_sent_from_the_warehouse_of_its_country(town: Town) -> None:
    town.sells("MUG", on_hand=5)
    open_warehouse(town, "leeds", "GB")
    receives(town, 2, "r1", warehouse="leeds")

    order = bought(town, quantity=2)

    assert picks(town, order.order_id)["warehouses"] == [
        {"warehouse": "leeds", "lines": [{"sku": "MUG", "quantity": 2}]}
    ]
    shelf = town.admin.get("/v1/stock/MUG/levels").json()
    assert {one["warehouse"]: one["on_hand"] for one in shelf["warehouses"]} == {
        "main": 5,
        "leeds": 0,
    }


def test_units_of_a_warehouse_nobody_opened_are_refused(town: Town) -> None:
    town.sells("MUG", on_hand=5)

    for refused in (
        receives(town, 1, "r1", warehouse="atlantis"),
        town.admin.put(
            "/v1/stock/MUG/count", {"on_hand": 1, "reason": "test", "warehouse": "atlantis"}
        ),
        open_warehouse(town, "Not A Code", "GB"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_warehouse")
    closing = open_warehouse(town, "main", "GB", is_open=False)
    assert (closing.status_code, closing.json()["code"]) == (422, "main_warehouse")


@pytest.mark.parametrize("shards", [1, 4])
def test_a_fall_below_the_threshold_is_told_to_the_world_once(town: Town, shards: int) -> None:
    town.sells("MUG", on_hand=4)
    kept(town, shards=shards, low_at=3)

    bought(town, quantity=2)
    bought(town, quantity=2)

    shelf = items("inventory", "SKU#MUG")
    assert [sk for sk in shelf if sk.startswith("OUTBOX#")] == []
    assert shelf["STOCK#main"]["tellings"] == 2
    assert town.level("MUG") == (0, 0)


def test_a_correction_says_why_in_a_word_and_in_words(town: Town) -> None:
    town.sells("MUG", on_hand=5)
    body = {"delta": -1, "code": "damaged", "reason": "fell off the ladder"}

    town.admin.post("/v1/stock/MUG/adjustments", body, Idempotency_Key="a1")
    unknown = town.admin.post(
        "/v1/stock/MUG/adjustments", {**body, "code": "whim"}, Idempotency_Key="a2"
    )

    entries = [one for sk, one in items("inventory", "SKU#MUG").items() if sk.startswith("ENTRY#")]
    assert ("damaged", "fell off the ladder") in [(one["code"], one["reason"]) for one in entries]
    assert unknown.status_code == 422
    assert town.level("MUG") == (4, 0)


def test_shards_are_one_four_or_sixteen(town: Town) -> None:
    town.sells("MUG", on_hand=5)

    assert [kept(town, shards=shards).status_code for shards in (1, 4, 16, 5)] == [200] * 3 + [422]

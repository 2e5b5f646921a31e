"""What other contexts ask orders: answered as the API would, and for orders that are not there."""

from __future__ import annotations

import json
from typing import Any

import boto3

from tests.system.shopper import Person, Town

NOWHERE = "ord_nosuchorder"


def asked(function: str, **question: Any) -> dict[str, Any]:
    answer = boto3.client("lambda").invoke(
        FunctionName=f"tradepost-local-orders-{function}", Payload=json.dumps(question).encode()
    )
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    return told


def bought(town: Town, **quantities: int) -> tuple[Person, str]:
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(**quantities)).json()["order_id"]
    town.settles()
    return guest, order_id


def test_an_orders_standing_is_what_its_customer_sees(town: Town) -> None:
    town.sells("MUG", on_hand=1)
    for end in ("CONFIRMED", "CANCELLED"):
        guest, order_id = bought(town, MUG=1)

        told = asked("order_standing", order_id=order_id)

        order = guest.get(f"/v1/orders/{order_id}").json()
        assert (told["status"], told["reason"]) == (end, order["reason"])
        assert (told["total_minor"], told["currency"]) == (1250, "GBP")
        assert told["customer_id"] == order["customer_id"]
        assert told.keys() == {
            "order_id",
            "status",
            "reason",
            "customer_id",
            "total_minor",
            "currency",
            "placed_at",
            "updated_at",
        }


def test_an_order_that_is_not_there_stands_nowhere(town: Town) -> None:
    assert asked("order_standing", order_id=NOWHERE)["status"] is None
    assert asked("order_lines", order_id=NOWHERE)["status"] is None


def test_an_orders_lines_are_told_with_the_prices_they_were_bought_at(town: Town) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1250)
    town.sells("CUP", on_hand=10, amount_minor=900)
    _, order_id = bought(town, MUG=2, CUP=1)
    town.sells("MUG", on_hand=10, amount_minor=9999)

    told = asked("order_lines", order_id=order_id)

    lines = {line["sku"]: (line["quantity"], line["unit_price_minor"]) for line in told["lines"]}
    assert lines == {"MUG": (2, 1250), "CUP": (1, 900)}
    assert (told["status"], told["shipping_minor"], told["currency"]) == ("CONFIRMED", 0, "GBP")


def test_the_orders_of_a_day_are_told_page_by_page(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    ids = [bought(town, MUG=1)[1] for _ in range(3)]
    day = asked("order_standing", order_id=ids[0])["placed_at"][:10]

    told = asked("orders_of_day", day=day, after=None)

    assert [order["order_id"] for order in told["orders"]] == list(reversed(ids))
    assert told["after"] is None
    assert asked("orders_of_day", day="2001-01-01")["orders"] == []


def test_what_comes_back_is_priced_and_more_than_was_bought_is_refused(town: Town) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1250)
    _, order_id = bought(town, MUG=2)
    given = {"order_id": order_id, "correlation_id": "cor_1"}
    one_mug = [{"sku": "MUG", "quantity": 1}]

    price = asked("price_return", **given, return_id="ret_1", lines=one_mug)
    again = asked("price_return", **given, return_id="ret_1", lines=one_mug)
    refused = asked("price_return", **given, return_id="ret_2", lines=one_mug * 2)
    the_other = asked("price_return", **given, return_id="ret_3", lines=one_mug)

    assert price == again == the_other == {"amount_minor": 1250, "currency": "GBP"}
    assert refused["errorType"] == "NotBoughtError"


def test_a_parcel_is_priced_for_the_warehouse(town: Town) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1250)
    _, order_id = bought(town, MUG=3)

    told = asked("price_parcel", order_id=order_id, units={"MUG": 2}, before={}, with_shipping=True)

    assert told == {"amount_minor": 2500, "currency": "GBP"}

"""What sending costs is quoted, taken to the checkout, and paid; nothing else is believed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest

from tests.system.shopper import Person, Town
from tradepost.platform import aws


def quoted(buyer: Person, **wanted: Any) -> dict[str, dict[str, Any]]:
    asked = {"country": "GB", "weight_grams": 600, "currency": "GBP", **wanted}
    answer = buyer.post("/v1/shipping/quotes", asked)
    assert answer.status_code == 200, answer.text
    return {option["service"]: option for option in answer.json()["options"]}


def a_buyer(town: Town) -> tuple[Person, int]:
    """Have a guest put two mugs of 300 grams in the cart."""
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    return guest, guest.fills_cart(MUG=2)


def checks_out(
    buyer: Person, total_minor: int, quote: str, key: str = "key-1", **address: str
) -> Any:
    body = {
        "email": "grace@example.com",
        "shipping_address": {
            "name": "Grace Guest",
            "line1": "1 Harbour Road",
            "city": "Whitby",
            "postal_code": "YO21 1AA",
            "country": "GB",
            **address,
        },
        "payment_method": "pm_card_ok",
        "expected_total": {"amount_minor": total_minor, "currency": "GBP"},
        "shipping_quote": quote,
    }
    return buyer.post("/v1/checkouts", body, Idempotency_Key=key)


def test_a_cart_tells_what_to_ask_a_quote_for(town: Town) -> None:
    guest, _ = a_buyer(town)

    assert guest.get("/v1/cart").json()["weight_grams"] == 600


def test_an_order_is_paid_and_sent_as_it_was_quoted(town: Town) -> None:
    guest, total = a_buyer(town)
    express = quoted(guest)["express"]

    accepted = checks_out(guest, total + 795, express["quote"])
    town.settles()

    order_id = accepted.json()["order_id"]
    assert accepted.json()["shipping"] == {"amount_minor": 795, "currency": "GBP"}
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == "CONFIRMED"
    assert town.payment(order_id)["captured"]["amount_minor"] == total + 795
    assert guest.get(f"/v1/shipments/{order_id}").json()["service"] == "express"
    assert guest.get(f"/v1/orders/{order_id}").json()["shipping"]["amount_minor"] == 795


def test_without_a_quote_an_order_is_sent_slowly_and_free(town: Town) -> None:
    guest, total = a_buyer(town)

    order_id = guest.checks_out(total).json()["order_id"]
    town.settles()

    assert town.payment(order_id)["captured"]["amount_minor"] == total
    assert guest.get(f"/v1/shipments/{order_id}").json()["service"] == "free"


def test_the_total_has_to_be_seen_with_the_shipping(town: Town) -> None:
    guest, total = a_buyer(town)

    refused = checks_out(guest, total, quoted(guest)["express"]["quote"])

    assert (refused.status_code, refused.json()["code"]) == (409, "cart_changed")
    assert refused.json()["total"] == {"amount_minor": total + 795, "currency": "GBP"}


def test_a_quote_that_expired_is_refused(town: Town, later: Any) -> None:
    guest, total = a_buyer(town)
    express = quoted(guest)["express"]

    later(timedelta(days=1, seconds=1))
    guest = town.guest()
    guest.fills_cart(MUG=2)
    refused = checks_out(guest, total + 795, express["quote"])

    assert (refused.status_code, refused.json()["code"]) == (409, "shipping_quote_expired")
    assert guest.get("/v1/cart").json()["status"] == "OPEN"


def test_a_second_click_after_the_quotes_end_finds_its_order(town: Town, later: Any) -> None:
    guest, total = a_buyer(town)
    express = quoted(guest)["express"]["quote"]
    first = checks_out(guest, total + 795, express)
    town.settles()

    later(timedelta(days=1, seconds=1))
    again = checks_out(guest, total + 795, express)

    assert first.status_code == again.status_code == 202
    assert again.json()["order_id"] == first.json()["order_id"]


def forged(quote: str, key: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
    """Write a quote anew with other claims, under the shop's own key unless one is given."""
    told = jwt.decode(quote, options={"verify_signature": False})
    signing = key if key is not None else aws.secret("tradepost/local/quote")["key"]
    return jwt.encode({**told, **claims}, signing, algorithm=algorithm)


@pytest.mark.parametrize(
    "alter",
    [
        lambda quote: forged(quote, key="k" * 64, amount_minor=1),
        lambda quote: forged(quote, key="", algorithm="none", amount_minor=1),
        lambda quote: forged(quote, aud="something-else"),
        lambda quote: quote[:-2],
        lambda quote: quote.rpartition(".")[0] + ".",
        lambda quote: "x",
        lambda quote: "a.b.c",
    ],
    ids=["another key", "no algorithm", "another use", "cut", "unsigned", "a word", "three words"],
)
def test_a_forged_quote_is_refused(town: Town, alter: Any) -> None:
    guest, total = a_buyer(town)
    quote = quoted(guest)["economy"]["quote"]

    refused = checks_out(guest, total + 1, alter(quote))

    assert (refused.status_code, refused.json()["code"]) == (422, "shipping_quote_invalid")
    assert guest.get("/v1/cart").json()["status"] == "OPEN"


@pytest.mark.parametrize(
    ("asked", "address", "differs"),
    [
        ({"country": "FR"}, {}, "country"),
        ({}, {"country": "FR"}, "country"),
        ({"weight_grams": 599}, {}, "weight_grams"),
        ({"currency": "EUR"}, {}, "currency"),
    ],
)
def test_a_quote_of_another_parcel_is_refused(
    town: Town, asked: dict[str, Any], address: dict[str, str], differs: str
) -> None:
    guest, total = a_buyer(town)
    option = quoted(guest, **asked)["economy"]

    refused = checks_out(guest, total + option["price"]["amount_minor"], option["quote"], **address)

    assert (refused.status_code, refused.json()["code"]) == (409, "shipping_quote_mismatch")
    assert refused.json()["differs"] == differs


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"country": "AQ"}, "destination_not_served"),
        ({"weight_grams": 30_001}, "parcel_too_heavy"),
        ({"currency": "JPY"}, "tariff_currency"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_it_is_bought(
    town: Town, wanted: dict[str, Any], code: str
) -> None:
    asked = {"country": "GB", "weight_grams": 600, "currency": "GBP", **wanted}

    refused = town.guest().post("/v1/shipping/quotes", asked)

    assert (refused.status_code, refused.json()["code"]) == (409, code)

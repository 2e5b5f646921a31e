"""Promotions and tax from the cart to the last refund, over HTTP: every book says the same."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.system.shopper import Person, Town
from tradepost.kernel.clock import to_text, utc_now

_numbers = itertools.count(1)

LONG_AGO = "2020-01-01"


def sku(town: Town, amount_minor: int = 1000, **traits: Any) -> str:
    """Put a product of one's own on sale."""
    name = f"PRICED-{next(_numbers)}"
    town.sells(name, on_hand=200, amount_minor=amount_minor)
    if traits:
        variant = {"sku": name, "price": gbp(amount_minor), "weight_grams": 300, **traits}
        product = {"title": f"Product {name}", "variants": [variant]}
        assert town.admin.put(f"/v1/products/{name.lower()}", product).status_code == 200
        town.settles()
    return name


def gbp(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "GBP"}


def announced(town: Town, **terms: Any) -> str:
    code = f"CODE-{next(_numbers)}"
    given = {"kind": "percent", "starts_at": LONG_AGO + "T00:00:00Z", **terms}
    if given["kind"] == "percent":
        given.setdefault("basis_points", 1000)
    answer = town.admin.put(f"/v1/staff/promotions/{code}", given)
    assert answer.status_code == 200, answer.text
    return code


def uses(town: Town, code: str) -> int:
    told: int = town.admin.get(f"/v1/staff/promotions/{code}").json()["uses"]
    return told


def taxes(town: Town, country: str, *, included: bool, rates: list[Any], **besides: Any) -> None:
    body = {
        "prices_include_tax": included,
        "rates": [{"valid_from": LONG_AGO, "tax_class": "standard", **rate} for rate in rates],
        **besides,
    }
    answer = town.admin.put(f"/v1/staff/taxes/{country}", body)
    assert answer.status_code == 200, answer.text


def filled(person: Person, name: str, quantity: int = 1, code: str | None = None) -> dict[str, Any]:
    answer = person.put(f"/v1/cart/lines/{name}", {"quantity": quantity})
    assert answer.status_code == 200, answer.text
    if code is not None:
        answer = person.put(f"/v1/cart/promotions/{code}", None)
        assert answer.status_code == 200, answer.text
    cart: dict[str, Any] = answer.json()
    return cart


def total(cart: dict[str, Any]) -> int:
    amount: int = cart["total"]["amount_minor"]
    return amount


def minor(*amounts: dict[str, Any]) -> list[int]:
    return [amount["amount_minor"] for amount in amounts]


def test_of_a_hundred_buyers_at_once_ten_get_a_code_of_ten_uses(lasting_town: Town) -> None:
    town = lasting_town
    name = sku(town)
    code = announced(town, uses_max=10)
    guests = [town.guest() for _ in range(100)]
    for guest in guests:
        filled(guest, name, code=code)

    def outcome(guest: Person) -> str:
        answer = guest.checks_out(900)
        return "accepted" if answer.status_code == 202 else str(answer.json()["code"])

    with ThreadPoolExecutor(24) as pool:
        outcomes = Counter(pool.map(outcome, guests))
    town.settles()

    assert outcomes == {"accepted": 10, "cart_changed": 90}
    assert uses(town, code) == 10
    assert town.level(name) == (190, 0)


def test_a_payment_that_is_declined_gives_the_use_back_and_the_cart_as_it_was(
    lasting_town: Town,
) -> None:
    town = lasting_town
    code = announced(town, uses_max=1)
    customer = town.customer()
    cart = filled(customer, sku(town), code=code)

    customer.checks_out(total(cart), method="pm_card_declined")
    town.settles()
    after = customer.get("/v1/cart").json()
    free = uses(town, code)
    customer.checks_out(total(after))
    town.settles()

    assert (after["status"], total(after), after["promotions"][0]["counts"]) == ("OPEN", 900, True)
    assert (free, uses(town, code)) == (0, 1)
    assert customer.get("/v1/cart").json()["promotions"] == []


def test_an_order_cancelled_after_it_was_confirmed_has_used_its_code(lasting_town: Town) -> None:
    town = lasting_town
    code = announced(town)
    guest = town.guest()
    order_id = guest.checks_out(total(filled(guest, sku(town), code=code))).json()["order_id"]
    town.settles()

    guest.post(f"/v1/orders/{order_id}/cancellation", {})
    town.settles()

    assert guest.get(f"/v1/orders/{order_id}").json()["status"] == "CANCELLED"
    assert uses(town, code) == 1


def test_a_code_that_ended_meanwhile_stops_the_checkout_and_says_so(lasting_town: Town) -> None:
    town = lasting_town
    code = announced(town)
    guest = town.guest()
    filled(guest, sku(town), code=code)
    assert town.admin.post(f"/v1/staff/promotions/{code}/end").status_code == 200

    refused = guest.checks_out(900)
    cart = guest.get("/v1/cart").json()

    assert (refused.status_code, refused.json()["code"]) == (409, "cart_changed")
    assert refused.json()["promotions_not_counted"] == {code: "ended"}
    assert cart["promotions"] == [{"code": code, "counts": False, "why_not": "ended"}]
    assert total(cart) == 1000
    assert guest.checks_out(1000).status_code == 202


@pytest.mark.parametrize(
    ("code", "status", "problem"),
    [("NO-SUCH-CODE", 404, "promotion_not_found"), ("*", 404, "promotion_not_found")],
)
def test_a_code_that_nobody_announced_is_not_found(
    lasting_town: Town, code: str, status: int, problem: str
) -> None:
    answer = lasting_town.guest().put(f"/v1/cart/promotions/{code}", None)

    assert (answer.status_code, answer.json()["code"]) == (status, problem)


def test_a_code_is_read_as_people_type_it(lasting_town: Town) -> None:
    guest = lasting_town.guest()
    code = announced(lasting_town)
    filled(guest, sku(lasting_town))

    cart = guest.put(f"/v1/cart/promotions/{code.lower()}", None).json()

    assert cart["promotions"] == [{"code": code, "counts": True, "why_not": None}]
    assert guest.delete(f"/v1/cart/promotions/{code.lower()}").json()["promotions"] == []


def test_a_discounted_taxed_order_goes_back_to_the_penny_in_whatever_parts(
    lasting_town: Town,
) -> None:
    """Three mugs at 4.00 less 2.00, 20 % within: 10.00, which three do not divide."""
    town = lasting_town
    taxes(town, "IE", included=True, rates=[{"rate_ppm": 200_000}])
    name = sku(town, 400)
    code = announced(town, kind="amount", amounts=[gbp(200)])
    guest = town.guest()
    filled(guest, name, 3, code)
    cart = guest.get("/v1/cart?country=IE").json()
    order_id = guest.checks_out(total(cart), country="IE").json()["order_id"]
    town.settles()
    order = guest.get(f"/v1/orders/{order_id}").json()

    assert minor(cart["total"], cart["discount"], cart["tax"]) == [1000, 200, 167]
    assert minor(order["total"], order["discount"], order["tax"]) == [1000, 200, 167]
    assert order["promotions"] == [code]

    two_left = {"lines": [{"sku": name, "quantity": 2}], "expected_total": gbp(667)}
    edited = guest.post(f"/v1/orders/{order_id}/edits", two_left, Idempotency_Key="fewer")
    assert edited.status_code == 202, edited.text
    town.settles()
    for step in ("pick", "dispatch", "delivery"):
        assert town.admin.post(f"/v1/shipments/{order_id}/{step}").status_code == 200
        town.settles()
    for number in (1, 2):
        sends_back(town, guest, order_id, name, number)
    town.settles()
    payment = town.payment(order_id)
    refunds = sorted(refund["amount"]["amount_minor"] for refund in payment["refunds"])

    assert minor(payment["captured"], payment["refunded"]) == [1000, 1000]
    assert refunds == [333, 333, 334]


def test_what_is_added_is_taxed_too_and_all_goes_back_to_the_penny(lasting_town: Town) -> None:
    """Three mugs at 4.00 less 2.00, and one more at 4.51, each with 10 % on top."""
    town = lasting_town
    taxes(town, "NZ", included=False, rates=[{"rate_ppm": 100_000}])
    name = sku(town, 400)
    code = announced(town, kind="amount", amounts=[gbp(200)])
    guest = town.guest()
    filled(guest, name, 3, code)
    order_id = guest.checks_out(1100, country="NZ").json()["order_id"]
    town.settles()
    town.sells(name, on_hand=200, amount_minor=451)
    path = f"/v1/orders/{order_id}/edits"

    untaxed = {"lines": [{"sku": name, "quantity": 4}], "expected_total": gbp(1551)}
    refused = guest.post(path, untaxed, Idempotency_Key="untaxed")
    taxed = {**untaxed, "expected_total": gbp(1596)}
    assert guest.post(path, taxed, Idempotency_Key="more").status_code == 202
    town.settles()
    order = guest.get(f"/v1/orders/{order_id}").json()
    taxes(town, "NZ", included=True, rates=[{"rate_ppm": 100_000}])
    five = {"lines": [{"sku": name, "quantity": 5}], "expected_total": gbp(2047)}
    changed = guest.post(path, five, Idempotency_Key="five")
    for step in ("pick", "dispatch", "delivery"):
        assert town.admin.post(f"/v1/shipments/{order_id}/{step}").status_code == 200
        town.settles()
    for number in range(4):
        sends_back(town, guest, order_id, name, number)
        town.settles()
    payment = town.payment(order_id)

    assert (refused.json()["code"], refused.json()["total_minor"]) == ("edit_total", 1596)
    assert minor(order["total"], order["discount"], order["tax"]) == [1596, 353, 145]
    assert changed.json()["code"] == "edit_not_possible"
    assert minor(payment["captured"], payment["refunded"]) == [1596, 1596]
    assert [charge["captured"]["amount_minor"] for charge in payment["charges"]] == [1100, 496]


def sends_back(town: Town, guest: Person, order_id: str, name: str, number: int) -> None:
    path = f"/v1/shipments/{order_id}/returns"
    line = {"sku": name, "quantity": 1}
    asked = guest.post(path, {"lines": [line], "reason": "no"}, Idempotency_Key=f"back-{number}")
    assert asked.status_code == 201, asked.text
    one = f"{path}/{asked.json()['return_id']}"
    assert town.admin.post(f"{one}/approval").status_code == 200
    received = {"lines": [{**line, "condition": "resellable"}]}
    assert town.admin.post(f"{one}/receipt", received).status_code == 202


def test_tax_on_top_is_told_in_the_cart_and_paid_and_mailed(lasting_town: Town) -> None:
    town = lasting_town
    taxes(
        town,
        "US",
        included=False,
        needs_region=True,
        shipping_class="standard",
        rates=[
            {"rate_ppm": 88_750, "regions": ["NY", "New York"]},
            {"rate_ppm": 0, "regions": ["OR", "Oregon"]},
        ],
    )
    guest = town.guest()
    filled(guest, sku(town, 999), 3)
    quote = guest.post(
        "/v1/shipping/quotes", {"country": "US", "weight_grams": 900, "currency": "GBP"}
    ).json()["options"][0]

    cart = guest.get(f"/v1/cart?country=US&region=new+york&shipping_quote={quote['quote']}").json()
    body = {
        "email": "newyorker@example.com",
        "shipping_address": {
            "name": "Grace",
            "line1": "1 Pearl Street",
            "city": "New York",
            "region": "NY",
            "postal_code": "10004",
            "country": "US",
        },
        "payment_method": "pm_card_ok",
        "expected_total": cart["total"],
        "shipping_quote": quote["quote"],
    }
    accepted = guest.post("/v1/checkouts", body, Idempotency_Key="in-new-york")
    assert accepted.status_code == 202, accepted.text
    order_id = accepted.json()["order_id"]
    town.settles()
    order = guest.get(f"/v1/orders/{order_id}").json()
    mails = town.stack.mailbox.list("newyorker@example.com")

    shipping = quote["price"]["amount_minor"]
    tax = 266 + (2 * shipping * 88_750 + 1_000_000) // 2_000_000  # 8.875 % of 29.97 is 2.6598
    assert minor(cart["tax"], cart["total"]) == [tax, 2997 + shipping + tax]
    assert minor(order["tax"], order["total"]) == [tax, 2997 + shipping + tax]
    assert (order["status"], order["prices_include_tax"]) == ("CONFIRMED", False)
    assert minor(town.payment(order_id)["captured"]) == [2997 + shipping + tax]
    assert all("added to the prices" in mail["text"] for mail in mails)


def test_a_region_that_tax_needs_is_asked_for(lasting_town: Town) -> None:
    town = lasting_town
    taxes(
        town,
        "CA",
        included=False,
        needs_region=True,
        rates=[{"rate_ppm": 130_000, "regions": ["ON", "Ontario"]}],
    )
    guest = town.guest()
    filled(guest, sku(town))

    shown = guest.get("/v1/cart?country=CA&region=Nowhere")
    refused = guest.checks_out(1000, country="CA")
    accepted = guest.checks_out(1130, country="CA", region="ontario")

    for answer in (shown, refused):
        assert (answer.status_code, answer.json()["code"]) == (409, "tax_region_unknown")
    assert accepted.status_code == 202
    town.settles()


def test_a_variants_class_is_taxed_at_its_rate(lasting_town: Town) -> None:
    town = lasting_town
    taxes(
        town,
        "FR",
        included=True,
        rates=[{"rate_ppm": 200_000}, {"rate_ppm": 55_000, "tax_class": "reduced"}],
    )
    guest = town.guest()
    for tax_class in ("standard", "reduced", "zero"):
        filled(guest, sku(town, 1200, tax_class=tax_class))

    cart = guest.get("/v1/cart?country=FR").json()

    assert {line["tax_class"]: line["tax"]["amount_minor"] for line in cart["lines"]} == {
        "standard": 200,
        "reduced": 63,
        "zero": 0,
    }
    assert total(cart) == 3600


def test_a_tax_table_set_from_two_windows_keeps_the_first(lasting_town: Town) -> None:
    town = lasting_town
    taxes(town, "PT", included=True, rates=[{"rate_ppm": 230_000}])
    tag = town.admin.get("/v1/staff/taxes/PT").headers["ETag"]
    body = {"prices_include_tax": True, "rates": []}

    first = town.admin.put("/v1/staff/taxes/PT", body, If_Match=tag)
    second = town.admin.put(
        "/v1/staff/taxes/PT", {**body, "prices_include_tax": False}, If_Match=tag
    )

    assert (first.status_code, second.status_code) == (200, 412)
    told = second.json()
    assert (told["code"], told["country"], told["version"]) == ("version_mismatch", "PT", 2)
    assert told["detail"] == "the tax table of PT is at version 2"


def test_a_cart_nobody_changed_for_a_month_is_empty_and_is_checked_out_no_more(
    lasting_town: Town, at: Callable[[timedelta], None]
) -> None:
    town = lasting_town
    email = f"forgetful{next(_numbers)}@example.com"
    who = {"email": email, "password": "a long enough password"}
    assert town.nobody.post("/v1/users", {**who, "name": "Ada"}).status_code == 201

    def ada() -> Person:
        """Log in, with a token of the present moment."""
        return Person(town.http, town.nobody.post("/v1/sessions", who).json()["access_token"])

    cart = filled(ada(), sku(town))
    at(timedelta(days=29))
    kept = ada().get("/v1/cart").json()
    at(timedelta(days=30, seconds=1))
    gone = ada().get("/v1/cart").json()
    refused = ada().checks_out(total(cart))

    assert (len(kept["lines"]), gone["lines"], gone["total"]) == (1, [], None)
    assert (refused.status_code, refused.json()["code"]) == (409, "cart_empty")


def test_a_cart_whose_checkout_crashed_can_be_used_again_after_the_lease(
    lasting_town: Town, monkeypatch: pytest.MonkeyPatch, at: Callable[[timedelta], None]
) -> None:
    town = lasting_town
    guest = town.guest()
    cart = filled(guest, sku(town))
    never_starts = SimpleNamespace(start=lambda order_id, correlation_id: None)
    with monkeypatch.context() as while_lost:
        while_lost.setattr(sys.modules["functions_carts_app"], "runner", lambda: never_starts)
        guest.checks_out(total(cart), method="pm_card_declined")
    frozen = guest.put("/v1/cart", {"lines": []})

    at(timedelta(minutes=7))
    town.stack.pump.fire("tradepost-local-carts-sweep_checkouts")
    town.settles()

    assert (frozen.status_code, frozen.json()["code"]) == (409, "cart_frozen")
    assert guest.get("/v1/cart").json()["status"] == "OPEN"
    assert len(guest.get("/v1/cart").json()["lines"]) == 1
    assert guest.put("/v1/cart", {"lines": []}).status_code == 200


def test_a_cart_says_when_it_expires(lasting_town: Town) -> None:
    guest = lasting_town.guest()

    cart = filled(guest, sku(lasting_town))

    assert cart["expires_at"] > to_text(utc_now() + timedelta(days=29))

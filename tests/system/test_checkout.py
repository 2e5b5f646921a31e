"""The checkout, from a cart to a confirmed order: driven for real by Step Functions."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tests.system.shopper import Town


def test_a_guest_buys_and_the_order_is_confirmed_paid_and_booked(town: Town) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1250)
    guest = town.guest()
    total = guest.fills_cart(MUG=2)

    accepted = guest.checks_out(total)
    town.settles()

    order_id = accepted.json()["order_id"]
    assert accepted.status_code == 202
    assert guest.get(accepted.headers["Location"]).json()["status"] == "CONFIRMED"
    assert guest.get(f"/v1/orders/{order_id}").json()["status"] == "CONFIRMED"
    assert guest.get(f"/v1/shipments/{order_id}").json()["status"] == "LABELLED"
    assert town.payment(order_id)["captured"] == {"amount_minor": 2500, "currency": "GBP"}
    assert town.level("MUG") == (8, 0)


def test_a_confirmed_order_empties_the_cart_and_is_mailed_when_placed_and_when_confirmed(
    town: Town,
) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()

    order_id = guest.checks_out(guest.fills_cart(MUG=1)).json()["order_id"]
    town.settles()

    cart = guest.get("/v1/cart").json()
    mails = {mail["subject"]: mail for mail in town.stack.mailbox.list("grace@example.com")}
    assert (cart["status"], cart["lines"]) == ("OPEN", [])
    assert len(town.stack.mailbox.list("grace@example.com")) == 2
    assert mails.keys() == {f"We have your order {order_id}", f"Your order {order_id} is confirmed"}
    for mail in mails.values():
        for part in ("text", "html"):
            assert "Product MUG" in mail[part]
            assert "12.50 GBP" in mail[part]


def test_a_double_click_makes_one_order(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    total = guest.fills_cart(MUG=1)

    first = guest.checks_out(total, key="one-click")
    second = guest.checks_out(total, key="one-click")
    town.settles()
    third = guest.checks_out(total, key="one-click")

    assert {answer.json()["order_id"] for answer in (first, second, third)} == {
        first.json()["order_id"]
    }
    assert len(guest.get("/v1/orders").json()["orders"]) == 1
    assert town.level("MUG") == (9, 0)


def test_a_key_used_for_another_checkout_is_refused(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    guest.checks_out(guest.fills_cart(MUG=1), key="mine")
    town.settles()

    answer = guest.checks_out(guest.fills_cart(MUG=3), key="mine")

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert town.level("MUG") == (9, 0)


def test_a_price_that_changed_stops_the_checkout_and_tells_the_total(town: Town) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1250)
    guest = town.guest()
    seen = guest.fills_cart(MUG=1)
    town.sells("MUG", on_hand=10, amount_minor=1400)

    answer = guest.checks_out(seen)

    assert (answer.status_code, answer.json()["code"]) == (409, "cart_changed")
    assert answer.json()["total"] == {"amount_minor": 1400, "currency": "GBP"}
    assert answer.json()["changed_skus"] == ["MUG"]
    assert guest.get("/v1/cart").json()["status"] == "OPEN"


def test_a_price_sent_by_the_client_is_refused(town: Town) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1250)

    answer = town.guest().put(
        "/v1/cart", {"lines": [{"sku": "MUG", "quantity": 1, "unit_price_minor": 1}]}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_frozen_cart_cannot_be_changed_or_checked_out_again(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    total = guest.fills_cart(MUG=1)
    guest.checks_out(total)

    change = guest.put("/v1/cart/lines/MUG", {"quantity": 5})
    again = guest.checks_out(total)

    # The checkout may have ended meanwhile; then the cart is open and empty.
    assert change.status_code in (200, 409)
    assert again.json()["code"] in ("cart_frozen", "cart_empty", "cart_changed")


def test_an_order_of_more_lines_than_a_transaction_takes_goes_through_whole(town: Town) -> None:
    variants = [
        {"sku": f"BEAD-{n}", "price": {"amount_minor": 10 + n, "currency": "GBP"}}
        for n in range(40)
    ]
    for batch in range(6):
        product = {
            "title": f"Beads {batch}",
            "options": ["Number"],
            "variants": [
                {**variant, "sku": f"{variant['sku']}-{batch}", "option_values": [str(n)]}
                for n, variant in enumerate(variants)
            ],
        }
        answer = town.admin.put(f"/v1/products/beads-{batch}", product)
        assert answer.status_code == 200, answer.text
    skus = [f"BEAD-{n}-{batch}" for batch in range(6) for n in range(40)]
    for start in range(0, len(skus), 80):
        lines = [{"sku": sku, "on_hand": 5} for sku in skus[start : start + 80]]
        town.admin.post("/v1/stock/batch", {"lines": lines, "reason": "test"})
    town.settles()
    guest = town.guest()
    cart = guest.put("/v1/cart", {"lines": [{"sku": sku, "quantity": 2} for sku in skus]}).json()

    order_id = guest.checks_out(cart["total"]["amount_minor"]).json()["order_id"]
    town.settles()

    order = guest.get(f"/v1/orders/{order_id}").json()
    assert order["status"] == "CONFIRMED"
    assert len(order["lines"]) == 240
    assert {town.level(sku) for sku in skus} == {(3, 0)}


@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED"])
def test_a_customer_lists_their_own_orders_by_status(town: Town, status: str) -> None:
    town.sells("MUG", on_hand=1)
    customer = town.customer()
    for _ in range(2):
        customer.checks_out(customer.fills_cart(MUG=1))
        town.settles()

    listed = customer.get(f"/v1/orders?status={status}").json()["orders"]

    assert [order["status"] for order in listed] == [status]


def test_orders_are_listed_newest_first_page_by_page(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    customer = town.customer()
    placed = []
    for _ in range(3):
        placed.append(customer.checks_out(customer.fills_cart(MUG=1)).json()["order_id"])
        town.settles()

    first = customer.get("/v1/orders?limit=2").json()
    second = customer.get(f"/v1/orders?limit=2&cursor={first['next_cursor']}").json()

    listed = [order["order_id"] for order in first["orders"] + second["orders"]]
    assert listed == list(reversed(placed))
    assert second["next_cursor"] is None


def test_staff_find_an_order_by_id_mail_status_and_day(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(MUG=1)).json()["order_id"]
    town.settles()
    placed_on = guest.get(f"/v1/orders/{order_id}").json()["placed_at"][:10]

    for term in (
        "email=GRACE@example.com",
        "status=CONFIRMED",
        f"placed_on={placed_on}",
        f"status=CONFIRMED&placed_on={placed_on}",
        f"order_id={order_id}",
    ):
        found = town.admin.get(f"/v1/staff/orders?{term}").json()["orders"]
        assert [order["order_id"] for order in found] == [order_id], term
    for term in (
        "email=ada@example.com",
        "status=CANCELLED",
        "placed_on=2001-01-01",
        f"status=CANCELLED&placed_on={placed_on}",
        "status=CONFIRMED&placed_on=2001-01-01",
        "order_id=ord_1",
    ):
        assert town.admin.get(f"/v1/staff/orders?{term}").json()["orders"] == [], term


@pytest.mark.parametrize(
    "query",
    ["", "limit=5", "email=a@b.example&status=CONFIRMED", "order_id=ord_1&placed_on=2026-01-02"],
)
def test_staff_look_in_one_way_at_a_time(town: Town, query: str) -> None:
    answer = town.admin.get(f"/v1/staff/orders?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_somebody_elses_order_checkout_and_parcel_do_not_exist(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(MUG=1)).json()["order_id"]
    town.settles()
    stranger = town.customer()

    for path in ("orders", "checkouts", "shipments"):
        assert stranger.get(f"/v1/{path}/{order_id}").status_code == 404, path
    assert stranger.get(f"/v1/payments/{order_id}").status_code == 403


def test_a_guests_cart_is_taken_over_once_at_log_in(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest, customer = town.guest(), town.customer()
    guest.fills_cart(MUG=2)
    customer.fills_cart(MUG=1)

    merged = [
        customer.post("/v1/cart/merge", {"guest_token": guest.token}).json() for _ in range(2)
    ]

    assert [cart["lines"][0]["quantity"] for cart in merged] == [3, 3]
    assert guest.put("/v1/cart/lines/MUG", {"quantity": 1}).json()["code"] == "cart_merged"


def test_a_cart_edited_from_two_windows_keeps_the_first_edit(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    guest.fills_cart(MUG=1)
    tag = guest.get("/v1/cart").headers["ETag"]

    first = guest.put("/v1/cart/lines/MUG", {"quantity": 2}, If_Match=tag)
    second = guest.put("/v1/cart/lines/MUG", {"quantity": 9}, If_Match=tag)

    assert (first.status_code, second.status_code) == (200, 412)
    assert guest.get("/v1/cart").json()["lines"][0]["quantity"] == 2


def test_adding_with_one_key_adds_once(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()

    for _ in range(3):
        guest.post("/v1/cart/lines", {"sku": "MUG", "quantity": 2}, Idempotency_Key="add-1")

    assert guest.get("/v1/cart").json()["lines"][0]["quantity"] == 2


def test_a_repeated_addition_is_answered_even_when_the_cart_is_frozen(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    guest.post("/v1/cart/lines", {"sku": "MUG", "quantity": 2}, Idempotency_Key="add-1")
    never_starts = SimpleNamespace(start=lambda order_id, correlation_id: None)
    monkeypatch.setattr(sys.modules["functions_carts_app"], "runner", lambda: never_starts)
    guest.checks_out(2500)

    repeated = guest.post("/v1/cart/lines", {"sku": "MUG", "quantity": 2}, Idempotency_Key="add-1")
    fresh = guest.post("/v1/cart/lines", {"sku": "MUG", "quantity": 2}, Idempotency_Key="add-2")

    assert (repeated.status_code, repeated.json()["status"]) == (200, "FROZEN")
    assert (fresh.status_code, fresh.json()["code"]) == (409, "cart_frozen")

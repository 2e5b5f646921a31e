"""Each way a checkout can fail: whatever was taken is given back, in stock and in money."""

from __future__ import annotations

from typing import Any

import pytest

from tests.system.books import carrier_booking, provider_charge
from tests.system.shopper import Town


def bought(town: Town, method: str = "pm_card_ok", **address: str) -> dict[str, Any]:
    """Have a guest buy two of ten mugs at 12.50; return the checkout as it ended."""
    town.sells("MUG", on_hand=10, amount_minor=1250)
    guest = town.guest()
    accepted = guest.checks_out(guest.fills_cart(MUG=2), method=method, **address)
    town.settles()
    checkout: dict[str, Any] = guest.get(accepted.headers["Location"]).json()
    checkout["cart"] = guest.get("/v1/cart").json()
    checkout["order"] = guest.get(f"/v1/orders/{checkout['order_id']}").json()
    return checkout


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("pm_card_declined", "payment_declined"),
        ("pm_card_insufficient_funds", "insufficient_funds"),
        ("pm_unknown_card", "payment_declined"),
    ],
)
def test_a_refused_card_releases_the_stock_and_gives_the_cart_back(
    town: Town, method: str, reason: str
) -> None:
    checkout = bought(town, method)

    assert (checkout["status"], checkout["reason"]) == ("FAILED", reason)
    assert checkout["order"]["status"] == "CANCELLED"
    assert town.level("MUG") == (10, 0)
    assert (provider_charge(checkout["order_id"]) or {})["authorized_minor"] == 0
    assert checkout["cart"]["status"] == "OPEN"
    assert checkout["cart"]["lines"][0]["quantity"] == 2


def test_a_sold_out_product_ends_the_checkout_and_takes_no_money(town: Town) -> None:
    town.sells("MUG", on_hand=1)
    guest = town.guest()
    accepted = guest.checks_out(guest.fills_cart(MUG=2))
    town.settles()

    checkout = guest.get(accepted.headers["Location"]).json()
    assert (checkout["status"], checkout["reason"]) == ("FAILED", "out_of_stock")
    assert town.level("MUG") == (1, 0)
    assert town.payment(checkout["order_id"])["authorized"]["amount_minor"] == 0


def test_one_sold_out_line_holds_none_of_the_others(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    town.sells("LAMP", on_hand=0)
    guest = town.guest()
    guest.checks_out(guest.fills_cart(MUG=2, LAMP=1))
    town.settles()

    assert town.level("MUG") == (10, 0)
    assert town.level("LAMP") == (0, 0)


def test_a_carrier_that_refuses_voids_the_authorization(town: Town) -> None:
    checkout = bought(town, postal_code="CARRIER-REFUSES")

    charge = provider_charge(checkout["order_id"])
    assert (checkout["status"], checkout["reason"]) == ("FAILED", "carrier_refused")
    assert charge is not None
    assert (charge["status"], charge["captured_minor"]) == ("VOIDED", 0)
    assert town.level("MUG") == (10, 0)


def test_a_carrier_that_never_answers_leaves_nothing_behind(town: Town) -> None:
    checkout = bought(town, postal_code="CARRIER-SILENT")

    charge = provider_charge(checkout["order_id"])
    assert (checkout["status"], checkout["reason"]) == ("FAILED", "checkout_failed")
    assert charge is not None
    assert charge["status"] == "VOIDED"
    assert town.level("MUG") == (10, 0)


def test_a_booking_whose_answer_was_lost_is_booked_once(town: Town) -> None:
    checkout = bought(town, postal_code="CARRIER-LOSES-ANSWER")

    booking = carrier_booking(checkout["order_id"])
    assert checkout["status"] == "CONFIRMED"
    assert booking is not None
    assert booking["status"] == "LABELLED"


def test_a_provider_that_never_answers_charges_nobody(town: Town) -> None:
    checkout = bought(town, "pm_timeout_before")

    charge = provider_charge(checkout["order_id"])
    assert (checkout["status"], checkout["reason"]) == ("FAILED", "checkout_failed")
    assert charge is None or charge.get("captured_minor", 0) == 0
    assert town.level("MUG") == (10, 0)


def test_answers_lost_after_the_effect_charge_once(town: Town) -> None:
    checkout = bought(town, "pm_timeout_after")

    charge = provider_charge(checkout["order_id"])
    assert checkout["status"] == "CONFIRMED"
    assert charge is not None
    assert (charge["status"], charge["captured_minor"]) == ("CAPTURED", 2500)
    assert town.payment(checkout["order_id"])["captured"]["amount_minor"] == 2500
    assert town.level("MUG") == (8, 0)


def test_a_provider_that_is_busy_at_first_is_asked_again(town: Town) -> None:
    checkout = bought(town, "pm_rate_limited")

    assert checkout["status"] == "CONFIRMED"
    assert town.payment(checkout["order_id"])["captured"]["amount_minor"] == 2500


def test_a_refused_capture_gives_everything_back(town: Town) -> None:
    checkout = bought(town, "pm_capture_refused")

    charge = provider_charge(checkout["order_id"])
    booking = carrier_booking(checkout["order_id"])
    assert (checkout["status"], checkout["reason"]) == ("FAILED", "capture_refused")
    assert charge is not None
    assert (charge["status"], charge["captured_minor"]) == ("VOIDED", 0)
    assert booking is not None
    assert booking["status"] == "CANCELLED"
    assert town.level("MUG") == (10, 0)


def test_a_capture_nobody_knows_the_outcome_of_parks_the_order(town: Town) -> None:
    checkout = bought(town, "pm_capture_timeout")

    assert checkout["order"]["status"] == "NEEDS_ATTENTION"
    assert checkout["status"] == "UNDER_REVIEW"
    assert (checkout["cart"]["status"], checkout["cart"]["lines"]) == ("OPEN", [])
    assert town.level("MUG") == (8, 2)


def test_the_customer_is_told_once_that_an_order_did_not_go_through(town: Town) -> None:
    order_id = bought(town, "pm_card_declined")["order_id"]

    subject = f"Your order {order_id} did not go through"
    mails = town.stack.mailbox.list("grace@example.com")
    (told,) = (mail for mail in mails if mail["subject"] == subject)
    assert len(mails) == 2
    assert "your bank declined the payment" in told["text"]

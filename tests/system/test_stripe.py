"""Whole checkouts paid through Stripe, which answers over the wire from a process of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import boto3
import pytest
import stripe

from infra.local.clock import Clock
from infra.local.server import LocalSite
from infra.local.stack import LocalStack
from tests.stripe_emulator import running
from tests.stripe_emulator.running import API_KEY, Emulator
from tests.system.conftest import ROOT
from tests.system.shopper import Person, Town
from tradepost.platform import aws

WEBHOOK_SECRET = "whsec_of_the_shop"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running.running() as started:
        yield started


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> Iterator[LocalStack]:
    parameters = {
        "PaymentProvider": "stripe",
        "StripeApiBase": emulator.url,
        "StripeReturnUrl": "https://shop.example/paid",
    }
    with LocalStack(ROOT, clock=Clock(skips_pauses=True), parameters=parameters) as started:
        put_secret("StripeSecretName", started, {"api_key": API_KEY})
        put_secret("PaymentWebhookSecret", started, {"current": WEBHOOK_SECRET})
        yield started
    aws.forget_clients()


def put_secret(output: str, stack: LocalStack, secret: dict[str, str]) -> None:
    boto3.client("secretsmanager").put_secret_value(
        SecretId=stack.outputs[output], SecretString=json.dumps(secret)
    )


@pytest.fixture(autouse=True)
def cleared(emulator: Emulator) -> None:
    emulator.clear()


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Keep quiet: a test's output is for failures."""


@pytest.fixture
def webhooks(stack: LocalStack, emulator: Emulator) -> Iterator[None]:
    """Let Stripe call the shop."""
    site = LocalSite(stack, "http://localhost/_aws")
    with make_server("127.0.0.1", 0, site, handler_class=QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/v1/webhooks/payments"
        emulator.call(url, WEBHOOK_SECRET)
        yield
        emulator.hang_up()
        server.shutdown()
        thread.join()


def checked_out(town: Town, method: str, **address: str) -> tuple[Person, str]:
    """Have a guest buy two of ten mugs at 12.50; return the guest and the order's id."""
    town.sells("MUG", on_hand=10, amount_minor=1250)
    guest = town.guest()
    accepted = guest.checks_out(guest.fills_cart(MUG=2), method=method, **address)
    town.settles()
    return guest, accepted.json()["order_id"]


def intents(emulator: Emulator) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = emulator.http.get("/v1/payment_intents").json()["data"]
    return listed


def intent_of(emulator: Emulator, order_id: str) -> dict[str, Any]:
    (intent,) = [one for one in intents(emulator) if one["metadata"]["order_id"] == order_id]
    return intent


def outcome(guest: Person, order_id: str) -> tuple[str, str | None]:
    checkout = guest.get(f"/v1/checkouts/{order_id}").json()
    return checkout["status"], checkout.get("reason")


def test_an_approved_card_is_captured_at_stripe_and_the_order_confirmed(town, emulator):
    guest, order_id = checked_out(town, "pm_card_visa")

    intent = intent_of(emulator, order_id)
    assert outcome(guest, order_id) == ("CONFIRMED", None)
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2500)
    assert intent["currency"] == "gbp"
    assert town.payment(order_id)["captured"]["amount_minor"] == 2500
    assert town.level("MUG") == (8, 0)


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("pm_card_visa_chargeDeclined", "payment_declined"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_of_nobody", "payment_declined"),
    ],
)
def test_a_refused_card_holds_no_money_and_gives_everything_back(town, emulator, method, reason):
    guest, order_id = checked_out(town, method)

    assert outcome(guest, order_id) == ("FAILED", reason)
    assert intent_of(emulator, order_id)["amount_capturable"] == 0
    assert town.level("MUG") == (10, 0)
    assert guest.get("/v1/cart").json()["status"] == "OPEN"


def test_a_checkout_that_fails_later_frees_the_money_at_stripe(town, emulator):
    guest, order_id = checked_out(town, "pm_card_visa", postal_code="CARRIER-REFUSES")

    assert outcome(guest, order_id) == ("FAILED", "carrier_refused")
    assert intent_of(emulator, order_id)["status"] == "canceled"
    assert town.level("MUG") == (10, 0)


@pytest.mark.parametrize("kind", ["lost", "down", "limited", "in_use"])
@pytest.mark.parametrize("operation", ["/v1/payment_intents", "/confirm", "/capture"])
def test_an_answer_that_does_not_come_costs_nobody_twice(town, emulator, operation, kind):
    emulator.fail_next(operation, kind)

    guest, order_id = checked_out(town, "pm_card_visa")

    assert outcome(guest, order_id) == ("CONFIRMED", None)
    assert [one["amount_received"] for one in intents(emulator)] == [2500]
    assert town.payment(order_id)["captured"]["amount_minor"] == 2500


def test_a_refund_of_the_staff_is_made_at_stripe_once(town, emulator):
    _, order_id = checked_out(town, "pm_card_visa")
    body = {"amount": {"amount_minor": 1000, "currency": "GBP"}, "reason": "a broken handle"}

    path = f"/v1/payments/{order_id}/refunds"
    emulator.fail_next("POST /v1/refunds", "lost")
    unknown = town.admin.post(path, body, Idempotency_Key="refund-1")
    emulator.forget_keys()
    known = town.admin.post(path, body, Idempotency_Key="refund-1")

    refunds = emulator.http.get("/v1/refunds").json()["data"]
    assert (unknown.status_code, known.status_code) == (503, 201)
    assert [refund["amount"] for refund in refunds] == [1000]
    assert town.payment(order_id)["refunded"]["amount_minor"] == 1000


def awaiting(town: Town) -> tuple[Person, str, str]:
    """Have a guest check out with a card whose bank asks; return also where it asks."""
    guest, order_id = checked_out(town, "pm_card_threeDSecure2Required")
    confirmation = guest.get(f"/v1/payments/{order_id}/confirmation").json()
    assert order_status(guest, order_id) == "AWAITING_PAYMENT"
    return guest, order_id, confirmation["action_url"]


def order_status(guest: Person, order_id: str) -> str:
    status: str = guest.get(f"/v1/orders/{order_id}").json()["status"]
    return status


def until(town: Town, holds: Callable[[], bool]) -> None:
    """Let the shop run until Stripe's webhook has come and done its work."""
    give_up = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < give_up, "no webhook came"
        town.settles()


@pytest.mark.usefixtures("webhooks")
def test_a_customer_confirms_at_the_bank_and_the_webhook_finishes_the_order(town, emulator):
    guest, order_id, bank = awaiting(town)

    back_at = emulator.customer_answers(bank, success=True)
    until(town, lambda: order_status(guest, order_id) == "CONFIRMED")

    assert back_at.startswith("https://shop.example/paid?")
    assert outcome(guest, order_id) == ("CONFIRMED", None)
    assert intent_of(emulator, order_id)["amount_received"] == 2500


@pytest.mark.usefixtures("webhooks")
def test_a_customer_refuses_at_the_bank_and_the_webhook_ends_the_order(town, emulator):
    guest, order_id, bank = awaiting(town)

    emulator.customer_answers(bank, success=False)
    until(town, lambda: order_status(guest, order_id) == "CANCELLED")

    assert outcome(guest, order_id) == ("FAILED", "payment_declined")
    assert town.level("MUG") == (10, 0)


def test_the_returning_browser_finishes_the_order_where_the_webhook_is_lost(town, emulator):
    guest, order_id, bank = awaiting(town)
    emulator.customer_answers(bank, success=True)

    told = guest.post(f"/v1/payments/{order_id}/confirmation")
    town.settles()

    assert told.json()["status"] == "AUTHORIZED"
    assert outcome(guest, order_id) == ("CONFIRMED", None)


def test_an_order_cancelled_while_its_customer_is_at_the_bank_is_not_paid(town, emulator):
    guest, order_id, bank = awaiting(town)

    guest.post(f"/v1/orders/{order_id}/cancellation")
    town.settles()
    emulator.customer_answers(bank, success=True)
    guest.post(f"/v1/payments/{order_id}/confirmation")
    town.settles()

    intent = intent_of(emulator, order_id)
    assert order_status(guest, order_id) == "CANCELLED"
    assert (intent["status"], intent["amount_received"]) == ("canceled", 0)
    assert town.level("MUG") == (10, 0)


def test_a_confirmed_order_that_is_cancelled_gets_its_money_back_from_stripe(town, emulator):
    guest, order_id = checked_out(town, "pm_card_visa")

    guest.post(f"/v1/orders/{order_id}/cancellation")
    town.settles()

    refunds = emulator.http.get("/v1/refunds").json()["data"]
    assert order_status(guest, order_id) == "CANCELLED"
    assert [refund["amount"] for refund in refunds] == [2500]
    assert town.payment(order_id)["status"] == "REFUNDED"
    assert town.level("MUG") == (10, 0)


def test_what_is_added_to_an_order_is_captured_at_stripe_with_a_means_of_payment_of_its_own(
    town, emulator
):
    guest, order_id = checked_out(town, "pm_card_visa")
    path = f"/v1/orders/{order_id}/edits"
    body = {
        "lines": [{"sku": "MUG", "quantity": 3}],
        "expected_total": {"amount_minor": 3750, "currency": "GBP"},
    }

    guest.post(path, body, Idempotency_Key="without")
    town.settles()
    without = guest.get(f"/v1/orders/{order_id}").json()["edit"]
    guest.post(path, {**body, "payment_method": "pm_card_visa"}, Idempotency_Key="with")
    town.settles()

    order = guest.get(f"/v1/orders/{order_id}").json()
    assert (without["status"], without["reason"]) == ("REFUSED", "payment_method_needed")
    assert (order["status"], order["edit"]["status"]) == ("CONFIRMED", "DONE")
    received = [(one["status"], one["amount_received"]) for one in intents(emulator)]
    assert sorted(received) == [("succeeded", 1250), ("succeeded", 2500)]
    assert town.payment(order_id)["captured"]["amount_minor"] == 3750
    assert town.level("MUG") == (7, 0)


def test_a_webhook_that_stripe_did_not_sign_moves_nothing(town, emulator):
    guest, order_id, bank = awaiting(town)
    emulator.customer_answers(bank, success=True)
    intent = intent_of(emulator, order_id)
    body = json.dumps({"id": "evt_1", "object": "event", "data": {"object": intent}})
    forged = stripe.WebhookSignature.generate_signature_header(body, "whsec_of_a_stranger")

    refused = town.http.post(
        "/v1/webhooks/payments",
        content=body,
        headers={"Stripe-Signature": forged, "Content-Type": "application/json"},
    )
    town.settles()

    assert refused.status_code == 401
    assert order_status(guest, order_id) == "AWAITING_PAYMENT"


def test_the_simulated_bank_is_closed(town, emulator):
    _, order_id, _ = awaiting(town)

    asked = town.nobody.get(f"/v1/simulator/bank/{intent_of(emulator, order_id)['id']}")

    assert asked.status_code == 404


def test_no_more_is_refunded_than_was_captured(town, emulator):
    _, order_id = checked_out(town, "pm_card_visa")
    body = {"amount": {"amount_minor": 2501, "currency": "GBP"}, "reason": "too much"}

    refused = town.admin.post(f"/v1/payments/{order_id}/refunds", body, Idempotency_Key="refund-2")

    assert refused.status_code == 409
    assert emulator.http.get("/v1/refunds").json()["data"] == []


def test_the_key_is_told_to_stripe_alone(town, caplog, capsys):
    checked_out(town, "pm_card_visa")

    told = capsys.readouterr()
    assert API_KEY not in caplog.text + told.out + told.err

"""Days pass in a moment: waits end, authorizations are renewed, deliveries are tried again."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from infra.local import call_counts, idleness
from infra.local.clock import Clock
from infra.local.stack import LocalStack
from tests.fakes.merchant import Merchant, merchant
from tests.system.books import agree, items, provider_charge
from tests.system.conftest import ROOT, opened
from tests.system.faults import Faults, fails_before
from tests.system.shopper import Person, Town
from tests.system.test_webhooks import registered
from tradepost.platform import aws

# More often than any step is tried.
ALWAYS = 20
RECONCILIATIONS = ("reconcile_lately", "reconcile_days")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    # The tokens of the local stack are signed by this clock, too, so any day will do.
    with LocalStack(ROOT, clock=Clock(NOON.timestamp(), stands=True)) as started:
        # They write down each of their runs, and so have something to do whatever happens.
        reconcile(started, on=False)
        yield started
    aws.forget_clients()


def reconcile(stack: LocalStack, *, on: bool) -> None:
    """Switch the schedules of the reconciliation on or off."""
    for name in RECONCILIATIONS:
        stack.pump.switch(f"tradepost-local-ops-{name}", on=on)


@pytest.fixture
def town(stack: LocalStack) -> Iterator[Town]:
    with opened(stack) as empty:
        yield empty


def bought(town: Town, method: str = "pm_card_ok") -> tuple[Person, str]:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(MUG=2), method=method).json()["order_id"]
    town.settles()
    return guest, order_id


def payment_of(order_id: str) -> dict[str, Any]:
    return items("payments", f"PAYMENT#{order_id}")["PAYMENT"]


def status_of(order_id: str) -> str:
    return str(items("orders", f"ORDER#{order_id}")["ORDER"]["status"])


def set_aside(town: Town, faults: Faults, method: str = "pm_card_ok") -> str:
    """Have an order whose capture fails each time it is tried."""
    faults.at_step("payments-capture_payment", fails_before, times=ALWAYS)
    _, order_id = bought(town, method)
    town.passes(minutes=5)
    return order_id


def test_a_parked_order_has_its_money_set_aside_for_much_longer_than_an_authorization_lasts(
    town: Town, faults: Faults
) -> None:
    order_id = set_aside(town, faults, "pm_expires_soon")  # after an hour
    parked = status_of(order_id)

    town.passes(hours=6)

    payment = payment_of(order_id)
    assert parked == status_of(order_id) == "NEEDS_ATTENTION"
    assert (payment["status"], payment["attempt"]) == ("AUTHORIZED", 9)
    assert (provider_charge(order_id) or {})["status"] == "VOIDED"


def test_an_authorization_that_cannot_be_had_again_ends_its_payment(
    town: Town, faults: Faults
) -> None:
    order_id = set_aside(town, faults, "pm_expires_soon_then_declined")

    town.passes(hours=1)

    payment = payment_of(order_id)
    assert (payment["status"], payment["declined"]) == ("DECLINED", "authorization_expired")


def test_a_wait_that_nobody_ends_is_ended_by_time_alone(town: Town) -> None:
    _, order_id = bought(town, "pm_3ds")
    waiting = status_of(order_id)

    town.passes(minutes=25)

    assert (waiting, status_of(order_id)) == ("AWAITING_PAYMENT", "CANCELLED")
    assert payment_of(order_id)["declined"] == "confirmation_expired"
    level = items("inventory", "SKU#MUG")["STOCK#main"]
    assert (level["available"], level["held"]) == (10, 0)


def test_a_confirmation_in_the_last_minute_is_in_time(town: Town) -> None:
    guest, order_id = bought(town, "pm_3ds")
    town.passes(minutes=19)
    bank = guest.get(f"/v1/payments/{order_id}/confirmation").json()["action_url"]

    town.http.post(bank, data={"answer": "confirm"})
    town.settles()

    assert status_of(order_id) == "CONFIRMED"
    assert payment_of(order_id)["captured_minor"] == 2500


def test_a_step_that_fails_is_tried_again_after_its_pauses(town: Town, faults: Faults) -> None:
    faults.at_step("inventory-reserve_stock", fails_before, times=3)
    guest, order_id = bought(town)
    before = status_of(order_id)

    town.passes(seconds=15)

    assert (before, faults.fired) == ("PENDING", 3)
    assert agree(town, guest, order_id, sku="MUG") == "CONFIRMED"


def test_what_is_held_for_an_order_that_never_was_is_for_sale_again(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    asked = {"order_id": "ord_nobodys", "lines": [{"sku": "MUG", "quantity": 4}]}
    payload = json.dumps({**asked, "correlation_id": "cor_test"}).encode()
    answer = boto3.client("lambda").invoke(
        FunctionName="tradepost-local-inventory-reserve_stock", Payload=payload
    )
    assert "FunctionError" not in answer, answer["Payload"].read()

    town.passes(minutes=29)
    held = town.level("MUG")
    town.passes(minutes=3)

    assert (held, town.level("MUG")) == ((6, 4), (10, 0))


def test_an_answer_under_a_key_is_remembered_for_seven_days(town: Town) -> None:
    town.sells("MUG", on_hand=10)
    ada = town.customer()
    body = {"sku": "MUG", "quantity": 1}
    assert ada.post("/v1/cart/lines", body, Idempotency_Key="once").status_code == 200

    town.passes(days=7)
    before = remembered()
    town.passes(minutes=2)

    assert (before, remembered()) == (1, 0)


def remembered() -> int:
    """Count the answers that carts keeps under their keys."""
    found = boto3.client("dynamodb").scan(TableName="tradepost-local-carts")["Items"]
    return sum(item["pk"]["S"].startswith("IDEMPOTENCY#") for item in found)


@pytest.fixture
def books() -> Iterator[Merchant]:
    with merchant() as running:
        yield running


def test_a_system_that_takes_nothing_for_three_days_is_tried_less_and_less_and_then_disabled(
    town: Town, books: Merchant
) -> None:
    books.status = 503
    endpoint = registered(town.admin, books.url, "order.placed.v1")
    bought(town)
    at_once = len(books.received)

    town.passes(days=2, hours=23)
    before = endpoint_status(town, endpoint)
    town.passes(days=2)

    # At once, and then as `notifications.deliveries.RETRY_AFTER` has it; the last finds it dead.
    assert at_once == 1
    assert len(books.received) == 10
    assert len(set(books.event_ids)) == 1
    assert (before, endpoint_status(town, endpoint)) == ("ENABLED", "DISABLED")


def endpoint_status(town: Town, endpoint: dict[str, Any]) -> str:
    path = f"/v1/webhook-endpoints/{endpoint['endpoint_id']}"
    return str(town.admin.get(path).json()["status"])


def test_news_nobody_can_take_is_brought_five_times_in_a_quarter_of_an_hour_and_kept(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought = []

    def fails(event: Any, context: Any) -> None:
        brought.append(event)
        raise ConnectionError

    functions = town.stack.functions.by_name
    name = "tradepost-local-shipping-on_fact"
    monkeypatch.setitem(functions, name, dataclasses.replace(functions[name], handler=fails))
    bought(town)

    town.passes(minutes=14, seconds=59)
    before = len(brought), dead_letters("shipping-facts")
    town.passes(seconds=2)

    assert before == (5, 0)
    assert (len(brought), dead_letters("shipping-facts")) == (5, 1)


def dead_letters(queue: str) -> int:
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName=f"tradepost-local-{queue}-dlq")["QueueUrl"]
    told = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(told["ApproximateNumberOfMessages"])


def test_seven_days_pass_in_under_a_second(town: Town, books: Merchant) -> None:
    books.status = 503
    registered(town.admin, books.url, "order.placed.v1")
    ada = town.customer()
    _, never_paid = bought(town, "pm_3ds")
    ada.post("/v1/cart/lines", {"sku": "MUG", "quantity": 1}, Idempotency_Key="once")
    _, paid = bought(town)
    before, began = call_counts.counted()["lambda.Invoke"], time.process_time()

    town.passes(days=7, minutes=1)

    spent = time.process_time() - began
    assert (status_of(never_paid), status_of(paid)) == ("CANCELLED", "CONFIRMED")
    # Each up to ten times: whichever is tried first after three days has the endpoint disabled.
    assert 18 <= len(books.received) <= 20
    assert remembered() == 0
    assert spent < 1, call_counts.counted()["lambda.Invoke"] - before


def test_passing_over_idle_calls_of_schedules_leaves_out_none_that_does_something(
    town: Town, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same hour twice: with every call of every minute, and with those that are made."""
    reconcile(town.stack, on=True)
    observed = idleness.observed
    made: list[float] = []
    working: list[float] = []

    def an_hour(*, passes_over: bool) -> list[str]:
        def watched(call: Any, now: float) -> Any:
            found = observed(call, now)
            made.append(now)
            if found is None:
                working.append(now)
            return found if passes_over else None

        # Both begin in the same minute of an hour, and pause alike between their attempts.
        town.stack.advance(timedelta(seconds=-town.stack.clock.now() % 3600))
        random.seed(1)
        with opened(town.stack) as again:
            _, waiting = bought(again, "pm_3ds")
            parked = set_aside(again, faults, "pm_expires_soon")
            faults.clear()
            made.clear()
            working.clear()
            began = again.stack.clock.now()
            with monkeypatch.context() as watching:
                watching.setattr(idleness, "observed", watched)
                again.passes(hours=1)
            working[:] = sorted((at - began) // 60 for at in working)
            return [status_of(waiting), status_of(parked)]

    ended = an_hour(passes_over=False)
    every_call, those_that_did_something = len(made), list(working)
    ended_alike = an_hour(passes_over=True)
    reconcile(town.stack, on=False)

    assert len(made) < every_call / 5
    assert working == those_that_did_something
    assert ended == ended_alike == ["CANCELLED", "NEEDS_ATTENTION"]

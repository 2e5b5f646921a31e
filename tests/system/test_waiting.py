"""Payments that their customer confirms with the bank: in time, late, twice, never, after all."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest

from tests.system.books import agree, items
from tests.system.faults import Answer, Faults, failure, is_lost_after, is_lost_before
from tests.system.kinds import ALWAYS, Shop
from tests.system.shopper import Person
from tests.system.test_sweeping import At, Sweeper
from tradepost.kernel.clock import from_text, to_text, utc_now

AUTHORIZE = "payments-authorize_payment"
WAIT = timedelta(minutes=20)


class Bank:
    """Stands before the provider, and asks the customer to confirm."""

    def __init__(self, shop: Shop, faults: Faults) -> None:
        self._shop = shop
        self._faults = faults
        self._numbers = itertools.count(1)
        self.until = utc_now() + WAIT

    def asks(self) -> None:
        self._faults.at_step(AUTHORIZE, self._asks, times=ALWAYS)

    def hears_yes(self) -> None:
        self._faults.clear()

    def hears_no(self) -> None:
        self._faults.at_step(AUTHORIZE, lambda _: failure("PaymentDeclinedError"), times=ALWAYS)

    def tells(self, news: str, order_id: str) -> None:
        """Let payments say what the customer answered, as it does."""
        fact = {
            "type": f"payment.{news}.v1",
            "event_id": f"evt_{order_id}_{next(self._numbers)}",
            "correlation_id": "cor_bank",
            "version": 2,
            "occurred_at": to_text(utc_now()),
            "order_id": order_id,
        }
        client = boto3.client("sqs")
        url = client.get_queue_url(QueueName="tradepost-local-orders-facts")["QueueUrl"]
        client.send_message(QueueUrl=url, MessageBody=json.dumps(fact))

    def _asks(self, call: Callable[[], Answer]) -> Answer:
        asked = {"status": "REQUIRES_ACTION", "expires_at": to_text(self.until)}
        return json.dumps(asked), False


@pytest.fixture
def bank(shop: Shop, faults: Faults) -> Bank:
    bank = Bank(shop, faults)
    bank.asks()
    return bank


@pytest.fixture
def sweeper(shop: Shop, at: At) -> Sweeper:
    return Sweeper(shop, at)


@pytest.fixture
def waiting(shop: Shop, bank: Bank) -> tuple[Person, str, str]:
    """A customer whose bank asks them to confirm: with their order's id and its SKU."""
    return shop.sells("approved")


def status_of(guest: Person, order_id: str) -> Any:
    return guest.get(f"/v1/orders/{order_id}").json()["status"]


def test_an_order_waits_for_its_customer_and_holds_nothing_open(
    shop: Shop, waiting: tuple[Person, str, str], bank: Bank
) -> None:
    guest, order_id, sku = waiting

    order = guest.get(f"/v1/orders/{order_id}").json()

    assert order["status"] == "AWAITING_PAYMENT"
    assert from_text(order["waits_until"]) == from_text(to_text(bank.until))
    assert "bank" in order["next_step"]
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == "RUNNING"
    assert shop.town.level(sku) == (8, 2)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_order_confirmed_in_time_goes_on_once_however_often_it_is_told(
    shop: Shop, waiting: tuple[Person, str, str], bank: Bank, times: int
) -> None:
    guest, order_id, sku = waiting

    bank.hears_yes()
    for _ in range(times):
        bank.tells("authorized", order_id)
    shop.town.settles()
    bank.tells("authorized", order_id)
    shop.town.settles()

    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_an_order_whose_customer_says_no_is_given_back(
    shop: Shop, waiting: tuple[Person, str, str], bank: Bank
) -> None:
    guest, order_id, sku = waiting

    bank.hears_no()
    bank.tells("declined", order_id)
    shop.town.settles()

    assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED"
    assert guest.get(f"/v1/orders/{order_id}").json()["reason"] == "payment_declined"


def test_an_order_nobody_confirms_is_given_back_when_the_wait_is_over(
    shop: Shop, waiting: tuple[Person, str, str], at: At, sweeper: Sweeper
) -> None:
    guest, order_id, sku = waiting
    sweeper.tick()
    still = status_of(guest, order_id)

    at(WAIT + timedelta(minutes=1))
    shop.town.stack.pump.fire("tradepost-local-orders-sweep_orders")
    shop.town.settles()

    assert still == "AWAITING_PAYMENT"
    assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED"
    assert guest.get(f"/v1/orders/{order_id}").json()["reason"] == "payment_expired"


@pytest.mark.parametrize("sweep", ["orders-sweep_orders", "carts-sweep_checkouts"])
def test_an_order_whose_confirmation_nobody_heard_of_goes_on_at_the_latest_when_it_is_swept(
    shop: Shop, waiting: tuple[Person, str, str], bank: Bank, at: At, sweep: str
) -> None:
    guest, order_id, sku = waiting
    bank.hears_yes()

    at(WAIT + timedelta(minutes=1))
    shop.town.stack.pump.fire(f"tradepost-local-{sweep}")
    shop.town.settles()

    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_an_order_cancelled_while_it_waits_is_given_back_and_stays_so(
    shop: Shop, waiting: tuple[Person, str, str], bank: Bank
) -> None:
    guest, order_id, sku = waiting

    answer = guest.post(f"/v1/orders/{order_id}/cancellation", {})
    shop.town.settles()
    bank.hears_yes()
    bank.tells("authorized", order_id)
    shop.town.settles()

    assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
    assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED"
    assert guest.get(f"/v1/orders/{order_id}").json()["reason"] == "cancelled_by_customer"


def test_a_confirmation_heard_before_the_order_began_to_wait_is_not_lost(
    shop: Shop, faults: Faults, bank: Bank
) -> None:
    def is_confirmed_at_once(call: Callable[[], Answer]) -> Answer:
        bank.hears_yes()
        bank.tells("authorized", faults.order_id)
        return call()

    faults.at_step("orders-await_payment", is_confirmed_at_once)

    guest, order_id, sku = shop.sells("approved")

    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("step", ["orders-await_payment", "orders-begin_capture"])
def test_confirmed_and_cancelled_at_once_only_one_counts(
    shop: Shop, faults: Faults, waiting: tuple[Person, str, str], bank: Bank, step: str, number: int
) -> None:
    guest, order_id, sku = waiting
    cancelled = []

    def cancels(call: Callable[[], Any]) -> Any:
        cancelled.append(guest.post(f"/v1/orders/{order_id}/cancellation", {}).status_code)
        return call()

    bank.hears_yes()
    faults.at_call(step, number, cancels)
    bank.tells("authorized", order_id)
    shop.town.settles()

    ended = agree(shop.town, guest, order_id, sku=sku)
    assert ended == ("CANCELLED" if cancelled == [202] else "CONFIRMED")


@pytest.mark.parametrize("fault", [is_lost_before, is_lost_after])
@pytest.mark.parametrize("step", [AUTHORIZE, "orders-await_payment"])
def test_an_order_whose_execution_is_lost_as_it_begins_to_wait_goes_on(
    shop: Shop, faults: Faults, bank: Bank, sweeper: Sweeper, step: str, fault: Any
) -> None:
    if step == AUTHORIZE:
        faults.clear()
    faults.at_step(step, fault)
    guest, order_id, sku = shop.sells("approved")
    bank.hears_yes()

    assert sweeper.until_it_ends(guest, order_id, sku) == "CONFIRMED"


def test_a_wait_is_not_lengthened_by_those_who_ask_again(
    shop: Shop, waiting: tuple[Person, str, str], bank: Bank, at: At
) -> None:
    _, order_id, _ = waiting
    first = items("orders", f"ORDER#{order_id}")["ORDER"]["waits_until"]

    bank.until += timedelta(hours=1)
    bank.tells("authorized", order_id)
    shop.town.settles()

    assert items("orders", f"ORDER#{order_id}")["ORDER"]["waits_until"] == first

"""A plan of faults on the shop as it runs: a storm, and everything whole when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import cycle
from typing import Any

import boto3
import pytest

from infra.cli.dead_letters import queues
from infra.cli.outside import outside
from infra.local.clock import Clock
from infra.local.faults.plan import read_plan
from infra.local.stack import LocalStack
from tests.system.books import agree, items
from tests.system.conftest import ROOT, opened
from tests.system.shopper import Person, Town
from tradepost.platform import aws

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORDERS = 60
METHODS = ("pm_card_ok", "pm_card_ok", "pm_card_ok", "pm_card_declined", "pm_webhook_lost")
# A customer whose request fails asks again, with the same key, until the shop answers.
ASK_AGAIN = {409, 429, 500, 502, 503, 504}
ASKED_AGAIN_MAX = 20

STORM = """
seed: 11
faults:
  - {at: aws, kind: crash_before, probability: 0.01}
  - {at: aws, kind: crash_after, probability: 0.01}
  - {at: aws, kind: request_lost, probability: 0.01}
  - {at: aws, kind: answer_lost, probability: 0.01}
  - {at: aws, kind: throttled, probability: 0.01}
  - {at: aws, kind: server_error, service: dynamodb, probability: 0.01}
  - {at: aws, kind: conflict, probability: 0.02}
  - {at: function, kind: crash_before, probability: 0.02}
  - {at: function, kind: crash_after, probability: 0.02}
  - {at: function, kind: timeout_after, probability: 0.02}
  - {at: function, kind: twice, probability: 0.02}
  - {at: provider, kind: timeout_before, probability: 0.05}
  - {at: provider, kind: timeout_after, probability: 0.05}
  - {at: provider, kind: decline, probability: 0.05}
  - {at: carrier, kind: timeout_before, probability: 0.05}
  - {at: carrier, kind: timeout_after, probability: 0.05}
  - {at: carrier, kind: decline, probability: 0.05}
  - {at: webhook, kind: lost, probability: 0.05}
  - {at: webhook, kind: twice, probability: 0.05}
  - {at: webhook, kind: late, seconds: 60, probability: 0.05}
  - {at: queue, kind: twice, probability: 0.05}
  - {at: queue, kind: reordered, seconds: 30, probability: 0.05}
  - {at: queue, kind: delayed, seconds: 60, probability: 0.05}
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    clock = Clock(NOON.timestamp(), stands=True)
    with LocalStack(ROOT, clock=clock, outside=outside) as started:
        yield started
    aws.forget_clients()


@pytest.fixture
def town(stack: LocalStack) -> Iterator[Town]:
    with opened(stack) as empty:
        yield empty
        stack.faults.switch_off()


def asked_until_answered(guest: Person, total_minor: int, **given: Any) -> str:
    for _ in range(ASKED_AGAIN_MAX):
        answer = guest.checks_out(total_minor, **given)
        if answer.status_code == HTTPStatus.ACCEPTED:
            return str(answer.json()["order_id"])
        assert answer.status_code in ASK_AGAIN, answer.text
    raise AssertionError(answer.text)


def redrive_all() -> None:
    """Send everything that consumers gave up back to them, as an operator does after a storm."""
    letters = queues.DeadLetters(boto3.client("sqs"), "local")
    for queue in letters.queues():
        with letters.in_hand(queue) as hand:
            for letter in hand.letters():
                hand.send_back(letter)
                hand.delete(letter)


def resumed(town: Town, order_id: str) -> bool:
    """Take an order up again if it was set aside, as an operator does, and tell whether it was."""
    if items("orders", f"ORDER#{order_id}")["ORDER"]["status"] != "NEEDS_ATTENTION":
        return False
    decision = {"direction": "retry", "note": "the storm is over"}
    answer = town.admin.post(f"/v1/staff/orders/{order_id}/resume", decision)
    assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
    return True


def test_every_order_of_a_storm_ends_whole_when_it_is_over(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "WAIT_SECONDS", 0)
    skus = [f"MUG-{number}" for number in range(ORDERS)]
    for sku in skus:
        town.sells(sku, on_hand=10)
    buyers = [(town.guest(), sku) for sku in skus]
    totals = [guest.fills_cart(**{sku.replace("-", "_"): 2}) for guest, sku in buyers]

    town.stack.faults.switch_on(read_plan(STORM))
    orders = [
        asked_until_answered(guest, total, method=method, key=f"storm-{sku}")
        for (guest, sku), total, method in zip(buyers, totals, cycle(METHODS), strict=False)
    ]
    town.stack.advance(timedelta(minutes=20))
    storm = town.stack.faults.told()
    town.stack.faults.switch_off()
    town.passes(minutes=20)
    # A message may have met a fault each of its five times, and a step at each of its attempts.
    redrive_all()
    set_aside = [resumed(town, order_id) for order_id in orders]
    town.passes(minutes=30)

    assert {fault["kind"] for fault in storm["faults"] if not fault["fired"]} == set()
    assert sum(fault["fired"] for fault in storm["faults"]) > 5 * ORDERS
    ends = Counter(
        agree(town, guest, order_id, sku=sku, set_aside=aside, mails_may_repeat=True)
        for (guest, sku), order_id, aside in zip(buyers, orders, set_aside, strict=True)
    )
    assert ends.keys() == {"CONFIRMED", "CANCELLED"}

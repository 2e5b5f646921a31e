"""A plan of faults on the shop as it runs: a storm, and everything whole when it is over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from infra.cli.outside import outside
from infra.local.clock import Clock
from infra.local.faults.plan import read_plan
from infra.local.stack import LocalStack
from tests.system.books import agree, items
from tests.system.conftest import ROOT, opened
from tests.system.shopper import Town
from tradepost.platform import aws

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORDERS = 60
METHODS = ("pm_card_ok", "pm_card_ok", "pm_card_ok", "pm_card_declined", "pm_webhook_lost")
# A customer whose request fails asks again, with the same key, until the shop answers.
ASKED_AGAIN_MAX = 40

STORM = """
seed: 11
faults:
  - {at: aws, kind: crash_before, probability: 0.01}
  - {at: aws, kind: crash_after, service: "[dkls]*[!v]*", probability: 0.01}
  - {at: aws, kind: request_lost, probability: 0.01}
  - {at: aws, kind: answer_lost, service: "[!s]*", probability: 0.01}
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


def answered(ask: Any) -> httpx.Response:
    for _ in range(ASKED_AGAIN_MAX):
        answer: httpx.Response = ask()
        if answer.status_code < 429:
            return answer
    raise AssertionError(answer.text)


def test_every_order_of_a_storm_ends_whole_when_it_is_over(town: Town) -> None:
    skus = [f"MUG-{number}" for number in range(ORDERS)]
    for sku in skus:
        town.sells(sku, on_hand=10)
    guests = [town.guest() for _ in skus]
    for guest, sku in zip(guests, skus, strict=True):
        guest.put("/v1/cart", {"lines": [{"sku": sku, "quantity": 2}]})

    random.seed(1)
    town.stack.faults.switch_on(read_plan(STORM))
    orders = []
    for number, guest in enumerate(guests):
        method = METHODS[number % len(METHODS)]
        accepted = answered(
            lambda guest=guest, method=method, number=number: guest.checks_out(
                2500, method=method, key=f"storm-{number}"
            )
        )
        orders.append(accepted.json()["order_id"])
    town.stack.drain()
    for _ in range(4):
        town.stack.advance(__import__("datetime").timedelta(minutes=5))
    told = town.stack.faults.told()
    town.stack.faults.switch_off()
    town.passes(hours=2)
    print(
        Counter(f["kind"] for f in told["fired"]),
        [(f["kind"], f["met"], f["fired"]) for f in told["faults"]],
    )

    def status_of(order_id: str) -> str:
        return items("orders", f"ORDER#{order_id}")["ORDER"]["status"]

    print(Counter(status_of(o) for o in orders))
    bad = []
    for guest, order_id, sku in zip(guests, orders, skus, strict=True):
        try:
            agree(town, guest, order_id, sku=sku)
        except AssertionError:
            import traceback

            bad.append((order_id, sku, traceback.format_exc()[-900:]))
    for b in bad[:8]:
        print(*b)
    assert not bad, len(bad)

"""One checkout run several times, at once or again: the order ends once, in one way."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from tests.system.shopper import Town


def run_again(order_id: str, times: int, name: str) -> None:
    """Start executions of an order's checkout that has been started before."""
    client = boto3.client("stepfunctions")

    def start(number: int) -> None:
        client.start_execution(
            stateMachineArn=os.environ["CHECKOUT_STATE_MACHINE_ARN"],
            name=f"{order_id}-{name}-{number}",
            input=json.dumps({"order_id": order_id, "correlation_id": "again"}),
        )

    with ThreadPoolExecutor(times) as starters:
        list(starters.map(start, range(times)))


@pytest.mark.parametrize(
    ("method", "status", "captured", "left"),
    [("pm_card_ok", "CONFIRMED", 1250, 9), ("pm_card_declined", "FAILED", 0, 10)],
)
def test_executions_at_once_and_afterwards_end_an_order_once(
    town: Town, method: str, status: str, captured: int, left: int
) -> None:
    town.sells("MUG", on_hand=10, amount_minor=1250)
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(MUG=1), method=method).json()["order_id"]

    run_again(order_id, 4, "beside")
    town.settles()
    run_again(order_id, 2, "after")
    town.settles()

    payment = town.payment(order_id)
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == status
    assert payment["captured"]["amount_minor"] == captured
    assert len(payment["ledger"]) == (1 if captured else 0)
    assert town.level("MUG") == (left, 0)
    subjects = [mail["subject"] for mail in town.stack.mailbox.list("grace@example.com")]
    end = "is confirmed" if captured else "did not go through"
    assert sorted(subjects) == [f"We have your order {order_id}", f"Your order {order_id} {end}"]


def test_a_checkout_whose_start_was_lost_is_started_by_the_second_click(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    total = guest.fills_cart(MUG=1)
    arn = os.environ["CHECKOUT_STATE_MACHINE_ARN"]
    runner = sys.modules["functions_carts_app"].runner
    runner.cache_clear()
    monkeypatch.setenv("CHECKOUT_STATE_MACHINE_ARN", arn + "-gone")
    lost = guest.checks_out(total, key="click")
    monkeypatch.setenv("CHECKOUT_STATE_MACHINE_ARN", arn)
    runner.cache_clear()

    found = guest.checks_out(total, key="click")
    town.settles()

    assert lost.status_code == 500
    assert found.status_code == 202
    assert guest.get(found.headers["Location"]).json()["status"] == "CONFIRMED"


def test_many_buyers_of_few_units_get_exactly_those(town: Town) -> None:
    town.sells("MUG", on_hand=5)
    guests = [town.guest() for _ in range(20)]
    totals = [guest.fills_cart(MUG=1) for guest in guests]

    with ThreadPoolExecutor(20) as buyers:
        accepted = list(
            buyers.map(lambda pair: pair[0].checks_out(pair[1]), zip(guests, totals, strict=True))
        )
    town.settles()

    ends = [
        guest.get(answer.headers["Location"]).json()
        for guest, answer in zip(guests, accepted, strict=True)
    ]
    assert sorted(end["status"] for end in ends) == ["CONFIRMED"] * 5 + ["FAILED"] * 15
    assert {end["reason"] for end in ends if end["status"] == "FAILED"} == {"out_of_stock"}
    assert town.level("MUG") == (0, 0)

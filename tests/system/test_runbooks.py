"""The runbooks' steps, done as they are written, lead where they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3

from tests.system.shopper import Person, Town

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:tradepost-local-checkout"


def set_aside(town: Town) -> tuple[Person, str]:
    """Let a checkout get stuck because the provider does not answer its capture."""
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    checkout = guest.checks_out(guest.fills_cart(MUG=2), method="pm_capture_timeout")
    town.settles()
    order_id: str = checkout.json()["order_id"]
    assert town.admin.get(f"/v1/orders/{order_id}").json()["status"] == "NEEDS_ATTENTION"
    return guest, order_id


def put_back(town: Town, order_id: str, status: str) -> None:
    (template,) = re.findall(
        r"```json\n(.*?)```", (RUNBOOKS / "needs-attention.md").read_text(), flags=re.DOTALL
    )
    order = town.admin.get(f"/v1/orders/{order_id}").json()
    filled_in = {
        "<stage>": "local",
        "<order_id>": order_id,
        "<status>": status,
        "<version>": str(order["version"]),
    }
    for blank, text in filled_in.items():
        template = template.replace(blank, text)
    boto3.client("dynamodb").update_item(**json.loads(template))


def start(town: Town, order_id: str) -> None:
    boto3.client("stepfunctions").start_execution(
        stateMachineArn=MACHINE,
        name=f"{order_id}-2",
        input=json.dumps({"order_id": order_id, "correlation_id": "by hand"}),
    )
    town.settles()


def provider_answers_again() -> None:
    client = boto3.client("dynamodb")
    table = "tradepost-local-simulators"
    (charge,) = [
        item
        for item in client.scan(TableName=table)["Items"]
        if item["pk"]["S"].startswith("CHARGE#")
    ]
    client.put_item(TableName=table, Item={**charge, "method": {"S": "pm_card_ok"}})


def order_of(town: Town, order_id: str) -> dict[str, Any]:
    order: dict[str, Any] = town.admin.get(f"/v1/orders/{order_id}").json()
    return order


def test_starting_the_checkout_alone_does_nothing_for_an_order_set_aside(town: Town) -> None:
    _, order_id = set_aside(town)

    start(town, order_id)

    assert order_of(town, order_id)["status"] == "NEEDS_ATTENTION"
    assert town.level("MUG") == (8, 2)


def test_an_order_sent_back_as_the_runbook_says_gives_everything_back(town: Town) -> None:
    guest, order_id = set_aside(town)

    put_back(town, order_id, "CANCELLING")
    start(town, order_id)

    order = order_of(town, order_id)
    assert (order["status"], order["reason"]) == ("CANCELLED", "checkout_failed")
    assert town.payment(order_id)["status"] == "VOIDED"
    assert town.level("MUG") == (10, 0)
    assert guest.get("/v1/cart").json()["status"] == "OPEN"
    assert guest.get(f"/v1/checkouts/{order_id}").json()["reason"] == "checkout_failed"


def test_an_order_sent_forward_as_the_runbook_says_is_confirmed(town: Town) -> None:
    guest, order_id = set_aside(town)
    provider_answers_again()

    put_back(town, order_id, "CAPTURING")
    start(town, order_id)

    assert order_of(town, order_id)["status"] == "CONFIRMED"
    assert town.payment(order_id)["status"] == "CAPTURED"
    assert town.level("MUG") == (8, 0)
    assert guest.get("/v1/cart").json()["lines"] == []
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == "CONFIRMED"

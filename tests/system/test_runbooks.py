"""The runbooks' steps, done as they are written, lead where they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from infra.local.stack import LocalStack
from tests.system.faults import run_whole
from tests.system.shopper import Person, Town

METRIC = "OrdersNeedingAttention"
RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


def set_aside(town: Town) -> tuple[Person, str]:
    """Let a checkout get stuck because the provider does not answer its capture."""
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    checkout = guest.checks_out(guest.fills_cart(MUG=2), method="pm_capture_timeout")
    town.settles()
    order_id: str = checkout.json()["order_id"]
    assert town.admin.get(f"/v1/orders/{order_id}").json()["status"] == "NEEDS_ATTENTION"
    return guest, order_id


def resume(town: Town, order_id: str, direction: str) -> httpx.Response:
    """Send what the runbook's command sends."""
    (command,) = re.findall(
        r"```sh\n(.*?)```", (RUNBOOKS / "needs-attention.md").read_text(), flags=re.DOTALL
    )
    blanks = {"<order_id>": order_id, "<direction>": direction, "<note>": "as the runbook says"}
    for blank, text in blanks.items():
        command = command.replace(blank, text)
    (path,) = re.findall(r"https://<host>(\S+)", command)
    (body,) = re.findall(r"-d '(.*)'", command)
    answer = town.admin.post(path, json.loads(body))
    town.settles()
    return answer


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

    run_whole(town, order_id)
    town.settles()

    assert order_of(town, order_id)["status"] == "NEEDS_ATTENTION"
    assert town.level("MUG") == (8, 2)


def test_an_order_set_aside_tells_its_staff_where_and_why(town: Town) -> None:
    guest, order_id = set_aside(town)

    order = town.admin.get(f"/v1/staff/orders/{order_id}").json()

    assert order["parked_from"] == "CAPTURING"
    assert order["parked_because"] == "ProviderUnavailableError"
    assert guest.get("/v1/cart").json()["lines"] == []
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == "UNDER_REVIEW"


def test_an_order_sent_back_as_the_runbook_says_gives_everything_back(town: Town) -> None:
    guest, order_id = set_aside(town)

    answer = resume(town, order_id, "cancel")

    order = order_of(town, order_id)
    assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
    assert (order["status"], order["reason"]) == ("CANCELLED", "checkout_failed")
    assert town.payment(order_id)["status"] == "VOIDED"
    assert town.level("MUG") == (10, 0)
    assert guest.get("/v1/cart").json()["status"] == "OPEN"
    assert guest.get(f"/v1/checkouts/{order_id}").json()["reason"] == "checkout_failed"


def test_an_order_sent_on_as_the_runbook_says_is_confirmed(town: Town) -> None:
    guest, order_id = set_aside(town)
    guest.fills_cart(MUG=3)
    provider_answers_again()

    answer = resume(town, order_id, "retry")

    assert (answer.status_code, answer.json()["status"]) == (202, "CAPTURING")
    assert order_of(town, order_id)["status"] == "CONFIRMED"
    assert town.payment(order_id)["status"] == "CAPTURED"
    assert town.level("MUG") == (8, 0)
    assert guest.get("/v1/cart").json()["lines"][0]["quantity"] == 3
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == "CONFIRMED"


def test_an_order_sent_on_too_early_is_set_aside_again(town: Town) -> None:
    _, order_id = set_aside(town)

    for _ in range(2):
        assert resume(town, order_id, "retry").status_code == 202

    order = town.admin.get(f"/v1/staff/orders/{order_id}").json()
    assert (order["status"], order["parked_from"]) == ("NEEDS_ATTENTION", "CAPTURING")
    assert [action["what"] for action in order["actions"]] == ["retry", "retry"]
    assert {action["note"] for action in order["actions"]} == {"as the runbook says"}


def test_an_order_is_resumed_by_the_first_who_does_so(town: Town) -> None:
    _, order_id = set_aside(town)
    resume(town, order_id, "cancel")

    late = resume(town, order_id, "retry")

    assert (late.status_code, late.json()["code"]) == (409, "order_not_parked")
    assert late.json()["order_status"] == "CANCELLED"


def test_a_customer_may_cancel_an_order_set_aside_and_it_goes_back_when_resumed(
    town: Town,
) -> None:
    guest, order_id = set_aside(town)
    asked = guest.post(f"/v1/orders/{order_id}/cancellation", {})
    town.settles()
    waiting = guest.get(f"/v1/orders/{order_id}").json()
    provider_answers_again()

    resume(town, order_id, "retry")

    order = order_of(town, order_id)
    assert (asked.status_code, waiting["status"]) == (202, "NEEDS_ATTENTION")
    assert "cancel" in waiting["next_step"]
    assert (order["status"], order["reason"]) == ("CANCELLED", "cancelled_by_customer")
    assert order["refunded"]["amount_minor"] == 2500
    assert town.level("MUG") == (10, 0)


def test_orders_set_aside_are_counted_each_minute_for_the_alarm(
    town: Town, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The local stack keeps metrics unwritten: nobody reads them there.
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED")

    def counted() -> list[float]:
        capsys.readouterr()
        town.stack.pump.fire("tradepost-local-orders-sweep_orders")
        town.settles()
        (line,) = [
            json.loads(line) for line in capsys.readouterr().out.splitlines() if METRIC in line
        ]
        assert line["stage"] == "local"
        values: list[float] = line[METRIC]
        return values

    before = counted()
    _, order_id = set_aside(town)
    while_it_waits = counted()
    resume(town, order_id, "cancel")

    assert (before, while_it_waits, counted()) == ([0.0], [1.0], [0.0])


def test_the_alarm_watches_what_is_counted(stack: LocalStack) -> None:
    (alarm,) = boto3.client("cloudwatch").describe_alarms(
        AlarmNames=["tradepost-local-orders-needing-attention"]
    )["MetricAlarms"]

    assert (alarm["Namespace"], alarm["MetricName"]) == ("Tradepost", METRIC)
    assert alarm["Dimensions"] == [{"Name": "stage", "Value": "local"}]
    assert [action.rpartition(":")[2] for action in alarm["AlarmActions"]] == [
        "tradepost-local-alarms"
    ]
    assert "docs/runbooks/needs-attention.md" in alarm["AlarmDescription"]

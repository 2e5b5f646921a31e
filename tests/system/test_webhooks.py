"""Webhooks through the whole shop: registered over the API, heard by a server of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.fakes.merchant import Merchant, merchant
from tests.system.shopper import Person, Town

EVENTS = Path(__file__).parents[2] / "events"


@pytest.fixture
def books() -> Iterator[Merchant]:
    """The merchant's bookkeeping."""
    with merchant() as running:
        yield running


def registered(admin: Person, url: str, *event_types: str, key: str = "books") -> dict[str, Any]:
    body = {"url": url, "event_types": list(event_types) or ["*"], "description": "Books"}
    answer = admin.post("/v1/webhook-endpoints", body, Idempotency_Key=key)
    assert answer.status_code == 201, answer.text
    endpoint: dict[str, Any] = answer.json()
    return endpoint


def buys_a_mug(town: Town) -> str:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    order_id: str = guest.checks_out(guest.fills_cart(MUG=1)).json()["order_id"]
    town.settles()
    return order_id


def strikes(town: Town) -> None:
    """Let the minute pass that brings due webhooks back."""
    for source in town.stack.pump.sources:
        if getattr(source, "function", "").endswith("send_due_webhooks"):
            source.fire(town.stack.clock.now())
    town.settles()


def test_a_merchant_hears_of_an_order_signed_and_once_per_event(
    town: Town, books: Merchant
) -> None:
    endpoint = registered(town.admin, books.url, "order.placed.v1", "order.confirmed.v1")

    order_id = buys_a_mug(town)

    heard = [Webhook(endpoint["secret"]).verify(one.body, one.headers) for one in books.received]
    assert sorted(event["type"] for event in heard) == ["order.confirmed.v1", "order.placed.v1"]
    assert {event["order_id"] for event in heard} == {order_id}
    assert books.event_ids == [event["event_id"] for event in heard]


def test_an_endpoint_for_everything_hears_every_event_as_it_was_published(
    town: Town, books: Merchant
) -> None:
    registered(town.admin, books.url)

    buys_a_mug(town)

    heard = [json.loads(one.body) for one in books.received]
    assert {"product.published.v1", "order.placed.v1", "payment.captured.v1"} <= {
        event["type"] for event in heard
    }
    for event in heard:
        schema = json.loads((EVENTS / "schemas" / f"{event['type']}.json").read_text())
        assert event.keys() == schema["properties"].keys()


def test_the_staff_see_what_was_sent_and_what_was_answered_and_send_it_again(
    town: Town, books: Merchant
) -> None:
    endpoint_id = registered(town.admin, books.url, "order.confirmed.v1")["endpoint_id"]
    books.status, books.body = 500, b"the ledger is closed"
    buys_a_mug(town)
    path = f"/v1/webhook-endpoints/{endpoint_id}/deliveries"
    (listed,) = town.admin.get(f"{path}?status=WAITING").json()["deliveries"]
    books.status, books.body = 200, b"booked"

    answer = town.admin.post(f"{path}/{listed['event_id']}/resend")

    resent = answer.json()
    assert answer.status_code == 200
    assert resent["status"] == "DELIVERED"
    assert [(one["status_code"], one["answer"]) for one in resent["attempts"]] == [
        (500, "the ledger is closed"),
        (200, "booked"),
    ]
    assert json.loads(resent["payload"])["type"] == "order.confirmed.v1"
    assert town.admin.get(f"{path}?status=WAITING").json()["deliveries"] == []
    assert town.admin.get(f"{path}/{listed['event_id']}").json() == resent


def test_a_system_that_is_gone_is_disabled_and_gets_all_it_missed_when_it_is_enabled(
    town: Town, books: Merchant
) -> None:
    endpoint = registered(town.admin, books.url, "order.placed.v1", "order.confirmed.v1")
    path = f"/v1/webhook-endpoints/{endpoint['endpoint_id']}"
    books.status = 410
    buys_a_mug(town)
    seen = town.admin.get(path)
    books.status = 200
    gone = len(books.received)

    answer = town.admin.send("PATCH", path, {"enabled": True}, If_Match=seen.headers["ETag"])
    strikes(town)

    assert (seen.json()["status"], seen.json()["disabled_reason"]) == ("DISABLED", "gone")
    assert (answer.json()["status"], answer.json()["disabled_reason"]) == ("ENABLED", None)
    assert gone == 1
    assert len(books.received) == 2


def test_an_endpoint_lives_from_its_registration_to_its_deletion(
    town: Town, books: Merchant
) -> None:
    made = registered(town.admin, books.url, "order.placed.v1")
    path = f"/v1/webhook-endpoints/{made['endpoint_id']}"
    again = registered(town.admin, books.url, "order.placed.v1")
    tested = town.admin.post(f"{path}/test", Idempotency_Key="test-1").json()
    rotated = town.admin.post(f"{path}/secret", Idempotency_Key="new-1").json()
    rotated_again = town.admin.post(f"{path}/secret", Idempotency_Key="new-1").json()
    changed = town.admin.send("PATCH", path, {"description": "Ledger"})
    stale = town.admin.send("PATCH", path, {"description": "x"}, If_Match='"1"')
    (listed,) = town.admin.get("/v1/webhook-endpoints").json()["endpoints"]
    deleted = town.admin.delete(path)

    assert made == again
    assert tested["status"] == "DELIVERED"
    assert Webhook(made["secret"]).verify(books.received[0].body, books.received[0].headers)
    assert rotated == rotated_again
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_until"] is not None
    assert (changed.status_code, changed.json()["description"]) == (200, "Ledger")
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    assert listed == changed.json()
    assert "secret" not in listed
    assert deleted.status_code == 204
    assert town.admin.get(path).json()["code"] == "webhook_endpoint_not_found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "https://10.0.0.1/"}, "webhook_address_refused"),
        ({"url": "http://example.com/"}, "webhook_address_refused"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "webhook_address_refused"),
        # Other ways to write 169.254.169.254 and 10.0.0.1.
        ({"url": "https://2852039166/"}, "webhook_address_refused"),
        ({"url": "https://0x0a000001/"}, "webhook_address_refused"),
        ({"url": "https://0251.0376.0251.0376/"}, "webhook_address_refused"),
        ({"url": "https://①⑥⑨.254.169.254/"}, "webhook_address_refused"),
        ({"url": "https://[::ffff:a9fe:a9fe]/"}, "webhook_address_refused"),
        ({"url": "https://ada:pw@example.com/"}, "webhook_address_refused"),
        ({"url": "javascript:alert(1)"}, "invalid_request"),
        ({"url": "//example.com"}, "invalid_request"),
        (
            {"url": "https://example.com/", "event_types": ["order.vanished.v1"]},
            "unknown_event_type",
        ),
        ({"url": "https://example.com/", "event_types": []}, "invalid_request"),
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused(
    town: Town, body: dict[str, Any], code: str
) -> None:
    answer = town.admin.post("/v1/webhook-endpoints", body, Idempotency_Key="nonsense")

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert town.admin.get("/v1/webhook-endpoints").json()["endpoints"] == []


def test_a_customer_sees_nothing_of_webhooks(town: Town, books: Merchant) -> None:
    endpoint_id = registered(town.admin, books.url)["endpoint_id"]

    for person in (town.customer(), town.guest()):
        for path in ("", f"/{endpoint_id}", f"/{endpoint_id}/deliveries"):
            assert person.get(f"/v1/webhook-endpoints{path}").status_code == 403

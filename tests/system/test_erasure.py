"""A person with a canary in every field: all of them in the export, none anywhere once erased."""

from __future__ import annotations

import dataclasses
import io
import random
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from tests.system.hearing import Consumer, consumed_queues
from tests.system.shopper import Person, Town
from tradepost.kernel.clock import set_clock, utc_now
from tradepost.platform.erasures import ERASED_AFTER, LOOKED_AT_EVERY
from tradepost.platform.logger import logger

PASSWORD = "canary seed and water"
PROOF = {"password": PASSWORD}

EMAIL = "canary.mailbox@example.com"
NAME = "Canary Holdername"
ADDRESS = {
    "name": "Canary Receivername",
    "line1": "Canary Lineone 1",
    "line2": "Canary Linetwo",
    "city": "Canarycity",
    "region": "Canaryregion",
    "postal_code": "CNRY 7",
    "country": "GB",
}
BOOK_ADDRESS = {**{name: f"{text} too" for name, text in ADDRESS.items()}, "country": "GB"}
SENT_TO = "canary.checkout@example.com"
RETURN_REASON = "canary returnreason"
CLAIM_WORDS = "canary claimwords"
CANCEL_WORDS = "canary cancelwords"

CANARIES = [
    EMAIL,
    NAME,
    SENT_TO,
    RETURN_REASON,
    CLAIM_WORDS,
    CANCEL_WORDS,
    *(text for name, text in ADDRESS.items() if name != "country"),
    *(text for name, text in BOOK_ADDRESS.items() if name != "country"),
]
# Never told to anybody, not even to whom it belongs.
SECRETS = [PASSWORD]

SWEEPS = tuple(
    f"tradepost-local-{context}-sweep_erasures" for context in ("users", "carts", "orders")
)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Everything that is logged during a test."""
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return written


def anywhere(town: Town, logged: io.StringIO) -> dict[str, str]:
    """Read every table, queue, bucket, log and mailbox of the stack, as text."""
    account, region = town.stack.account_id, town.stack.region
    client = boto3.client("dynamodb")
    found = {"log": logged.getvalue()}
    for name in dynamodb_backends[account][region].tables:
        pages = client.get_paginator("scan").paginate(TableName=name)
        found[f"table {name}"] = repr([page["Items"] for page in pages])
    for name, queue in sqs_backends[account][region].queues.items():
        found[f"queue {name}"] = repr([vars(message) for message in queue._messages])
    for name, bucket in s3_backends[account]["aws"].buckets.items():
        found[f"bucket {name}"] = repr([key.value for key in bucket.keys.values()])
    for name, group in logs_backends[account][region].groups.items():
        events = [vars(event) for stream in group.streams.values() for event in stream.events]
        found[f"log group {name}"] = repr(events)
    found["mailbox"] = repr(town.stack.mailbox.list())
    return found


def canaries_in(places: dict[str, str]) -> dict[str, list[str]]:
    told = {
        place: [word for word in (*CANARIES, *SECRETS) if word.lower() in text.lower()]
        for place, text in places.items()
    }
    return {place: words for place, words in told.items() if words}


@contextmanager
def keeping_what_is_heard(
    consumers: Iterable[Consumer], patch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Remember what each consumer is told, and let it do its work."""
    with patch.context() as patched:
        for consumer in consumers:
            _listen(consumer, patched)
        yield


def _listen(consumer: Consumer, patched: pytest.MonkeyPatch) -> None:
    functions = consumer.stack.functions.by_name
    function = functions[consumer.function]

    def keep(event: Any, context: Any) -> Any:
        consumer.heard += [record["body"] for record in event["Records"]]
        return function.handler(event, context)

    patched.setitem(functions, consumer.function, dataclasses.replace(function, handler=keep))


def canary(town: Town) -> Person:
    body = {"email": EMAIL, "password": PASSWORD, "name": NAME}
    assert town.nobody.post("/v1/users", body).status_code == 201
    return logs_in(town)


def logs_in(town: Town) -> Person:
    session = town.nobody.post("/v1/sessions", {"email": EMAIL, "password": PASSWORD})
    assert session.status_code == 201, session.text
    return Person(town.http, session.json()["access_token"])


def buys(person: Person, town: Town) -> str:
    total = person.fills_cart(MUG=1)
    body = {
        "email": SENT_TO,
        "shipping_address": ADDRESS,
        "payment_method": "pm_card_ok",
        "expected_total": {"amount_minor": total, "currency": "GBP"},
    }
    answer = person.post("/v1/checkouts", body, Idempotency_Key=f"key-{utc_now().isoformat()}")
    assert answer.status_code == 202, answer.text
    town.settles()
    order_id: str = answer.json()["order_id"]
    return order_id


def arrives(order_id: str, town: Town) -> None:
    for step in ("pick", "dispatch", "delivery"):
        assert town.admin.post(f"/v1/shipments/{order_id}/{step}").status_code == 200
    town.settles()


def lives(town: Town) -> Person:
    """Leave a trace in every corner of the shop."""
    town.sells("MUG", on_hand=20)
    person = canary(town)
    kept = person.post("/v1/addresses", {"address": BOOK_ADDRESS}, Idempotency_Key="book")
    assert kept.status_code == 201, kept.text
    returned, claimed, cancelled = (buys(person, town) for _ in range(3))
    cancelling = person.post(f"/v1/orders/{cancelled}/cancellation", {"reason": CANCEL_WORDS})
    assert cancelling.status_code == 202, cancelling.text
    for order_id in (returned, claimed):
        arrives(order_id, town)
    wanted = {"lines": [{"sku": "MUG", "quantity": 1}], "reason": RETURN_REASON}
    asked = person.post(f"/v1/shipments/{returned}/returns", wanted, Idempotency_Key="return")
    assert asked.status_code in (201, 202), asked.text
    complaint = {"kind": "damaged", "description": CLAIM_WORDS}
    opened = person.post(f"/v1/shipments/{claimed}/claims", complaint)
    assert opened.status_code == 201, opened.text
    person.fills_cart(MUG=1)
    town.settles()
    return person


def leaves(person: Person) -> None:
    answer = person.send("DELETE", "/v1/me", PROOF)
    assert answer.status_code == 202, answer.text


def sweeps(town: Town, after: timedelta = ERASED_AFTER) -> None:
    """Have everybody forget whom to forget, as they do so long from now."""
    later = utc_now() + after
    set_clock(lambda: later)
    try:
        for sweep in SWEEPS:
            town.stack.pump.fire(sweep)
        town.settles()
    finally:
        set_clock(None)


def test_every_canary_is_in_the_export_and_none_is_left_anywhere_after_the_erasure(
    town: Town, logged: io.StringIO
) -> None:
    person = lives(town)

    exported = person.post("/v1/me/export", PROOF)

    assert exported.status_code == 200, exported.text
    assert [word for word in CANARIES if word not in exported.text] == []
    assert [word for word in SECRETS if word in exported.text] == []
    assert canaries_in(anywhere(town, logged)).keys() >= {"mailbox", "table tradepost-local-orders"}
    assert "log" not in canaries_in(anywhere(town, logged))

    leaves(person)
    town.settles()
    # What was sent is in the person's own mailbox, which is theirs to empty.
    town.stack.mailbox.clear()
    sweeps(town)

    assert canaries_in(anywhere(town, logged)) == {}


def test_what_the_law_has_us_keep_of_an_erased_persons_order_stays(town: Town) -> None:
    town.sells("MUG", on_hand=5)
    person = canary(town)
    order_id = buys(person, town)
    arrives(order_id, town)
    before = town.admin.get(f"/v1/orders/{order_id}").json()

    leaves(person)
    town.settles()
    sweeps(town)

    after = town.admin.get(f"/v1/orders/{order_id}").json()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"email", "shipping_address", "updated_at", "version"}
    assert after["total"] == before["total"]
    assert after["lines"] == before["lines"]


def test_an_order_under_way_keeps_what_its_parcel_needs_until_it_has_arrived(
    town: Town, logged: io.StringIO
) -> None:
    town.sells("MUG", on_hand=5)
    person = canary(town)
    order_id = buys(person, town)

    leaves(person)
    town.settles()
    sweeps(town)
    under_way = canaries_in(anywhere(town, logged))
    arrives(order_id, town)
    told = [mail["subject"] for mail in town.stack.mailbox.list(SENT_TO)]
    town.stack.mailbox.clear()
    sweeps(town, ERASED_AFTER + LOOKED_AT_EVERY)

    assert under_way.keys() == {"table tradepost-local-orders", "mailbox"}
    assert any("delivered" in subject for subject in told)
    assert canaries_in(anywhere(town, logged)) == {}


def test_an_account_is_gone_at_once_and_its_address_is_free_again(town: Town) -> None:
    person = canary(town)
    session = town.nobody.post("/v1/sessions", {"email": EMAIL, "password": PASSWORD}).json()

    leaves(person)

    again = person.send("DELETE", "/v1/me", PROOF)
    refreshed = town.nobody.post(
        "/v1/sessions/refresh", {"refresh_token": session["refresh_token"]}
    )
    logged_in = town.nobody.post("/v1/sessions", {"email": EMAIL, "password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (404, "account_not_found")
    assert (refreshed.status_code, logged_in.status_code) == (401, 401)
    assert canary(town).get("/v1/users/me").json()["user_id"] != session["user_id"]


@pytest.mark.parametrize("path", [("DELETE", "/v1/me"), ("POST", "/v1/me/export")])
def test_a_stolen_token_alone_neither_exports_nor_erases(town: Town, path: tuple[str, str]) -> None:
    person = canary(town)

    answer = person.send(*path, {"password": "not the password"})

    assert (answer.status_code, answer.json()["code"]) == (403, "password_wrong")
    assert person.get("/v1/users/me").status_code == 200


def test_an_erasure_that_races_a_checkout_leaves_nothing_when_that_is_over(
    town: Town, logged: io.StringIO
) -> None:
    """The token outlives the account for some minutes, and buys with it."""
    town.sells("MUG", on_hand=5)
    person = canary(town)
    total = person.fills_cart(MUG=1)
    leaves(person)
    body = {
        "email": SENT_TO,
        "shipping_address": ADDRESS,
        "payment_method": "pm_card_ok",
        "expected_total": {"amount_minor": total, "currency": "GBP"},
    }
    order_id = person.post("/v1/checkouts", body, Idempotency_Key="late").json()["order_id"]
    person.post("/v1/addresses", {"address": BOOK_ADDRESS}, Idempotency_Key="late")
    town.settles()
    sweeps(town)

    arrives(order_id, town)
    town.stack.mailbox.clear()
    sweeps(town, ERASED_AFTER + LOOKED_AT_EVERY)

    assert canaries_in(anywhere(town, logged)) == {}


def test_events_that_arrive_late_and_again_bring_nothing_back(
    town: Town, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumers = [Consumer(town.stack, queue) for queue in consumed_queues()]
    with keeping_what_is_heard(consumers, monkeypatch):
        person = lives(town)
        leaves(person)
        town.settles()
    town.stack.mailbox.clear()
    sweeps(town)

    heard_of_it = {consumer.queue for consumer in consumers if consumer.heard}
    assert heard_of_it >= {
        "carts-products",
        "orders-facts",
        "shipping-facts",
        "notifications-facts",
    }
    for consumer in consumers:
        consumer.hears(consumer.heard * 2, random.Random(1))
    town.settles()
    sweeps(town, ERASED_AFTER + LOOKED_AT_EVERY)

    assert canaries_in(anywhere(town, logged)) == {}


def test_asking_for_the_erasure_twice_at_once_erases_once(town: Town) -> None:
    person = canary(town)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: person.send("DELETE", "/v1/me", PROOF), range(8)))

    codes = {answer.status_code for answer in answers}
    assert codes <= {202, 404}
    assert 202 in codes
    town.settles()
    client = boto3.client("dynamodb")
    for context in ("users", "carts", "orders"):
        items = client.scan(TableName=f"tradepost-local-{context}")["Items"]
        assert len([item for item in items if item["sk"]["S"] == "ERASURE"]) == 1, context

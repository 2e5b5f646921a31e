"""Every consumer ends in the same state, however often and in whatever order it is told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from shipping.simulator import NO_LABEL_POSTAL_CODE
from tests.system.faults import Faults, is_lost_before
from tests.system.hearing import Consumer, Moment, consumed_queues
from tests.system.kinds import Shop
from tests.system.shopper import Person, Town
from tradepost.kernel.clock import set_clock, utc_now
from tradepost.platform.erasures import ERASED_AFTER

SAMPLES = Path(__file__).parents[2] / "events" / "samples"

ORDERS_TRIED = 12
COPIES_MAX = 3

# What the story below makes each consumer hear at least; others may hear more.
HEARS = {
    "carts-products": {
        "product.published.v2",
        "product.changed.v2",
        "product.withdrawn.v1",
        "user.erased.v1",
    },
    "notifications-facts": {
        "user.letter_due.v1",
        "order.confirmed.v1",
        "order.cancelled.v1",
        "shipment.dispatched.v1",
        "shipment.delivered.v1",
        "payment.refunded.v1",
    },
    # Everything that is published; these stand for it.
    "notifications-webhooks": {"product.changed.v1", "order.placed.v1", "payment.captured.v1"},
    "orders-facts": {
        "payment.authorized.v1",
        "payment.declined.v1",
        "payment.refunded.v1",
        "shipment.dispatched.v1",
        "shipment.delivered.v1",
        "shipment.failed.v1",
        "user.erased.v1",
    },
    "payments-facts": {"claim.accepted.v1"},
    "shipping-facts": {"order.confirmed.v1", "order.anonymised.v1"},
}


def test_every_consumer_is_in_the_story() -> None:
    assert HEARS.keys() == set(consumed_queues())


def product(*variants: tuple[str, int], published: bool = True) -> dict[str, object]:
    return {
        "title": "Product",
        "published": published,
        "options": ["Size"] if len(variants) > 1 else [],
        "variants": [
            {
                "sku": sku,
                "price": {"amount_minor": amount_minor, "currency": "GBP"},
                "weight_grams": 300,
                **({"option_values": [sku]} if len(variants) > 1 else {}),
            }
            for sku, amount_minor in variants
        ],
    }


def products_come_and_go(admin: Person) -> None:
    """Tell the catalogue's whole vocabulary: priced anew, parted with, withdrawn, back again."""
    for handle, content in (
        ("bowl", product(("BOWL", 900))),
        ("bowl", product(("BOWL", 950))),
        ("bowl", product(("BOWL-S", 950), ("BOWL-L", 1450))),
        ("bowl", product(("BOWL-L", 1500))),
        # A SKU that one product gave up is another's.
        ("dish", product(("BOWL-S", 800))),
        ("plate", product(("PLATE", 700))),
        ("plate", product(("PLATE", 700), published=False)),
        ("plate", product(("PLATE", 750))),
        ("jug", product(("JUG", 2000))),
        ("jug", product(("JUG", 2000), published=False)),
    ):
        answer = admin.put(f"/v1/products/{handle}", content)
        assert answer.status_code == 200, answer.text


def a_merchants_system_listens(town: Town) -> None:
    """Have events kept for an endpoint that is disabled, so that none is sent meanwhile."""
    body = {"url": "https://merchant.example/events"}
    made = asks(town.admin, "/v1/webhook-endpoints", body, Idempotency_Key="one")
    path = f"/v1/webhook-endpoints/{made.json()['endpoint_id']}"
    assert town.admin.send("PATCH", path, {"enabled": False}).status_code == 200


def people_buy(town: Town) -> None:
    """Tell what becomes of orders. Some of it needs the consumer that is held, and is refused."""
    town.customer()
    arrives, refunded, called_off = (bought(town)[1] for _ in range(3))
    bought(town, method="pm_card_declined")
    bought(town, postal_code=NO_LABEL_POSTAL_CODE)
    for answer in ("confirm", "refuse"):
        confirms(town, *bought(town, method="pm_3ds"), answer)
    for step in ("pick", "dispatch", "delivery"):
        asks(town.admin, f"/v1/shipments/{arrives}/{step}")
        town.settles()
    for key in ("first", "second"):
        refund = {"amount": money(300), "reason": "scratched"}
        asks(town.admin, f"/v1/payments/{refunded}/refunds", refund, Idempotency_Key=key)
    asks(town.admin, f"/v1/orders/{called_off}/cancellation", {"reason": "ordered twice"})
    town.settles()


def claims(town: Town) -> None:
    """Have a parcel arrive damaged, and pay for a part of it."""
    guest, order_id = bought(town)
    for step in ("pick", "dispatch", "delivery"):
        asks(town.admin, f"/v1/shipments/{order_id}/{step}")
    opened = asks(
        guest, f"/v1/shipments/{order_id}/claims", {"kind": "damaged", "description": "a crack"}
    )
    if opened.status_code == 201:
        claim = f"/v1/shipments/{order_id}/claims/{opened.json()['claim_id']}"
        asks(town.admin, f"{claim}/acceptance", {"amount": money(400)})
    town.settles()


def somebody_leaves(town: Town) -> None:
    """Have an account closed whose order is over, and its customer forgotten."""
    customer = town.customer()
    answer = customer.checks_out(customer.fills_cart(MUG=1))
    town.settles()
    asks(customer, f"/v1/orders/{answer.json()['order_id']}/cancellation", {"reason": "moving"})
    town.settles()
    left = customer.send("DELETE", "/v1/me", {"password": "a long enough password"})
    assert left.status_code == 202, left.text
    town.settles()
    soon = utc_now() + ERASED_AFTER
    set_clock(lambda: soon)
    town.stack.pump.fire("tradepost-local-orders-sweep_erasures")
    town.settles()
    set_clock(None)


def confirms(town: Town, guest: Person, order_id: str, answer: str) -> None:
    """Go to the bank's page and press a button; then come back to the shop."""
    asked = guest.get(f"/v1/payments/{order_id}/confirmation").json()
    page = asked["action_url"].partition("/v1/")[2]
    form = {"answer": answer}
    assert town.http.post(f"/v1/{page}", data=form).status_code == 200
    asks(guest, f"/v1/payments/{order_id}/confirmation")
    town.settles()


def bought(town: Town, **how: str) -> tuple[Person, str]:
    guest = town.guest()
    answer = guest.checks_out(guest.fills_cart(MUG=1), **how)
    town.settles()
    return guest, str(answer.json()["order_id"])


def asks(person: Person, path: str, body: object = None, **headers: str) -> httpx.Response:
    answer = person.post(path, body, **headers)
    assert answer.status_code < 500, answer.text
    return answer


def money(amount_minor: int) -> dict[str, object]:
    return {"amount_minor": amount_minor, "currency": "GBP"}


def differences(state: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    return {
        key: (state.get(key), other.get(key))
        for key in state.keys() | other.keys()
        if state.get(key) != other.get(key)
    }


def test_a_sku_that_moved_to_another_product_is_sold_by_that_one(town: Town) -> None:
    products_come_and_go(town.admin)
    town.settles()

    guest = town.guest()

    assert guest.fills_cart(BOWL_S=1) == 800
    assert guest.fills_cart(BOWL_L=1) == 1500


def test_news_of_a_parcel_that_comes_before_its_orders_confirmation_waits_and_is_then_done(
    town: Town, faults: Faults, at: Callable[[timedelta], None]
) -> None:
    shop = Shop(town, faults)
    faults.at_step("orders-confirm_order", is_lost_before)
    guest, order_id, _ = shop.sells("approved")
    sample = json.loads((SAMPLES / "shipment.dispatched.v1.json").read_text())
    news = json.dumps(sample | {"order_id": order_id})

    left_in_the_queue = told(town, "orders", news)
    at(timedelta(minutes=7))
    town.stack.pump.fire("tradepost-local-orders-sweep_orders")
    town.settles()
    confirmed = guest.get(f"/v1/orders/{order_id}").json()["status"]
    left_when_it_comes_again = told(town, "orders", news)

    assert (left_in_the_queue, confirmed) == (["msg_1"], "CONFIRMED")
    assert left_when_it_comes_again == []
    assert guest.get(f"/v1/orders/{order_id}").json()["status"] == "SHIPPED"


def told(town: Town, context: str, body: str) -> list[str]:
    """Hand a consumer one message; return what it leaves in its queue, to come again."""
    record = {"messageId": "msg_1", "body": body, "eventSource": "aws:sqs", "attributes": {}}
    payload = json.dumps({"Records": [record]})
    answer, failed = town.stack.functions.run(f"tradepost-local-{context}-on_fact", payload)
    assert not failed, answer
    return [one["itemIdentifier"] for one in json.loads(answer)["batchItemFailures"]]


@pytest.mark.parametrize("queue", consumed_queues())
def test_repeated_and_shuffled_news_ends_in_the_state_of_news_in_order(
    queue: str, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.sells("MUG", on_hand=20)
    a_merchants_system_listens(town)
    consumer = Consumer(town.stack, queue)
    with consumer.held(monkeypatch):
        products_come_and_go(town.admin)
        people_buy(town)
        claims(town)
        somebody_leaves(town)
    before = Moment(town.stack)
    assert consumer.types_heard >= HEARS.get(queue, set())

    before.again()
    untold = consumer.state()
    assert consumer.hears(consumer.heard, random.Random(0)) == []
    town.settles()
    in_order = consumer.state()
    assert differences(untold, in_order), "what is heard was to change something"

    for seed in range(1, ORDERS_TRIED + 1):
        chance = random.Random(seed)
        told = [body for body in consumer.heard for _ in range(chance.randint(1, COPIES_MAX))]
        chance.shuffle(told)
        before.again()

        given_up = consumer.hears(told, chance)
        town.settles()

        assert given_up == [], f"order {seed}"
        assert differences(consumer.state(), in_order) == {}, f"order {seed}"

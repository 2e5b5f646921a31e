"""Every consumer ends in the same state, however often and in whatever order it is told."""

from __future__ import annotations

import random

import pytest

from tests.system.hearing import Consumer, Moment, consumed_queues
from tests.system.shopper import Person, Town

ORDERS_TRIED = 12
COPIES_MAX = 3

# What the story below makes each consumer hear at least; others may hear more.
HEARS = {
    "carts-products": {"product.published.v1", "product.changed.v1", "product.withdrawn.v1"},
    "notifications-facts": {
        "user.registered.v1",
        "order.confirmed.v1",
        "order.cancelled.v1",
        "shipment.dispatched.v1",
        "shipment.delivered.v1",
        "payment.refunded.v1",
    },
    "orders-facts": {"shipment.dispatched.v1", "shipment.delivered.v1", "payment.refunded.v1"},
}


def test_every_consumer_is_in_the_story() -> None:
    assert HEARS.keys() <= set(consumed_queues())


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


def people_buy(town: Town) -> None:
    """One order arrives, one is refunded in two parts, one is declined, one is called off."""
    town.customer()
    arrives, refunded, called_off = (bought(town) for _ in range(3))
    bought(town, method="pm_card_declined")
    for step in ("pick", "dispatch", "delivery"):
        town.admin.post(f"/v1/shipments/{arrives}/{step}")
        town.settles()
    for key in ("first", "second"):
        body = {"amount": {"amount_minor": 300, "currency": "GBP"}, "reason": "scratched"}
        answer = town.admin.post(f"/v1/payments/{refunded}/refunds", body, Idempotency_Key=key)
        assert answer.status_code < 300, answer.text
    town.admin.post(f"/v1/orders/{called_off}/cancellation", {"reason": "ordered twice"})
    town.settles()


def bought(town: Town, **how: str) -> str:
    guest = town.guest()
    answer = guest.checks_out(guest.fills_cart(MUG=1), **how)
    town.settles()
    order_id: str = answer.json()["order_id"]
    return order_id


def test_a_sku_that_moved_to_another_product_is_sold_by_that_one(town: Town) -> None:
    products_come_and_go(town.admin)
    town.settles()

    guest = town.guest()

    assert guest.fills_cart(BOWL_S=1) == 800
    assert guest.fills_cart(BOWL_L=1) == 1500


@pytest.mark.parametrize("queue", consumed_queues())
def test_repeated_and_shuffled_news_ends_in_the_state_of_news_in_order(
    queue: str, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.sells("MUG", on_hand=10)
    consumer = Consumer(town.stack, queue)
    with consumer.held(monkeypatch):
        products_come_and_go(town.admin)
        people_buy(town)
    before = Moment(town.stack)
    assert consumer.types_heard >= HEARS.get(queue, set())

    before.again()
    assert consumer.hears(consumer.heard, random.Random(0)) == []
    town.settles()
    in_order = consumer.state()

    for seed in range(1, ORDERS_TRIED + 1):
        chance = random.Random(seed)
        told = [body for body in consumer.heard for _ in range(chance.randint(1, COPIES_MAX))]
        chance.shuffle(told)
        before.again()

        given_up = consumer.hears(told, chance)
        town.settles()

        assert given_up == [], f"order {seed}"
        assert consumer.state() == in_order, f"order {seed}"

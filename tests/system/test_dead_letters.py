"""A message that cannot be done is set aside whole, and done when its consumer is mended."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from carts.dynamodb import DynamoDBPriceBook
from carts.model.cart import Offer
from infra.cli.dead_letters import queues
from infra.cli.main import app
from tests.system.shopper import Town

QUEUE = "tradepost-local-carts-products"
MANY = 300


@pytest.fixture(autouse=True)
def impatient(town: Town, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let what failed come again at once, in every queue."""
    monkeypatch.setattr(queues, "WAIT_SECONDS", 0)
    sqs = boto3.client("sqs")
    waits = {}
    for name in (QUEUE, "tradepost-local-orders-facts"):
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        waits[url] = attributes["Attributes"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    yield
    for url, waited in waits.items():
        sqs.set_queue_attributes(QueueUrl=url, Attributes=waited)


def dlq(*typed: str) -> Result:
    done = CliRunner().invoke(app, ["dlq", *typed, "--stage", "local"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def shown(queue: str, *typed: str) -> list[dict[str, Any]]:
    lines = dlq("show", queue, "--json", "--max", "1000", *typed).output.splitlines()
    return [json.loads(line) for line in lines]


def depth(queue: str) -> int:
    told = [json.loads(line) for line in dlq("list", "--json").output.splitlines()]
    return {one["name"]: one["depth"] + one["in_hand"] for one in told}[queue]


def waiting(queue: str) -> int:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(told["ApproximateNumberOfMessages"]) + int(
        told["ApproximateNumberOfMessagesNotVisible"]
    )


def fails_at(patch: pytest.MonkeyPatch, fails: Callable[[Offer], bool]) -> None:
    """Give the consumer a bug: it cannot take these offers."""
    put_offer = DynamoDBPriceBook.put_offer

    def stumble(self: DynamoDBPriceBook, offer: Offer, *news: Any) -> None:
        if fails(offer):
            raise RuntimeError("on purpose")
        put_offer(self, offer, *news)

    patch.setattr(DynamoDBPriceBook, "put_offer", stumble)


def on_sale(skus: list[str]) -> dict[str, int]:
    """Ask carts what each costs; those it does not sell are left out."""
    book = DynamoDBPriceBook(boto3.client("dynamodb"), "tradepost-local-carts")
    return {sku: offer.unit_price.amount_minor for sku, offer in book.prices(skus).offers.items()}


def published(number: int) -> str:
    """Write the news of a product as catalog does."""
    return json.dumps(
        {
            "event_id": f"evt_{number}",
            "occurred_at": "2026-01-02T12:00:00Z",
            "correlation_id": "cor_1",
            "version": 1,
            "type": "product.published.v2",
            "product_id": f"prd_{number}",
            "handle": f"product-{number}",
            "variants": [
                {
                    "sku": f"SKU-{number}",
                    "title": "Product",
                    "amount_minor": 100 + number,
                    "currency": "GBP",
                    "weight_grams": 300,
                    "tax_class": "standard",
                }
            ],
        }
    )


def publish(bodies: list[str], event_type: str = "product.published.v2") -> None:
    sns = boto3.client("sns")
    for body in bodies:
        sns.publish(
            TopicArn="arn:aws:sns:eu-west-1:123456789012:tradepost-local-events",
            Message=body,
            MessageAttributes={"type": {"DataType": "String", "StringValue": event_type}},
        )


def test_of_ten_messages_with_one_poisoned_nine_are_done_and_the_tenth_when_it_is_mended(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    skus = [f"SKU-{number}" for number in range(10)]
    prices = {sku: 100 + number for number, sku in enumerate(skus)}
    bodies = [published(number) for number in range(10)]

    with monkeypatch.context() as patch:
        fails_at(patch, lambda offer: offer.sku == "SKU-3")
        publish(bodies)
        town.settles()

    assert on_sale(skus) == {sku: prices[sku] for sku in skus if sku != "SKU-3"}
    (letter,) = shown("carts-products")
    assert letter["body"] == bodies[3]
    assert letter["attributes"] == {"type": "product.published.v2"}
    assert letter["received"] >= 5

    done = dlq("redrive", "carts-products", "--event-id", "evt_3", "--reason", "mended")
    town.settles()

    assert done.exit_code == 0, done.output
    assert on_sale(skus) == prices
    assert (depth("carts-products"), waiting(QUEUE)) == (0, 0)


def test_a_redrive_before_the_cause_is_gone_loses_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_at(monkeypatch, lambda _: True)
    publish([published(1)])
    town.settles()

    for _ in range(3):
        dlq("redrive", "carts-products", "--all", "--max", "1")
        town.settles()

    assert [letter["body"] for letter in shown("carts-products")] == [published(1)]


def test_what_was_sent_is_done_or_set_aside_and_all_is_done_in_the_end(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    poisoned = {f"SKU-{number}" for number in chance.sample(range(MANY), 20)}
    prices = {f"SKU-{number}": 100 + number for number in range(MANY)}
    with monkeypatch.context() as patch:
        fails_at(patch, lambda offer: offer.sku in poisoned or chance.random() < 0.4)
        publish([published(number) for number in range(MANY)])
        town.settles()

    done = on_sale(list(prices))
    set_aside = [json.loads(letter["body"])["variants"][0] for letter in shown("carts-products")]
    assert len(set_aside) > len(poisoned), "chance alone was to set some aside, too"
    assert {**done, **{one["sku"]: one["amount_minor"] for one in set_aside}} == prices
    assert len(done) + len(set_aside) == MANY

    with monkeypatch.context() as patch:
        breaks_off(patch, chance)
        ends = []
        while depth("carts-products"):
            ends.append(dlq("redrive", "carts-products", "--all", "--max", "25").exit_code)
    town.settles()

    assert {0, 2} == set(ends), "some runs were to be broken off, and some not"
    assert on_sale(list(prices)) == prices
    assert (depth("carts-products"), waiting(QUEUE)) == (0, 0)


def breaks_off(patch: pytest.MonkeyPatch, chance: random.Random) -> None:
    """Let the tool's calls fail now and then, before or after they took effect."""
    call = BaseClient._make_api_call

    def unsteady(client: Any, operation: str, request: Any) -> Any:
        failing = ClientError({"Error": {"Code": "Throttling", "Message": "on purpose"}}, operation)
        at = chance.random() if operation in ("SendMessage", "DeleteMessage") else 1.0
        if at < 0.1:
            raise failing
        answer = call(client, operation, request)
        if at < 0.2:
            raise failing
        return answer

    patch.setattr(BaseClient, "_make_api_call", unsteady)


def test_news_of_an_order_that_never_was_is_discarded_with_a_reason_and_kept_whole(
    town: Town,
) -> None:
    news = {
        "event_id": "evt_lost",
        "occurred_at": "2026-01-02T12:00:00Z",
        "correlation_id": "cor_1",
        "version": 2,
        "type": "shipment.dispatched.v1",
        "order_id": "ord_none",
        "tracking_number": "T1",
        "carrier": "simulated",
    }
    publish([json.dumps(news)], "shipment.dispatched.v1")
    town.settles()
    assert [letter["event_id"] for letter in shown("orders-facts")] == ["evt_lost"]

    done = dlq(
        "discard", "orders-facts", "--event-id", "evt_lost", "--reason", "a test of the carrier"
    )

    assert (done.exit_code, depth("orders-facts")) == (0, 0)
    records = [json.loads(line) for line in dlq("history", "orders-facts").output.splitlines()]
    (record,) = [one for one in records if one["step"] == "discarded"]
    assert (record["body"], record["reason"]) == (json.dumps(news), "a test of the carrier")

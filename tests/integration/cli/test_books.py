"""The command line reads the tables as their owners write them."""

from __future__ import annotations

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from moto import mock_aws

from infra.cli.books import (
    MoneyBook,
    OrderBook,
    PaymentBook,
    ReturnBook,
    StockBook,
    TableBooks,
)

ORDER = "ord_0123456789abcdefghjkmnpqrs"


class Tables:
    """The stage's tables, with a way to put plain items into them."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", region_name="eu-west-1")
        for table in ("orders", "payments", "simulators", "inventory", "shipping"):
            self.client.create_table(
                TableName=f"tradepost-test-{table}",
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
            )

    def put(self, table: str, pk: str, sk: str, **attributes) -> None:
        write = TypeSerializer().serialize
        item = {"pk": pk, "sk": sk, **attributes}
        self.client.put_item(
            TableName=f"tradepost-test-{table}",
            Item={name: write(value) for name, value in item.items()},
        )


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield Tables()


@pytest.fixture
def books(tables):
    return TableBooks(tables.client, "test")


def legs(amount: int) -> list[dict]:
    return [
        {"account": "cash", "amount_minor": amount},
        {"account": "customer", "amount_minor": -amount},
    ]


def test_an_order_is_its_head_and_not_its_lines(tables, books):
    pk = f"ORDER#{ORDER}"
    head = {"email": "a@shop.example", "status": "CONFIRMED", "total_minor": 510}
    tables.put("orders", pk, "ORDER", order_id=ORDER, refunded_minor=255, **head)
    tables.put("orders", pk, "LINES#0000", lines=[])

    assert books.orders() == {ORDER: OrderBook(ORDER, "a@shop.example", "CONFIRMED", 510, 255)}


def test_a_payments_totals_and_its_ledger_are_read_apart(tables, books):
    pk = f"PAYMENT#{ORDER}"
    tables.put("payments", pk, "PAYMENT", captured_minor=510, refunded_minor=255)
    tables.put("payments", pk, "ENTRY#CAPTURE", kind="CAPTURE", legs=legs(510))
    tables.put("payments", pk, "ENTRY#ref_1", kind="REFUND", legs=legs(-200))
    tables.put("payments", pk, "ENTRY#ref_2", kind="REFUND", legs=legs(-55))

    assert books.payments() == {ORDER: PaymentBook(MoneyBook(510, 255), MoneyBook(510, 255))}


def test_an_entry_that_does_not_balance_is_noticed(tables, books):
    lopsided = [{"account": "cash", "amount_minor": 510}]
    tables.put("payments", f"PAYMENT#{ORDER}", "ENTRY#CAPTURE", kind="CAPTURE", legs=lopsided)

    assert not books.payments()[ORDER].is_balanced


def test_the_provider_knows_a_charge_by_its_order(tables, books):
    charge = {"order_id": ORDER, "captured_minor": 510, "refunded_minor": 255}
    tables.put("simulators", "CHARGE#chg_1", "CHARGE", **charge)
    tables.put("simulators", "CHARGE#chg_1", "REFUND#1", amount_minor=255)
    tables.put("simulators", "CHARGE#chg_2", "CHARGE", status="VOIDED")

    assert books.charges() == {ORDER: MoneyBook(510, 255)}


def test_stock_is_read_for_the_skus_asked_for(tables, books):
    for sku in ("MUG", "CUP"):
        tables.put("inventory", f"SKU#{sku}", "STOCK#main", sku=sku, available=3, held=2)
    tables.put("inventory", "SKU#MUG", "ENTRY#1", kind="COUNT")

    assert books.stock(["MUG", "NONE"]) == {"MUG": StockBook(3, 2)}


def test_a_return_is_what_came_back_in_a_state_to_be_sold_again(tables, books):
    pk = f"SHIPMENT#{ORDER}"
    head = {"order_id": ORDER, "lines": [{"sku": "MUG", "quantity": 9}]}
    received = [
        {"sku": "MUG", "quantity": 3, "condition": "resellable"},
        {"sku": "MUG", "quantity": 1, "condition": "damaged"},
        {"sku": "CUP", "quantity": 2, "condition": "resellable"},
    ]
    done = {"status": "REFUNDED", "received": received, "refund_minor": 510}
    tables.put("shipping", pk, "SHIPMENT", order_id=ORDER, status="DELIVERED")
    tables.put("shipping", pk, "RETURN#ret_1", return_id="ret_1", **head, **done)
    asked = {"status": "REQUESTED", "received": [], "refund_minor": None}
    tables.put("shipping", pk, "RETURN#ret_2", return_id="ret_2", **head, **asked)

    assert books.returns() == {
        ORDER: [
            ReturnBook("ret_1", ORDER, "REFUNDED", 510, {"MUG": 3, "CUP": 2}),
            ReturnBook("ret_2", ORDER, "REQUESTED", 0, {}),
        ]
    }

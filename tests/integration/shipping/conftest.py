"""Shipping's table, and a carrier that says nothing unless it is told to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from shipping.dynamodb import DynamoDBClaims, DynamoDBReturns, DynamoDBShipments
from tests.fakes.shipping import QuietCarrier
from tests.integration.tables import tables
from tradepost.platform.dynamodb import from_item

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def client() -> Iterator[Any]:
    with tables("shipping") as dynamodb:
        yield dynamodb


@pytest.fixture
def shipments(client: Any) -> DynamoDBShipments:
    return DynamoDBShipments(client, "shipping")


@pytest.fixture
def claims(client: Any) -> DynamoDBClaims:
    return DynamoDBClaims(client, "shipping")


@pytest.fixture
def returns(client: Any) -> DynamoDBReturns:
    return DynamoDBReturns(client, "shipping")


@pytest.fixture
def carrier() -> QuietCarrier:
    return QuietCarrier()


def told(client: Any, order_id: str = "ord_1") -> list[dict[str, Any]]:
    """Read the events that wait in an order's outbox."""
    answer = client.query(
        TableName="shipping",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :outbox)",
        ExpressionAttributeValues={
            ":pk": {"S": f"SHIPMENT#{order_id}"},
            ":outbox": {"S": "OUTBOX#"},
        },
    )
    return [json.loads(from_item(item)["body"]) for item in answer["Items"]]


def types(events: list[dict[str, Any]]) -> list[str]:
    return sorted(event["type"] for event in events)

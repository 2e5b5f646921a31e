"""A stockroom of one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inventory.dynamodb import DynamoDBStock, DynamoDBWarehouses
from inventory.model import Warehouse
from tests.integration.inventory.stockroom import TABLE
from tests.integration.tables import tables


@pytest.fixture
def client() -> Iterator[Any]:
    with tables(TABLE) as dynamodb:
        yield dynamodb


@pytest.fixture
def stock(client: Any) -> DynamoDBStock:
    return DynamoDBStock(client, TABLE)


@pytest.fixture
def warehouses(client: Any) -> DynamoDBWarehouses:
    """Leeds in Britain, Lyon and Lille in France; the main one is nobody's neighbour."""
    opened = DynamoDBWarehouses(client, TABLE)
    for code, country, priority in (("leeds", "GB", 20), ("lille", "FR", 20), ("lyon", "FR", 10)):
        opened.put(Warehouse(code, code.title(), country, priority, is_open=True), None)
    return opened

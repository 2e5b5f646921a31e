"""A stockroom for tests: orders that reserve in it, and what all its books say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock, DynamoDBWarehouses
from inventory.model import HoldLine
from tradepost.kernel.clock import utc_now
from tradepost.platform.dynamodb import from_item

TABLE = "inventory"
COUNTED = ("available", "held", "waiting")


class Destination:
    """Where orders go, as they are asked. Satisfies `ports.Orders`."""

    def __init__(self, country: str = "GB") -> None:
        self.country = country
        self.asked = 0

    def status_of(self, order_id: str) -> str | None:
        return None

    def country_of(self, order_id: str) -> str:
        self.asked += 1
        return self.country


def reserves(
    stock: DynamoDBStock,
    order_id: str,
    lines: Sequence[HoldLine] | Mapping[str, int],
    at: datetime | None = None,
    *,
    orders: Destination | None = None,
) -> int:
    wanted = (
        [HoldLine(sku, quantity) for sku, quantity in lines.items()]
        if isinstance(lines, Mapping)
        else lines
    )
    return use_cases.reserve_stock(
        order_id,
        wanted,
        stock=stock,
        warehouses=DynamoDBWarehouses(stock._client, stock._table),
        orders=orders or Destination(),
        now=(lambda: at) if at else utc_now,
    )


def adds(
    stock: DynamoDBStock,
    order_id: str,
    edit: int,
    lines: Sequence[HoldLine],
    at: datetime | None = None,
) -> int:
    return use_cases.hold_added(
        order_id,
        edit,
        lines,
        stock=stock,
        warehouses=DynamoDBWarehouses(stock._client, stock._table),
        orders=Destination(),
        now=(lambda: at) if at else utc_now,
    )


def level(stock: DynamoDBStock, sku: str = "MUG") -> tuple[int, int]:
    """Tell how many units of a SKU are available, and how many held."""
    found = stock.shelves([sku])[sku].level
    return found.available, found.held


def table_items(client: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    return [from_item(item) for page in pages for item in page["Items"]]


def ledger(client: Any) -> dict[tuple[str, str, int], Counter[str]]:
    """Sum the movements of all entries, per SKU, warehouse and shard."""
    sums: dict[tuple[str, str, int], Counter[str]] = {}
    for item in table_items(client):
        for moved in item.get("movements", ()):
            place = (moved["sku"], moved.get("warehouse", "main"), moved.get("shard", 0))
            units = sums.setdefault(place, Counter())
            units.update({name: moved.get(name, 0) for name in COUNTED})
    return sums


def levels(client: Any) -> dict[tuple[str, str, int], Counter[str]]:
    """Read what lies in each bucket."""
    found = {}
    for item in table_items(client):
        if item["sk"].startswith("STOCK#"):
            shard = int(item["pk"].split("#")[1]) if item["pk"].startswith("SHARD#") else 0
            place = (item["sku"], item["sk"].removeprefix("STOCK#"), shard)
            found[place] = Counter({name: item.get(name, 0) for name in COUNTED})
    return found


def told(client: Any) -> Counter[str]:
    """Count the events in the outbox, by type."""
    return Counter(item["type"] for item in table_items(client) if item["sk"].startswith("OUTBOX#"))


def books_agree(client: Any) -> None:
    """Check that the ledger sums to the state, and that holds and queues say the same."""
    kept, entered = levels(client), ledger(client)
    for place in kept.keys() | entered.keys():
        assert kept.get(place, Counter()) == entered.get(place, Counter()), place
        assert min(kept.get(place, Counter()).values(), default=0) >= 0, place
    held: Counter[tuple[str, str, int]] = Counter()
    waiting: Counter[str] = Counter()
    queued: Counter[str] = Counter()
    for item in table_items(client):
        if item["sk"].startswith("CHUNK#") and item["state"] != "RELEASED":
            for line in item["lines"]:
                waits = line.get("waiting", 0)
                waiting[line["sku"]] += waits
                here = line["quantity"] - waits
                takes = line.get("taken") or ([{"quantity": here}] if here else [])
                assert sum(take["quantity"] for take in takes) == here
                if item["state"] == "HELD":
                    for take in takes:
                        place = (line["sku"], take.get("warehouse", "main"), take.get("shard", 0))
                        held[place] += take["quantity"]
        if item["pk"].startswith("WAITING#"):
            queued[item["sku"]] += item["quantity"]
    assert +waiting == +queued
    assert +waiting == +Counter({sku: at["waiting"] for (sku, *_), at in kept.items()}) or all(
        sum(at["waiting"] for place, at in kept.items() if place[0] == sku) == units
        for sku, units in waiting.items()
    )
    assert +held == +Counter({place: units["held"] for place, units in kept.items()})

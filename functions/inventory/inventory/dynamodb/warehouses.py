"""The warehouses, over the `inventory` table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from inventory.dynamodb.items import warehouse_key
from inventory.dynamodb.writes import IS_NEW
from inventory.model import Warehouse
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, beginning_with, failed_conditions, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_AS_READ = (
    "#name = :name AND #country = :country AND #priority = :priority AND #is_open = :is_open"
)


class DynamoDBWarehouses:
    """The warehouses that somebody described. Satisfies `ports.WarehouseRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def described(self) -> list[Warehouse]:
        found = beginning_with(self._client, self._table, "WAREHOUSES", "WAREHOUSE#")
        return [_to_warehouse(item) for item in found]

    def put(self, warehouse: Warehouse, before: Warehouse | None) -> None:
        """Write a warehouse, if it is still as read. Raises StaleError."""
        request: Item = {"ConditionExpression": IS_NEW}
        if before is not None:
            read = _facts(before)
            request = {
                "ConditionExpression": _IS_AS_READ,
                "ExpressionAttributeNames": {f"#{name}": name for name in read},
                "ExpressionAttributeValues": to_item({f":{name}": read[name] for name in read}),
            }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item({**warehouse_key(warehouse.code), **_facts(warehouse)}),
                **request,
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the warehouse {warehouse.code} was changed meanwhile") from error


def _facts(warehouse: Warehouse) -> Item:
    return {
        "name": warehouse.name,
        "country": warehouse.country,
        "priority": warehouse.priority,
        "is_open": warehouse.is_open,
    }


def _to_warehouse(item: Item) -> Warehouse:
    return Warehouse(
        code=item["sk"].removeprefix("WAREHOUSE#"),
        name=item["name"],
        country=item["country"],
        priority=item["priority"],
        is_open=item["is_open"],
    )

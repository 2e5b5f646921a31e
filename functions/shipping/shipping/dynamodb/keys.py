"""The keys of the `shipping` table, and the reads that go by them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradepost.platform.dynamodb import Item, beginning_with, from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

IS_NEW = "attribute_not_exists(pk)"
IS_PREVIOUS_VERSION = "#version = :previous_version"


def order_pk(order_id: str) -> str:
    return f"SHIPMENT#{order_id}"


def under(client: DynamoDBClient, table: str, order_id: str, prefix: str) -> list[Item]:
    """Read the items of an order whose sort keys begin alike, consistently, in their order."""
    return beginning_with(client, table, order_pk(order_id), prefix)


def waiting_for(
    client: DynamoDBClient,
    table: str,
    what: str,
    limit: int,
    after: dict[str, str] | None,
    before: str | None = None,
) -> tuple[list[Item], dict[str, str] | None]:
    """Read a page of the index `waiting`, the oldest first; `before` a moment, if one is named."""
    request: dict[str, Any] = {
        "TableName": table,
        "IndexName": "waiting",
        "KeyConditionExpression": "#waiting = :what",
        "ExpressionAttributeNames": {"#waiting": "waiting"},
        "ExpressionAttributeValues": to_item({":what": what}),
        "Limit": limit,
    }
    if before is not None:
        request["KeyConditionExpression"] += " AND #since < :before"
        request["ExpressionAttributeNames"]["#since"] = "since"
        request["ExpressionAttributeValues"] |= to_item({":before": before})
    if after is not None:
        request["ExclusiveStartKey"] = to_item(after)
    answer = client.query(**request)
    last = answer.get("LastEvaluatedKey")
    return [from_item(item) for item in answer["Items"]], from_item(last) if last else None

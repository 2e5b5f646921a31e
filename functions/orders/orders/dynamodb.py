"""
The `orders` table.

    pk           sk            item         attributes
    ORDER#<id>   ORDER         order        order_id, customer_id, email, shipping_address,
                                            total_minor, currency, line_count, status, reason,
                                            version, correlation_id, placed_at, placed_on,
                                            updated_at
    ORDER#<id>   LINES#<nnnn>  line chunk   lines: [sku, title, quantity, unit_price_minor]
    ORDER#<id>   OUTBOX#<id>   event        see tradepost.platform.outbox

    index         keys                      serves
    by-customer   customer_id, placed_at    a customer's orders, newest first
    by-email      email, placed_at          staff: by e-mail
    by-status     status, placed_at         staff: by status
    by-day        placed_on, placed_at      staff: by UTC day

Line chunks carry none of the index keys, so the indexes hold orders only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orders.model import Order, OrderLine, OrderNotFoundError, OrderStatus
from tradepost.contracts.event import Event
from tradepost.kernel.clock import from_text, to_text
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Some 120 bytes a line: a chunk stays far below DynamoDB's 400 KB per item.
LINES_PER_CHUNK = 200

_IS_NEW = "attribute_not_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version"

# A filtered page may come back short; it is refilled from at most this many more.
_REFILLS_MAX = 10


class DynamoDBOrders:
    """The orders, over one table. Satisfies `ports.OrderRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, order: Order, lines: Sequence[OrderLine], event: Event) -> Order:
        items = [_to_item(order), *_line_chunks(order.order_id, lines)]
        puts: list[Any] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": to_item(item),
                    "ConditionExpression": _IS_NEW,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }
            for item in items
        ]
        puts.append(outbox_put(self._table, _pk(order.order_id), event))
        try:
            self._client.transact_write_items(TransactItems=puts)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None:
                raise
            return _to_order(stored)
        return order

    def get(self, order_id: str) -> Order:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(order_id)), ConsistentRead=True
        )
        if "Item" not in answer:
            raise OrderNotFoundError(order_id)
        return _to_order(from_item(answer["Item"]))

    def lines(self, order_id: str) -> list[OrderLine]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :lines)",
            ExpressionAttributeValues=to_item({":pk": _pk(order_id), ":lines": "LINES#"}),
        )
        return [
            OrderLine(**line)
            for page in pages
            for chunk in page["Items"]
            for line in from_item(chunk)["lines"]
        ]

    def save(self, order: Order, event: Event | None) -> None:
        update: Any = {
            "TableName": self._table,
            "Key": to_item(_key(order.order_id)),
            "UpdateExpression": (
                "SET #status = :status, #reason = :reason,"
                " #version = :version, #updated_at = :updated_at"
            ),
            "ConditionExpression": _IS_PREVIOUS_VERSION,
            "ExpressionAttributeNames": {
                "#status": "status",
                "#reason": "reason",
                "#version": "version",
                "#updated_at": "updated_at",
            },
            "ExpressionAttributeValues": to_item(
                {
                    ":status": order.status,
                    ":reason": order.reason,
                    ":version": order.version,
                    ":previous_version": order.version - 1,
                    ":updated_at": to_text(order.updated_at),
                }
            ),
        }
        try:
            if event is None:
                self._client.update_item(**update)
            else:
                self._client.transact_write_items(
                    TransactItems=[
                        {"Update": update},
                        outbox_put(self._table, _pk(order.order_id), event),
                    ]
                )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{order.order_id} changed since it was read") from error

    def of_customer(
        self, customer_id: str, status: OrderStatus | None, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
        return self._listed("by-customer", "customer_id", customer_id, limit, after, status)

    def found_by(
        self, search: str | OrderStatus | date, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
        match search:
            case OrderStatus():
                return self._listed("by-status", "status", search, limit, after)
            case date():
                return self._listed("by-day", "placed_on", search.isoformat(), limit, after)
        return self._listed("by-email", "email", search.lower(), limit, after)

    def _listed(
        self,
        index: str,
        attribute: str,
        value: str,
        limit: int,
        after: dict[str, str] | None,
        status: OrderStatus | None = None,
    ) -> tuple[list[Order], dict[str, str] | None]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#key = :key",
            "ExpressionAttributeNames": {"#key": attribute},
            "ExpressionAttributeValues": to_item({":key": value}),
            "ScanIndexForward": False,
        }
        if status is not None:
            request["FilterExpression"] = "#status = :status"
            request["ExpressionAttributeNames"]["#status"] = "status"
            request["ExpressionAttributeValues"] |= to_item({":status": status})
        found: list[Order] = []
        for _ in range(_REFILLS_MAX):
            if after is not None:
                request["ExclusiveStartKey"] = to_item(after)
            answer = self._client.query(**request, Limit=limit - len(found))
            found += [_to_order(from_item(item)) for item in answer["Items"]]
            last = answer.get("LastEvaluatedKey")
            after = from_item(last) if last else None
            if after is None or len(found) == limit:
                break
        return found, after


def _pk(order_id: str) -> str:
    return f"ORDER#{order_id}"


def _key(order_id: str) -> dict[str, str]:
    return {"pk": _pk(order_id), "sk": "ORDER"}


def _to_item(order: Order) -> Item:
    return {
        **_key(order.order_id),
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "email": order.email.lower(),
        "shipping_address": order.shipping_address,
        "total_minor": order.total.amount_minor,
        "currency": order.total.currency,
        "line_count": order.line_count,
        "status": order.status,
        "reason": order.reason,
        "version": order.version,
        "correlation_id": order.correlation_id,
        "placed_at": to_text(order.placed_at),
        "placed_on": order.placed_at.date().isoformat(),
        "updated_at": to_text(order.updated_at),
    }


def _to_order(item: Item) -> Order:
    return Order(
        order_id=item["order_id"],
        customer_id=item["customer_id"],
        email=item["email"],
        shipping_address=item["shipping_address"],
        total=Money(item["total_minor"], item["currency"]),
        line_count=item["line_count"],
        status=OrderStatus(item["status"]),
        reason=item["reason"],
        version=item["version"],
        correlation_id=item["correlation_id"],
        placed_at=from_text(item["placed_at"]),
        updated_at=from_text(item["updated_at"]),
    )


def _line_chunks(order_id: str, lines: Sequence[OrderLine]) -> list[Item]:
    return [
        {
            "pk": _pk(order_id),
            "sk": f"LINES#{start // LINES_PER_CHUNK:04d}",
            "lines": [
                {
                    "sku": line.sku,
                    "title": line.title,
                    "quantity": line.quantity,
                    "unit_price_minor": line.unit_price_minor,
                }
                for line in lines[start : start + LINES_PER_CHUNK]
            ],
        }
        for start in range(0, len(lines), LINES_PER_CHUNK)
    ]

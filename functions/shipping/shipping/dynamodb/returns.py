"""
Returns in the `shipping` table, which `shipping.dynamodb` draws.

    SHIPMENT#<order>  RETURN#<id>  return_id, order_id, status, reason, lines: [sku, quantity],
                                   received: [sku, quantity, condition], refund_minor, currency,
                                   requested_at, updated_at, correlation_id, version; until it has
                                   ended also waiting (RETURN#<status>) and since
    SHIPMENT#<order>  TAKEN#<sku>  taken

A condition cannot add up the other returns of an order, so what they have taken of each SKU is
counted: `taken` never exceeds what was bought.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shipping.dynamodb.keys import IS_NEW, IS_PREVIOUS_VERSION, order_pk, under, waiting_for
from shipping.model.returns import (
    Condition,
    ReceivedLine,
    Return,
    ReturnLine,
    ReturnStatus,
    ReturnTooLargeError,
    quantities,
)
from tradepost.contracts.event import Event
from tradepost.kernel.clock import from_text, to_text
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_LEAVES_ROOM = "attribute_not_exists(#taken) OR #taken <= :room"
_HAS_TAKEN = "#taken >= :freed"

_ENDED = {ReturnStatus.REJECTED, ReturnStatus.REFUNDED}


class DynamoDBReturns:
    """Satisfies `ports.ReturnRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, asked: Return, bought: Mapping[str, int], event: Event) -> Return:
        wanted = quantities(asked.lines)
        writes: list[Any] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": to_item(_to_item(asked)),
                    "ConditionExpression": IS_NEW,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
            *[
                self._take(asked.order_id, sku, quantity, bought[sku])
                for sku, quantity in wanted.items()
            ],
            outbox_put(self._table, order_pk(asked.order_id), event),
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            stored, *counters = failed_conditions(error)
            if stored is not None:
                return _to_return(stored)
            for sku, counter in zip(wanted, counters, strict=False):
                if counter is not None:
                    raise ReturnTooLargeError(sku, bought[sku] - counter["taken"]) from error
            raise
        return asked

    def get(self, order_id: str, return_id: str) -> Return | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(order_id, return_id)), ConsistentRead=True
        )
        return _to_return(from_item(answer["Item"])) if "Item" in answer else None

    def of_order(self, order_id: str) -> list[Return]:
        return [_to_return(item) for item in under(self._client, self._table, order_id, "RETURN#")]

    def save(
        self, changed: Return, event: Event | None, *, freed: Mapping[str, int] | None = None
    ) -> None:
        writes: list[Any] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": to_item(_to_item(changed)),
                    "ConditionExpression": IS_PREVIOUS_VERSION,
                    "ExpressionAttributeNames": {"#version": "version"},
                    "ExpressionAttributeValues": to_item(
                        {":previous_version": changed.version - 1}
                    ),
                }
            },
            *[self._free(changed.order_id, sku, units) for sku, units in (freed or {}).items()],
        ]
        if event is not None:
            writes.append(outbox_put(self._table, order_pk(changed.order_id), event))
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if failed_conditions(error)[0] is None:
                raise
            raise StaleError(f"{changed.return_id} changed since it was read") from error

    def waiting(
        self, status: ReturnStatus, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Return], dict[str, str] | None]:
        items, last = waiting_for(self._client, self._table, _waiting(status), limit, after)
        return [_to_return(item) for item in items], last

    def unfinished(self, before: datetime, limit: int) -> list[Return]:
        items, _ = waiting_for(
            self._client, self._table, _waiting(ReturnStatus.RECEIVED), limit, None, to_text(before)
        )
        return [_to_return(item) for item in items]

    def _take(self, order_id: str, sku: str, quantity: int, bought: int) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_counter_key(order_id, sku)),
                "UpdateExpression": "SET #taken = if_not_exists(#taken, :none) + :quantity",
                "ConditionExpression": _LEAVES_ROOM,
                "ExpressionAttributeNames": {"#taken": "taken"},
                "ExpressionAttributeValues": to_item(
                    {":none": 0, ":quantity": quantity, ":room": bought - quantity}
                ),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _free(self, order_id: str, sku: str, units: int) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_counter_key(order_id, sku)),
                "UpdateExpression": "SET #taken = #taken - :freed",
                "ConditionExpression": _HAS_TAKEN,
                "ExpressionAttributeNames": {"#taken": "taken"},
                "ExpressionAttributeValues": to_item({":freed": units}),
            }
        }


def _key(order_id: str, return_id: str) -> dict[str, str]:
    return {"pk": order_pk(order_id), "sk": f"RETURN#{return_id}"}


def _counter_key(order_id: str, sku: str) -> dict[str, str]:
    return {"pk": order_pk(order_id), "sk": f"TAKEN#{sku}"}


def _waiting(status: ReturnStatus) -> str:
    return f"RETURN#{status}"


def _to_item(asked: Return) -> Item:
    item = {
        **_key(asked.order_id, asked.return_id),
        "return_id": asked.return_id,
        "order_id": asked.order_id,
        "status": asked.status,
        "reason": asked.reason,
        "lines": [{"sku": line.sku, "quantity": line.quantity} for line in asked.lines],
        "received": [
            {"sku": line.sku, "quantity": line.quantity, "condition": line.condition}
            for line in asked.received
        ],
        "refund_minor": asked.refund.amount_minor if asked.refund else None,
        "currency": asked.refund.currency if asked.refund else None,
        "requested_at": to_text(asked.requested_at),
        "updated_at": to_text(asked.updated_at),
        "correlation_id": asked.correlation_id,
        "version": asked.version,
    }
    if asked.status not in _ENDED:
        item |= {"waiting": _waiting(asked.status), "since": to_text(asked.updated_at)}
    return item


def _to_return(item: Item) -> Return:
    refund_minor = item["refund_minor"]
    return Return(
        return_id=item["return_id"],
        order_id=item["order_id"],
        status=ReturnStatus(item["status"]),
        reason=item["reason"],
        lines=tuple(ReturnLine(**line) for line in item["lines"]),
        received=tuple(
            ReceivedLine(line["sku"], line["quantity"], Condition(line["condition"]))
            for line in item["received"]
        ),
        refund=Money(refund_minor, item["currency"]) if refund_minor is not None else None,
        requested_at=from_text(item["requested_at"]),
        updated_at=from_text(item["updated_at"]),
        correlation_id=item["correlation_id"],
        version=item["version"],
    )

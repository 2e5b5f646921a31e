"""
The `shipping` table.

    pk                sk            item       attributes
    SHIPMENT#<order>  SHIPMENT      shipment   order_id, customer_id, status, carrier,
                                               tracking_number, correlation_id, version
    SHIPMENT#<order>  OUTBOX#<id>   event      see tradepost.platform.outbox

The receiver's address is handed to the carrier and not kept here: the order has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shipping.model import Shipment, ShipmentStatus
from tradepost.contracts.event import Event
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version"


class DynamoDBShipments:
    """The shipments, over one table. Satisfies `ports.ShipmentRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, order_id: str) -> Shipment | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(order_id)), ConsistentRead=True
        )
        return _to_shipment(from_item(answer["Item"])) if "Item" in answer else None

    def add(self, shipment: Shipment) -> Shipment:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(_to_item(shipment)),
                ConditionExpression=_IS_NEW,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            assert stored is not None
            return _to_shipment(stored)
        return shipment

    def save(self, shipment: Shipment, event: Event | None) -> None:
        update: Any = {
            "TableName": self._table,
            "Key": to_item(_key(shipment.order_id)),
            "UpdateExpression": "SET #status = :status, #version = :version",
            "ConditionExpression": _IS_PREVIOUS_VERSION,
            "ExpressionAttributeNames": {"#status": "status", "#version": "version"},
            "ExpressionAttributeValues": to_item(
                {
                    ":status": shipment.status,
                    ":version": shipment.version,
                    ":previous_version": shipment.version - 1,
                }
            ),
        }
        writes: list[Any] = [{"Update": update}]
        if event is not None:
            writes.append(outbox_put(self._table, _key(shipment.order_id)["pk"], event))
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the shipment of {shipment.order_id} moved on") from error


def _key(order_id: str) -> dict[str, str]:
    return {"pk": f"SHIPMENT#{order_id}", "sk": "SHIPMENT"}


def _to_item(shipment: Shipment) -> Item:
    return {
        **_key(shipment.order_id),
        "order_id": shipment.order_id,
        "customer_id": shipment.customer_id,
        "status": shipment.status,
        "carrier": shipment.carrier,
        "tracking_number": shipment.tracking_number,
        "correlation_id": shipment.correlation_id,
        "version": shipment.version,
    }


def _to_shipment(item: Item) -> Shipment:
    return Shipment(
        order_id=item["order_id"],
        customer_id=item["customer_id"],
        status=ShipmentStatus(item["status"]),
        carrier=item["carrier"],
        tracking_number=item["tracking_number"],
        correlation_id=item["correlation_id"],
        version=item["version"],
    )

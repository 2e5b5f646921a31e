"""Shipments and their scans in the `shipping` table, which `shipping.dynamodb` draws."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shipping.dynamodb.claims import claim_item
from shipping.dynamodb.keys import IS_NEW, IS_PREVIOUS_VERSION, order_pk, under
from shipping.model.claim import Claim
from shipping.model.goods import ParcelLine
from shipping.model.shipment import Scan, ScanEvent, ScanSource, Shipment, ShipmentStatus
from tradepost.contracts.event import Event
from tradepost.kernel.clock import from_text, from_text_if_any, to_text, to_text_if_any
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDBShipments:
    """Satisfies `ports.ShipmentRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, order_id: str) -> Shipment | None:
        item = self._item(_key(order_id))
        return _to_shipment(item) if item else None

    def parcel_of(self, carrier: str, tracking_number: str) -> tuple[str, int] | None:
        item = self._item(_tracking_key(carrier, tracking_number))
        return (str(item["order_id"]), int(item.get("number", 1))) if item else None

    def add(self, shipment: Shipment) -> Shipment:
        writes = [self._put(_to_item(shipment))]
        if shipment.tracking_number:
            writes.append(self._put(_tracking_item(shipment)))
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None:
                # The carrier gave one number to two parcels: that is nothing to go on with.
                raise
            return _to_shipment(stored)
        return shipment

    def scans(self, order_id: str, number: int = 1) -> list[Scan]:
        prefix = _scan_prefix(number)
        return [_to_scan(item) for item in under(self._client, self._table, order_id, prefix)]

    def save(
        self,
        shipment: Shipment,
        *,
        scans: Collection[Scan] = (),
        number: int = 1,
        events: Sequence[Event] = (),
        claim: tuple[Claim, Event] | None = None,
        split_off: Shipment | None = None,
    ) -> None:
        told = [*events, claim[1]] if claim else events
        writes: list[Any] = [{"Update": self._update(shipment)}]
        writes += [self._put(_scan_item(shipment.order_id, number, scan)) for scan in scans]
        writes += [outbox_put(self._table, order_pk(shipment.order_id), event) for event in told]
        if split_off:
            writes.append(self._put(_tracking_item(split_off)))
        if claim:
            writes.append(self._put(claim_item(claim[0])))
        try:
            if len(writes) == 1:
                # A transaction of one costs twice what the write does.
                self._client.update_item(**writes[0]["Update"])
            else:
                self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            already = failed_conditions(error)[-1]
            if claim is None or already is None:
                raise StaleError(f"the shipment of {shipment.order_id} moved on") from error
            # The customer was faster: their claim of the same kind is the one.
            self.save(shipment, scans=scans, number=number, events=events, split_off=split_off)

    def _item(self, key: dict[str, str]) -> Item | None:
        answer = self._client.get_item(TableName=self._table, Key=to_item(key), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else None

    def _update(self, shipment: Shipment) -> Any:
        changing = {
            "status": shipment.status,
            "label": shipment.label,
            "handed_over_at": to_text_if_any(shipment.handed_over_at),
            "delivered_at": to_text_if_any(shipment.delivered_at),
            "failure": shipment.failure,
            "is_called_off": shipment.is_called_off,
            "held_back_for": shipment.held_back_for,
            "let_go_after": shipment.let_go_after,
            "unpaid_because": shipment.unpaid_because,
            "others": [_other_item(one) for one in shipment.others],
            "version": shipment.version,
        }
        return {
            "TableName": self._table,
            "Key": to_item(_key(shipment.order_id)),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in changing),
            "ConditionExpression": IS_PREVIOUS_VERSION,
            "ExpressionAttributeNames": {f"#{name}": name for name in changing},
            "ExpressionAttributeValues": to_item(
                {
                    **{f":{name}": value for name, value in changing.items()},
                    ":previous_version": shipment.version - 1,
                }
            ),
        }

    def _put(self, item: Item) -> Any:
        return {
            "Put": {
                "TableName": self._table,
                "Item": to_item(item),
                "ConditionExpression": IS_NEW,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }


def _key(order_id: str) -> dict[str, str]:
    return {"pk": order_pk(order_id), "sk": "SHIPMENT"}


def _tracking_key(carrier: str, tracking_number: str) -> dict[str, str]:
    return {"pk": f"TRACKING#{carrier}#{tracking_number}", "sk": "TRACKING"}


def _tracking_item(shipment: Shipment) -> Item:
    return {
        **_tracking_key(shipment.carrier, shipment.tracking_number),
        "order_id": shipment.order_id,
        "number": shipment.number,
    }


def _scan_prefix(number: int) -> str:
    return "SCAN#" if number == 1 else f"SCAN-OF-{number}#"


def _scan_item(order_id: str, number: int, scan: Scan) -> Item:
    at = to_text(scan.occurred_at)
    return {
        "pk": order_pk(order_id),
        "sk": f"{_scan_prefix(number)}{at}#{scan.event}#{scan.source}#{scan.reason}",
        "event": scan.event,
        "occurred_at": at,
        "source": scan.source,
        "reason": scan.reason,
    }


def _to_scan(item: Item) -> Scan:
    return Scan(
        event=ScanEvent(item["event"]),
        occurred_at=from_text(item["occurred_at"]),
        source=ScanSource(item["source"]),
        reason=item["reason"],
    )


def _to_item(shipment: Shipment) -> Item:
    return {
        **_key(shipment.order_id),
        "order_id": shipment.order_id,
        "customer_id": shipment.customer_id,
        "status": shipment.status,
        "carrier": shipment.carrier,
        "tracking_number": shipment.tracking_number,
        "service": shipment.service,
        "label": shipment.label,
        "handed_over_at": to_text_if_any(shipment.handed_over_at),
        "delivered_at": to_text_if_any(shipment.delivered_at),
        "failure": shipment.failure,
        "is_called_off": shipment.is_called_off,
        "held_back_for": shipment.held_back_for,
        "let_go_after": shipment.let_go_after,
        "is_captured_on_leaving": shipment.is_captured_on_leaving,
        "unpaid_because": shipment.unpaid_because,
        "others": [_other_item(one) for one in shipment.others],
        "correlation_id": shipment.correlation_id,
        "version": shipment.version,
    }


def _other_item(parcel: Shipment) -> Item:
    """Write a parcel that was split off, without what it has in common with the first."""
    return {
        "number": parcel.number,
        "parcel_id": parcel.parcel_id,
        "status": parcel.status,
        "tracking_number": parcel.tracking_number,
        "label": parcel.label,
        "handed_over_at": to_text_if_any(parcel.handed_over_at),
        "delivered_at": to_text_if_any(parcel.delivered_at),
        "failure": parcel.failure,
        "unpaid_because": parcel.unpaid_because,
        "lines": [{"sku": line.sku, "quantity": line.quantity} for line in parcel.lines],
    }


def _to_shipment(item: Item) -> Shipment:
    first = _to_first(item)
    others = (_to_other(first, one) for one in item.get("others", ()))
    return replace(first, others=tuple(others))


def _to_other(first: Shipment, item: Item) -> Shipment:
    return replace(
        first,
        number=item["number"],
        parcel_id=item["parcel_id"],
        status=ShipmentStatus(item["status"]),
        tracking_number=item["tracking_number"],
        label=item["label"],
        handed_over_at=from_text_if_any(item["handed_over_at"]),
        delivered_at=from_text_if_any(item["delivered_at"]),
        failure=item["failure"],
        unpaid_because=item["unpaid_because"],
        lines=tuple(ParcelLine(line["sku"], line["quantity"]) for line in item["lines"]),
    )


def _to_first(item: Item) -> Shipment:
    return Shipment(
        order_id=item["order_id"],
        customer_id=item["customer_id"],
        status=ShipmentStatus(item["status"]),
        carrier=item["carrier"],
        tracking_number=item["tracking_number"],
        service=item["service"],
        correlation_id=item["correlation_id"],
        version=item["version"],
        label=item["label"],
        handed_over_at=from_text_if_any(item["handed_over_at"]),
        delivered_at=from_text_if_any(item["delivered_at"]),
        failure=item["failure"],
        is_called_off=item["is_called_off"],
        held_back_for=item.get("held_back_for", 0),
        let_go_after=item.get("let_go_after", 0),
        is_captured_on_leaving=item.get("is_captured_on_leaving", False),
        unpaid_because=item.get("unpaid_because"),
    )

"""
The `orders` table.

    pk           sk            item         attributes
    ORDER#<id>   ORDER         order        order_id, customer_id, email, shipping_address,
                                            total_minor, currency, shipping_minor,
                                            shipping_tax_minor, prices_include_tax,
                                            promotions, refunded_minor, line_count, status,
                                            reason, version, correlation_id, placed_at, placed_on,
                                            updated_at,
                                            waits_until, confirmed_at, cancel_requested,
                                            parked_from, parked_because, edit: {number, key,
                                            quantities, refund_minor, status, due_minor,
                                            added: [as in lines], method, reason}, parcel_at,
                                            unfinished, due_at
    ORDER#<id>   LINES#<nnnn>  line chunk   lines: [sku, title, quantity, unit_price_minor,
                                            discount_minor, tax_minor]
    ORDER#<id>   RETURNED      what came    version, units: {sku: quantity}, prices_minor: {return
                               back         id: what was paid for its units}
    ORDER#<id>   ACTION#<nnnn> action       what, by, role, note, at: what a person did, under the
                                            version it made
    ORDER#<id>   OUTBOX#<id>   event        see tradepost.platform.outbox
    ERASURE#<user> ERASURE     erasure      see tradepost.platform.erasures

    index         keys                      serves
    by-customer   customer_id, placed_at    a customer's orders, newest first
    by-email      email, placed_at          staff: by e-mail
    by-status     status, placed_at         staff: by status, and within it by UTC day
    by-day        placed_on, placed_at      staff: by UTC day
    unfinished    unfinished, due_at        the sweeps: orders whose checkout is not over, and
                                            customers to be forgotten

Only orders carry the other index keys. `unfinished` names one of a few buckets of its kind, and
goes with `due_at` when the checkout is over. An order whose customer was forgotten has no `email`,
and of the address the country.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from orders.model import (
    Action,
    Edit,
    EditStatus,
    Order,
    OrderLine,
    OrderNotFoundError,
    OrderStatus,
    Returned,
)
from orders.ports import Search
from tradepost.contracts.event import Event
from tradepost.kernel.clock import from_text, from_text_if_any, to_text, to_text_if_any
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money
from tradepost.platform.due import BUCKETS, DueIndex
from tradepost.platform.dynamodb import (
    Item,
    beginning_with,
    failed_conditions,
    from_item,
    to_item,
)
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Some 120 bytes a line: a chunk stays far below DynamoDB's 400 KB per item.
LINES_PER_CHUNK = 200

# What another context is given of a span's changes at a time.
_CHANGED_PAGE_MAX = 100

_IS_NEW = "attribute_not_exists(pk)"
_IS_THERE = "attribute_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version"
_IS_THIS_VERSION = "#version = :version"

# What an order's later versions change; its index keys are set or removed besides.
_CHANGING = (
    "status",
    "reason",
    "version",
    "updated_at",
    "refunded_minor",
    "waits_until",
    "confirmed_at",
    "cancel_requested",
    "parked_from",
    "parked_because",
    "total_minor",
    "line_count",
    "edit",
    "parcel_at",
    "changed_on",
)

UNFINISHED = DueIndex("unfinished", bucket="unfinished", moment="due_at")
_INDEXED = (UNFINISHED.bucket, UNFINISHED.moment)
# A day's changes, so that a reader of the last hour passes over the rest of history.
_CHANGED = DueIndex("by-change", bucket="changed_on", moment="updated_at")

# A filtered page may come back short; it is refilled from at most this many more.
_REFILLS_MAX = 10


class DynamoDBOrders:
    """The orders, over one table. Satisfies `ports.OrderRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, order: Order, lines: Sequence[OrderLine], event: Event) -> Order:
        items = [_to_item(order), *_line_chunks(order.order_id, lines)]
        puts: list[Any] = [{"Put": self._put(item)} for item in items]
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
        return [
            OrderLine(**line)
            for chunk in self._beginning_with(order_id, "LINES#")
            for line in chunk["lines"]
        ]

    def save(self, order: Order, event: Event | None, action: Action | None) -> None:
        update = self._update(order)
        besides: list[Any] = []
        if action is not None:
            besides.append({"Put": self._put(_action_item(order, action))})
        if event is not None:
            besides.append(outbox_put(self._table, _pk(order.order_id), event))
        try:
            if besides:
                self._client.transact_write_items(TransactItems=[{"Update": update}, *besides])
            else:
                self._client.update_item(**update)
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{order.order_id} changed since it was read") from error

    def save_edited(self, order: Order, lines: Sequence[OrderLine]) -> None:
        chunks = {chunk["sk"]: chunk for chunk in _line_chunks(order.order_id, lines)}
        stored = [chunk["sk"] for chunk in self._beginning_with(order.order_id, "LINES#")]
        emptied = {sk: {"pk": _pk(order.order_id), "sk": sk, "lines": []} for sk in stored}
        rewritten: list[Any] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": to_item(chunk),
                    "ConditionExpression": _IS_THERE if sk in emptied else _IS_NEW,
                }
            }
            for sk, chunk in (emptied | chunks).items()
        ]
        try:
            self._client.transact_write_items(
                TransactItems=[{"Update": self._update(order)}, *rewritten]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{order.order_id} changed since it was read") from error

    def returned(self, order_id: str) -> Returned:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_returned_key(order_id)), ConsistentRead=True
        )
        if "Item" not in answer:
            return Returned()
        item = from_item(answer["Item"])
        return Returned(item["version"], item["units"], item["prices_minor"])

    def save_returned(self, order_id: str, returned: Returned) -> None:
        item = {
            **_returned_key(order_id),
            "version": returned.version,
            "units": returned.units,
            "prices_minor": returned.prices_minor,
        }
        put: Any = {"ConditionExpression": _IS_NEW}
        if returned.version > 1:
            put = {
                "ConditionExpression": _IS_PREVIOUS_VERSION,
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": to_item({":previous_version": returned.version - 1}),
            }
        try:
            self._client.put_item(TableName=self._table, Item=to_item(item), **put)
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"another return of {order_id} was priced meanwhile") from error

    def publish(self, order: Order, event: Event) -> None:
        is_as_read: Any = {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": to_item(_key(order.order_id)),
                "ConditionExpression": _IS_THIS_VERSION,
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": to_item({":version": order.version}),
            }
        }
        try:
            self._client.transact_write_items(
                TransactItems=[is_as_read, outbox_put(self._table, _pk(order.order_id), event)]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{order.order_id} changed, or the fact is on its way") from error

    def actions(self, order_id: str) -> list[Action]:
        return [_to_action(item) for item in self._beginning_with(order_id, "ACTION#")]

    def anonymise(self, order: Order, event: Event) -> None:
        for action in self._beginning_with(order.order_id, "ACTION#"):
            if action["note"] is not None:
                self._forget_note(action)
        item = _to_item(order)
        changing = ("shipping_address", "version", "updated_at", "changed_on")
        anonymous: Any = {
            "TableName": self._table,
            "Key": to_item(_key(order.order_id)),
            "UpdateExpression": (
                "SET " + ", ".join(f"#{name} = :{name}" for name in changing) + " REMOVE #email"
            ),
            "ConditionExpression": _IS_PREVIOUS_VERSION,
            "ExpressionAttributeNames": {f"#{name}": name for name in (*changing, "email")},
            "ExpressionAttributeValues": to_item(
                {
                    **{f":{name}": item[name] for name in changing},
                    ":previous_version": order.version - 1,
                }
            ),
        }
        told = outbox_put(self._table, _pk(order.order_id), event)
        try:
            self._client.transact_write_items(TransactItems=[{"Update": anonymous}, told])
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{order.order_id} changed since it was read") from error

    def _forget_note(self, action: Item) -> None:
        self._client.update_item(
            TableName=self._table,
            Key=to_item({"pk": action["pk"], "sk": action["sk"]}),
            UpdateExpression="SET #note = :nothing",
            ConditionExpression=_IS_THERE,
            ExpressionAttributeNames={"#note": "note"},
            ExpressionAttributeValues=to_item({":nothing": None}),
        )

    def due(self, at: datetime, limit: int) -> list[str]:
        found = UNFINISHED.read(self._client, self._table, "UNFINISHED", at, limit // BUCKETS)
        return [item["pk"].removeprefix("ORDER#") for item in found]

    def changed_between(
        self, start: datetime, end: datetime, after: dict[str, Any] | None
    ) -> tuple[list[str], dict[str, Any] | None]:
        days = [start.date() + timedelta(n) for n in range((end.date() - start.date()).days + 1)]
        parts = [f"{day.isoformat()}#{bucket}" for day in days for bucket in range(BUCKETS)]
        place, key = (after["place"], after["key"]) if after else (0, None)
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": _CHANGED.name,
            "KeyConditionExpression": "#part = :part AND #updated_at BETWEEN :start AND :end",
            "ExpressionAttributeNames": {"#part": "changed_on", "#updated_at": "updated_at"},
            "ExpressionAttributeValues": to_item(
                {":part": parts[place], ":start": to_text(start), ":end": to_text(end)}
            ),
            "Limit": _CHANGED_PAGE_MAX,
        }
        if key is not None:
            request["ExclusiveStartKey"] = to_item(key)
        answer = self._client.query(**request)
        found = [from_item(item)["pk"].removeprefix("ORDER#") for item in answer["Items"]]
        if "LastEvaluatedKey" in answer:
            return found, {"place": place, "key": from_item(answer["LastEvaluatedKey"])}
        return found, {"place": place + 1, "key": None} if place + 1 < len(parts) else None

    def postpone(self, order: Order, until: datetime) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_key(order.order_id)),
                UpdateExpression="SET #due_at = :until",
                ConditionExpression=_IS_THIS_VERSION,
                ExpressionAttributeNames={"#due_at": "due_at", "#version": "version"},
                ExpressionAttributeValues=to_item(
                    {":until": to_text(until), ":version": order.version}
                ),
            )
        except ClientError as error:
            # It has moved meanwhile, and is due when that says.
            failed_conditions(error)

    def count(self, status: OrderStatus, limit: int) -> int:
        answer = self._client.query(
            TableName=self._table,
            IndexName="by-status",
            KeyConditionExpression="#status = :status",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=to_item({":status": status}),
            Select="COUNT",
            Limit=limit,
        )
        return answer["Count"]

    def of_customer(
        self, customer_id: str, status: OrderStatus | None, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
        request = self._newest_first("by-customer", {"customer_id": customer_id})
        if status is not None:
            request["FilterExpression"] = "#wanted = :wanted"
            request["ExpressionAttributeNames"]["#wanted"] = "status"
            request["ExpressionAttributeValues"] |= to_item({":wanted": status})
        return self._page(request, limit, after)

    def found_by(
        self, search: Search, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
        if search.email is not None:
            request = self._newest_first("by-email", {"email": search.email.lower()})
        elif search.status is None:
            assert search.placed_on is not None
            request = self._newest_first("by-day", {"placed_on": search.placed_on.isoformat()})
        else:
            request = self._newest_first("by-status", {"status": search.status})
            if search.placed_on is not None:
                # Times are texts of one width, so a day is what lies between its own and the next.
                request["KeyConditionExpression"] += " AND #placed_at BETWEEN :day AND :next_day"
                request["ExpressionAttributeNames"]["#placed_at"] = "placed_at"
                next_day = search.placed_on + timedelta(days=1)
                request["ExpressionAttributeValues"] |= to_item(
                    {":day": search.placed_on.isoformat(), ":next_day": next_day.isoformat()}
                )
        return self._page(request, limit, after)

    def _newest_first(self, index: str, key: dict[str, str]) -> dict[str, Any]:
        ((attribute, value),) = key.items()
        return {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#key = :key",
            "ExpressionAttributeNames": {"#key": attribute},
            "ExpressionAttributeValues": to_item({":key": value}),
            "ScanIndexForward": False,
        }

    def _page(
        self, request: dict[str, Any], limit: int, after: dict[str, str] | None
    ) -> tuple[list[Order], dict[str, str] | None]:
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

    def _beginning_with(self, order_id: str, prefix: str) -> list[Item]:
        return beginning_with(self._client, self._table, _pk(order_id), prefix)

    def _put(self, item: Item) -> Any:
        return {
            "TableName": self._table,
            "Item": to_item(item),
            "ConditionExpression": _IS_NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _update(self, order: Order) -> Any:
        """Build the write of an order's next version, into the sparse index or out of it."""
        item = _to_item(order)
        changing = [*_CHANGING, *(name for name in _INDEXED if name in item)]
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in changing)
        if removed := [f"#{name}" for name in _INDEXED if name not in item]:
            change += " REMOVE " + ", ".join(removed)
        return {
            "TableName": self._table,
            "Key": to_item(_key(order.order_id)),
            "UpdateExpression": change,
            "ConditionExpression": _IS_PREVIOUS_VERSION,
            "ExpressionAttributeNames": {f"#{name}": name for name in (*_CHANGING, *_INDEXED)},
            "ExpressionAttributeValues": to_item(
                {
                    **{f":{name}": item[name] for name in changing},
                    ":previous_version": order.version - 1,
                }
            ),
        }


def _pk(order_id: str) -> str:
    return f"ORDER#{order_id}"


def _key(order_id: str) -> dict[str, str]:
    return {"pk": _pk(order_id), "sk": "ORDER"}


def _returned_key(order_id: str) -> dict[str, str]:
    return {"pk": _pk(order_id), "sk": "RETURNED"}


def _to_item(order: Order) -> Item:
    item = {
        **_key(order.order_id),
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "email": order.email.lower(),
        "shipping_address": order.shipping_address,
        "total_minor": order.total.amount_minor,
        "currency": order.total.currency,
        "shipping_minor": order.shipping_minor,
        "shipping_tax_minor": order.shipping_tax_minor,
        "prices_include_tax": order.prices_include_tax,
        "promotions": list(order.promotions),
        "refunded_minor": order.refunded_minor,
        "line_count": order.line_count,
        "status": order.status,
        "reason": order.reason,
        "version": order.version,
        "correlation_id": order.correlation_id,
        "placed_at": to_text(order.placed_at),
        "placed_on": order.placed_at.date().isoformat(),
        "updated_at": to_text(order.updated_at),
        "waits_until": to_text_if_any(order.waits_until),
        "confirmed_at": to_text_if_any(order.confirmed_at),
        "cancel_requested": order.cancel_requested,
        "parked_from": order.parked_from,
        "parked_because": order.parked_because,
        "edit": asdict(order.edit) if order.edit else None,
        "parcel_at": order.parcel_at,
    }
    item |= _CHANGED.keys(order.updated_at.date().isoformat(), order.order_id, order.updated_at)
    if order.due_at is not None:
        item |= UNFINISHED.keys("UNFINISHED", order.order_id, order.due_at)
    return item


def _to_order(item: Item) -> Order:
    return Order(
        order_id=item["order_id"],
        customer_id=item["customer_id"],
        email=item.get("email", ""),
        shipping_address=item["shipping_address"],
        total=Money(item["total_minor"], item["currency"]),
        line_count=item["line_count"],
        status=OrderStatus(item["status"]),
        reason=item["reason"],
        version=item["version"],
        correlation_id=item["correlation_id"],
        placed_at=from_text(item["placed_at"]),
        updated_at=from_text(item["updated_at"]),
        shipping_minor=item["shipping_minor"],
        shipping_tax_minor=item.get("shipping_tax_minor", 0),
        prices_include_tax=item.get("prices_include_tax", True),
        promotions=tuple(item.get("promotions", ())),
        refunded_minor=item["refunded_minor"],
        waits_until=from_text_if_any(item["waits_until"]),
        confirmed_at=from_text_if_any(item["confirmed_at"]),
        cancel_requested=item["cancel_requested"],
        parked_from=OrderStatus(item["parked_from"]) if item["parked_from"] else None,
        parked_because=item["parked_because"],
        edit=_to_edit(item.get("edit")),
        parcel_at=OrderStatus(item["parcel_at"]) if item.get("parcel_at") else None,
    )


def _to_edit(item: Item | None) -> Edit | None:
    if item is None:
        return None
    added = tuple(OrderLine(**line) for line in item.get("added", ()))
    return Edit(**{**item, "status": EditStatus(item["status"]), "added": added})


def _action_item(order: Order, action: Action) -> Item:
    return {
        "pk": _pk(order.order_id),
        "sk": f"ACTION#{order.version:08d}",
        "what": action.what,
        "by": action.by,
        "role": action.role,
        "note": action.note,
        "at": to_text(action.at),
    }


def _to_action(item: Item) -> Action:
    return Action(item["what"], item["by"], item["role"], item["note"], from_text(item["at"]))


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
                    "discount_minor": line.discount_minor,
                    "tax_minor": line.tax_minor,
                }
                for line in lines[start : start + LINES_PER_CHUNK]
            ],
        }
        for start in range(0, len(lines), LINES_PER_CHUNK)
    ]

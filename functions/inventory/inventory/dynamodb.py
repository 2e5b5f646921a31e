"""
The `inventory` table.

    pk              sk              item          attributes
    SKU#<sku>       STOCK#main      stock level   sku, available, held (units)
    SKU#<sku>       ENTRY#<id>      ledger entry  kind, movements, reason, occurred_at
    HOLD#<order>    CHUNK#<nnnn>    hold          total, state, lines, edit, held_until, expiring
    HOLD#<order>    CHUNK#EDIT<nnnn>#<nnnn>  the same, of units that an edit added: its number first
    HOLD#<order>    ENTRY#<nnnn>#<kind>  ledger entry of a chunk, the same attributes; an edit's
                                         kind is TAKEN_BACK#<its number>. Of added units:
                                         ENTRY#EDIT<nnnn>#<nnnn>#<kind>
    RETURN#<id>     ENTRY#RESTOCKED ledger entry  the same, and order_id, scrapped: [sku, quantity]

A ledger entry is written in the transaction of the change it explains and never changed: for
each SKU, the movements of all entries sum to the level. A hold's entry covers the whole chunk and
lies with the hold, not with the SKU: a second write to a hot SKU's partition would halve how many
orders it can take per second.

The sparse index `expiring` (`expiring`, `held_until`) has the chunks that are HELD, in buckets: one
that is committed or released leaves it.

The RELEASED first chunk of an order that never held is a tombstone: the release came first.
`held_until` is not DynamoDB's time to live: deleting a hold would lose its units.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from inventory.model import (
    MAIN_WAREHOUSE,
    HoldChunk,
    HoldLine,
    HoldLostError,
    HoldReleasedError,
    HoldState,
    NegativeStockError,
    OutOfStockError,
    ReturnedUnits,
    StockLevel,
)
from tradepost.kernel.clock import from_text, to_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.kernel.ids import derived_id, new_id
from tradepost.platform.due import DueIndex
from tradepost.platform.dynamodb import (
    Item,
    beginning_with,
    failed_conditions,
    from_item,
    get_all,
    to_item,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_HAS_ENOUGH = "#available >= :quantity"
_HOLDS_ENOUGH = "#held >= :quantity"
_IS_IN_STATE = "#state = :from"
_STANDS_AT_EDIT = "#edit = :edit_read"
_STILL_STANDS = "attribute_exists(pk) AND #state <> :released"
_AS_READ = "#available = :available_read AND #held = :held_read"

_EXPIRING = DueIndex("expiring", bucket="expiring", moment="held_until")

# A correction writes a level and its entry; fifty fit into a transaction of 100 items.
_CORRECTIONS_MAX = 50

# What a chunk's change of state does to each line's level, in units of its quantity.
_EFFECT = {
    HoldState.HELD: {"available": -1, "held": +1},
    HoldState.COMMITTED: {"available": 0, "held": -1},
}
_RELEASE_EFFECT = {
    HoldState.HELD: {"available": +1, "held": -1},
    HoldState.COMMITTED: {"available": +1, "held": 0},
}


class DynamoDBStock:
    """The stock, over one table. Satisfies `ports.StockRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def levels(self, skus: Sequence[str]) -> dict[str, StockLevel]:
        found = get_all(self._client, self._table, [_level_key(sku) for sku in dict.fromkeys(skus)])
        return {item["sku"]: _to_level(item) for item in found}

    def hold_chunk(self, chunk: HoldChunk, *, held_until: datetime) -> None:
        writes = [
            self._put(
                {
                    **_chunk_item(chunk, HoldState.HELD),
                    **_EXPIRING.keys("HELD", chunk.order_id, held_until),
                }
            ),
            self._put(_chunk_entry(chunk, HoldState.HELD, _EFFECT[HoldState.HELD])),
            *[self._move(line, _EFFECT[HoldState.HELD], _HAS_ENOUGH) for line in chunk.lines],
        ]
        if chunk.number > 0:
            writes.append(self._check_first_stands(chunk.order_id, chunk.added_by))
        if chunk.added_by > 0:
            writes.append(self._check_first_stands(chunk.order_id, 0))
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            self._explain_refused_hold(chunk, failed_conditions(error), error)

    def _explain_refused_hold(
        self, chunk: HoldChunk, stored: list[Item | None], error: ClientError
    ) -> None:
        held, _, *levels = stored
        if held is not None:
            if held["state"] == HoldState.RELEASED:
                raise HoldReleasedError(chunk.order_id) from error
            return
        for line, level in zip(chunk.lines, levels, strict=False):
            if level is not None:
                raise OutOfStockError(line.sku) from error
        raise HoldReleasedError(chunk.order_id) from error

    def chunks(self, order_id: str) -> list[HoldChunk]:
        items = beginning_with(self._client, self._table, _hold_pk(order_id), "CHUNK#")
        return [_to_chunk(order_id, item) for item in items]

    def commit_chunk(self, chunk: HoldChunk) -> None:
        effect = _EFFECT[HoldState.COMMITTED]
        writes = [
            self._change_state(chunk, HoldState.HELD, HoldState.COMMITTED),
            self._put(_chunk_entry(chunk, HoldState.COMMITTED, effect)),
            *[self._move(line, effect, _HOLDS_ENOUGH) for line in chunk.lines],
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None or stored.get("state") != HoldState.COMMITTED:
                raise HoldLostError(chunk.order_id) from error

    def release_chunk(self, chunk: HoldChunk) -> None:
        effect = _RELEASE_EFFECT[chunk.state]
        writes = [
            self._change_state(chunk, chunk.state, HoldState.RELEASED),
            self._put(_chunk_entry(chunk, HoldState.RELEASED, effect)),
            *[self._move(line, effect, None) for line in chunk.lines],
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None or stored.get("state") != HoldState.RELEASED:
                # It was sold or edited in between: the caller reads it again and releases that.
                raise StaleError(f"the hold of {chunk.order_id} moved on") from error

    def shrink_chunk(self, chunk: HoldChunk, left: HoldChunk) -> None:
        kept = {line.sku: line.quantity for line in left.lines}
        given_back = [
            HoldLine(line.sku, line.quantity - kept.get(line.sku, 0))
            for line in chunk.lines
            if line.quantity > kept.get(line.sku, 0)
        ]
        effect = _RELEASE_EFFECT[HoldState.COMMITTED]
        entry = _entry(
            _hold_pk(chunk.order_id),
            f"ENTRY#{_name(chunk.added_by, chunk.number)}#TAKEN_BACK#{left.edit}",
            "TAKEN_BACK",
            [_movement(line.sku, line.quantity, 0) for line in given_back],
        )
        writes = [
            self._shrink(chunk, left),
            self._put(entry),
            *[self._move(line, effect, None) for line in given_back],
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the hold of {chunk.order_id} moved on") from error

    def bar_hold(self, order_id: str, edit: int = 0) -> HoldChunk:
        tombstone = HoldChunk(order_id, 0, 1, HoldState.RELEASED, (), edit=edit, added_by=edit)
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(_chunk_item(tombstone, HoldState.RELEASED)),
                ConditionExpression=_IS_NEW,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            assert stored is not None
            first = _to_chunk(order_id, stored)
            if first.state is not HoldState.RELEASED:
                self.release_chunk(first)
            return first
        return tombstone

    def past_due(self, at: datetime, limit: int) -> list[str]:
        found = _EXPIRING.read(self._client, self._table, "HELD", at, limit)
        # A large order has a chunk for every hundred lines.
        return list(dict.fromkeys(item["pk"].removeprefix("HOLD#") for item in found))[:limit]

    def prolong(self, chunk: HoldChunk, held_until: datetime) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_chunk_key(chunk)),
                UpdateExpression="SET #held_until = :held_until",
                ConditionExpression=_IS_IN_STATE,
                ExpressionAttributeNames={"#held_until": "held_until", "#state": "state"},
                ExpressionAttributeValues=to_item(
                    {":held_until": to_text(held_until), ":from": HoldState.HELD}
                ),
            )
        except ClientError as error:
            # It was sold or released meanwhile: there is no hold left to prolong.
            failed_conditions(error)

    def restock(self, returned: ReturnedUnits) -> None:
        entry = {
            **_entry(
                f"RETURN#{returned.return_id}",
                "ENTRY#RESTOCKED",
                "RESTOCKED",
                [_movement(line.sku, line.quantity, 0) for line in returned.resellable],
            ),
            "order_id": returned.order_id,
            "scrapped": [{"sku": line.sku, "quantity": line.quantity} for line in returned.damaged],
        }
        try:
            self._client.transact_write_items(
                TransactItems=[
                    self._put(entry),
                    *[self._put_back(line) for line in returned.resellable],
                ]
            )
        except ClientError as error:
            already = failed_conditions(error)[0]
            if already is None:
                raise
            told = ("movements", "scrapped", "order_id")
            if any(already[name] != entry[name] for name in told):
                raise IdempotencyMismatchError from error

    def _put_back(self, line: HoldLine) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_level_key(line.sku)),
                "UpdateExpression": "SET #available = #available + :returned",
                # What was sold once was stocked before, and a level is never deleted.
                "ConditionExpression": "attribute_exists(pk)",
                "ExpressionAttributeNames": {"#available": "available"},
                "ExpressionAttributeValues": to_item({":returned": line.quantity}),
            }
        }

    def adjust(self, sku: str, delta: int, *, reason: str, reference: str) -> StockLevel:
        entry_id = derived_id("ent", sku, reference)
        entry = _entry(_sku_pk(sku), f"ENTRY#{entry_id}", "ADJUSTED", [_movement(sku, delta, 0)])
        level: Any = {
            "TableName": self._table,
            "Key": to_item(_level_key(sku)),
            "UpdateExpression": (
                "SET #sku = :sku, #held = if_not_exists(#held, :zero),"
                " #available = if_not_exists(#available, :zero) + :delta"
            ),
            "ExpressionAttributeNames": {
                "#sku": "sku",
                "#available": "available",
                "#held": "held",
            },
            "ExpressionAttributeValues": to_item({":sku": sku, ":zero": 0, ":delta": delta}),
        }
        if delta < 0:
            level["ConditionExpression"] = "#available >= :taken"
            level["ExpressionAttributeValues"] |= to_item({":taken": -delta})
        try:
            self._client.transact_write_items(
                TransactItems=[self._put({**entry, "reason": reason}), {"Update": level}]
            )
        except ClientError as error:
            already, _ = failed_conditions(error)
            if already is None:
                raise NegativeStockError(sku) from error
            if already["movements"] != entry["movements"]:
                raise IdempotencyMismatchError from error
        stored = self._client.get_item(
            TableName=self._table, Key=to_item(_level_key(sku)), ConsistentRead=True
        )
        return _to_level(from_item(stored["Item"]))

    def set_available(self, corrections: Sequence[tuple[StockLevel, int]], *, reason: str) -> None:
        for start in range(0, len(corrections), _CORRECTIONS_MAX):
            writes = [
                write
                for level, available in corrections[start : start + _CORRECTIONS_MAX]
                for write in self._correction(level, available, reason)
            ]
            try:
                self._client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                failed_conditions(error)
                raise StaleError("a level changed since it was read") from error

    def _correction(self, level: StockLevel, available: int, reason: str) -> list[Any]:
        entry = _entry(
            _sku_pk(level.sku),
            f"ENTRY#{new_id('ent')}",
            "COUNTED",
            [_movement(level.sku, available - level.available, 0)],
        )
        return [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": to_item(_level_key(level.sku)),
                    "UpdateExpression": "SET #sku = :sku, #available = :available, #held = :held",
                    "ConditionExpression": f"{_IS_NEW} OR ({_AS_READ})",
                    "ExpressionAttributeNames": {
                        "#sku": "sku",
                        "#available": "available",
                        "#held": "held",
                    },
                    "ExpressionAttributeValues": to_item(
                        {
                            ":sku": level.sku,
                            ":available": available,
                            ":held": level.held,
                            ":available_read": level.available,
                            ":held_read": level.held,
                        }
                    ),
                }
            },
            self._put({**entry, "reason": reason}),
        ]

    def _put(self, item: Item) -> Any:
        return {
            "Put": {
                "TableName": self._table,
                "Item": to_item(item),
                "ConditionExpression": _IS_NEW,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _move(self, line: HoldLine, effect: dict[str, int], condition: str | None) -> Any:
        update: dict[str, Any] = {
            "TableName": self._table,
            "Key": to_item(_level_key(line.sku)),
            "UpdateExpression": (
                "SET #available = #available + :to_available, #held = #held + :to_held"
            ),
            "ExpressionAttributeNames": {"#available": "available", "#held": "held"},
            "ExpressionAttributeValues": to_item(
                {
                    ":to_available": effect["available"] * line.quantity,
                    ":to_held": effect["held"] * line.quantity,
                }
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if condition is not None:
            update["ConditionExpression"] = condition
            update["ExpressionAttributeValues"] |= to_item({":quantity": line.quantity})
        return {"Update": update}

    def _change_state(self, chunk: HoldChunk, before: HoldState, after: HoldState) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_chunk_key(chunk)),
                "UpdateExpression": "SET #state = :to REMOVE #expiring",
                # Its lines are moved as they were read, so an edit must not have come between.
                "ConditionExpression": f"{_IS_IN_STATE} AND {_STANDS_AT_EDIT}",
                "ExpressionAttributeNames": {
                    "#state": "state",
                    "#expiring": "expiring",
                    "#edit": "edit",
                },
                "ExpressionAttributeValues": to_item(
                    {":from": before, ":to": after, ":edit_read": chunk.edit}
                ),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _shrink(self, chunk: HoldChunk, left: HoldChunk) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_chunk_key(chunk)),
                "UpdateExpression": "SET #lines = :lines, #edit = :edit",
                "ConditionExpression": f"{_IS_IN_STATE} AND {_STANDS_AT_EDIT}",
                "ExpressionAttributeNames": {
                    "#lines": "lines",
                    "#edit": "edit",
                    "#state": "state",
                },
                "ExpressionAttributeValues": to_item(
                    {
                        ":lines": _lines(left),
                        ":edit": left.edit,
                        ":edit_read": chunk.edit,
                        ":from": HoldState.COMMITTED,
                    }
                ),
            }
        }

    def _check_first_stands(self, order_id: str, added_by: int) -> Any:
        first = {"pk": _hold_pk(order_id), "sk": f"CHUNK#{_name(added_by, 0)}"}
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": to_item(first),
                "ConditionExpression": _STILL_STANDS,
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": to_item({":released": HoldState.RELEASED}),
            }
        }


def _sku_pk(sku: str) -> str:
    return f"SKU#{sku}"


def _hold_pk(order_id: str) -> str:
    return f"HOLD#{order_id}"


def _level_key(sku: str) -> dict[str, str]:
    return {"pk": _sku_pk(sku), "sk": f"STOCK#{MAIN_WAREHOUSE}"}


def _chunk_key(chunk: HoldChunk) -> dict[str, str]:
    return {
        "pk": _hold_pk(chunk.order_id),
        "sk": f"CHUNK#{_name(chunk.added_by, chunk.number)}",
    }


def _name(added_by: int, number: int) -> str:
    """Name a chunk within its order: those bought at first sort before those added."""
    return f"EDIT{added_by:04d}#{number:04d}" if added_by else f"{number:04d}"


def _chunk_item(chunk: HoldChunk, state: HoldState) -> Item:
    return {
        **_chunk_key(chunk),
        "total": chunk.total,
        "state": state,
        "lines": _lines(chunk),
        "edit": chunk.edit,
    }


def _lines(chunk: HoldChunk) -> list[Item]:
    return [{"sku": line.sku, "quantity": line.quantity} for line in chunk.lines]


def _chunk_entry(chunk: HoldChunk, kind: HoldState, effect: dict[str, int]) -> Item:
    movements = [
        _movement(line.sku, effect["available"] * line.quantity, effect["held"] * line.quantity)
        for line in chunk.lines
    ]
    sk = f"ENTRY#{_name(chunk.added_by, chunk.number)}#{kind}"
    return _entry(_hold_pk(chunk.order_id), sk, kind, movements)


def _entry(pk: str, sk: str, kind: str, movements: list[Item]) -> Item:
    return {
        "pk": pk,
        "sk": sk,
        "kind": kind,
        "movements": movements,
        "occurred_at": to_text(utc_now()),
    }


def _movement(sku: str, available: int, held: int) -> Item:
    return {"sku": sku, "available": available, "held": held}


def _to_level(item: Item) -> StockLevel:
    return StockLevel(item["sku"], item["available"], item["held"])


def _to_chunk(order_id: str, item: Item) -> HoldChunk:
    *edit, number = item["sk"].removeprefix("CHUNK#").split("#")
    return HoldChunk(
        order_id=order_id,
        number=int(number),
        total=item["total"],
        state=HoldState(item["state"]),
        lines=tuple(HoldLine(line["sku"], line["quantity"]) for line in item["lines"]),
        held_until=from_text(item["held_until"]) if "held_until" in item else None,
        edit=item["edit"],
        added_by=int(edit[0].removeprefix("EDIT")) if edit else 0,
    )

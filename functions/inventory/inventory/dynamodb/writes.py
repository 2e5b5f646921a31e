"""The single writes that transactions are put together of, and their conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory.dynamodb.items import (
    card_item,
    chunk_key,
    level_key,
    lines_item,
    waiting_key,
)
from inventory.model import ROOT, Card, HoldChunk, HoldState, Move, Standing, Units, Waiting
from tradepost.kernel.clock import to_text
from tradepost.platform.dynamodb import Item, to_item

IS_NEW = "attribute_not_exists(pk)"
IS_THERE = "attribute_exists(pk)"
IS_IN_STATE = "#state = :from"
# Its lines are moved as they were read: neither an edit nor units that came in may lie between.
STANDS_AS_READ = "#edit = :edit_read AND #fills = :fills_read"
STILL_STANDS = "attribute_exists(pk) AND #state <> :released"

# The stream's filter knows by this the items of a SKU that somebody looks after.
_TENDED = "yes"


@dataclass(frozen=True, slots=True)
class Condition:
    """A named condition of a write with the values it compares."""

    expression: str
    values: Mapping[str, Any] = field(default_factory=dict)


def has_at_least(quantity: int) -> Condition:
    return Condition("#available >= :quantity", {":quantity": quantity})


def lies_between(lowest: int, highest: int) -> Condition:
    return Condition(
        "#available BETWEEN :lowest AND :highest", {":lowest": lowest, ":highest": highest}
    )


def holds_at_least(quantity: int) -> Condition:
    return Condition("#held >= :quantity", {":quantity": quantity})


def has_card(card: Card | None) -> Condition:
    """The shelf is kept as it was when the change was decided on."""
    if card is None:
        return Condition("attribute_not_exists(#card)")
    return Condition("#card = :card_read", {":card_read": card_item(card)})


def is_as_read(units: Units) -> Condition:
    expression = "#available = :available_read AND #held = :held_read"
    if units == Units():
        expression = f"{IS_NEW} OR ({expression})"
    return Condition(expression, {":available_read": units.available, ":held_read": units.held})


def waits_at_most(room: int) -> Condition:
    return Condition("attribute_not_exists(#waiting) OR #waiting <= :room", {":room": room})


def was_told(tellings: int) -> Condition:
    """Nobody told of the SKU's standing since: one telling of each number."""
    if not tellings:
        return Condition("attribute_not_exists(#tellings)")
    return Condition("#tellings = :tellings_read", {":tellings_read": tellings})


@dataclass(slots=True)
class LevelWrite:
    """One update of one bucket, put together of all that a transaction does to it."""

    move: Move
    conditions: list[Condition] = field(default_factory=list)
    card: Card | None = None  # written anew
    standing: Standing | None = None  # written anew
    tellings: int | None = None  # written anew

    def to_write(self, table: str) -> Any:
        move = self.move
        # A bucket that was never used is made by what comes into it.
        sets = [
            "#available = if_not_exists(#available, :zero) + :to_available",
            "#held = if_not_exists(#held, :zero) + :to_held",
            "#sku = :sku",
        ]
        values: Item = {
            ":zero": 0,
            ":to_available": move.available,
            ":to_held": move.held,
            ":sku": move.sku,
        }
        written = {
            "card": card_item(self.card) if self.card else None,
            "standing": self.standing,
            "tellings": self.tellings,
            "tended": _TENDED if self.card or move.bucket != ROOT else None,
        }
        for name, value in written.items():
            if value is not None:
                sets.append(f"#{name} = :{name}")
                values[f":{name}"] = value
        if move.waiting:
            sets.append("#waiting = if_not_exists(#waiting, :zero) + :to_waiting")
            values[":to_waiting"] = move.waiting
        for condition in self.conditions:
            values |= condition.values
        expression = "SET " + ", ".join(sets)
        required = " AND ".join(f"({one.expression})" for one in self.conditions)
        names = set(re.findall(r"#(\w+)", f"{expression} {required}"))
        update: dict[str, Any] = {
            "TableName": table,
            "Key": to_item(level_key(move.sku, move.bucket)),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": {f"#{name}": name for name in sorted(names)},
            "ExpressionAttributeValues": to_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if required:
            update["ConditionExpression"] = required
        return {"Update": update}


def put(table: str, item: Item) -> Any:
    return {
        "Put": {
            "TableName": table,
            "Item": to_item(item),
            "ConditionExpression": IS_NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def put_waiting(table: str, waiting: Waiting) -> Any:
    item = {
        **waiting_key(waiting),
        "sku": waiting.sku,
        "order_id": waiting.order_id,
        "added_by": waiting.added_by,
        "number": waiting.number,
        "quantity": waiting.quantity,
        "since": to_text(waiting.since),
    }
    return put(table, item)


def change_waiting(table: str, waiting: Waiting, left: int) -> Any:
    """Let fewer units wait, or take the line out of the queue, if it is there as read."""
    request: dict[str, Any] = {
        "TableName": table,
        "Key": to_item(waiting_key(waiting)),
        "ConditionExpression": "#quantity = :quantity_read",
        "ExpressionAttributeNames": {"#quantity": "quantity"},
        "ExpressionAttributeValues": to_item({":quantity_read": waiting.quantity}),
    }
    if not left:
        return {"Delete": request}
    request["UpdateExpression"] = "SET #quantity = :left"
    request["ExpressionAttributeValues"] |= to_item({":left": left})
    return {"Update": request}


def first_stands(table: str, chunk: HoldChunk, added_by: int, chunks_known: int) -> Any:
    """Require that order or edit was not released; write how many chunks it has, if more."""
    request: dict[str, Any] = {
        "TableName": table,
        "Key": to_item(chunk_key(chunk.order_id, added_by, 0)),
        "ConditionExpression": STILL_STANDS,
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": to_item({":released": HoldState.RELEASED}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if chunk.total <= chunks_known:
        return {"ConditionCheck": request}
    request["UpdateExpression"] = "SET #total = :total"
    request["ConditionExpression"] += " AND #total = :chunks_known"
    request["ExpressionAttributeNames"] |= {"#total": "total"}
    request["ExpressionAttributeValues"] |= to_item(
        {":total": chunk.total, ":chunks_known": chunks_known}
    )
    return {"Update": request}


def change_state(table: str, chunk: HoldChunk, before: HoldState, after: HoldState) -> Any:
    return {
        "Update": {
            "TableName": table,
            "Key": to_item(chunk_key(chunk.order_id, chunk.added_by, chunk.number)),
            "UpdateExpression": "SET #state = :to REMOVE #expiring",
            "ConditionExpression": f"{IS_IN_STATE} AND {STANDS_AS_READ}",
            "ExpressionAttributeNames": {
                "#state": "state",
                "#expiring": "expiring",
                "#edit": "edit",
                "#fills": "fills",
            },
            "ExpressionAttributeValues": to_item(
                {
                    ":from": before,
                    ":to": after,
                    ":edit_read": chunk.edit,
                    ":fills_read": chunk.fills,
                }
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def change_lines(table: str, chunk: HoldChunk, changed: HoldChunk) -> Any:
    return {
        "Update": {
            "TableName": table,
            "Key": to_item(chunk_key(chunk.order_id, chunk.added_by, chunk.number)),
            "UpdateExpression": "SET #lines = :lines, #edit = :edit, #fills = :fills",
            "ConditionExpression": f"{IS_IN_STATE} AND {STANDS_AS_READ}",
            "ExpressionAttributeNames": {
                "#lines": "lines",
                "#edit": "edit",
                "#fills": "fills",
                "#state": "state",
            },
            "ExpressionAttributeValues": to_item(
                {
                    ":lines": lines_item(changed),
                    ":edit": changed.edit,
                    ":fills": changed.fills,
                    ":edit_read": chunk.edit,
                    ":fills_read": chunk.fills,
                    ":from": chunk.state,
                }
            ),
        }
    }


def change_levels(
    table: str,
    moves: Iterable[Move],
    condition: Callable[[Move], Condition | None] = lambda _: None,
) -> list[Any]:
    writes = []
    for move in moves:
        required = condition(move)
        update = LevelWrite(move, [required] if required else [])
        writes.append(update.to_write(table))
    return writes

"""Levels, holds and the queue of those who wait, over the `inventory` table.

Its keys are made in `items`: `SKU#`, `SHARD#`, `STOCK#`, `HOLD#`, `CHUNK#`, `RETURN#`, `ENTRY#`,
`WAITING#`; and `OUTBOX#` in the outbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from inventory.dynamodb import items
from inventory.dynamodb.cards import Cards
from inventory.dynamodb.falls import sales, standing_after, told_of
from inventory.dynamodb.items import level_key
from inventory.dynamodb.writes import (
    IS_IN_STATE,
    IS_NEW,
    IS_THERE,
    Condition,
    LevelWrite,
    change_levels,
    change_lines,
    change_state,
    change_waiting,
    first_stands,
    has_at_least,
    has_card,
    holds_at_least,
    is_as_read,
    put,
    put_waiting,
    was_told,
)
from inventory.model import (
    ROOT,
    Bucketed,
    HoldChunk,
    HoldLostError,
    HoldReleasedError,
    HoldState,
    Move,
    OutOfStockError,
    ReturnedUnits,
    Shelf,
    ShelfChange,
    Standing,
    Waiting,
    merged,
)
from tradepost.contracts.event import event_id
from tradepost.contracts.inventory import BackorderFilledV1
from tradepost.kernel.clock import to_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.kernel.ids import derived_id
from tradepost.platform.due import DueIndex
from tradepost.platform.dynamodb import (
    TRANSACTION_ITEMS_MAX,
    Item,
    beginning_with,
    failed_conditions,
    from_item,
    get_all,
    to_item,
    unavailable,
)
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_EXPIRING = DueIndex("expiring", bucket="expiring", moment="held_until")

# In units per unit of a line: what a chunk's change of state does to its levels.
_HOLD = {"available": -1, "held": +1, "waiting": +1}
_COMMIT = {"available": 0, "held": -1, "waiting": 0}
_RELEASE = {
    HoldState.HELD: {"available": +1, "held": -1, "waiting": -1},
    HoldState.COMMITTED: {"available": +1, "held": 0, "waiting": -1},
}


class DynamoDBStock:
    """The stock, over one table. Satisfies `ports.StockRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._cards = Cards()

    def shelves(self, skus: Sequence[str], *, consistent: bool = True) -> dict[str, Shelf]:
        roots = self._items([level_key(sku) for sku in dict.fromkeys(skus)], consistent)
        found = {item["sku"]: [item] for item in roots}
        others = []
        for sku, (root,) in found.items():
            card = items.card_of(root)
            self._cards.remember(sku, card)
            if card is not None:
                others += [level_key(sku, bucket) for bucket in card.buckets if bucket != ROOT]
        for item in self._items(others, consistent) if others else ():
            found[item["sku"]].append(item)
        return {sku: items.shelf_of(sku, found.get(sku, [])) for sku in skus}

    def _items(self, keys: Iterable[Mapping[str, str]], consistent: bool) -> list[Item]:
        return get_all(self._client, self._table, keys, consistent=consistent)

    def snapshot(self, sku: str) -> Shelf:
        root = self._items([level_key(sku)], True)
        card = items.card_of(root[0]) if root else None
        buckets = card.buckets if card else (ROOT,)
        try:
            answer = self._client.transact_get_items(
                TransactItems=[
                    {"Get": {"TableName": self._table, "Key": to_item(level_key(sku, bucket))}}
                    for bucket in buckets
                ]
            )
        except ClientError as error:
            raise unavailable(error) from error
        found = [from_item(one["Item"]) for one in answer["Responses"] if one.get("Item")]
        return items.shelf_of(sku, found)

    def presumed(self, skus: Sequence[str]) -> dict[str, Shelf] | None:
        return self._cards.presumed(skus)

    def hold_chunk(
        self,
        chunk: HoldChunk,
        shelves: Mapping[str, Shelf],
        *,
        held_until: datetime,
        chunks_known: int,
    ) -> HoldChunk:
        moves = merged(move for line in chunk.lines for move in line.moves(**_HOLD))
        updates, told = sales(moves, shelves, f"{chunk.order_id}/{chunk.number}")
        writes = [
            put(
                self._table,
                {
                    **items.chunk_item(chunk, HoldState.HELD),
                    **_EXPIRING.keys("HELD", chunk.order_id, held_until),
                },
            ),
            put(self._table, items.chunk_entry(chunk, HoldState.HELD, moves)),
            *[update.to_write(self._table) for update in updates],
        ]
        if chunk.number > 0:
            writes.append(first_stands(self._table, chunk, chunk.added_by, chunks_known))
        if chunk.added_by > 0:
            writes.append(first_stands(self._table, chunk, 0, chunk.total))
        writes += [put_waiting(self._table, one) for one in chunk.waitings]
        writes += [outbox_put(self._table, items.sku_pk(event.sku), event) for event in told]
        assert len(writes) <= TRANSACTION_ITEMS_MAX
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            refused = failed_conditions(error)
            return self._explain_refused_hold(chunk, shelves, updates, refused, error)
        return chunk

    def _explain_refused_hold(
        self,
        chunk: HoldChunk,
        shelves: Mapping[str, Shelf],
        updates: Sequence[LevelWrite],
        stored: Sequence[Item | None],
        error: ClientError,
    ) -> HoldChunk:
        """Return the chunk if it was held before, else say why it was not held now."""
        held, _, *others = stored
        if held is not None:
            if held["state"] == HoldState.RELEASED:
                raise HoldReleasedError(chunk.order_id) from error
            return items.to_chunk(chunk.order_id, held)
        for update, level in zip(updates, others, strict=False):
            if level is None:
                continue
            card = items.card_of(level)
            if card is not None:
                self._cards.remember(update.move.sku, card)
            elif shelves[update.move.sku].card is None:
                # It has one bucket, as was supposed, and there is too little in it.
                raise OutOfStockError(update.move.sku) from error
            raise StaleError("a level is not as it was presumed") from error
        firsts = others[len(updates) : len(updates) + (chunk.number > 0) + (chunk.added_by > 0)]
        for first in firsts:
            if first is not None and first.get("state") in {None, HoldState.RELEASED}:
                raise HoldReleasedError(chunk.order_id) from error
        raise StaleError(f"the hold of {chunk.order_id} moved on") from error

    def chunks(self, order_id: str) -> list[HoldChunk]:
        found = beginning_with(self._client, self._table, items.hold_pk(order_id), "CHUNK#")
        return [items.to_chunk(order_id, item) for item in found]

    def commit_chunk(self, chunk: HoldChunk) -> None:
        moves = merged(move for line in chunk.lines for move in line.moves(**_COMMIT))
        writes = [
            change_state(self._table, chunk, HoldState.HELD, HoldState.COMMITTED),
            put(self._table, items.chunk_entry(chunk, HoldState.COMMITTED, moves)),
            *change_levels(self._table, moves, lambda move: holds_at_least(-move.held)),
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None and stored.get("state") == HoldState.HELD:
                raise StaleError(f"the hold of {chunk.order_id} moved on") from error
            if stored is None or stored.get("state") != HoldState.COMMITTED:
                raise HoldLostError(chunk.order_id) from error

    def release_chunk(self, chunk: HoldChunk) -> None:
        effect = _RELEASE[chunk.state]
        moves = merged(move for line in chunk.lines for move in line.moves(**effect))
        writes = [
            change_state(self._table, chunk, chunk.state, HoldState.RELEASED),
            put(self._table, items.chunk_entry(chunk, HoldState.RELEASED, moves)),
            *change_levels(self._table, moves),
            *[change_waiting(self._table, one, 0) for one in chunk.waitings],
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None or stored.get("state") != HoldState.RELEASED:
                # It was sold, edited or filled in between: the caller reads it again.
                raise StaleError(f"the hold of {chunk.order_id} moved on") from error

    def shrink_chunk(self, chunk: HoldChunk, left: HoldChunk) -> None:
        effect = _RELEASE[HoldState.COMMITTED]
        kept = {line.sku: line for line in left.lines}
        waiting_left = {line.sku: line.waiting for line in left.lines}
        moves = merged(
            [move for line in chunk.lines for move in line.moves(**effect)]
            + [_opposite(move) for line in kept.values() for move in line.moves(**effect)]
        )
        moves = [move for move in moves if move.available or move.waiting]
        writes = [
            change_lines(self._table, chunk, left),
            put(
                self._table,
                items.chunk_entry(chunk, f"TAKEN_BACK#{left.edit}", moves) | {"kind": "TAKEN_BACK"},
            ),
            *change_levels(self._table, moves),
            *[
                change_waiting(self._table, one, waiting_left.get(one.sku, 0))
                for one in chunk.waitings
                if waiting_left.get(one.sku, 0) != one.quantity
            ],
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
                Item=to_item(items.chunk_item(tombstone, HoldState.RELEASED)),
                ConditionExpression=IS_NEW,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            assert stored is not None
            first = items.to_chunk(order_id, stored)
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
                Key=to_item(items.chunk_key(chunk.order_id, chunk.added_by, chunk.number)),
                UpdateExpression="SET #held_until = :held_until",
                ConditionExpression=IS_IN_STATE,
                ExpressionAttributeNames={"#held_until": "held_until", "#state": "state"},
                ExpressionAttributeValues=to_item(
                    {":held_until": to_text(held_until), ":from": HoldState.HELD}
                ),
            )
        except ClientError as error:
            # It was sold or released meanwhile: there is no hold left to prolong.
            failed_conditions(error)

    def restock(self, returned: ReturnedUnits) -> None:
        moves = [Move(line.sku, available=line.quantity) for line in returned.resellable]
        entry = {
            **items.entry(f"RETURN#{returned.return_id}", "ENTRY#RESTOCKED", "RESTOCKED", moves),
            "order_id": returned.order_id,
            "scrapped": [{"sku": line.sku, "quantity": line.quantity} for line in returned.damaged],
        }
        # What was sold once was stocked before, and a level is never deleted.
        levels = change_levels(self._table, moves, lambda _: Condition(IS_THERE))
        try:
            self._client.transact_write_items(TransactItems=[put(self._table, entry), *levels])
        except ClientError as error:
            already = failed_conditions(error)[0]
            if already is None:
                raise
            told = ("movements", "scrapped", "order_id")
            if any(already[name] != entry[name] for name in told):
                raise IdempotencyMismatchError from error

    def first_waiting(self, sku: str) -> Waiting | None:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": f"WAITING#{sku}"}),
            ConsistentRead=True,
            Limit=1,
        )
        found = [items.to_waiting(from_item(item)) for item in answer["Items"]]
        return found[0] if found else None

    def fill(self, waiting: Waiting, came: Bucketed) -> None:
        chunk = self._chunk(waiting)
        line = chunk.line(waiting.sku) if chunk else None
        if chunk is None or line is None or line.waiting != waiting.quantity:
            raise StaleError(f"{waiting.order_id} waits no longer as it did")
        units = sum(came.values())
        # Whatever shard they lay in: what an order has lies in the first one of its warehouse, so
        # that a line of a filled order is in as many buckets as there are warehouses at most.
        kept: dict[Any, int] = {}
        for bucket, quantity in came.items():
            place = replace(bucket, shard=0)
            kept[place] = kept.get(place, 0) + quantity
        filled = chunk.filled(waiting.sku, kept)
        is_held = chunk.state is HoldState.HELD
        moves = merged(
            [
                Move(waiting.sku, waiting=-units),
                *[Move(waiting.sku, bucket, available=-n) for bucket, n in came.items()],
                *[Move(waiting.sku, bucket, held=n) for bucket, n in kept.items() if is_held],
            ]
        )
        writes = [
            change_lines(self._table, chunk, filled),
            put(
                self._table,
                items.chunk_entry(chunk, f"FILLED#{filled.fills}", moves) | {"kind": "FILLED"},
            ),
            change_waiting(self._table, waiting, waiting.quantity - units),
            *change_levels(
                self._table,
                moves,
                lambda move: has_at_least(-move.available) if move.available < 0 else None,
            ),
        ]
        if units == waiting.quantity:
            writes.append(self._tell_filled(waiting, filled))
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{waiting.order_id} waits no longer as it did") from error

    def _tell_filled(self, waiting: Waiting, filled: HoldChunk) -> Any:
        about = f"{waiting.order_id}/{waiting.added_by}/{waiting.number}/{waiting.sku}"
        event = BackorderFilledV1(
            event_id=event_id(BackorderFilledV1.TYPE, about, filled.fills),
            occurred_at=utc_now(),
            correlation_id=waiting.order_id,
            version=filled.fills,
            order_id=waiting.order_id,
            sku=waiting.sku,
            quantity=waiting.quantity,
        )
        return outbox_put(self._table, items.hold_pk(waiting.order_id), event)

    def tell_standing(self, shelf: Shelf, standing: Standing) -> None:
        crossed = [standing] if standing is not Standing.AMPLE else []
        if standing is Standing.DEPLETED and shelf.standing is Standing.AMPLE and shelf.threshold:
            crossed = [Standing.LOW, Standing.DEPLETED]
        rises = standing is Standing.LOW and shelf.standing is Standing.DEPLETED
        events = [] if rises else told_of(shelf, crossed, f"stock/{shelf.sku}")
        update = LevelWrite(
            Move(shelf.sku),
            [has_card(shelf.card), was_told(shelf.tellings)],
            standing=standing,
            tellings=shelf.tellings + 1,
        )
        try:
            self._client.transact_write_items(
                TransactItems=[
                    update.to_write(self._table),
                    *[outbox_put(self._table, items.sku_pk(shelf.sku), one) for one in events],
                ]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{shelf.sku} was told of meanwhile") from error

    def change(self, changes: Sequence[ShelfChange]) -> None:
        writes: list[Any] = []
        started: list[ShelfChange] = []
        for change in changes:
            more = self._changed(change)
            if len(writes) + len(more) > TRANSACTION_ITEMS_MAX:
                self._write_changes(started, writes)
                writes, started = [], []
            writes += more
            started.append(change)
        if writes:
            self._write_changes(started, writes)

    def _write_changes(self, changes: Sequence[ShelfChange], writes: Sequence[Any]) -> None:
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            already = failed_conditions(error)[0]
            if already is None or len(changes) > 1:
                raise StaleError("a level changed since it was read") from error
            if _units(already["movements"]) != _units(_entry(changes[0])["movements"]):
                raise IdempotencyMismatchError from error

    def _changed(self, change: ShelfChange) -> list[Any]:
        """Write a change of a shelf, its entry first."""
        shelf = change.shelf
        moves = list(change.moves)
        if change.card is not None and all(move.bucket != ROOT for move in moves):
            moves.append(Move(shelf.sku))
        updates, told = sales(moves, {shelf.sku: shelf}, _entry_id(change))
        for update in updates:
            bucket = update.move.bucket
            if change.is_exact and bucket.warehouse == change.warehouse:
                update.conditions.append(is_as_read(shelf.at(bucket)))
            if change.card is not None and bucket == ROOT:
                update.card = change.card
                update.standing = standing_after(change)
        return [
            put(self._table, _entry(change)),
            *[update.to_write(self._table) for update in updates],
            *[outbox_put(self._table, items.sku_pk(event.sku), event) for event in told],
        ]

    def _chunk(self, waiting: Waiting) -> HoldChunk | None:
        answer = self._client.get_item(
            TableName=self._table,
            Key=to_item(items.chunk_key(waiting.order_id, waiting.added_by, waiting.number)),
            ConsistentRead=True,
        )
        stored = answer.get("Item")
        return items.to_chunk(waiting.order_id, from_item(stored)) if stored else None


def _opposite(move: Move) -> Move:
    return Move(move.sku, move.bucket, -move.available, -move.held, -move.waiting)


def _entry_id(change: ShelfChange) -> str:
    """Name the change: one that is repeated under its reference is the same."""
    if change.reference:
        return derived_id("ent", change.shelf.sku, change.reference)
    return change.change_id


def _entry(change: ShelfChange) -> Item:
    sku = change.shelf.sku
    entry = items.entry(items.sku_pk(sku), f"ENTRY#{_entry_id(change)}", change.kind, change.moves)
    return {**entry, "code": change.code, "reason": change.note}


def _units(movements: Sequence[Item]) -> dict[str, int]:
    """Sum what came, by warehouse: in which shards a repetition would have put it is no matter."""
    units: dict[str, int] = {}
    for movement in movements:
        warehouse = items.place_of(movement).warehouse
        units[warehouse] = units.get(warehouse, 0) + movement["available"]
    return units

"""What is taken of a shelf, under which conditions, and what the world is told of its fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inventory.dynamodb import writes
from inventory.dynamodb.writes import LevelWrite
from inventory.model import ROOT, Move, Shelf, ShelfChange, Standing
from inventory.model.stock import alike, crossings, standing_of
from tradepost.contracts.event import event_id
from tradepost.contracts.inventory import StockDepletedV1, StockLowV1
from tradepost.kernel.clock import utc_now

Fall = StockLowV1 | StockDepletedV1


def sales(
    moves: Sequence[Move], shelves: Mapping[str, Shelf], correlation_id: str
) -> tuple[list[LevelWrite], list[Fall]]:
    """Write what is taken, each under the condition that it is there; tell what that crosses.

    Where all of a SKU lies in one bucket its fall is seen, and told, in the same transaction.
    Of several buckets none knows the sum: see `tell_standing`.
    """
    updates = []
    told: list[Fall] = []
    for move in moves:
        shelf = shelves[move.sku]
        update = LevelWrite(move)
        if move.available < 0:
            before = shelf.at(move.bucket).available
            lowest, highest = -move.available, None
            crossed: list[Standing] = []
            if shelf.card and shelf.card.is_one_bucket and shelf.threshold is not None:
                crossed = crossings(before, before + move.available, shelf.threshold)
                lowest, highest = alike(before, -move.available, shelf.threshold)
            update.conditions.append(
                writes.has_at_least(lowest)
                if highest is None
                else writes.lies_between(lowest, highest)
            )
            if crossed:
                update.conditions.append(writes.was_told(shelf.tellings))
                update.tellings = shelf.tellings + 1
                told += told_of(shelf, crossed, correlation_id)
        if move.bucket == ROOT:
            update.conditions.append(writes.has_card(shelf.card))
        if move.waiting > 0:
            room = shelf.waiting + shelf.may_still_wait - move.waiting
            update.conditions.append(writes.waits_at_most(room))
        updates.append(update)
    return updates, told


def told_of(shelf: Shelf, crossed: Sequence[Standing], correlation_id: str) -> list[Fall]:
    """Make the events of a fall. The SKU's tellings are counted, so that each is told once."""
    version = shelf.tellings + 1
    at = utc_now()
    events: list[Fall] = []
    if Standing.LOW in crossed:
        events.append(
            StockLowV1(
                event_id=event_id(StockLowV1.TYPE, shelf.sku, version),
                occurred_at=at,
                correlation_id=correlation_id,
                version=version,
                sku=shelf.sku,
                threshold=shelf.threshold or 0,
            )
        )
    if Standing.DEPLETED in crossed:
        events.append(
            StockDepletedV1(
                event_id=event_id(StockDepletedV1.TYPE, shelf.sku, version),
                occurred_at=at,
                correlation_id=correlation_id,
                version=version,
                sku=shelf.sku,
            )
        )
    return events


def standing_after(change: ShelfChange) -> Standing:
    """Say how a shelf stands whose keeping was changed: what was so before is not told."""
    if change.card is None or change.card.low_at is None:
        return Standing.AMPLE
    came = sum(move.available for move in change.moves)
    level = change.shelf.level
    return standing_of(max(0, level.available + came - level.waiting), change.card.low_at)

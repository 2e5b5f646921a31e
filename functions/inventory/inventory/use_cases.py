"""What is done with stock: hold, commit, add, take back, release, expire; restock, receive,
adjust, count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from inventory.model import (
    EmptyHoldError,
    HoldChunk,
    HoldLine,
    HoldLostError,
    HoldState,
    ReturnedUnits,
    StockLevel,
    summed,
)
from inventory.ports import Orders, StockRepository
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError

# A DynamoDB transaction takes 100 items: each line's stock, the hold, its ledger entry, and the
# check that the first chunk still stands.
HOLD_CHUNK_LINES_MAX = 97

# Longer than any checkout that waits for nobody; a hold outliving it is the sweeper's to free.
_HOLD_LIFETIME = timedelta(minutes=30)

# Orders looked at per sweep: what is left is looked at a minute later.
HOLDS_SWEPT_MAX = 100

# The orders whose hold nobody will commit or release any more. Every other one has a saga, or
# waits for somebody who will start it again: its hold is that saga's.
_OVER = {"CANCELLED", None}

_COUNT_ATTEMPTS_MAX = 3


def reserve_stock(
    order_id: str, lines: Sequence[HoldLine], *, stock: StockRepository, now: Clock
) -> None:
    """Hold all of an order's lines or none, once per order.

    An order of more lines than a transaction takes is held chunk by chunk. A chunk that fails
    leaves the earlier ones held: `release_stock` frees them, which the saga calls on any failure.
    Safe to repeat and to run twice at once; chunks already held stay as they are.

    Raises
    ------
    OutOfStockError
        A SKU has too few units available.
    HoldReleasedError
        The order was released before: this call came too late.
    EmptyHoldError
        There is nothing to hold.
    """
    wanted = summed(lines)
    if not wanted:
        raise EmptyHoldError("an order holds at least one unit")
    chunks = _chunked(wanted, HOLD_CHUNK_LINES_MAX)
    for number, chunk in enumerate(chunks):
        stock.hold_chunk(
            HoldChunk(order_id, number, len(chunks), HoldState.HELD, tuple(chunk)),
            held_until=now() + _HOLD_LIFETIME,
        )


def hold_added(
    order_id: str, edit: int, lines: Sequence[HoldLine], *, stock: StockRepository, now: Clock
) -> None:
    """Hold the units that an edit adds to an order, all or none, once per edit.

    Safe to repeat and to run twice at once, as `reserve_stock` is; `release_added` undoes it.

    Raises
    ------
    OutOfStockError
        A SKU has too few units available.
    HoldReleasedError
        The edit was undone first, or the whole order: this call came too late.
    """
    # Two chunks have to stand besides: the order's first, and the edit's.
    chunks = _chunked(summed(lines), HOLD_CHUNK_LINES_MAX - 1)
    for number, chunk in enumerate(chunks):
        stock.hold_chunk(
            HoldChunk(
                order_id,
                number,
                len(chunks),
                HoldState.HELD,
                tuple(chunk),
                edit=edit,
                added_by=edit,
            ),
            held_until=now() + _HOLD_LIFETIME,
        )


def commit_added(order_id: str, edit: int, *, stock: StockRepository) -> None:
    """Sell what is held for an edit, once. Safe to repeat.

    Raises
    ------
    HoldLostError
        The edit does not hold all its units, or they were released.
    """
    _commit(order_id, edit, stock)


def release_added(order_id: str, edit: int, *, stock: StockRepository) -> None:
    """Give back what an edit holds or has bought, and bar it from holding again.

    Safe to repeat, to run before the hold and to run beside it.
    """
    stock.bar_hold(order_id, edit)
    for chunk in stock.chunks(order_id):
        if chunk.added_by == edit and chunk.state is not HoldState.RELEASED:
            stock.release_chunk(chunk)


def commit_stock(order_id: str, *, stock: StockRepository) -> None:
    """Turn an order's hold into a sale, once. Safe to repeat.

    Raises
    ------
    HoldLostError
        The order does not hold all its lines, or some were released.
    """
    _commit(order_id, 0, stock)


def _commit(order_id: str, edit: int, stock: StockRepository) -> None:
    chunks = [chunk for chunk in stock.chunks(order_id) if chunk.added_by == edit]
    if not chunks or len(chunks) != chunks[0].total:
        raise HoldLostError(order_id)
    for chunk in chunks:
        if chunk.state is not HoldState.COMMITTED:
            stock.commit_chunk(chunk)


def take_back(
    order_id: str, edit: int, lines: Sequence[HoldLine], *, stock: StockRepository
) -> None:
    """Leave an order these units of those it has bought, once per edit, and sell the rest again.

    What was added last is taken back first. A chunk that stands at this edit or a later one stays
    as it is, and so does one that was released: it has given everything back. Safe to repeat,
    late too.

    Raises
    ------
    HoldLostError
        The order has bought nothing.
    """
    chunks = stock.chunks(order_id)
    if not chunks:
        raise HoldLostError(order_id)
    left = {line.sku: line.quantity for line in summed(lines)}
    for chunk in chunks:
        if chunk.state is HoldState.HELD:
            raise HoldLostError(order_id)
        if chunk.state is HoldState.RELEASED:
            continue
        kept = chunk if chunk.edit >= edit else chunk.left_at(edit, left)
        if kept is not chunk:
            stock.shrink_chunk(chunk, kept)
        for line in kept.lines:
            left[line.sku] = max(0, left.get(line.sku, 0) - line.quantity)


def release_stock(order_id: str, *, stock: StockRepository) -> None:
    """Give back whatever an order holds or has bought, and bar it from holding again.

    Safe to repeat, to run before the hold and to run beside it. The first chunk goes first: from
    then on no further chunk can be held, so those read afterwards are all there will ever be,
    with what edits have added.
    """
    stock.bar_hold(order_id)
    for chunk in stock.chunks(order_id):
        if chunk.state is not HoldState.RELEASED:
            stock.release_chunk(chunk)


def sweep_holds(*, stock: StockRepository, orders: Orders, now: Clock) -> int:
    """Release what is held past its time for orders that are over; tell for how many.

    A hold whose order still runs or waits is left, and looked at again after another lifetime.
    """
    freed = 0
    for order_id in stock.past_due(now(), HOLDS_SWEPT_MAX):
        if orders.status_of(order_id) in _OVER:
            freed += expire_hold(order_id, stock=stock)
        else:
            for chunk in stock.chunks(order_id):
                if chunk.state is HoldState.HELD:
                    stock.prolong(chunk, now() + _HOLD_LIFETIME)
    return freed


def expire_hold(order_id: str, *, stock: StockRepository) -> bool:
    """Give back what an order holds, unless it was sold; tell whether it was given back.

    The first chunk decides: a sale commits it first, and so does this. Of the two exactly one
    wins, and whoever loses leaves the other chunks alone. Safe to repeat.
    """
    chunks = stock.chunks(order_id)
    if not chunks or chunks[0].state is HoldState.COMMITTED:
        return False
    if chunks[0].state is HoldState.HELD:
        try:
            stock.release_chunk(chunks[0])
        except StaleError:
            return False
    # No chunk can be held any more, and none was sold: the first one is needed for both.
    for chunk in stock.chunks(order_id):
        if chunk.state is HoldState.HELD:
            stock.release_chunk(chunk)
    return True


def restock(
    order_id: str,
    return_id: str,
    *,
    resellable: Sequence[HoldLine],
    damaged: Sequence[HoldLine],
    stock: StockRepository,
) -> None:
    """Put what came back on the shelf, and write off what cannot be sold, once per return.

    Raises
    ------
    IdempotencyMismatchError
        Other units came back with this return.
    """
    stock.restock(
        ReturnedUnits(return_id, order_id, tuple(summed(resellable)), tuple(summed(damaged)))
    )


def adjust_stock(
    sku: str, delta: int, *, reason: str, reference: str, stock: StockRepository
) -> StockLevel:
    """Receive (positive) or write off (negative) units, once per `reference`.

    Raises
    ------
    NegativeStockError
        Fewer units are available than are to be written off.
    IdempotencyMismatchError
        The reference belongs to a change of another size.
    """
    return stock.adjust(sku, delta, reason=reason, reference=reference)


def count_stock(
    counts: Mapping[str, int], *, reason: str, stock: StockRepository
) -> dict[str, tuple[str, StockLevel]]:
    """Correct what is on hand to what was counted; held units stay held.

    Returns per SKU `changed` or `unchanged` with the level after. The same count again changes
    nothing. A count below what is held leaves `available` at zero: those orders were promised.

    Raises
    ------
    StaleError
        Sales kept changing a level while it was being corrected. Some of the counts may have been
        written, fifty at a time; count again.
    """
    outcome: dict[str, tuple[str, StockLevel]] = {}
    remaining = dict(counts)
    for _ in range(_COUNT_ATTEMPTS_MAX):
        found = stock.levels(list(remaining))
        corrections = []
        for sku, on_hand in remaining.items():
            level = found.get(sku, StockLevel(sku, 0, 0))
            corrected = StockLevel(sku, max(0, on_hand - level.held), level.held)
            if sku in found and corrected == level:
                outcome[sku] = ("unchanged", level)
            else:
                corrections.append((level, corrected.available))
                outcome[sku] = ("changed", corrected)
        try:
            stock.set_available(corrections, reason=reason)
        except StaleError:
            remaining = {level.sku: counts[level.sku] for level, _ in corrections}
            continue
        return outcome
    raise StaleError("the stock kept changing while it was counted")


def _chunked(lines: Sequence[HoldLine], lines_max: int) -> list[Sequence[HoldLine]]:
    return [lines[start : start + lines_max] for start in range(0, len(lines), lines_max)]

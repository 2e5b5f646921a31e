"""Holding what an order wants, selling it, taking it back, and letting it go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from inventory.model import (
    MAIN_WAREHOUSE,
    EmptyHoldError,
    HoldChunk,
    HoldLine,
    HoldLostError,
    HoldReleasedError,
    HoldState,
    OutOfStockError,
    Shelf,
    summed,
)
from inventory.model.sourcing import ranked, sourced, whole_first
from inventory.model.stock import WAREHOUSES_MAX, with_main
from inventory.ports import Orders, StockRepository, WarehouseRepository
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError, UnavailableError

# A DynamoDB transaction takes 100 items: each line's stock, the hold, its ledger entry, and the
# check that the first chunk still stands.
HOLD_CHUNK_LINES_MAX = 97

# What a line that waits may need of them: its place in the queue, the SKU's root, and a bucket for
# each warehouse that its units come into one day.
_WAITING_LINE_ITEMS = 2 + WAREHOUSES_MAX

# A line that leaves a SKU low or depleted tells of both.
_TOLD_OF_LINE_MAX = 2

# Longer than any checkout that waits for nobody; a hold outliving it is the sweeper's to free.
_HOLD_LIFETIME = timedelta(minutes=30)

# Orders looked at per sweep: what is left is looked at a minute later.
HOLDS_SWEPT_MAX = 100

# How often a chunk is planned anew whose shelves others changed meanwhile.
PLANS_MAX = 8

# The orders whose hold nobody will commit or release any more. Every other one has a saga, or
# waits for somebody who will start it again: its hold is that saga's.
_OVER = {"CANCELLED", None}


def reserve_stock(
    order_id: str,
    lines: Sequence[HoldLine],
    *,
    stock: StockRepository,
    warehouses: WarehouseRepository,
    orders: Orders,
    now: Clock,
) -> int:
    """Hold all of an order's lines or none, once per order; tell how many units are to come in.

    An order of more lines than a transaction takes is held chunk by chunk. A chunk that fails
    leaves the earlier ones held: `release_stock` frees them, which the saga calls on any failure.
    Safe to repeat and to run twice at once; chunks already held stay as they are.

    Raises
    ------
    OutOfStockError
        A SKU has too few units for sale, and takes no back-order for the rest.
    HoldReleasedError
        The order was released before: this call came too late.
    EmptyHoldError
        There is nothing to hold.
    UnavailableError
        Others kept changing the shelves; the same call may succeed later.
    """
    rest = summed(lines)
    if not rest:
        raise EmptyHoldError("an order holds at least one unit")
    return _hold(_Planner(order_id, 0, rest, stock, warehouses, orders, now))


def hold_added(
    order_id: str,
    edit: int,
    lines: Sequence[HoldLine],
    *,
    stock: StockRepository,
    warehouses: WarehouseRepository,
    orders: Orders,
    now: Clock,
) -> int:
    """Hold the units that an edit adds to an order, all or none, once per edit.

    Returns how many are to come in. Safe to repeat and to run twice at once, as `reserve_stock`
    is; `release_added` undoes it.

    Raises
    ------
    OutOfStockError
        A SKU has too few units for sale, and takes no back-order for the rest.
    HoldReleasedError
        The edit was undone first, or the whole order: this call came too late.
    UnavailableError
    """
    return _hold(_Planner(order_id, edit, summed(lines), stock, warehouses, orders, now))


def _hold(planner: _Planner) -> int:
    """Hold all that is wanted, chunk by chunk; tell how many units are to come in."""
    rest = planner.wanted
    number = waiting = chunks_known = 0
    while rest:
        held = _hold_next(planner, number, rest, chunks_known)
        if number == 0 or held.total > chunks_known:
            chunks_known = held.total
        waiting += sum(line.waiting for line in held.lines)
        done = {line.sku for line in held.lines}
        rest = [line for line in rest if line.sku not in done]
        number += 1
    return waiting


def _hold_next(
    planner: _Planner, number: int, rest: Sequence[HoldLine], chunks_known: int
) -> HoldChunk:
    """Hold as many of the lines as fit into one transaction."""
    lines = rest[: planner.lines_max]
    skus = [line.sku for line in lines]
    shelves = planner.stock.presumed(skus)
    for _ in range(PLANS_MAX):
        if shelves is None:
            shelves = planner.stock.shelves(skus)
        try:
            planned = planner.plan(lines, shelves)
        except OutOfStockError:
            # What is missing may be what an earlier call has held for this very order.
            held = _held_before(planner, number)
            if held is None:
                raise
            return held
        except UnavailableError:
            # Sales kept the shelf from being read at one moment.
            shelves = None
            continue
        try:
            left = len(rest) - len(planned)
            total = number + 1 - (-left // planner.lines_max)
            return planner.stock.hold_chunk(
                HoldChunk(
                    planner.order_id,
                    number,
                    max(total, chunks_known),
                    HoldState.HELD,
                    tuple(planned),
                    edit=planner.added_by,
                    added_by=planner.added_by,
                ),
                shelves,
                held_until=planner.now() + _HOLD_LIFETIME,
                chunks_known=chunks_known,
            )
        except StaleError:
            shelves = None
    raise UnavailableError("the stock kept changing while it was reserved")


def _held_before(planner: _Planner, number: int) -> HoldChunk | None:
    """Return a chunk that is held already. Raises HoldReleasedError."""
    for chunk in planner.stock.chunks(planner.order_id):
        if (chunk.added_by, chunk.number) == (planner.added_by, number):
            if chunk.state is HoldState.RELEASED:
                raise HoldReleasedError(planner.order_id)
            return chunk
    return None


class _Planner:
    """Plans an order's chunks; asks where to send from only if there is a choice."""

    def __init__(
        self,
        order_id: str,
        added_by: int,
        wanted: Sequence[HoldLine],
        stock: StockRepository,
        warehouses: WarehouseRepository,
        orders: Orders,
        now: Clock,
    ) -> None:
        self.order_id = order_id
        self.added_by = added_by
        self.wanted = wanted
        # Of an edit two chunks have to stand besides: the order's first, and the edit's.
        self.lines_max = HOLD_CHUNK_LINES_MAX - (added_by > 0)
        self.stock = stock
        self.now = now
        self._warehouses = warehouses
        self._orders = orders
        self._ranking: list[str] | None = None

    def plan(self, lines: Sequence[HoldLine], shelves: dict[str, Shelf]) -> list[HoldLine]:
        """Source as many lines as fit into a transaction. Raises OutOfStockError."""
        ranking = self._rank(shelves)
        planned: list[HoldLine] = []
        items = 0
        for line in lines:
            found = self._source(line, shelves, ranking)
            items += _items_of(found, shelves[line.sku])
            if items > self.lines_max:
                break
            planned.append(found)
        return planned

    def _source(
        self, line: HoldLine, shelves: dict[str, Shelf], ranking: Sequence[str]
    ) -> HoldLine:
        shelf = shelves[line.sku]
        try:
            return sourced(self.order_id, line, shelf, ranking, self.now())
        except OutOfStockError:
            if len(shelf.units) == 1:
                raise
        # While the buckets were read one by one, units may have moved from one to another.
        shelves[line.sku] = self.stock.snapshot(line.sku)
        return sourced(self.order_id, line, shelves[line.sku], ranking, self.now())

    def _rank(self, shelves: Mapping[str, Shelf]) -> list[str]:
        choice = any(shelf.card and len(shelf.card.warehouses) > 1 for shelf in shelves.values())
        if self._ranking is None and choice:
            listed = with_main(self._warehouses.described())
            ranking = ranked(listed, self._orders.country_of(self.order_id))
            others = [line.sku for line in self.wanted if line.sku not in shelves]
            everything = {**self.stock.shelves(others), **shelves} if others else shelves
            self._ranking = whole_first(ranking, self.wanted, everything)
        return self._ranking or [MAIN_WAREHOUSE]


def _items_of(line: HoldLine, shelf: Shelf) -> int:
    """Count the items that a line takes of a transaction, now or when its units come in."""
    items = len(line.takes) + (_WAITING_LINE_ITEMS if line.waiting else 0)
    return items + (_TOLD_OF_LINE_MAX if shelf.threshold is not None else 0)


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

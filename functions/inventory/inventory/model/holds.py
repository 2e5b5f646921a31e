"""What an order holds or has bought, and of which bucket each unit is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from inventory.model.stock import ROOT, Bucket, Move
from tradepost.kernel.errors import ConflictError, InvalidError

Bucketed = Mapping[Bucket, int]


class HoldState(StrEnum):
    HELD = "HELD"  # units are set aside
    COMMITTED = "COMMITTED"  # units are sold
    RELEASED = "RELEASED"  # units are back, or were never taken: no later hold may take them


class HoldReleasedError(ConflictError):
    """The order's hold was given back already: this call was overtaken by its undo."""

    code = "hold_released"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the hold of {order_id} was released")
        self.order_id = order_id


class HoldLostError(ConflictError):
    """There is no hold to commit: the units may be somebody else's by now."""

    code = "hold_lost"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"{order_id} holds no stock")
        self.order_id = order_id


class EmptyHoldError(InvalidError):
    code = "empty_hold"


@dataclass(frozen=True, slots=True)
class Take:
    """Units of a line that lie in one bucket."""

    bucket: Bucket
    quantity: int


@dataclass(frozen=True, slots=True)
class HoldLine:
    """Units of a SKU for an order: `taken` lie in buckets, `waiting` are still to come in.

    A line that says neither is of the root.
    """

    sku: str
    quantity: int
    taken: tuple[Take, ...] = ()
    waiting: int = 0
    waits_since: datetime | None = None

    @property
    def takes(self) -> tuple[Take, ...]:
        here = self.quantity - self.waiting
        return self.taken or ((Take(ROOT, here),) if here else ())

    def moves(self, *, available: int, held: int, waiting: int) -> list[Move]:
        """Say what a change does to the buckets, in units per unit of the line."""
        moves = [
            Move(self.sku, take.bucket, available * take.quantity, held * take.quantity)
            for take in self.takes
            if available or held
        ]
        if self.waiting and waiting:
            moves.append(Move(self.sku, waiting=waiting * self.waiting))
        return merged(moves)

    def left(self, quantity: int) -> HoldLine:
        """Return the line with fewer units: those that are still to come go first."""
        gone = max(0, self.quantity - quantity)
        waiting = max(0, self.waiting - gone)
        units = quantity - waiting
        kept = []
        for take in self.takes:
            here = min(take.quantity, units)
            units -= here
            if here:
                kept.append(Take(take.bucket, here))
        return replace(
            self,
            quantity=quantity,
            waiting=waiting,
            taken=_said(kept),
            waits_since=self.waits_since if waiting else None,
        )

    def filled(self, came: Bucketed) -> HoldLine:
        """Return the line with units that came in and wait no more."""
        here = {take.bucket: take.quantity for take in self.takes}
        for bucket, units in came.items():
            here[bucket] = here.get(bucket, 0) + units
        waiting = self.waiting - sum(came.values())
        return replace(
            self,
            taken=_said([Take(bucket, units) for bucket, units in sorted(here.items())]),
            waiting=waiting,
            waits_since=self.waits_since if waiting else None,
        )


def _said(takes: list[Take]) -> tuple[Take, ...]:
    """Leave out what a line means that says nothing."""
    return () if [take.bucket for take in takes] == [ROOT] else tuple(takes)


def line_of(sku: str, taken: Bucketed, waiting: int, now: datetime) -> HoldLine:
    """Make the line of what was found of a SKU and what is to come in."""
    return HoldLine(
        sku,
        sum(taken.values()) + waiting,
        _said([Take(bucket, units) for bucket, units in sorted(taken.items())]),
        waiting,
        now if waiting else None,
    )


@dataclass(frozen=True, slots=True)
class HoldChunk:
    """One transaction's worth of an order's hold: chunk `number` of `total`, counted from 0.

    The units that an edit adds are chunks of their own, counted anew.
    """

    order_id: str
    number: int
    total: int
    state: HoldState
    lines: tuple[HoldLine, ...]
    held_until: datetime | None = None  # None for a tombstone
    edit: int = 0  # the number of the order's edit that it stands at
    added_by: int = 0  # the number of the edit that added it; 0: it was bought at first
    fills: int = 0  # how often units came in for it

    def left_at(self, edit: int, left: Mapping[str, int]) -> HoldChunk:
        """Return the chunk as an edit leaves it, which never adds to it."""
        kept = (one.left(min(one.quantity, left.get(one.sku, 0))) for one in self.lines)
        return replace(self, edit=edit, lines=tuple(line for line in kept if line.quantity))

    def line(self, sku: str) -> HoldLine | None:
        return next((line for line in self.lines if line.sku == sku), None)

    @property
    def waitings(self) -> list[Waiting]:
        """Its lines' places in the queues of their SKUs."""
        return [
            Waiting(
                line.sku,
                self.order_id,
                self.added_by,
                self.number,
                line.waiting,
                line.waits_since,
            )
            for line in self.lines
            if line.waits_since is not None
        ]

    def filled(self, sku: str, came: Bucketed) -> HoldChunk:
        """Return the chunk with units of a SKU that wait no more."""
        lines = (line.filled(came) if line.sku == sku else line for line in self.lines)
        return replace(self, lines=tuple(lines), fills=self.fills + 1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A line that waits for units: its place in the queue of its SKU."""

    sku: str
    order_id: str
    added_by: int  # of the chunk, as its number
    number: int
    quantity: int
    since: datetime


@dataclass(frozen=True, slots=True)
class ReturnedUnits:
    """What came back of an order: each SKU at most once in each list."""

    return_id: str
    order_id: str
    resellable: tuple[HoldLine, ...]
    damaged: tuple[HoldLine, ...]


def summed(lines: Iterable[HoldLine]) -> list[HoldLine]:
    """Sum lines of one SKU and sort by SKU, so that two large orders meet in the same order."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
    return [HoldLine(sku, quantity) for sku, quantity in sorted(quantities.items())]


def merged(moves: Iterable[Move]) -> list[Move]:
    """Put together what is done to one bucket: a transaction changes an item once."""
    done: dict[tuple[str, Bucket], Move] = {}
    for move in moves:
        place = (move.sku, move.bucket)
        before = done.get(place, Move(move.sku, move.bucket))
        done[place] = Move(
            move.sku,
            move.bucket,
            before.available + move.available,
            before.held + move.held,
            before.waiting + move.waiting,
        )
    return list(done.values())

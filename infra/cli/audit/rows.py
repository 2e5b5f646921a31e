"""What the audit reads of the tables: rows, and all of them together.

A row is what its owner wrote down and nothing that follows from it: what follows, `invariants`
works out for itself. Amounts are minor units, quantities whole units, moments UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

# Where units are counted: a SKU, and in one of its warehouses one of its shards.
Bucket = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Level:
    """The units of one bucket. `waiting` are the SKU's back-orders, counted at its root."""

    bucket: Bucket
    available: int
    held: int
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """What one entry of the stock's ledger did to one bucket."""

    bucket: Bucket
    available: int
    held: int
    waiting: int = 0
    is_of_a_hold: bool = False  # else units came, went or were moved


@dataclass(frozen=True, slots=True)
class HeldLine:
    """Units of a SKU for an order: taken of buckets, or still to come in."""

    sku: str
    quantity: int
    taken: Mapping[Bucket, int]
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """A chunk of what an order holds (HELD), has bought (COMMITTED) or gave back (RELEASED)."""

    order_id: str
    state: str
    lines: tuple[HeldLine, ...]
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order; `units` are those of its lines, by SKU."""

    order_id: str
    status: str
    total_minor: int
    currency: str
    placed_on: str
    updated_at: datetime
    waits_until: datetime | None = None
    units: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment of an order: its own, or with `edit` the supplement of that edit."""

    order_id: str
    edit: int
    status: str
    currency: str
    amount_minor: int
    captured_minor: int
    refundable_minor: int
    refunded_minor: int
    reference: str
    replaces: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    order_id: str
    edit: int
    refund_id: str
    status: str
    amount_minor: int
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the money's ledger; `legs` are accounts with what they got or gave."""

    order_id: str
    entry_id: str
    kind: str
    currency: str
    legs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as the simulated provider has it in its own book."""

    reference: str
    order_id: str
    status: str
    amount_minor: int
    captured_minor: int
    refunded_minor: int
    opened_on: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout that carts think is running."""

    order_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Unsent:
    """An event that lies in an outbox."""

    table: str
    event_id: str
    type: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Queue:
    """A dead-letter queue, and how many messages it has."""

    name: str
    messages: int


@dataclass(frozen=True, slots=True)
class Books:
    """All that was read, at about the moment `at` of the shop's clock."""

    at: datetime
    levels: tuple[Level, ...] = ()
    movements: tuple[Movement, ...] = ()
    holds: tuple[Hold, ...] = ()
    queued: tuple[tuple[str, int], ...] = ()  # SKU and units of a place in the queue
    orders: tuple[Order, ...] = ()
    payments: tuple[Payment, ...] = ()
    refunds: tuple[Refund, ...] = ()
    entries: tuple[Entry, ...] = ()
    charges: tuple[Charge, ...] = ()
    checkouts: tuple[Checkout, ...] = ()
    unsent: tuple[Unsent, ...] = ()
    queues: tuple[Queue, ...] = ()

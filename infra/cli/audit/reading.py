"""Reading whole tables: the items as they lie there, as the rows that the rules are about.

Tables are read whole and one after the other, so a shop that is open may be seen in the middle of
something. Whoever asks reads again before believing a contradiction: see `auditing`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from infra.cli.audit.rows import (
    Books,
    Bucket,
    Charge,
    Checkout,
    Entry,
    HeldLine,
    Hold,
    Level,
    Movement,
    Order,
    Payment,
    Queue,
    Refund,
    Unsent,
)
from infra.cli.books import items_of
from infra.cli.dead_letters.queues import DeadLetters
from infra.cli.deployment import Deployment
from tradepost.kernel.clock import from_text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]

_ROOT = "main"

# What is read of each table, by how its sort keys begin. A place in the queue of a SKU is keyed by
# the moment since when it waits.
_KINDS = {
    "simulators": ("CHARGE",),
    "payments": ("PAYMENT", "REFUND#", "ENTRY#"),
    "inventory": ("STOCK#", "CHUNK#", "ENTRY#", "2"),
    "orders": ("ORDER", "LINES#"),
}
_UNSENT = "OUTBOX#"

# Who bought, and where they live, is none of the audit's business.
_ORDER = (
    "order_id",
    "status",
    "total_minor",
    "currency",
    "placed_at",
    "updated_at",
    "waits_until",
    "lines",
)

# Tables whose events go through an outbox, each with its sparse index of those unsent.
OUTBOXES = ("catalog", "inventory", "orders", "payments", "shipping", "users")


class UnreadableRowError(Exception):
    """An item is not as its owner writes it. The message is one line for a person."""


def read_books(deployment: Deployment, now: Callable[[], datetime]) -> Books:
    """Read all that the rules are about. Takes as long as the tables are large.

    Raises
    ------
    UnreadableBooksError
        A table could not be read.
    UnreadableRowError
    BotoCoreError, ClientError
        The queues could not be read.
    """
    client: DynamoDBClient = deployment.client("dynamodb")
    at = now()

    def items(
        table: str, *kinds: str, only: Sequence[str] = (), index: str | None = None
    ) -> Iterable[Item]:
        name = f"tradepost-{deployment.stage}-{table}"
        return items_of(client, name, kinds, attributes=only, index=index)

    rows = Rows()
    for table, kinds in _KINDS.items():
        for item in items(table, *kinds, only=_ORDER if table == "orders" else ()):
            rows.take(table, item)
    for item in items("carts", "CHECKOUT", index="running"):
        rows.take("carts", item)
    for table in OUTBOXES:
        for item in items(table, _UNSENT, index="outbox"):
            rows.take(table, item)
    letters = DeadLetters(deployment.client("sqs"), deployment.stage)
    queues = tuple(Queue(each.name, each.depth + each.in_hand) for each in letters.queues())
    return rows.books(at, queues)


class Rows:
    """The rows of items as they come in, from whatever read them."""

    def __init__(self) -> None:
        self._rows: dict[type, list[Any]] = defaultdict(list)
        self._queued: list[tuple[str, int]] = []
        self._orders: list[Item] = []
        self._units: dict[str, Counter[str]] = defaultdict(Counter)

    def take(self, table: str, item: Item) -> None:
        """Take in an item of a context's table; one that no rule is about is passed over.

        Raises
        ------
        UnreadableRowError
        """
        if item["sk"].startswith(_UNSENT):
            self._add(partial(_to_unsent, table), item)
            return
        match table:
            case "simulators":
                if item["sk"] == "CHARGE":
                    self._add(_to_charge, item)
            case "payments":
                self._add(_of_payments(item), item)
            case "inventory":
                self._take_stock(item)
            case "orders":
                self._take_order(item)
            case "carts":
                if item["sk"] == "CHECKOUT" and "due_at" in item:
                    self._add(_to_checkout, item)

    def _add(self, to_row: Callable[[Item], Any], item: Item) -> None:
        row = _read(to_row, item)
        if row is not None:
            self._rows[type(row)].append(row)

    def _take_stock(self, item: Item) -> None:
        if item["pk"].startswith("WAITING#"):
            self._queued.append(_read(lambda one: (one["sku"], int(one["quantity"])), item))
        elif item["sk"].startswith("STOCK#"):
            self._add(_to_level, item)
        elif item["sk"].startswith("CHUNK#"):
            self._add(_to_hold, item)
        elif item["sk"].startswith("ENTRY#"):
            self._rows[Movement] += _read(_to_movements, item)

    def _take_order(self, item: Item) -> None:
        if item["sk"] == "ORDER":
            self._orders.append(item)
        elif item["sk"].startswith("LINES#"):
            units = self._units[item["pk"].removeprefix("ORDER#")]
            for line in item["lines"]:
                units[line["sku"]] += int(line["quantity"])

    def books(self, at: datetime, queues: tuple[Queue, ...]) -> Books:
        """Put together what was taken in."""
        orders = tuple(
            _read(lambda one: _to_order(one, self._units[one["order_id"]]), item)
            for item in self._orders
        )
        return Books(
            at=at,
            levels=tuple(self._rows[Level]),
            movements=tuple(self._rows[Movement]),
            holds=tuple(self._rows[Hold]),
            queued=tuple(self._queued),
            orders=orders,
            payments=tuple(self._rows[Payment]),
            refunds=tuple(self._rows[Refund]),
            entries=tuple(self._rows[Entry]),
            charges=tuple(self._rows[Charge]),
            checkouts=tuple(self._rows[Checkout]),
            unsent=tuple(self._rows[Unsent]),
            queues=queues,
        )


def _read(to_row: Callable[[Item], Any], item: Item) -> Any:
    try:
        return to_row(item)
    except (KeyError, TypeError, ValueError) as error:
        where = f"{item.get('pk')} {item.get('sk')}"
        raise UnreadableRowError(f"{where} is not as it should be: {error!r}") from error


def _bucket(sku: str, warehouse: str, shard: int) -> Bucket:
    return sku, f"{warehouse}/{shard}" if shard else warehouse


def _place_of(sku: str, item: Item) -> Bucket:
    return _bucket(sku, str(item.get("warehouse", _ROOT)), int(item.get("shard", 0)))


def _to_level(item: Item) -> Level:
    shard = int(item["pk"].split("#")[1]) if item["pk"].startswith("SHARD#") else 0
    return Level(
        _bucket(item["sku"], item["sk"].removeprefix("STOCK#"), shard),
        int(item["available"]),
        int(item["held"]),
        int(item.get("waiting", 0)),
    )


def _to_movements(item: Item) -> list[Movement]:
    return [
        Movement(
            _place_of(one["sku"], one),
            int(one["available"]),
            int(one["held"]),
            int(one.get("waiting", 0)),
            is_of_a_hold=item["pk"].startswith("HOLD#"),
        )
        for one in item["movements"]
    ]


def _to_hold(item: Item) -> Hold:
    return Hold(
        item["pk"].removeprefix("HOLD#"),
        item["state"],
        tuple(_to_line(line) for line in item["lines"]),
        _moment(item.get("held_until")),
    )


def _to_line(line: Item) -> HeldLine:
    sku, waiting = line["sku"], int(line.get("waiting", 0))
    taken = {_place_of(sku, take): int(take["quantity"]) for take in line.get("taken", ())}
    if not taken:
        taken = {_bucket(sku, _ROOT, 0): int(line["quantity"]) - waiting}
    return HeldLine(sku, int(line["quantity"]), taken, waiting)


def _to_order(item: Item, units: Mapping[str, int]) -> Order:
    return Order(
        item["order_id"],
        item["status"],
        int(item["total_minor"]),
        item["currency"],
        item["placed_at"][:10],
        from_text(item["updated_at"]),
        _moment(item.get("waits_until")),
        {sku: quantity for sku, quantity in units.items() if quantity},
    )


def _of_payments(item: Item) -> Callable[[Item], Any]:
    kind = item["sk"]
    if kind.startswith("ENTRY#"):
        return _to_entry
    return _to_refund if kind.startswith("REFUND#") else _to_payment


def _to_payment(item: Item) -> Payment:
    return Payment(
        order_id=item["order_id"],
        edit=int(item.get("edit", 0)),
        status=item["status"],
        currency=item["currency"],
        amount_minor=int(item["amount_minor"]),
        captured_minor=int(item["captured_minor"]),
        refundable_minor=int(item["refundable_minor"]),
        refunded_minor=int(item["refunded_minor"]),
        reference=item.get("provider_reference") or "",
        replaces=item.get("replaces"),
        due_at=_moment(item.get("due_at")),
    )


def _to_refund(item: Item) -> Refund:
    return Refund(
        item["order_id"],
        int(item.get("edit", 0)),
        item["refund_id"],
        item["status"],
        int(item["amount_minor"]),
        _moment(item.get("due_at")),
    )


def _to_entry(item: Item) -> Entry:
    return Entry(
        item["pk"].removeprefix("PAYMENT#"),
        item["sk"].removeprefix("ENTRY#"),
        item["kind"],
        item["currency"],
        tuple((leg["account"], int(leg["amount_minor"])) for leg in item["legs"]),
    )


def _to_charge(item: Item) -> Charge | None:
    # A charge that was voided before it was ever opened knows no order, and holds no money.
    if "order_id" not in item:
        return None
    return Charge(
        item["pk"].removeprefix("CHARGE#"),
        item["order_id"],
        item["status"],
        int(item["amount_minor"]),
        int(item["captured_minor"]),
        int(item["refunded_minor"]),
        item["opened_on"],
        from_text(item["opened_at"]),
    )


def _to_checkout(item: Item) -> Checkout:
    return Checkout(item["pk"].removeprefix("CHECKOUT#"), from_text(item["due_at"]))


def _to_unsent(table: str, item: Item) -> Unsent:
    event_id = item["sk"].removeprefix("OUTBOX#")
    return Unsent(table, event_id, item["type"], from_text(item["occurred_at"]))


def _moment(text: str | None) -> datetime | None:
    return from_text(text) if text else None

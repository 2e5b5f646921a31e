"""What the shop's tables say: the command line reads them here alone, and the audit through here.

An order, its payment and the provider's charge are read where they are kept, not as the API
reports them, so that a wrong answer cannot hide a wrong book. A figure that is not there reads
as None or zero and shows up as a difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import boto3
import typer
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError

from infra.cli.shop import Shop, ShopRefusedError, ShopUnreachableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

Stage = Annotated[
    str | None,
    typer.Option("--stage", help="Whose tables to read; a local shop tells its own."),
]

_DEFAULT_STAGE = "dev"

_DESERIALIZER = TypeDeserializer()

# What is read of each kind of item.
_ORDER = ("order_id", "email", "status", "total_minor", "refunded_minor")
_PAYMENT = ("captured_minor", "refunded_minor", "kind", "legs")
_CHARGE = ("order_id", "captured_minor", "refunded_minor")
_RETURN = ("return_id", "order_id", "status", "received", "refund_minor")

# DynamoDB's limit per call: BatchGetItem.
_KEYS_PER_READ = 100
_ROUNDS_MAX = 8
_LEVEL_KEY = "STOCK#main"


class UnreadableBooksError(Exception):
    """The tables could not be read. The message is one line for a person."""


@dataclass(frozen=True, slots=True)
class OrderBook:
    """One order as the orders table has it."""

    order_id: str
    email: str
    status: str
    total_minor: int
    refunded_minor: int = 0


@dataclass(frozen=True, slots=True)
class ReturnBook:
    """One return as the shipping table has it. `resellable` is by SKU, and empty until it is in."""

    return_id: str
    order_id: str
    status: str
    amount_minor: int
    resellable: Mapping[str, int]


@dataclass(slots=True)
class MoneyBook:
    """What was taken and given back for one order, in minor units."""

    captured_minor: int = 0
    refunded_minor: int = 0


@dataclass(slots=True)
class PaymentBook:
    """One order's payment: its own totals, and what its ledger entries sum to."""

    totals: MoneyBook = field(default_factory=MoneyBook)
    entries: MoneyBook = field(default_factory=MoneyBook)
    is_balanced: bool = True  # every entry's legs sum to zero


@dataclass(frozen=True, slots=True)
class StockBook:
    """One SKU's units."""

    available: int
    held: int

    @property
    def on_hand(self) -> int:
        return self.available + self.held


class Books(Protocol):
    """The books a reconciliation compares."""

    def orders(self) -> dict[str, OrderBook]:
        """Read every order, by its id."""

    def payments(self) -> dict[str, PaymentBook]:
        """Read every payment with its ledger, by its order's id."""

    def charges(self) -> dict[str, MoneyBook]:
        """Read the provider's own book, by order id."""

    def returns(self) -> dict[str, list[ReturnBook]]:
        """Read every return, by its order's id."""

    def stock(self, skus: Collection[str]) -> dict[str, StockBook]:
        """Read the stock of these SKUs; one that was never stocked is missing."""


class TableBooks:
    """The books of one stage, over DynamoDB. Satisfies `Books`."""

    def __init__(self, client: DynamoDBClient, stage: str) -> None:
        self._client = client
        self._stage = stage

    def orders(self) -> dict[str, OrderBook]:
        found = (_to_order(item) for item in self._items("orders", _ORDER, ("ORDER",)))
        return {order.order_id: order for order in found}

    def payments(self) -> dict[str, PaymentBook]:
        payments: dict[str, PaymentBook] = defaultdict(PaymentBook)
        for item in self._items("payments", _PAYMENT, ("PAYMENT", "ENTRY#")):
            kind, _, order_id = str(item["pk"]).partition("#")
            if kind == "PAYMENT":
                _enter(payments[order_id], item)
        return dict(payments)

    def charges(self) -> dict[str, MoneyBook]:
        charges: dict[str, MoneyBook] = defaultdict(MoneyBook)
        for item in self._items("simulators", _CHARGE, ("CHARGE",)):
            # A charge that was voided before it was ever authorized knows no order.
            if "order_id" in item:
                charge = charges[str(item["order_id"])]
                charge.captured_minor += int(item.get("captured_minor", 0))
                charge.refunded_minor += int(item.get("refunded_minor", 0))
        return dict(charges)

    def returns(self) -> dict[str, list[ReturnBook]]:
        returns: dict[str, list[ReturnBook]] = defaultdict(list)
        for item in self._items("shipping", _RETURN, ("RETURN#",)):
            found = _to_return(item)
            returns[found.order_id].append(found)
        return dict(returns)

    def stock(self, skus: Collection[str]) -> dict[str, StockBook]:
        # By key: the table is mostly holds and ledger, and a scan would read through all of it.
        roots = list(self._levels([(f"SKU#{sku}", _LEVEL_KEY) for sku in sorted(set(skus))]))
        units: dict[str, Counter[str]] = defaultdict(Counter)
        for item in [*roots, *self._levels([key for root in roots for key in _others(root)])]:
            units[str(item["sku"])].update(
                {name: int(item.get(name, 0)) for name in ("available", "held")}
            )
        return {sku: StockBook(found["available"], found["held"]) for sku, found in units.items()}

    def _levels(self, where: Sequence[tuple[str, str]]) -> Iterator[Item]:
        table = f"tradepost-{self._stage}-inventory"
        for at in range(0, len(where), _KEYS_PER_READ):
            keys = [
                {"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in where[at : at + _KEYS_PER_READ]
            ]
            wanted: Any = {table: {"Keys": keys, "ConsistentRead": True}}
            for _ in range(_ROUNDS_MAX):
                try:
                    answer = self._client.batch_get_item(RequestItems=wanted)
                except (BotoCoreError, ClientError) as error:
                    raise UnreadableBooksError(f"{table} cannot be read: {error}") from error
                yield from (_read(item) for item in answer["Responses"].get(table, []))
                wanted = answer.get("UnprocessedKeys")
                if not wanted:
                    break
            else:
                raise UnreadableBooksError(f"{table} cannot be read: it left keys unprocessed")

    def _items(
        self, table: str, attributes: Sequence[str], sort_keys: Sequence[str]
    ) -> Iterator[Item]:
        return items_of(
            self._client, f"tradepost-{self._stage}-{table}", sort_keys, attributes=attributes
        )


def items_of(
    client: DynamoDBClient,
    table: str,
    sort_keys: Sequence[str],
    *,
    attributes: Sequence[str] = (),
    index: str | None = None,
) -> Iterator[Item]:
    """Page through a table, consistently, or through an index of it: items whose key begins so.

    If attributes are named, what else an item has never leaves the table's side: order lines,
    addresses, holds.

    Raises
    ------
    UnreadableBooksError
    """
    names = {f"#{name}": name for name in (("pk", "sk", *attributes) if attributes else ("sk",))}
    values = {f":sk{at}": {"S": beginning} for at, beginning in enumerate(sort_keys)}
    asked: dict[str, Any] = {
        "TableName": table,
        "FilterExpression": " OR ".join(f"begins_with(#sk, {value})" for value in values),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    if attributes:
        asked["ProjectionExpression"] = ", ".join(names)
    # An index that is not the table's own order cannot be read consistently.
    asked |= {"ConsistentRead": True} if index is None else {"IndexName": index}
    try:
        for page in client.get_paginator("scan").paginate(**asked):
            for item in page["Items"]:
                yield _read(item)
    except (BotoCoreError, ClientError) as error:
        raise UnreadableBooksError(f"the table {table} cannot be read: {error}") from error


def books_of(shop: Shop, stage: str | None) -> TableBooks:
    """Find the shop's tables: a local shop tells where they are, others are in AWS by `stage`.

    Raises
    ------
    UnreadableBooksError
        The shop is not local and there are no AWS credentials or no region to use.
    """
    try:
        local = shop.call("GET", "/_local")
    except (ShopRefusedError, ShopUnreachableError):
        return _books_in_aws(stage or _DEFAULT_STAGE)
    client = boto3.client(
        "dynamodb",
        endpoint_url=local["aws_endpoint"],
        region_name=local["region"],
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - the local stack accepts any
    )
    return TableBooks(client, stage or str(local["stage"]))


def _books_in_aws(stage: str) -> TableBooks:
    try:
        return TableBooks(boto3.client("dynamodb"), stage)
    except BotoCoreError as error:
        raise UnreadableBooksError(f"the shop's tables cannot be found: {error}") from error


def _read(item: Mapping[str, Any]) -> Item:
    return {name: _DESERIALIZER.deserialize(value) for name, value in item.items()}


def _to_order(item: Item) -> OrderBook:
    return OrderBook(
        order_id=str(item.get("order_id") or item["pk"].removeprefix("ORDER#")),
        email=str(item.get("email", "")),
        status=str(item["status"]),
        total_minor=int(item["total_minor"]),
        refunded_minor=int(item.get("refunded_minor", 0)),
    )


def _others(root: Item) -> Iterator[tuple[str, str]]:
    """Name the keys of the other buckets of a SKU that is spread over shards or warehouses."""
    card = root.get("card")
    if card is None:
        return
    for shard in range(int(card["shards_ever"])):
        pk = f"SHARD#{shard}#{root['sku']}" if shard else str(root["pk"])
        for warehouse in card["warehouses"]:
            key = (pk, f"STOCK#{warehouse}")
            if key != (root["pk"], root["sk"]):
                yield key


def _to_return(item: Item) -> ReturnBook:
    resellable: Counter[str] = Counter()
    for line in item.get("received", ()):
        if line["condition"] == "resellable":
            resellable[line["sku"]] += int(line["quantity"])
    return ReturnBook(
        return_id=str(item["return_id"]),
        order_id=str(item["order_id"]),
        status=str(item["status"]),
        amount_minor=int(item.get("refund_minor") or 0),
        resellable=dict(resellable),
    )


def _enter(payment: PaymentBook, item: Item) -> None:
    """Enter one item of a payment's partition: its head, or an entry of its ledger."""
    if item["sk"] == "PAYMENT":
        payment.totals = MoneyBook(
            int(item.get("captured_minor", 0)), int(item.get("refunded_minor", 0))
        )
    elif str(item["sk"]).startswith("ENTRY#"):
        amounts = [int(leg["amount_minor"]) for leg in item["legs"]]
        moved = sum(amount for amount in amounts if amount > 0)
        payment.is_balanced = payment.is_balanced and sum(amounts) == 0
        if str(item["kind"]).lower() == "capture":
            payment.entries.captured_minor += moved
        elif str(item["kind"]).lower() == "refund":
            payment.entries.refunded_minor += moved

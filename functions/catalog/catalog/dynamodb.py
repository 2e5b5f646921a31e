"""
Products and the claims on their SKUs in the `catalog` table.

    pk                sk                 item      attributes
    PRODUCT#<handle>  PRODUCT            product   content (JSON text), version, on_sale_since, kind
    PRODUCT#<handle>  OUTBOX#<event id>  outbox    tradepost.platform.outbox
    SKU#<sku>         CLAIM              claim     handle: the one product that has this SKU

The search index lives in the same table: catalog.search.

`content` is one text because it is only ever read whole: several hundred attributes fewer to
encode for a product of many variants. `kind` is PRODUCT; with pk it makes the sparse index
`products` (keys only), by which all products are listed without a scan.

A write changes the product, its claims and its outbox items in one transaction of at most 100
items. Only a product of more than 97 SKUs does not fit; the claims that do not are made just
before. A claim without its product harms nobody: the repeated write finds it and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from catalog.model.product import (
    CONTENT_BYTES_MAX,
    Content,
    InvalidProductError,
    Product,
    SKUTakenError,
    StaleProductError,
    TooManySKUChangesError,
)
from catalog.ports import Page, Position
from tradepost.contracts.event import Event
from tradepost.kernel.clock import from_text, to_text
from tradepost.platform.dynamodb import (
    TRANSACTION_ITEMS_MAX,
    Item,
    chunks,
    failed_conditions,
    from_item,
    get_all,
    to_item,
)
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PRODUCTS_INDEX = "products"

_IS_NEW = "attribute_not_exists(pk)"
_IS_THE_ONE_READ = "#version = :read"
_IS_FREE_OR_OURS = "attribute_not_exists(pk) OR #handle = :handle"
_IS_OURS = "#handle = :handle"

# The product, and its event in two versions; the rest of the transaction is for claims.
_CLAIMS_MAX = TRANSACTION_ITEMS_MAX - 3

_CONTENT = TypeAdapter(Content)


def product_key(handle: str) -> dict[str, str]:
    return {"pk": f"PRODUCT#{handle}", "sk": "PRODUCT"}


def read_product(item: Item) -> Product:
    """Read a product's item, from the table or from its stream."""
    since = item["on_sale_since"]
    return Product(
        content=_CONTENT.validate_json(item["content"]),
        version=item["version"],
        on_sale_since=from_text(since) if since is not None else None,
    )


class DynamoDBProducts:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client: Any = client
        self._table = table

    def find(self, handle: str) -> Product | None:
        """Read a product, on sale or not, as the last write left it."""
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(product_key(handle)), ConsistentRead=True
        )
        return read_product(from_item(answer["Item"])) if "Item" in answer else None

    def find_many(self, handles: Iterable[str]) -> dict[str, Product]:
        """Read products by handle, as the last writes left them; unknown ones are left out."""
        keys = [product_key(handle) for handle in dict.fromkeys(handles)]
        found = get_all(self._client, self._table, keys, consistent=True)
        return {product.handle: product for product in map(read_product, found)}

    def handles(self, limit: int, after: Position | None) -> Page[str]:
        """List the handles of all products, on sale or not, in the order of their letters.

        A position is `{"handle": ...}`, the last one listed.
        """
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": PRODUCTS_INDEX,
            "KeyConditionExpression": "#kind = :product",
            "ExpressionAttributeNames": {"#kind": "kind"},
            "ExpressionAttributeValues": to_item({":product": "PRODUCT"}),
            "Limit": limit,
        }
        if after is not None:
            key = product_key(after["handle"])
            request["ExclusiveStartKey"] = to_item({**key, "kind": "PRODUCT"})
        answer = self._client.query(**request)
        found = tuple(from_item(item)["pk"].removeprefix("PRODUCT#") for item in answer["Items"])
        more = "LastEvaluatedKey" in answer
        return Page(found, {"handle": found[-1]} if more and found else None)

    def save(self, product: Product, *, replacing: Product | None, events: Sequence[Event]) -> None:
        """Write the product, its claims on its SKUs and the events, all or nothing.

        Raises
        ------
        SKUTakenError
            Another product has one of the SKUs.
        StaleProductError
            What is stored is not `replacing`.
        InvalidProductError
            The product is too large to be kept.
        TooManySKUChangesError
            More SKUs are given up than one transaction can hold.
        """
        before = set(replacing.content.skus) if replacing is not None else set()
        added = [sku for sku in product.content.skus if sku not in before]
        removed = sorted(before - set(product.content.skus))
        room = _CLAIMS_MAX - len(removed)
        if room < 0:
            raise TooManySKUChangesError(product.handle)
        put = self._put(product, replacing)
        for ahead in chunks(added[room:], TRANSACTION_ITEMS_MAX):
            self._write(product.handle, [self._claim(sku, product.handle) for sku in ahead], ahead)
        claimed = added[:room]
        writes = [put]
        writes += [self._claim(sku, product.handle) for sku in claimed]
        writes += [self._give_up(sku, product.handle) for sku in removed]
        key = product_key(product.handle)
        writes += [outbox_put(self._table, key["pk"], event) for event in events]
        self._write(product.handle, writes, [None, *claimed])

    def _write(self, handle: str, writes: list[dict[str, Any]], skus: Iterable[str | None]) -> None:
        """Send one transaction. `skus` says which of its first writes claim which SKU."""
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            refused = failed_conditions(error)
            # A stale product may show as taken SKUs too: that it is stale decides.
            if writes[0]["Put"]["Item"]["sk"]["S"] == "PRODUCT" and refused[0] is not None:
                raise StaleProductError(handle) from error
            for sku, holder in zip(skus, refused, strict=False):
                if sku is not None and holder is not None:
                    raise SKUTakenError(sku, holder["handle"]) from error
            # A claim to be given up, or an event told before: the product was another one.
            raise StaleProductError(handle) from error

    def _put(self, product: Product, replacing: Product | None) -> dict[str, Any]:
        content = _CONTENT.dump_json(product.content).decode()
        if len(content.encode()) > CONTENT_BYTES_MAX:
            raise InvalidProductError("product", f"larger than {CONTENT_BYTES_MAX} bytes")
        since = product.on_sale_since
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": to_item(
                {
                    **product_key(product.handle),
                    "kind": "PRODUCT",
                    "content": content,
                    "version": product.version,
                    "on_sale_since": to_text(since) if since is not None else None,
                }
            ),
            "ConditionExpression": _IS_NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if replacing is not None:
            put["ConditionExpression"] = _IS_THE_ONE_READ
            put["ExpressionAttributeNames"] = {"#version": "version"}
            put["ExpressionAttributeValues"] = to_item({":read": replacing.version})
        return {"Put": put}

    def _claim(self, sku: str, handle: str) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._table,
                "Item": to_item({"pk": f"SKU#{sku}", "sk": "CLAIM", "handle": handle}),
                "ConditionExpression": _IS_FREE_OR_OURS,
                "ExpressionAttributeNames": {"#handle": "handle"},
                "ExpressionAttributeValues": to_item({":handle": handle}),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _give_up(self, sku: str, handle: str) -> dict[str, Any]:
        return {
            "Delete": {
                "TableName": self._table,
                "Key": to_item({"pk": f"SKU#{sku}", "sk": "CLAIM"}),
                "ConditionExpression": _IS_OURS,
                "ExpressionAttributeNames": {"#handle": "handle"},
                "ExpressionAttributeValues": to_item({":handle": handle}),
            }
        }

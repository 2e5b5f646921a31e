"""The writing half of the search index, whose items `catalog.search` draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from catalog.entries import WORDS_MAX, Entry, entry_of, sort_keys, summary_of
from catalog.model.product import CATEGORIES_MAX, Product
from catalog.ports import Summary
from tradepost.kernel.errors import UnavailableError
from tradepost.platform.dynamodb import (
    TRANSACTION_ITEMS_MAX,
    Item,
    failed_conditions,
    from_item,
    get_all,
    to_item,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EVERYTHING = "*"  # the listing of all products: no category is called that
OFF_SALE = "OFF-SALE#"

# The guard, all words and all categories exchanged for others, each category with its count.
assert 1 + 2 * WORDS_MAX + (1 + 2 * CATEGORIES_MAX) + 2 * CATEGORIES_MAX <= TRANSACTION_ITEMS_MAX

_IS_NEW = "attribute_not_exists(pk)"
_IS_THE_ONE_READ = "#version = :read"
_IS_UNCOUNTED_SINCE = "#revision = :read"

# Two consumers of one product at once happen only while a batch is repeated.
_ATTEMPTS_MAX = 5

_SUMMARY = TypeAdapter(Summary)


def word_key(word: str, handle: str) -> dict[str, str]:
    """Place a posting. Two letters spread the words over many partitions."""
    return {"pk": f"WORD#{word[:2]}", "sk": f"{word}#{handle}"}


def listing_key(listing: str, handle: str) -> dict[str, str]:
    return {"pk": f"LISTING#{listing}", "sk": handle}


def filing_key(slug: str, handle: str) -> dict[str, str]:
    """Place the note that a product not on sale names a category."""
    return {"pk": f"{OFF_SALE}{slug}", "sk": handle}


def category_key(slug: str) -> dict[str, str]:
    return {"pk": "CATEGORIES", "sk": slug}


def _guard_key(handle: str) -> dict[str, str]:
    return {"pk": f"PRODUCT#{handle}", "sk": "INDEX"}


class DynamoDBIndexing:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client: Any = client
        self._table = table

    def update(self, products: Sequence[Product]) -> frozenset[str]:
        """Make the index tell these states of products, one each; older ones change nothing.

        Returns the handles that could not be indexed now and should come again.
        """
        guards = self._guards(products)
        again: set[str] = set()
        for product in products:
            try:
                self._advance(product, guards.get(product.handle), from_version=product.version)
            except UnavailableError:
                again.add(product.handle)
        return frozenset(again)

    def rebuild(self, products: Sequence[Product]) -> None:
        """Write all that the index holds of these products anew, whatever it said before."""
        guards = self._guards(products)
        for slug in sorted({slug for product in products for slug in product.content.categories}):
            # unconditional: creates a lost item, to be recounted; one revision more harms nobody.
            self._client.update_item(
                TableName=self._table,
                Key=to_item(category_key(slug)),
                UpdateExpression="ADD #revision :one",
                ExpressionAttributeNames={"#revision": "revision"},
                ExpressionAttributeValues=to_item({":one": 1}),
            )
        for product in products:
            self._advance(product, guards.get(product.handle), from_version=product.version + 1)

    def recount(self) -> None:
        """Set the count of each category to what the index holds."""
        for slug, _ in self.counts():
            self._recount(slug)

    def counts(self) -> list[tuple[str, int]]:
        """List the categories ever used, by their letters, each with its count."""
        found: list[tuple[str, int]] = []
        for answer in self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :categories",
            ExpressionAttributeValues=to_item({":categories": "CATEGORIES"}),
        ):
            items = [from_item(item) for item in answer["Items"]]
            found += [(item["sk"], item.get("product_count", 0)) for item in items]
        return found

    def _guards(self, products: Sequence[Product]) -> dict[str, Item]:
        handles = {product.handle for product in products}
        keys = [_guard_key(handle) for handle in sorted(handles)]
        found = get_all(self._client, self._table, keys)
        return {item["pk"].removeprefix("PRODUCT#"): item for item in found}

    def _advance(self, product: Product, guard: Item | None, *, from_version: int) -> None:
        """Exchange what the index holds, unless that is of `from_version` or a later one."""
        for _ in range(_ATTEMPTS_MAX):
            if guard is not None and guard["version"] >= from_version:
                return
            try:
                self._client.transact_write_items(TransactItems=self._exchange(product, guard))
            except ClientError as error:
                (stored, *_rest) = failed_conditions(error)
                guard = stored or None
            else:
                return
        raise UnavailableError("the index of one product is being written by several")

    def _exchange(self, product: Product, guard: Item | None) -> list[dict[str, Any]]:
        entry = entry_of(product) if product.is_on_sale else None
        words = entry.words if entry is not None else ()
        categories = product.content.categories if product.is_on_sale else ()
        old_words: list[str] = guard["words"] if guard is not None else []
        old_categories: list[str] = guard["categories"] if guard is not None else []
        old_filings: list[str] = guard.get("off_sale_in", []) if guard is not None else []
        filings = () if product.is_on_sale else product.content.categories
        handle = product.handle
        gone = [word_key(word, handle) for word in old_words if word not in words]
        gone += [listing_key(slug, handle) for slug in old_categories if slug not in categories]
        gone += [filing_key(slug, handle) for slug in old_filings if slug not in filings]
        writes = [self._put_guard(product, words, categories, guard)]
        if entry is not None:
            writes += self._put_postings(entry)
            writes += self._put_listings(entry, summary_of(product))
        elif old_words:
            gone.append(listing_key(EVERYTHING, handle))
        # unconditional: `_put_guard` conditions this transaction on the version it follows.
        writes += [{"Delete": {"TableName": self._table, "Key": to_item(key)}} for key in gone]
        writes += [self._put_filing(slug, handle) for slug in filings]
        writes += [self._count(slug, 1) for slug in categories if slug not in old_categories]
        writes += [self._count(slug, -1) for slug in old_categories if slug not in categories]
        return writes

    def _put_guard(
        self,
        product: Product,
        words: Sequence[str],
        categories: Sequence[str],
        guard: Item | None,
    ) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": to_item(
                {
                    **_guard_key(product.handle),
                    "version": product.version,
                    "words": words,
                    "categories": categories,
                    "off_sale_in": () if product.is_on_sale else product.content.categories,
                }
            ),
            "ConditionExpression": _IS_NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if guard is not None:
            put["ConditionExpression"] = _IS_THE_ONE_READ
            put["ExpressionAttributeNames"] = {"#version": "version"}
            put["ExpressionAttributeValues"] = to_item({":read": guard["version"]})
        return {"Put": put}

    def _put_postings(self, entry: Entry) -> list[dict[str, Any]]:
        text = json.dumps(asdict(entry), ensure_ascii=False)
        return [
            {
                # unconditional: see `_put_guard`, in the same transaction.
                "Put": {
                    "TableName": self._table,
                    "Item": to_item({**word_key(word, entry.handle), "entry": text}),
                }
            }
            for word in entry.words
        ]

    def _put_listings(self, entry: Entry, summary: Summary) -> list[dict[str, Any]]:
        values = {
            "summary": _SUMMARY.dump_json(summary).decode(),
            "amount_minor": entry.amount_minor,
            "currency": entry.currency,
            **sort_keys(entry),
        }
        return [
            {
                # unconditional: see `_put_guard`, in the same transaction.
                "Put": {
                    "TableName": self._table,
                    "Item": to_item({**listing_key(listing, entry.handle), **values}),
                }
            }
            for listing in (EVERYTHING, *entry.categories)
        ]

    def _put_filing(self, slug: str, handle: str) -> dict[str, Any]:
        # unconditional: see `_put_guard`, in the same transaction.
        return {"Put": {"TableName": self._table, "Item": to_item(filing_key(slug, handle))}}

    def _count(self, slug: str, difference: int) -> dict[str, Any]:
        """Count once per version: the guard in the same transaction sees to it."""
        return {
            # unconditional: see `_put_guard`, in the same transaction.
            "Update": {
                "TableName": self._table,
                "Key": to_item(category_key(slug)),
                "UpdateExpression": "ADD #product_count :difference, #revision :one",
                "ExpressionAttributeNames": {
                    "#product_count": "product_count",
                    "#revision": "revision",
                },
                "ExpressionAttributeValues": to_item({":difference": difference, ":one": 1}),
            }
        }

    def _recount(self, slug: str) -> None:
        for _ in range(_ATTEMPTS_MAX):
            read = self._client.get_item(
                TableName=self._table, Key=to_item(category_key(slug)), ConsistentRead=True
            )
            listed = 0
            for answer in self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :listing",
                ExpressionAttributeValues=to_item({":listing": f"LISTING#{slug}"}),
                Select="COUNT",
                ConsistentRead=True,
            ):
                listed += answer["Count"]
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=to_item(category_key(slug)),
                    UpdateExpression="SET #product_count = :listed",
                    ConditionExpression=_IS_UNCOUNTED_SINCE,
                    ExpressionAttributeNames={
                        "#product_count": "product_count",
                        "#revision": "revision",
                    },
                    ExpressionAttributeValues=to_item(
                        {":listed": listed, ":read": from_item(read["Item"])["revision"]}
                    ),
                )
            except ClientError as error:
                failed_conditions(error)
            else:
                return
        raise UnavailableError("the category changes faster than it is counted")

"""
The search index, as items of the `catalog` table that its stream's consumer keeps.

    pk                  sk                item       attributes
    PRODUCT#<handle>    INDEX             guard      version, words, categories, off_sale_in
    WORD#<two letters>  <word>#<handle>   posting    entry (JSON text)
    LISTING#<category>  <handle>          listing    summary (JSON text), amount_minor, currency,
    LISTING#*           <handle>            "        by_price, by_title, by_newest
    OFF-SALE#<category> <handle>          filing     -
    CATEGORIES          <category>        category   product_count, revision

The guard names all that the index holds of a product, and of which version. It changes in the
same transaction as they do, on the condition that it is the one read: so a late or repeated
change finds a newer guard and does nothing, and the counts are changed once per version. A
product not on sale has a guard and nothing else.

Access patterns, none of which reads more when the catalogue grows:

    browse, by category or all     Query of one LISTING partition through the index `by-price`,
                                   `by-title` or `by-newest` (each: pk and the attribute of its
                                   name), and of one more for each category inside of it; other
                                   filters drop items of at most five reads, so a page may be
                                   shorter than asked for, or empty, and go on
    search by words                Query of one WORD partition for what begins as the forms of a
                                   word do, at most CANDIDATES_MAX postings; each posting has all
                                   words of its product, so the other words cost no reads, and
                                   all that sorts it; then BatchGetItem of the page's listings
    categories with counts         Query of CATEGORIES
    is a category used?            Query of its LISTING and OFF-SALE partition, one item each
    index a product                BatchGetItem of guards, then one transaction per product: its
                                   different words, categories twice, and two

Beyond the limit: of a word or beginning that more than CANDIDATES_MAX postings share, those
first in the alphabet are searched. With several words any one below the limit makes the answer
complete. A beginning works from two letters on. A product is found by its first WORDS_MAX words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from catalog.entries import Entry, Rank, amount_key, rank
from catalog.indexing import EVERYTHING, OFF_SALE, DynamoDBIndexing, listing_key, word_key
from catalog.ports import Page, Position, ProductQuery, Sort, Summary
from catalog.words import Wanted, words_of
from tradepost.kernel.money import AMOUNT_MINOR_MAX
from tradepost.platform.dynamodb import Item, from_item, get_all, to_item

# What a search of one word reads at most: about 400 KB, or 50 read units.
CANDIDATES_MAX = 1_000
# Words of one search that are read before their answer is taken as it is.
_WORDS_READ_MAX = 3
WORDS_ASKED_MAX = 8

# A filter drops items after they are read: so many reads, of so many items, for one page.
_READS_MAX = 5
_READ_ITEMS = 200

_ENTRY = TypeAdapter(Entry)
_SUMMARY = TypeAdapter(Summary)

# Each order has its index, and a direction: True is upwards.
_ORDERS = {
    Sort.RELEVANCE: ("by_newest", False),
    Sort.NEWEST: ("by_newest", False),
    Sort.TITLE: ("by_title", True),
    Sort.PRICE: ("by_price", True),
    Sort.PRICE_DESCENDING: ("by_price", False),
}
assert set(_ORDERS) == set(Sort)


@dataclass(frozen=True, slots=True)
class _Part:
    """What a listing gave, and how far it was read; None to its end."""

    items: list[Item]
    reached: Position | None


class DynamoDBSearch(DynamoDBIndexing):
    """The whole index: what its consumer writes, and here what customers ask of it."""

    def search(self, query: ProductQuery, after: Position | None) -> Page[Summary]:
        """Find products on sale."""
        if query.words is None:
            return self._browse(query, after)
        words = words_of(query.words)[:WORDS_ASKED_MAX]
        return self._find(query, [Wanted.of(word) for word in words], after)

    def is_category_used(self, slug: str) -> bool:
        """Tell whether a product, on sale or not, names the category."""
        for listing in (f"LISTING#{slug}", f"{OFF_SALE}{slug}"):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :listing",
                ExpressionAttributeValues=to_item({":listing": listing}),
                ConsistentRead=True,
                Limit=1,
            )
            if answer["Items"]:
                return True
        return False

    def _find(
        self, query: ProductQuery, wanted: Sequence[Wanted], after: Position | None
    ) -> Page[Summary]:
        hits = [
            (rank(entry, query, wanted), entry)
            for entry in self._candidates(wanted)
            if entry.passes(query) and entry.relevance(wanted)
        ]
        hits.sort(key=lambda hit: hit[0])
        if after is not None:
            last = Rank(after["number"], after["text"], after["handle"])
            hits = [hit for hit in hits if hit[0] > last]
        shown = hits[: query.limit]
        summaries = self._summaries([entry.handle for _, entry in shown])
        position = None
        if len(hits) > len(shown):
            last = shown[-1][0]
            position = {"number": last.number, "text": last.text, "handle": last.handle}
        return Page(summaries, position)

    def _candidates(self, wanted: Sequence[Wanted]) -> list[Entry]:
        """Read the postings of one of the words: the first whose postings are within the limit.

        Longer words are rarer, so they are tried first, each with its forms and then as it stands.
        """
        found: list[Entry] = []
        longest = sorted(wanted, key=lambda each: len(each.word), reverse=True)
        beginnings = dict.fromkeys(
            beginning for each in longest[:_WORDS_READ_MAX] for beginning in (each.root, each.word)
        )
        for beginning in beginnings:
            found, complete = self._postings(beginning)
            if complete:
                break
        return list({entry.handle: entry for entry in found}.values())

    def _postings(self, word: str) -> tuple[list[Entry], bool]:
        found: list[Entry] = []
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :bucket AND begins_with(sk, :word)",
            "ExpressionAttributeValues": to_item(
                {":bucket": word_key(word, "")["pk"], ":word": word}
            ),
        }
        while True:
            answer = self._client.query(**request, Limit=CANDIDATES_MAX - len(found))
            items = [from_item(item) for item in answer["Items"]]
            found += [_ENTRY.validate_json(item["entry"]) for item in items]
            if "LastEvaluatedKey" not in answer:
                return found, True
            if len(found) >= CANDIDATES_MAX:
                return found, False
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _summaries(self, handles: Sequence[str]) -> tuple[Summary, ...]:
        keys = [listing_key(EVERYTHING, handle) for handle in handles]
        items = {item["sk"]: item for item in get_all(self._client, self._table, keys)}
        return tuple(_summary(items[handle]) for handle in handles if handle in items)

    def _browse(self, query: ProductQuery, after: Position | None) -> Page[Summary]:
        """Read the listing of each category from the same position, and merge what they give."""
        key, upwards = _ORDERS[query.sort]
        listings = [f"LISTING#{slug}" for slug in query.categories or (EVERYTHING,)]
        reads = max(1, _READS_MAX // len(listings))
        parts = [self._read(query, listing, after, reads) for listing in listings]

        def place(position: Position) -> tuple[str, str]:
            return position["key"], position["handle"]

        # Beyond what the least read listing has shown of itself, something may lie between.
        horizon = None
        for part in parts:
            if part.reached is not None and (
                horizon is None or (place(part.reached) < place(horizon)) == upwards
            ):
                horizon = part.reached
        # A product in two of the categories is listed in both.
        found = {item["sk"]: item for part in parts for item in part.items}
        within = [
            item
            for item in found.values()
            if horizon is None
            or place(_position(item, key)) == place(horizon)
            or (place(_position(item, key)) < place(horizon)) == upwards
        ]
        within.sort(key=lambda item: place(_position(item, key)), reverse=not upwards)
        shown = within[: query.limit]
        position = horizon if len(shown) == len(within) else _position(shown[-1], key)
        return Page(tuple(_summary(item) for item in shown), position)

    def _read(self, query: ProductQuery, listing: str, after: Position | None, reads: int) -> _Part:
        key = _ORDERS[query.sort][0]
        request = self._listing_request(query, listing)
        found: list[Item] = []
        position = after
        for _ in range(reads):
            if position is not None:
                start = {"pk": listing, "sk": position["handle"], key: position["key"]}
                request["ExclusiveStartKey"] = to_item(start)
            answer = self._client.query(**request)
            found += [from_item(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return _Part(found, None)
            position = _position(from_item(answer["LastEvaluatedKey"]), key)
            if len(found) >= query.limit:
                break
        return _Part(found, position)

    def _listing_request(self, query: ProductQuery, listing: str) -> dict[str, Any]:
        key, upwards = _ORDERS[query.sort]
        conditions, filters = ["pk = :listing"], []
        names: dict[str, str] = {}
        values: dict[str, Any] = {":listing": listing}
        if query.currency is not None:
            filters.append("#currency = :currency")
            names["#currency"] = "currency"
            values[":currency"] = query.currency
        if query.amount_min is not None or query.amount_max is not None:
            low = query.amount_min or 0
            high = AMOUNT_MINOR_MAX if query.amount_max is None else query.amount_max
            if key == "by_price":
                conditions.append("#by_price BETWEEN :low AND :high")
                names["#by_price"] = "by_price"
                # Every key is longer than its bare amount, so `high` itself is below this.
                values |= {":low": amount_key(low), ":high": amount_key(high + 1)}
            else:
                filters.append("#amount_minor BETWEEN :low AND :high")
                names["#amount_minor"] = "amount_minor"
                values |= {":low": low, ":high": high}
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": key.replace("_", "-"),
            "KeyConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeValues": to_item(values),
            "ScanIndexForward": upwards,
            "Limit": _READ_ITEMS if filters else query.limit,
        }
        if names:
            request["ExpressionAttributeNames"] = names
        if filters:
            request["FilterExpression"] = " AND ".join(filters)
        return request


def _position(item: Item, key: str) -> dict[str, Any]:
    return {"handle": item["sk"], "key": item[key]}


def _summary(item: Item) -> Summary:
    return _SUMMARY.validate_json(item["summary"])

"""A hot SKU spread over shards: sold from all of them, to the last unit and not one more."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock
from inventory.dynamodb.items import level_key
from inventory.model import Bucket, Card, OutOfStockError, Units
from inventory.use_cases import HOLD_CHUNK_LINES_MAX
from tests.bench.hot_sku import LAST_UNITS, measured
from tests.integration.inventory.stockroom import books_agree, levels, reserves
from tradepost.kernel.errors import StaleError, UnavailableError


def kept(stock: DynamoDBStock, on_hand: int, shards: int, *skus: str) -> None:
    for sku in skus or ("MUG",):
        use_cases.count_stock({sku: on_hand}, reason="opening", stock=stock)
        keeps(stock, shards, sku)


def keeps(stock: DynamoDBStock, shards: int, sku: str = "MUG") -> None:
    use_cases.keep_shelf(
        sku, shards=shards, low_at=None, backorders_max=None, note="a sale", stock=stock
    )


def available(client: Any, sku: str = "MUG") -> dict[int, int]:
    """Map each shard in use to what is available in it."""
    return {
        shard: units["available"]
        for (one, _, shard), units in levels(client).items()
        if one == sku and units["available"]
    }


@pytest.mark.parametrize("shards", [1, 4, 16])
def test_units_lie_evenly_in_the_shards_that_are_in_use(
    stock: DynamoDBStock, client: Any, shards: int
) -> None:
    kept(stock, 35, shards)
    use_cases.adjust_stock("MUG", 13, reason="4711", reference="r1", stock=stock)

    lying = available(client)

    assert sum(lying.values()) == 48
    assert lying.keys() == set(range(shards))
    assert max(lying.values()) - min(lying.values()) <= 1
    books_agree(client)


def test_a_sku_is_sold_to_the_last_unit_wherever_it_lies(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 20, 16)

    for number in range(20):
        reserves(stock, f"ord_{number}", {"MUG": 1})
    with pytest.raises(OutOfStockError):
        reserves(stock, "ord_20", {"MUG": 1})

    level = stock.shelves(["MUG"])["MUG"].level
    assert (level.available, level.held) == (0, 20)
    books_agree(client)


def test_orders_begin_at_shards_of_their_own(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 160, 16)

    for number in range(32):
        reserves(stock, f"ord_{number}", {"MUG": 1})

    sold_from = Counter(
        take.bucket.shard
        for number in range(32)
        for chunk in stock.chunks(f"ord_{number}")
        for line in chunk.lines
        for take in line.takes
    )
    assert len(sold_from) > 10


def test_what_no_shard_has_is_gathered_in_one_transaction(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 32, 16)

    reserves(stock, "ord_1", {"MUG": 31})

    (chunk,) = stock.chunks("ord_1")
    assert len(chunk.lines[0].takes) == 16
    with pytest.raises(OutOfStockError):
        reserves(stock, "ord_2", {"MUG": 2})
    use_cases.commit_stock("ord_1", stock=stock)
    use_cases.release_stock("ord_1", stock=stock)
    assert set(available(client).values()) == {2}
    books_agree(client)


def test_an_order_of_97_gathered_lines_takes_as_many_chunks_as_it_needs(
    stock: DynamoDBStock, client: Any
) -> None:
    names = [f"SKU-{number:02d}" for number in range(HOLD_CHUNK_LINES_MAX)]
    use_cases.count_stock(dict.fromkeys(names, 4), reason="opening", stock=stock)
    for name in names[::8]:
        keeps(stock, 4, name)

    reserves(stock, "ord_1", dict.fromkeys(names, 4))
    reserves(stock, "ord_1", dict.fromkeys(names, 4))
    use_cases.commit_stock("ord_1", stock=stock)

    chunks = stock.chunks("ord_1")
    assert len(chunks) == chunks[0].total == 2
    assert {shelf.level.available for shelf in stock.shelves(names).values()} == {0}
    use_cases.release_stock("ord_1", stock=stock)
    assert {shelf.level.available for shelf in stock.shelves(names).values()} == {4}
    books_agree(client)


def test_a_later_chunk_that_needs_more_room_says_so_in_the_first(
    stock: DynamoDBStock, client: Any
) -> None:
    plain = [f"A-{number:02d}" for number in range(HOLD_CHUNK_LINES_MAX)]
    hot = [f"B-{number:02d}" for number in range(30)]
    use_cases.count_stock(dict.fromkeys(plain, 1), reason="opening", stock=stock)
    kept(stock, 4, 4, *hot)

    reserves(stock, "ord_1", {**dict.fromkeys(plain, 1), **dict.fromkeys(hot, 4)})

    chunks = stock.chunks("ord_1")
    assert len(chunks) == chunks[0].total == 3
    use_cases.commit_stock("ord_1", stock=stock)
    use_cases.release_stock("ord_1", stock=stock)
    books_agree(client)


def test_what_was_read_while_units_moved_is_read_again_before_an_order_is_refused(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 16, 4)

    class Torn(DynamoDBStock):
        """Its reader meets a move: all shards seem empty that were looked at."""

        def shelves(self, skus: Any) -> Any:
            found = super().shelves(skus)
            return {sku: _emptied(shelf) for sku, shelf in found.items()}

    reserves(Torn(client, "inventory"), "ord_1", {"MUG": 16})

    assert stock.shelves(["MUG"])["MUG"].level.held == 16


def _emptied(shelf: Any) -> Any:
    return replace(shelf, units=dict.fromkeys(shelf.units, Units()))


def test_an_instance_that_remembers_other_shards_sells_what_is_there_and_no_more(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 8, 4)
    behind = DynamoDBStock(client, "inventory")
    reserves(behind, "ord_1", {"MUG": 1})
    keeps(stock, 1)

    for number in range(2, 9):
        reserves(behind, f"ord_{number}", {"MUG": 1})
    with pytest.raises(OutOfStockError):
        reserves(behind, "ord_9", {"MUG": 1})

    books_agree(client)


def test_an_instance_that_remembers_shards_that_never_were_sells_all_the_same(
    stock: DynamoDBStock, client: Any
) -> None:
    use_cases.count_stock({"MUG": 20}, reason="opening", stock=stock)
    for number in range(20):
        stock._cards.remember("MUG", Card(shards=4, shards_ever=4))
        reserves(stock, f"ord_{number}", {"MUG": 1})

    assert stock.shelves(["MUG"])["MUG"].level.held == 20
    books_agree(client)


def test_a_count_of_what_is_spread_corrects_the_sum(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 20, 4)
    reserves(stock, "ord_1", {"MUG": 3})

    use_cases.count_stock({"MUG": 10}, reason="count", stock=stock)
    fewer = stock.shelves(["MUG"])["MUG"].level
    use_cases.count_stock({"MUG": 30}, reason="count", stock=stock)
    again = use_cases.count_stock({"MUG": 30}, reason="count", stock=stock)

    assert (fewer.available, fewer.held) == (7, 3)
    assert again["MUG"][0] == "unchanged"
    assert stock.shelves(["MUG"])["MUG"].level.on_hand == 30
    books_agree(client)


@pytest.mark.usefixtures("often_switching")
def test_shards_are_changed_while_selling_and_no_unit_is_lost_or_sold_twice(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 40, 1)

    def comes(number: int) -> int:
        own = DynamoDBStock(client, "inventory")
        if number % 8 == 7:
            try:
                keeps(own, (16, 4, 1)[number // 8 % 3])
            except (StaleError, UnavailableError):
                return 0
            return 0
        for _ in range(5):
            try:
                reserves(own, f"ord_{number}", {"MUG": 2})
            except OutOfStockError:
                return 0
            except UnavailableError:
                continue
            return 2
        return 0

    with ThreadPoolExecutor(6) as crowd:
        sold = sum(crowd.map(comes, range(48)))

    level = stock.shelves(["MUG"])["MUG"].level
    assert (level.held, level.available) == (sold, 40 - sold)
    assert sold == 40
    books_agree(client)


def test_a_shards_key_is_no_other_skus(stock: DynamoDBStock) -> None:
    assert level_key("2#MUG") != level_key("MUG", Bucket(shard=2))
    assert level_key("MUG", Bucket(shard=12)) != level_key("2#MUG", Bucket(shard=1))


def test_what_a_sku_sustains_grows_with_its_shards_and_its_stock_stays_exact() -> None:
    one, four = (
        measured(shards, 3_000, seconds=0.15, instances=4, seed=1, sells=False) for shards in (1, 4)
    )

    # Two units a write, of a thousand a second.
    assert one.per_second <= 600
    assert four.per_second > 3 * one.per_second
    assert one.last_sold == four.last_sold == LAST_UNITS

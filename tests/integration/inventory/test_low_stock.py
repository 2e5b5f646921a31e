"""A SKU that runs low is told of once per fall, in the very change, whoever sells at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock, DynamoDBWarehouses
from inventory.model import HoldLine
from inventory.model.stock import alike, crossings
from tests.integration.inventory.stockroom import books_agree, reserves, told
from tradepost.kernel.errors import StaleError


def kept(stock: DynamoDBStock, on_hand: int, **how: Any) -> None:
    use_cases.count_stock({"MUG": on_hand}, reason="opening", stock=stock)
    how = {"shards": 1, "low_at": 5, "backorders_max": None, **how}
    use_cases.keep_shelf("MUG", note="test", stock=stock, **how)


def tends(stock: DynamoDBStock) -> None:
    use_cases.tend_shelf(
        "MUG", stock=stock, warehouses=DynamoDBWarehouses(stock._client, stock._table)
    )


def test_a_fall_is_told_once_and_again_after_a_rise(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 8)

    for number in range(4):
        reserves(stock, f"ord_{number}", {"MUG": 1})
    first = told(client)
    use_cases.release_stock("ord_0", stock=stock)
    use_cases.release_stock("ord_1", stock=stock)
    reserves(stock, "ord_9", {"MUG": 1})

    assert first == {"stock.low.v1": 1}
    assert told(client) == {"stock.low.v1": 2}
    books_agree(client)


def test_what_sells_out_at_once_is_told_to_be_low_and_to_be_gone(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 8)

    reserves(stock, "ord_1", {"MUG": 8})

    assert told(client) == {"stock.low.v1": 1, "stock.depleted.v1": 1}


@pytest.mark.parametrize("how", ["counted", "written off"])
def test_a_fall_by_hand_is_told_as_well(stock: DynamoDBStock, client: Any, how: str) -> None:
    kept(stock, 8)

    if how == "counted":
        use_cases.count_stock({"MUG": 3}, reason="count", stock=stock)
    else:
        use_cases.adjust_stock("MUG", -5, reason="wet", reference="r", stock=stock)

    assert told(client) == {"stock.low.v1": 1}


def test_nothing_is_told_of_a_sku_without_a_threshold_or_above_it(
    stock: DynamoDBStock, client: Any
) -> None:
    use_cases.count_stock({"MUG": 8, "LAMP": 1}, reason="opening", stock=stock)
    kept(stock, 8)

    reserves(stock, "ord_1", {"MUG": 2, "LAMP": 1})
    use_cases.commit_stock("ord_1", stock=stock)
    use_cases.take_back("ord_1", 1, [HoldLine("LAMP", 1)], stock=stock)

    assert told(client) == {}


@pytest.mark.usefixtures("often_switching")
@pytest.mark.parametrize("units", [1, 3])
def test_of_many_sales_at_once_exactly_one_tells_of_the_fall(
    stock: DynamoDBStock, client: Any, units: int
) -> None:
    kept(stock, 12 * units)

    def sells(number: int) -> None:
        reserves(DynamoDBStock(client, "inventory"), f"ord_{number}", {"MUG": units})

    with ThreadPoolExecutor(6) as sellers:
        list(sellers.map(sells, range(12)))

    assert told(client) == {"stock.low.v1": 1, "stock.depleted.v1": 1}
    books_agree(client)


def test_a_fall_of_what_lies_in_many_shards_is_told_when_it_is_tended_once(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 8, shards=4)

    for number in range(8):
        reserves(stock, f"ord_{number}", {"MUG": 1})
        tends(stock)
        tends(stock)
    fallen = told(client)
    use_cases.release_stock("ord_0", stock=stock)
    tends(stock)
    reserves(stock, "ord_9", {"MUG": 1})
    tends(stock)

    assert fallen == {"stock.low.v1": 1, "stock.depleted.v1": 1}
    assert told(client) == {"stock.low.v1": 1, "stock.depleted.v1": 2}


def test_two_who_tend_one_shelf_tell_of_it_once(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 8, shards=4)
    reserves(stock, "ord_1", {"MUG": 5})
    read = stock.snapshot("MUG")
    tends(stock)

    with pytest.raises(StaleError):
        stock.tell_standing(read, stock.snapshot("MUG").standing)

    assert told(client) == Counter({"stock.low.v1": 1})


def test_levels_that_are_alike_cross_the_same() -> None:
    for threshold in range(6):
        for taken in range(1, 8):
            for before in range(taken, 20):
                lowest, highest = alike(before, taken, threshold)
                assert lowest <= before <= highest
                crossed = crossings(before, before - taken, threshold)
                for other in range(lowest, min(highest, 30) + 1):
                    assert crossings(other, other - taken, threshold) == crossed

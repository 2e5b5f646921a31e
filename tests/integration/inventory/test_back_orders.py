"""Units that are sold before they are there: promised within a limit, filled once, oldest first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock, DynamoDBWarehouses
from inventory.model import HoldLine, HoldState, OutOfStockError
from tests.integration.inventory.stockroom import adds, books_agree, reserves, told
from tradepost.kernel.errors import StaleError, UnavailableError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def kept(stock: DynamoDBStock, on_hand: int, **how: Any) -> None:
    use_cases.count_stock({"MUG": on_hand}, reason="opening", stock=stock)
    how = {"shards": 1, "low_at": None, "backorders_max": 10, **how}
    use_cases.keep_shelf("MUG", note="test", stock=stock, **how)


def receives(stock: DynamoDBStock, units: int, reference: str, warehouse: str = "main") -> None:
    use_cases.adjust_stock(
        "MUG", units, reason="4711", reference=reference, stock=stock, warehouse=warehouse
    )


def tends(stock: DynamoDBStock) -> int:
    opened = DynamoDBWarehouses(stock._client, stock._table)
    return use_cases.tend_shelf("MUG", stock=stock, warehouses=opened)


def waits(stock: DynamoDBStock, order_id: str) -> int:
    return sum(line.waiting for chunk in stock.chunks(order_id) for line in chunk.lines)


def buys(stock: DynamoDBStock, order_id: str, units: int, minutes: int = 0) -> int:
    return reserves(stock, order_id, {"MUG": units}, NOON + timedelta(minutes=minutes))


def test_what_is_not_there_is_promised_within_the_limit(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 3, backorders_max=4)

    waiting = buys(stock, "ord_1", 5)
    with pytest.raises(OutOfStockError):
        buys(stock, "ord_2", 3)
    buys(stock, "ord_3", 2)

    level = stock.shelves(["MUG"])["MUG"].level
    assert waiting == 2
    assert (level.available, level.held, level.waiting, level.may_still_wait) == (0, 3, 4, 0)
    books_agree(client)


def test_nothing_is_promised_of_a_sku_that_takes_no_back_orders(stock: DynamoDBStock) -> None:
    kept(stock, 3, backorders_max=None)

    with pytest.raises(OutOfStockError):
        buys(stock, "ord_1", 4)


def test_what_comes_in_goes_to_who_waits_longest_and_nobody_overtakes_them(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 0)
    buys(stock, "ord_2", 2, minutes=2)
    buys(stock, "ord_1", 2, minutes=1)
    use_cases.commit_stock("ord_1", stock=stock)

    receives(stock, 3, "r1")
    late = buys(stock, "ord_3", 1, minutes=3)
    filled = tends(stock)

    assert (late, filled) == (1, 2)
    assert [waits(stock, order) for order in ("ord_1", "ord_2", "ord_3")] == [0, 1, 1]
    assert told(client) == {"backorder.filled.v1": 1}
    assert tends(stock) == 0
    receives(stock, 9, "r2")
    tends(stock)
    assert stock.shelves(["MUG"])["MUG"].level.available == 7
    assert told(client) == {"backorder.filled.v1": 3}
    books_agree(client)


@pytest.mark.parametrize("end", ["released", "released when sold", "expired", "taken back"])
@pytest.mark.parametrize("filled", [0, 1, 3])
def test_an_order_that_ends_gives_back_what_it_has_and_waits_no_more(
    stock: DynamoDBStock, client: Any, end: str, filled: int
) -> None:
    kept(stock, 2)
    buys(stock, "ord_1", 5)
    if filled:
        receives(stock, filled, "r1")
        tends(stock)
    if end in {"released when sold", "taken back"}:
        use_cases.commit_stock("ord_1", stock=stock)

    match end:
        case "expired":
            use_cases.expire_hold("ord_1", stock=stock)
        case "taken back":
            use_cases.take_back("ord_1", 1, [], stock=stock)
        case _:
            use_cases.release_stock("ord_1", stock=stock)

    level = stock.shelves(["MUG"])["MUG"].level
    assert (level.available, level.held, level.waiting) == (2 + filled, 0, 0)
    books_agree(client)


def test_an_edit_gives_up_first_what_is_not_there_yet(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 2)
    buys(stock, "ord_1", 5)
    use_cases.commit_stock("ord_1", stock=stock)

    use_cases.take_back("ord_1", 1, [HoldLine("MUG", 3)], stock=stock)
    one_waits = waits(stock, "ord_1"), stock.shelves(["MUG"])["MUG"].level.available
    use_cases.take_back("ord_1", 2, [HoldLine("MUG", 1)], stock=stock)

    assert one_waits == (1, 0)
    assert (waits(stock, "ord_1"), stock.shelves(["MUG"])["MUG"].level.available) == (0, 1)
    books_agree(client)


def test_units_that_an_edit_adds_may_wait_and_are_filled_and_given_up_for_themselves(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 2)
    buys(stock, "ord_1", 2)
    use_cases.commit_stock("ord_1", stock=stock)

    waiting = [adds(stock, "ord_1", edit, [HoldLine("MUG", 2)]) for edit in (1, 2)]
    use_cases.commit_added("ord_1", 1, stock=stock)
    receives(stock, 3, "r1")
    tends(stock)
    use_cases.release_added("ord_1", 2, stock=stock)

    level = stock.shelves(["MUG"])["MUG"].level
    assert waiting == [2, 2]
    assert (level.available, level.held, level.waiting) == (1, 0, 0)
    books_agree(client)


def test_who_read_the_hold_before_it_was_filled_gives_nothing_back(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 1)
    buys(stock, "ord_1", 2)
    (as_read,) = stock.chunks("ord_1")
    receives(stock, 1, "r1")
    tends(stock)

    for act in (stock.release_chunk, stock.commit_chunk):
        with pytest.raises(StaleError):
            act(as_read)

    use_cases.commit_stock("ord_1", stock=stock)
    assert stock.chunks("ord_1")[0].state is HoldState.COMMITTED
    books_agree(client)


def test_a_repeated_reservation_promises_nothing_twice(stock: DynamoDBStock, client: Any) -> None:
    kept(stock, 1, backorders_max=2)

    assert [buys(stock, "ord_1", 3), buys(stock, "ord_1", 3)] == [2, 2]

    books_agree(client)


def test_units_come_in_from_several_warehouses_and_shards(
    stock: DynamoDBStock, client: Any, warehouses: DynamoDBWarehouses
) -> None:
    kept(stock, 0, shards=4)
    buys(stock, "ord_1", 9)

    receives(stock, 4, "r1")
    receives(stock, 7, "r2", warehouse="lyon")
    tends(stock)

    assert waits(stock, "ord_1") == 0
    (chunk,) = stock.chunks("ord_1")
    here = {take.bucket.warehouse: take.quantity for take in chunk.lines[0].takes}
    assert here == {"lyon": 7, "main": 2}
    books_agree(client)


@pytest.mark.usefixtures("often_switching")
def test_the_limit_is_never_exceeded_and_everything_is_filled_once_whoever_comes_at_once(
    stock: DynamoDBStock, client: Any
) -> None:
    kept(stock, 4, backorders_max=6)

    def comes(number: int) -> int:
        own = DynamoDBStock(client, "inventory")
        if number % 4 == 3:
            receives(own, 1, f"r{number}")
            try:
                tends(own)
            except (StaleError, UnavailableError):
                return 0
            return 0
        try:
            buys(own, f"ord_{number}", 1, minutes=number)
        except OutOfStockError:
            return 0
        assert own.snapshot("MUG").waiting <= 6
        return 1

    with ThreadPoolExecutor(6) as crowd:
        sold = sum(crowd.map(comes, range(24)))
    tends(stock)

    level = stock.shelves(["MUG"])["MUG"].level
    assert level.held + level.waiting == sold
    assert level.held + level.available == 4 + 6
    assert not (level.available and level.waiting)
    books_agree(client)

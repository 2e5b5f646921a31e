"""Several warehouses: where an order is sent from, and where its units lie afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock, DynamoDBWarehouses
from inventory.model import HoldLine, NegativeStockError, OutOfStockError, Warehouse
from inventory.model.stock import (
    MainWarehouseError,
    TooManyWarehousesError,
    UnknownWarehouseError,
)
from inventory.use_cases import HOLD_CHUNK_LINES_MAX
from tests.integration.inventory.stockroom import Destination, books_agree, reserves

pytestmark = pytest.mark.usefixtures("warehouses")


def lies(stock: DynamoDBStock, warehouse: str, **on_hand: int) -> None:
    use_cases.count_stock(on_hand, reason="opening", stock=stock, warehouse=warehouse)


def sent_from(stock: DynamoDBStock, order_id: str = "ord_1") -> dict[str, dict[str, int]]:
    """Map each warehouse to the units it sends of each SKU."""
    here: dict[str, dict[str, int]] = {}
    for chunk in stock.chunks(order_id):
        for line in chunk.lines:
            for take in line.takes:
                units = here.setdefault(take.bucket.warehouse, {})
                units[line.sku] = units.get(line.sku, 0) + take.quantity
    return here


def level(stock: DynamoDBStock, sku: str, warehouse: str) -> tuple[int, int]:
    found = stock.snapshot(sku).level_in(warehouse)
    return found.available, found.held


def test_an_order_comes_whole_from_the_nearest_warehouse_that_has_it(stock: DynamoDBStock) -> None:
    for code in ("main", "leeds", "lille", "lyon"):
        lies(stock, code, MUG=5, LAMP=5)

    reserves(stock, "ord_gb", {"MUG": 1, "LAMP": 1}, orders=Destination("GB"))
    reserves(stock, "ord_fr", {"MUG": 1, "LAMP": 1}, orders=Destination("FR"))
    reserves(stock, "ord_no", {"MUG": 1, "LAMP": 1}, orders=Destination("NO"))

    assert sent_from(stock, "ord_gb") == {"leeds": {"MUG": 1, "LAMP": 1}}
    assert sent_from(stock, "ord_fr") == {"lyon": {"MUG": 1, "LAMP": 1}}
    assert sent_from(stock, "ord_no") == {"lyon": {"MUG": 1, "LAMP": 1}}


def test_one_parcel_from_far_is_preferred_to_two_from_near(stock: DynamoDBStock) -> None:
    lies(stock, "leeds", MUG=5)
    lies(stock, "lyon", MUG=5, LAMP=5)

    reserves(stock, "ord_1", {"MUG": 1, "LAMP": 1})

    assert sent_from(stock) == {"lyon": {"MUG": 1, "LAMP": 1}}


def test_where_no_warehouse_has_all_each_line_comes_whole_from_one(stock: DynamoDBStock) -> None:
    lies(stock, "leeds", MUG=2)
    lies(stock, "lyon", MUG=3, LAMP=1)
    lies(stock, "lille", CUP=1)

    reserves(stock, "ord_1", {"LAMP": 1, "MUG": 2, "CUP": 1})

    assert sent_from(stock) == {"leeds": {"MUG": 2}, "lyon": {"LAMP": 1}, "lille": {"CUP": 1}}


def test_only_a_line_that_none_has_whole_is_divided(stock: DynamoDBStock, client: Any) -> None:
    lies(stock, "leeds", MUG=2)
    lies(stock, "lyon", MUG=2)

    reserves(stock, "ord_1", {"MUG": 3})

    assert sent_from(stock) == {"leeds": {"MUG": 2}, "lyon": {"MUG": 1}}
    with pytest.raises(OutOfStockError):
        reserves(stock, "ord_2", {"MUG": 2})
    books_agree(client)


def test_sold_and_undone_each_unit_is_back_where_it_lay(stock: DynamoDBStock, client: Any) -> None:
    lies(stock, "leeds", MUG=2)
    lies(stock, "lyon", MUG=2)
    reserves(stock, "ord_1", {"MUG": 3})

    use_cases.commit_stock("ord_1", stock=stock)
    sold = level(stock, "MUG", "leeds"), level(stock, "MUG", "lyon")
    use_cases.take_back("ord_1", 1, [HoldLine("MUG", 2)], stock=stock)
    edited = level(stock, "MUG", "leeds"), level(stock, "MUG", "lyon")
    use_cases.release_stock("ord_1", stock=stock)

    assert sold == ((0, 0), (1, 0))
    assert edited == ((0, 0), (2, 0))
    assert (level(stock, "MUG", "leeds"), level(stock, "MUG", "lyon")) == ((2, 0), (2, 0))
    books_agree(client)


def test_what_lies_in_one_warehouse_is_reserved_without_asking_where_it_goes(
    stock: DynamoDBStock,
) -> None:
    lies(stock, "main", MUG=5)
    orders = Destination()

    reserves(stock, "ord_1", {"MUG": 1}, orders=orders)

    assert orders.asked == 0


def test_a_closed_warehouse_sends_nothing_and_keeps_its_units(
    stock: DynamoDBStock, warehouses: DynamoDBWarehouses
) -> None:
    lies(stock, "lyon", MUG=2)
    lies(stock, "main", MUG=1)
    (lyon,) = [one for one in warehouses.described() if one.code == "lyon"]
    use_cases.describe_warehouse(replace(lyon, is_open=False), warehouses=warehouses)

    with pytest.raises(OutOfStockError):
        reserves(stock, "ord_1", {"MUG": 2})
    reserves(stock, "ord_2", {"MUG": 1})

    assert sent_from(stock, "ord_2") == {"main": {"MUG": 1}}
    assert level(stock, "MUG", "lyon") == (2, 0)
    assert use_cases.for_sale("MUG", stock=stock, warehouses=warehouses).for_sale == 0


def test_a_count_corrects_one_warehouse_and_leaves_the_others(
    stock: DynamoDBStock, client: Any
) -> None:
    lies(stock, "main", MUG=5)
    lies(stock, "leeds", MUG=5)
    reserves(stock, "ord_1", {"MUG": 3})

    lies(stock, "leeds", MUG=4)

    assert level(stock, "MUG", "leeds") == (1, 3)
    assert level(stock, "MUG", "main") == (5, 0)
    books_agree(client)


def test_units_are_received_once_and_written_off_no_further_than_there_are(
    stock: DynamoDBStock, client: Any
) -> None:
    for _ in range(2):
        use_cases.adjust_stock(
            "MUG", 5, reason="4711", reference="r1", stock=stock, warehouse="lyon"
        )
        use_cases.adjust_stock(
            "MUG", -4, reason="wet", reference="r2", stock=stock, warehouse="lyon"
        )
    lies(stock, "main", MUG=9)

    with pytest.raises(NegativeStockError):
        use_cases.adjust_stock(
            "MUG", -2, reason="wet", reference="r3", stock=stock, warehouse="lyon"
        )

    assert level(stock, "MUG", "lyon") == (1, 0)
    books_agree(client)


def test_an_order_of_two_hundred_divided_lines_is_held_and_sold_whole(
    stock: DynamoDBStock, client: Any
) -> None:
    names = [f"SKU-{number:03d}" for number in range(2 * HOLD_CHUNK_LINES_MAX)]
    for code in ("leeds", "lyon"):
        for start in range(0, len(names), 100):
            lies(stock, code, **dict.fromkeys(names[start : start + 100], 1))

    reserves(stock, "ord_1", dict.fromkeys(names, 2))
    reserves(stock, "ord_1", dict.fromkeys(names, 2))
    use_cases.commit_stock("ord_1", stock=stock)
    chunks = stock.chunks("ord_1")

    assert len(chunks) == chunks[0].total == 5
    assert sent_from(stock) == {
        "leeds": dict.fromkeys(names, 1),
        "lyon": dict.fromkeys(names, 1),
    }
    use_cases.release_stock("ord_1", stock=stock)
    assert {level(stock, name, "lyon") for name in names[::20]} == {(1, 0)}
    books_agree(client)


@pytest.mark.usefixtures("often_switching")
def test_orders_at_once_take_from_all_warehouses_and_never_more_than_there_is(
    stock: DynamoDBStock, client: Any
) -> None:
    lies(stock, "leeds", MUG=7, LAMP=20)
    lies(stock, "lyon", MUG=8, LAMP=20)

    def buys(number: int) -> int:
        units = 1 + number % 3
        try:
            reserves(DynamoDBStock(client, "inventory"), f"ord_{number}", {"MUG": units})
        except OutOfStockError:
            return 0
        return units

    with ThreadPoolExecutor(6) as buyers:
        sold = sum(buyers.map(buys, range(18)))

    assert sold == 15
    books_agree(client)


def test_a_shop_has_its_main_warehouse_and_keeps_it_open(warehouses: DynamoDBWarehouses) -> None:
    listed = use_cases.list_warehouses(warehouses=warehouses)

    assert [one.code for one in listed] == ["leeds", "lille", "lyon", "main"]
    with pytest.raises(MainWarehouseError):
        use_cases.describe_warehouse(
            Warehouse("main", "Main", "GB", 1, is_open=False), warehouses=warehouses
        )


def test_no_more_warehouses_are_opened_than_a_transaction_reaches(
    warehouses: DynamoDBWarehouses,
) -> None:
    use_cases.describe_warehouse(
        Warehouse("turin", "Turin", "IT", 1, is_open=True), warehouses=warehouses
    )

    with pytest.raises(TooManyWarehousesError):
        use_cases.describe_warehouse(
            Warehouse("vienna", "Vienna", "AT", 1, is_open=True), warehouses=warehouses
        )
    with pytest.raises(UnknownWarehouseError):
        use_cases.require_warehouse("vienna", warehouses=warehouses)

"""Stock on DynamoDB: what is held, sold and given back, once each, whoever races."""

from __future__ import annotations

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock
from inventory.model import (
    HoldLine,
    HoldLostError,
    HoldReleasedError,
    NegativeStockError,
    OutOfStockError,
)
from inventory.use_cases import HOLD_CHUNK_LINES_MAX
from tests.integration.inventory.stockroom import adds, level, reserves
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.platform.dynamodb import from_item


@pytest.fixture
def sold(stock: DynamoDBStock) -> DynamoDBStock:
    """Ten of each were there, and an order bought three mugs and two cups."""
    counted(stock, MUG=10, CUP=10)
    reserve(stock, "ord_1", MUG=3, CUP=2)
    use_cases.commit_stock("ord_1", stock=stock)
    return stock


def take_back(stock: DynamoDBStock, edit: int, **left: int) -> None:
    lines = [HoldLine(sku, quantity) for sku, quantity in left.items()]
    use_cases.take_back("ord_1", edit, lines, stock=stock)


def counted(stock: DynamoDBStock, **on_hand: int) -> None:
    use_cases.count_stock(on_hand, reason="opening", stock=stock)


def reserve(stock: DynamoDBStock, order_id: str, **lines: int) -> None:
    wanted = [HoldLine(sku, quantity) for sku, quantity in lines.items()]
    reserves(stock, order_id, wanted)


def ledger_sums(client: Any) -> dict[str, tuple[int, int]]:
    """Sum the movements of all entries, per SKU."""
    available: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for page in client.get_paginator("scan").paginate(TableName="inventory"):
        for item in map(from_item, page["Items"]):
            if item["sk"].startswith("ENTRY#"):
                for movement in item["movements"]:
                    available[movement["sku"]] += movement["available"]
                    held[movement["sku"]] += movement["held"]
    return {sku: (available[sku], held[sku]) for sku in available}


def test_reserving_moves_units_from_available_to_held(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10)

    reserve(stock, "ord_1", MUG=3)

    assert level(stock, "MUG") == (7, 3)


def test_reserving_twice_for_one_order_takes_the_units_once(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10)

    reserve(stock, "ord_1", MUG=3)
    reserve(stock, "ord_1", MUG=3)

    assert level(stock, "MUG") == (7, 3)


def test_a_sku_named_twice_in_one_order_is_summed_first(stock: DynamoDBStock) -> None:
    counted(stock, MUG=3)
    lines = [HoldLine("MUG", 2), HoldLine("MUG", 2)]

    with pytest.raises(OutOfStockError):
        reserves(stock, "ord_1", lines)

    assert level(stock, "MUG") == (3, 0)


def test_one_short_line_holds_none_of_the_others(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10, LAMP=1)

    with pytest.raises(OutOfStockError) as refused:
        reserve(stock, "ord_1", MUG=1, LAMP=2)

    assert refused.value.sku == "LAMP"
    assert level(stock, "MUG") == (10, 0)


def test_a_sku_never_stocked_is_out_of_stock(stock: DynamoDBStock) -> None:
    with pytest.raises(OutOfStockError):
        reserve(stock, "ord_1", UNKNOWN=1)


def test_committing_sells_the_held_units_once(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10)
    reserve(stock, "ord_1", MUG=3)

    use_cases.commit_stock("ord_1", stock=stock)
    use_cases.commit_stock("ord_1", stock=stock)

    assert level(stock, "MUG") == (7, 0)


def test_releasing_gives_the_units_back_once(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10)
    reserve(stock, "ord_1", MUG=3)

    use_cases.release_stock("ord_1", stock=stock)
    use_cases.release_stock("ord_1", stock=stock)

    assert level(stock, "MUG") == (10, 0)


def test_a_reservation_overtaken_by_its_release_is_refused(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10)
    use_cases.release_stock("ord_1", stock=stock)

    with pytest.raises(HoldReleasedError):
        reserve(stock, "ord_1", MUG=3)

    assert level(stock, "MUG") == (10, 0)


def test_what_was_released_cannot_be_sold(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10)
    reserve(stock, "ord_1", MUG=3)
    use_cases.release_stock("ord_1", stock=stock)

    with pytest.raises(HoldLostError):
        use_cases.commit_stock("ord_1", stock=stock)

    assert level(stock, "MUG") == (10, 0)


def test_units_sold_go_back_when_the_order_is_undone(stock: DynamoDBStock) -> None:
    counted(stock, MUG=10)
    reserve(stock, "ord_1", MUG=3)
    use_cases.commit_stock("ord_1", stock=stock)

    use_cases.release_stock("ord_1", stock=stock)

    assert level(stock, "MUG") == (10, 0)


def test_an_order_of_a_thousand_lines_is_held_sold_and_given_back_whole(
    stock: DynamoDBStock,
) -> None:
    skus = {f"SKU-{number:04d}": 2 for number in range(1114)}
    names = list(skus)
    for start in range(0, len(names), 100):
        counted(stock, **dict.fromkeys(names[start : start + 100], 5))

    reserve(stock, "ord_1", **skus)
    held = {level(stock, sku) for sku in names}
    use_cases.commit_stock("ord_1", stock=stock)
    sold = {level(stock, sku) for sku in names}
    use_cases.release_stock("ord_1", stock=stock)

    assert (held, sold) == ({(3, 2)}, {(3, 0)})
    assert {level(stock, sku) for sku in names} == {(5, 0)}


def test_a_large_order_that_fails_late_can_be_given_back_whole(stock: DynamoDBStock) -> None:
    skus = {f"SKU-{number:04d}": 1 for number in range(150)}
    names = list(skus)
    counted(stock, **dict.fromkeys(names[:100], 1))
    counted(stock, **dict.fromkeys(names[100:], 0))

    with pytest.raises(OutOfStockError):
        reserve(stock, "ord_1", **skus)
    use_cases.release_stock("ord_1", stock=stock)

    assert {level(stock, sku) for sku in names[:100]} == {(1, 0)}
    with pytest.raises(HoldReleasedError):
        reserve(stock, "ord_1", **skus)


@pytest.mark.usefixtures("often_switching")
def test_the_last_units_cannot_be_reserved_twice(stock: DynamoDBStock, client: Any) -> None:
    counted(stock, MUG=20)

    def buy(number: int) -> bool:
        try:
            reserve(stock, f"ord_{number}", MUG=1)
        except OutOfStockError:
            return False
        return True

    with ThreadPoolExecutor(16) as buyers:
        sold = sum(buyers.map(buy, range(100)))

    assert sold == 20
    assert level(stock, "MUG") == (0, 20)
    assert ledger_sums(client)["MUG"] == (0, 20)


@pytest.mark.usefixtures("often_switching")
def test_commit_and_release_at_once_leave_the_units_in_one_place(
    stock: DynamoDBStock, client: Any
) -> None:
    counted(stock, MUG=40)
    for number in range(40):
        reserve(stock, f"ord_{number}", MUG=1)

    def commit(number: int) -> None:
        with contextlib.suppress(HoldLostError):
            use_cases.commit_stock(f"ord_{number}", stock=stock)

    with ThreadPoolExecutor(8) as workers:
        for number in range(40):
            workers.submit(commit, number)
            workers.submit(use_cases.release_stock, f"ord_{number}", stock=stock)
    for number in range(40):
        use_cases.release_stock(f"ord_{number}", stock=stock)

    assert level(stock, "MUG") == (40, 0)
    assert ledger_sums(client)["MUG"] == (40, 0)


def test_the_ledger_sums_to_the_level(stock: DynamoDBStock, client: Any) -> None:
    counted(stock, MUG=10)
    use_cases.adjust_stock("MUG", 5, reason="delivery", reference="r1", stock=stock)
    use_cases.adjust_stock("MUG", -2, reason="broken", reference="r2", stock=stock)
    reserve(stock, "ord_1", MUG=3)
    reserve(stock, "ord_2", MUG=4)
    use_cases.commit_stock("ord_1", stock=stock)
    use_cases.release_stock("ord_2", stock=stock)
    counted(stock, MUG=9)

    assert level(stock, "MUG") == (9, 0)
    assert ledger_sums(client)["MUG"] == (9, 0)


def test_the_same_receipt_twice_counts_once(stock: DynamoDBStock) -> None:
    for _ in range(2):
        use_cases.adjust_stock("MUG", 5, reason="delivery", reference="r1", stock=stock)

    assert level(stock, "MUG") == (5, 0)


def test_a_receipts_reference_of_another_quantity_is_refused(stock: DynamoDBStock) -> None:
    use_cases.adjust_stock("MUG", 5, reason="delivery", reference="r1", stock=stock)

    with pytest.raises(IdempotencyMismatchError):
        use_cases.adjust_stock("MUG", 6, reason="delivery", reference="r1", stock=stock)

    assert level(stock, "MUG") == (5, 0)


def test_more_than_is_available_cannot_be_written_off(stock: DynamoDBStock) -> None:
    counted(stock, MUG=5)
    reserve(stock, "ord_1", MUG=3)

    with pytest.raises(NegativeStockError):
        use_cases.adjust_stock("MUG", -3, reason="lost", reference="r1", stock=stock)

    assert level(stock, "MUG") == (2, 3)


def test_a_count_leaves_held_units_to_their_orders(stock: DynamoDBStock) -> None:
    counted(stock, MUG=5)
    reserve(stock, "ord_1", MUG=3)

    counted(stock, MUG=4)

    assert level(stock, "MUG") == (1, 3)


def test_counting_the_same_again_writes_nothing(stock: DynamoDBStock, client: Any) -> None:
    counted(stock, MUG=5)
    before = client.scan(TableName="inventory")["Count"]

    outcome = use_cases.count_stock({"MUG": 5}, reason="again", stock=stock)

    assert outcome["MUG"][0] == "unchanged"
    assert client.scan(TableName="inventory")["Count"] == before


class TestTakingBack:
    def test_what_an_edit_does_not_leave_is_for_sale_again_once(
        self, sold: DynamoDBStock, client: Any
    ) -> None:
        take_back(sold, 1, MUG=1)
        take_back(sold, 1, MUG=1)

        assert (level(sold, "MUG"), level(sold, "CUP")) == ((9, 0), (10, 0))
        assert ledger_sums(client) == {"MUG": (9, 0), "CUP": (10, 0)}

    def test_an_edit_that_comes_after_a_later_one_changes_nothing(
        self, sold: DynamoDBStock
    ) -> None:
        take_back(sold, 2, MUG=1)
        take_back(sold, 1, MUG=2, CUP=2)

        assert (level(sold, "MUG"), level(sold, "CUP")) == ((9, 0), (10, 0))

    def test_a_release_afterwards_gives_back_what_is_left_and_no_more(
        self, sold: DynamoDBStock, client: Any
    ) -> None:
        take_back(sold, 1, MUG=1)
        use_cases.release_stock("ord_1", stock=sold)
        take_back(sold, 1, MUG=1)
        take_back(sold, 2, CUP=1)

        assert (level(sold, "MUG"), level(sold, "CUP")) == ((10, 0), (10, 0))
        assert ledger_sums(client) == {"MUG": (10, 0), "CUP": (10, 0)}

    def test_a_release_that_read_the_hold_before_the_edit_gives_nothing_back_twice(
        self, sold: DynamoDBStock
    ) -> None:
        (as_read,) = sold.chunks("ord_1")
        take_back(sold, 1, MUG=1)

        with pytest.raises(StaleError):
            sold.release_chunk(as_read)

        use_cases.release_stock("ord_1", stock=sold)
        assert (level(sold, "MUG"), level(sold, "CUP")) == ((10, 0), (10, 0))

    def test_an_order_of_several_chunks_gives_back_from_each(self, stock: DynamoDBStock) -> None:
        lines = {f"SKU-{number:03}": 2 for number in range(HOLD_CHUNK_LINES_MAX + 3)}
        counted(stock, **lines)
        reserve(stock, "ord_1", **lines)
        use_cases.commit_stock("ord_1", stock=stock)

        take_back(stock, 1, **dict.fromkeys(lines, 1))

        assert {level(stock, sku) for sku in lines} == {(1, 0)}

    def test_nothing_is_taken_back_of_what_is_not_sold(self, stock: DynamoDBStock) -> None:
        counted(stock, MUG=10)
        with pytest.raises(HoldLostError):
            take_back(stock, 1, MUG=1)
        reserve(stock, "ord_1", MUG=3)

        with pytest.raises(HoldLostError):
            take_back(stock, 1, MUG=1)

        assert level(stock, "MUG") == (7, 3)


class TestAddedByAnEdit:
    @pytest.fixture
    def sold(self, stock: DynamoDBStock) -> DynamoDBStock:
        counted(stock, MUG=10, CUP=10)
        reserve(stock, "ord_1", MUG=2)
        use_cases.commit_stock("ord_1", stock=stock)
        return stock

    def adds(self, stock: DynamoDBStock, edit: int, **lines: int) -> None:
        added = [HoldLine(sku, quantity) for sku, quantity in lines.items()]
        adds(stock, "ord_1", edit, added)

    def test_units_added_are_held_and_sold_once_beside_those_bought(
        self, sold: DynamoDBStock, client: Any
    ) -> None:
        for _ in range(2):
            self.adds(sold, 1, MUG=1, CUP=3)
        held = (level(sold, "MUG"), level(sold, "CUP"))
        for _ in range(2):
            use_cases.commit_added("ord_1", 1, stock=sold)

        assert held == ((7, 1), (7, 3))
        assert (level(sold, "MUG"), level(sold, "CUP")) == ((7, 0), (7, 0))
        assert ledger_sums(client) == {"MUG": (7, 0), "CUP": (7, 0)}

    def test_all_units_of_an_edit_are_held_or_none(self, sold: DynamoDBStock) -> None:
        with pytest.raises(OutOfStockError):
            self.adds(sold, 1, MUG=1, CUP=11)

        assert (level(sold, "MUG"), level(sold, "CUP")) == ((8, 0), (10, 0))

    @pytest.mark.parametrize("is_sold", [False, True], ids=["held", "sold"])
    def test_an_edit_undone_gives_back_what_it_added_and_nothing_else(
        self, sold: DynamoDBStock, client: Any, is_sold: bool
    ) -> None:
        self.adds(sold, 1, MUG=1, CUP=3)
        if is_sold:
            use_cases.commit_added("ord_1", 1, stock=sold)

        for _ in range(2):
            use_cases.release_added("ord_1", 1, stock=sold)

        assert (level(sold, "MUG"), level(sold, "CUP")) == ((8, 0), (10, 0))
        assert ledger_sums(client) == {"MUG": (8, 0), "CUP": (10, 0)}

    def test_a_hold_that_comes_after_its_undo_is_refused(self, sold: DynamoDBStock) -> None:
        use_cases.release_added("ord_1", 1, stock=sold)

        with pytest.raises(HoldReleasedError):
            self.adds(sold, 1, MUG=1)
        with pytest.raises(HoldLostError):
            use_cases.commit_added("ord_1", 1, stock=sold)

        self.adds(sold, 2, MUG=1)
        assert level(sold, "MUG") == (7, 1)

    def test_an_order_given_back_gives_back_what_was_added_and_takes_no_more(
        self, sold: DynamoDBStock, client: Any
    ) -> None:
        self.adds(sold, 1, MUG=1)
        use_cases.commit_added("ord_1", 1, stock=sold)
        self.adds(sold, 2, CUP=3)

        use_cases.release_stock("ord_1", stock=sold)

        assert (level(sold, "MUG"), level(sold, "CUP")) == ((10, 0), (10, 0))
        assert ledger_sums(client) == {"MUG": (10, 0), "CUP": (10, 0)}
        for edit in (2, 3):
            with pytest.raises(HoldReleasedError):
                self.adds(sold, edit, CUP=1)

    def test_a_commit_that_comes_late_sells_what_was_bought_at_first(
        self, sold: DynamoDBStock
    ) -> None:
        self.adds(sold, 1, CUP=3)

        use_cases.commit_stock("ord_1", stock=sold)

        assert level(sold, "CUP") == (7, 3)

    def test_what_was_added_last_is_taken_back_first(self, sold: DynamoDBStock) -> None:
        self.adds(sold, 1, MUG=2)
        use_cases.commit_added("ord_1", 1, stock=sold)

        left = []
        for edit, quantity in ((2, 3), (3, 1)):
            for _ in range(2):
                take_back(sold, edit, MUG=quantity)
            left.append(level(sold, "MUG"))

        assert left == [(7, 0), (9, 0)]

    def test_an_edit_that_adds_and_takes_out_leaves_what_it_added(
        self, sold: DynamoDBStock
    ) -> None:
        self.adds(sold, 1, CUP=3)
        use_cases.commit_added("ord_1", 1, stock=sold)

        take_back(sold, 1, MUG=1, CUP=3)

        assert (level(sold, "MUG"), level(sold, "CUP")) == ((9, 0), (7, 0))

    def test_an_edit_may_add_more_lines_than_a_transaction_takes(self, sold: DynamoDBStock) -> None:
        names = [f"SKU-{number:04d}" for number in range(100)]
        counted(sold, **dict.fromkeys(names, 2))

        self.adds(sold, 1, **dict.fromkeys(names, 1))
        held = {level(sold, sku) for sku in names}
        use_cases.commit_added("ord_1", 1, stock=sold)
        sold_levels = {level(sold, sku) for sku in names}
        use_cases.release_added("ord_1", 1, stock=sold)

        assert (held, sold_levels) == ({(1, 1)}, {(1, 0)})
        assert {level(sold, sku) for sku in names} == {(2, 0)}

    @pytest.mark.usefixtures("often_switching")
    def test_added_units_and_other_buyers_never_sell_more_than_there_is(
        self, stock: DynamoDBStock, client: Any
    ) -> None:
        counted(stock, MUG=20, CUP=40)
        for number in range(40):
            reserve(stock, f"ord_{number}", CUP=1)

        def buy(number: int) -> bool:
            order_id = f"ord_{number % 40}"
            try:
                if number < 40:
                    line = [HoldLine("MUG", 1)]
                    adds(stock, order_id, 1, line)
                else:
                    reserve(stock, f"new_{number}", MUG=1)
            except OutOfStockError:
                return False
            return True

        with ThreadPoolExecutor(16) as buyers:
            sold = sum(buyers.map(buy, range(80)))

        assert sold == 20
        assert ledger_sums(client)["MUG"] == (0, 20)

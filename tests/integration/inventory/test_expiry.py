"""Holds that outlived their order, and units that came back: each moved once, whoever races."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock
from inventory.model import HoldLine, HoldLostError, HoldReleasedError, HoldState
from inventory.use_cases import HOLD_CHUNK_LINES_MAX
from inventory.use_cases import holds as holds_module
from tests.integration.inventory.stockroom import adds, level, reserves
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.platform.dynamodb import from_item

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PAST_DUE = NOON + timedelta(minutes=30, seconds=1)


class Standing:
    """How orders stand, as they are asked. Satisfies `ports.Orders`."""

    def __init__(self, **statuses: str | None) -> None:
        self.statuses = statuses
        self.asked: list[str] = []

    def status_of(self, order_id: str) -> str | None:
        self.asked.append(order_id)
        return self.statuses[order_id]

    def country_of(self, order_id: str) -> str:
        raise AssertionError("nobody asks where an order goes that is over")


@pytest.fixture
def stock(client: Any) -> DynamoDBStock:
    stock = DynamoDBStock(client, "inventory")
    use_cases.count_stock({"MUG": 10, "LAMP": 10}, reason="opening", stock=stock)
    return stock


def holds(stock: DynamoDBStock, order_id: str = "ord_1", **lines: int) -> None:
    wanted = [HoldLine(sku, quantity) for sku, quantity in (lines or {"MUG": 3}).items()]
    reserves(stock, order_id, wanted, NOON)


def sweeps(stock: DynamoDBStock, orders: Standing, at: datetime = PAST_DUE) -> int:
    return use_cases.sweep_holds(stock=stock, orders=orders, now=lambda: at)


def ledger(client: Any, sku: str = "MUG") -> tuple[int, int]:
    """Sum the movements of a SKU in all entries."""
    available = held = 0
    for page in client.get_paginator("scan").paginate(TableName="inventory"):
        for item in map(from_item, page["Items"]):
            for movement in item.get("movements", ()):
                if movement["sku"] == sku:
                    available += movement["available"]
                    held += movement["held"]
    return available, held


@pytest.mark.parametrize("status", ["CANCELLED", None])
def test_a_hold_whose_order_is_over_is_given_back(
    client: Any, stock: DynamoDBStock, status: str | None
) -> None:
    holds(stock)

    freed = sweeps(stock, Standing(ord_1=status))

    assert freed == 1
    assert level(stock) == ledger(client) == (10, 0)
    assert sweeps(stock, Standing()) == 0


@pytest.mark.parametrize(
    "status", ["PENDING", "AWAITING_PAYMENT", "CAPTURING", "CANCELLING", "NEEDS_ATTENTION"]
)
def test_a_hold_whose_order_runs_or_waits_is_left_and_asked_for_again_later(
    stock: DynamoDBStock, status: str
) -> None:
    holds(stock)
    orders = Standing(ord_1=status)

    for minutes in (0, 1, 31):
        sweeps(stock, orders, PAST_DUE + timedelta(minutes=minutes))

    assert level(stock) == (7, 3)
    assert orders.asked == ["ord_1", "ord_1"]


def test_a_hold_that_is_not_past_its_time_is_nobodys_business(stock: DynamoDBStock) -> None:
    holds(stock)

    sweeps(stock, Standing(), NOON + timedelta(minutes=30, seconds=-1))

    assert stock.past_due(NOON + timedelta(minutes=30, seconds=-1), 10) == []
    assert stock.past_due(PAST_DUE, 10) == ["ord_1"]
    assert level(stock) == (7, 3)


def test_what_was_sold_or_released_is_past_no_time(stock: DynamoDBStock) -> None:
    holds(stock, "ord_1")
    holds(stock, "ord_2")
    use_cases.commit_stock("ord_1", stock=stock)
    use_cases.release_stock("ord_2", stock=stock)

    assert stock.past_due(PAST_DUE, 10) == []


def test_many_holds_that_are_left_do_not_hide_the_one_that_is_over(
    stock: DynamoDBStock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds_module, "HOLDS_SWEPT_MAX", 2)
    for number in range(6):
        holds(stock, f"ord_{number}", MUG=1)
    orders = Standing(**{f"ord_{number}": "PENDING" for number in range(5)}, ord_5="CANCELLED")

    freed = sum(sweeps(stock, orders) for _ in range(3))

    assert freed == 1
    assert level(stock) == (5, 5)


def test_an_expired_hold_cannot_be_committed_or_held_again(stock: DynamoDBStock) -> None:
    holds(stock)
    use_cases.expire_hold("ord_1", stock=stock)

    with pytest.raises(HoldLostError):
        use_cases.commit_stock("ord_1", stock=stock)
    with pytest.raises(HoldReleasedError):
        holds(stock)

    assert level(stock) == (10, 0)


def test_a_committed_hold_cannot_expire(client: Any, stock: DynamoDBStock) -> None:
    holds(stock)
    use_cases.commit_stock("ord_1", stock=stock)

    assert use_cases.expire_hold("ord_1", stock=stock) is False
    assert level(stock) == ledger(client) == (7, 0)


def test_a_hold_expires_once(stock: DynamoDBStock) -> None:
    holds(stock)

    for _ in range(2):
        use_cases.expire_hold("ord_1", stock=stock)

    assert level(stock) == (10, 0)


def commits(stock: DynamoDBStock) -> bool:
    with contextlib.suppress(HoldLostError):
        use_cases.commit_stock("ord_1", stock=stock)
        return True
    return False


def expires(stock: DynamoDBStock) -> bool:
    return use_cases.expire_hold("ord_1", stock=stock)


class Overtaken(DynamoDBStock):
    """A stock whose reader is overtaken: somebody acts between its reading and its writing."""

    def __init__(self, stock: DynamoDBStock, act: Callable[[DynamoDBStock], object]) -> None:
        super().__init__(stock._client, stock._table)
        self._other = stock
        self._act: Callable[[DynamoDBStock], object] | None = act

    def chunks(self, order_id: str) -> Any:
        read = super().chunks(order_id)
        if self._act is not None:
            act, self._act = self._act, None
            act(self._other)
        return read


@pytest.mark.parametrize("lines", [1, HOLD_CHUNK_LINES_MAX + 1], ids=["one chunk", "two chunks"])
@pytest.mark.parametrize(
    ("first", "second", "sold"),
    [(commits, expires, True), (expires, commits, False)],
    ids=["the commit is faster", "the expiry is faster"],
)
def test_commit_and_expiry_meet_and_exactly_one_wins(
    client: Any,
    stock: DynamoDBStock,
    lines: int,
    first: Callable[[DynamoDBStock], bool],
    second: Callable[[DynamoDBStock], bool],
    sold: bool,
) -> None:
    skus = [f"SKU-{number:03d}" for number in range(lines)]
    use_cases.count_stock(dict.fromkeys(skus[:97], 5), reason="opening", stock=stock)
    use_cases.count_stock(dict.fromkeys(skus[97:], 5), reason="opening", stock=stock)
    holds(stock, **dict.fromkeys(skus, 1))
    won: list[bool] = []

    late = second(Overtaken(stock, lambda other: won.append(first(other))))

    assert (won, late) == ([True], False)
    states = {chunk.state for chunk in stock.chunks("ord_1")}
    assert states == {HoldState.COMMITTED if sold else HoldState.RELEASED}
    for sku in (skus[0], skus[-1]):
        assert level(stock, sku) == ledger(client, sku) == ((4, 0) if sold else (5, 0))


@pytest.mark.usefixtures("often_switching")
def test_commits_and_expiries_at_once_leave_the_books_whole(
    client: Any, stock: DynamoDBStock
) -> None:
    holds(stock)

    with ThreadPoolExecutor(6) as racers:
        sales = [racers.submit(commits, stock) for _ in range(3)]
        ends = [racers.submit(expires, stock) for _ in range(3)]
        sold = any(sale.result() for sale in sales)
        expired = any(end.result() for end in ends)

    assert sold is not expired
    assert level(stock) == ledger(client) == ((7, 0) if sold else (10, 0))


def restocks(stock: DynamoDBStock, return_id: str = "ret_1", **changed: Any) -> None:
    came = {
        "resellable": [HoldLine("MUG", 1), HoldLine("MUG", 1)],
        "damaged": [HoldLine("LAMP", 1)],
        **changed,
    }
    use_cases.restock("ord_1", return_id, stock=stock, **came)


def test_what_came_back_is_available_once_per_return_and_the_damaged_never(
    client: Any, stock: DynamoDBStock
) -> None:
    holds(stock, MUG=3, LAMP=1)
    use_cases.commit_stock("ord_1", stock=stock)

    for _ in range(2):
        restocks(stock)

    assert level(stock, "MUG") == ledger(client, "MUG") == (9, 0)
    assert level(stock, "LAMP") == ledger(client, "LAMP") == (9, 0)


def test_two_returns_are_two(stock: DynamoDBStock) -> None:
    holds(stock, MUG=4)
    use_cases.commit_stock("ord_1", stock=stock)

    restocks(stock, "ret_1", damaged=[])
    restocks(stock, "ret_2", damaged=[])

    assert level(stock) == (10, 0)


def test_a_return_that_was_all_broken_moves_no_stock(stock: DynamoDBStock) -> None:
    restocks(stock, resellable=[], damaged=[HoldLine("MUG", 2)])

    assert level(stock) == (10, 0)


@pytest.mark.parametrize(
    "changed", [{"resellable": [HoldLine("MUG", 3)]}, {"damaged": []}], ids=["more", "less broken"]
)
def test_a_return_is_restocked_in_one_way(stock: DynamoDBStock, changed: dict[str, Any]) -> None:
    restocks(stock)

    with pytest.raises(IdempotencyMismatchError):
        restocks(stock, **changed)

    assert level(stock) == (12, 0)


@pytest.mark.usefixtures("often_switching")
def test_a_return_restocked_at_once_by_many_counts_once(client: Any, stock: DynamoDBStock) -> None:
    with ThreadPoolExecutor(4) as racers:
        list(racers.map(lambda _: restocks(stock), range(8)))

    assert level(stock) == ledger(client) == (12, 0)


@pytest.mark.parametrize("status", ["EDITING", "NEEDS_ATTENTION"])
def test_what_an_edit_holds_is_left_to_it_however_long_it_takes(
    stock: DynamoDBStock, status: str
) -> None:
    holds(stock)
    use_cases.commit_stock("ord_1", stock=stock)
    adds(stock, "ord_1", 1, [HoldLine("LAMP", 2)], NOON)
    orders = Standing(ord_1=status)

    for minutes in (0, 1, 31):
        sweeps(stock, orders, PAST_DUE + timedelta(minutes=minutes))

    assert (level(stock), level(stock, "LAMP")) == ((7, 0), (8, 2))
    assert orders.asked == ["ord_1", "ord_1"]
    use_cases.release_added("ord_1", 1, stock=stock)
    assert (level(stock), level(stock, "LAMP")) == ((7, 0), (10, 0))
    assert sweeps(stock, Standing(), PAST_DUE + timedelta(days=1)) == 0

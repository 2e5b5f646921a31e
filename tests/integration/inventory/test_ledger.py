"""Whatever is done to stock, in whatever order: the ledger sums to the state."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from inventory import use_cases
from inventory.dynamodb import DynamoDBStock, DynamoDBWarehouses
from inventory.model import HoldLine
from tests.integration.inventory.stockroom import TABLE, books_agree, reserves
from tradepost.kernel.errors import DomainError, UnavailableError

SKUS = ("MUG", "LAMP", "CUP")


def a_day(seed: str, client: Any, acts: int) -> None:
    """Do to the stock what a day brings, drawn by the seed; a refusal is part of it."""
    chance = random.Random(seed)
    stock = DynamoDBStock(client, TABLE)
    warehouses = DynamoDBWarehouses(client, TABLE)
    orders = [f"ord_{seed}_0"]

    def some_sku() -> str:
        return chance.choice(SKUS)

    def somewhere() -> str:
        return chance.choice(("main", "leeds", "lyon"))

    def an_order() -> str:
        return chance.choice(orders)

    def reserve() -> None:
        if chance.random() < 0.8:
            orders.append(f"ord_{seed}_{len(orders)}")
        wanted = {sku: chance.randint(1, 4) for sku in chance.sample(SKUS, chance.randint(1, 3))}
        reserves(stock, orders[-1], wanted)

    def take_back() -> None:
        lines = [HoldLine(sku, chance.randint(1, 2)) for sku in chance.sample(SKUS, 2)]
        use_cases.take_back(an_order(), chance.randint(1, 3), lines, stock=stock)

    def adjust() -> None:
        use_cases.adjust_stock(
            some_sku(),
            chance.randint(-4, 9),
            reason="r",
            reference=f"{seed}{chance.randint(0, 40)}",
            stock=stock,
            warehouse=somewhere(),
        )

    def count() -> None:
        counts = {sku: chance.randint(0, 12) for sku in chance.sample(SKUS, 2)}
        use_cases.count_stock(counts, reason="r", stock=stock, warehouse=somewhere())

    def keep() -> None:
        use_cases.keep_shelf(
            some_sku(),
            shards=chance.choice((1, 4, 16)),
            low_at=chance.choice((None, 0, 3)),
            backorders_max=chance.choice((None, 5, 50)),
            note="r",
            stock=stock,
        )

    def restock() -> None:
        came = [HoldLine(some_sku(), 1)]
        use_cases.restock(
            orders[0],
            f"ret_{seed}{chance.randint(0, 20)}",
            resellable=came,
            damaged=[],
            stock=stock,
        )

    def tend() -> None:
        use_cases.tend_shelf(some_sku(), stock=stock, warehouses=warehouses)

    what: list[tuple[Callable[[], object], int]] = [
        (reserve, 8),
        (lambda: use_cases.commit_stock(an_order(), stock=stock), 5),
        (lambda: use_cases.release_stock(an_order(), stock=stock), 3),
        (lambda: use_cases.expire_hold(an_order(), stock=stock), 1),
        (take_back, 3),
        (adjust, 5),
        (count, 2),
        (keep, 2),
        (restock, 2),
        (tend, 4),
    ]
    for act in chance.choices([one for one, _ in what], [weight for _, weight in what], k=acts):
        with contextlib.suppress(DomainError, UnavailableError):
            act()


@pytest.mark.usefixtures("warehouses")
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_ledger_sums_to_every_level_after_whatever_a_day_brings(
    stock: DynamoDBStock, client: Any, seed: str
) -> None:
    use_cases.count_stock(dict.fromkeys(SKUS, 10), reason="opening", stock=stock)

    for part in range(6):
        a_day(f"{seed}.{part}", client, 25)
        books_agree(client)


@pytest.mark.usefixtures("warehouses", "often_switching")
def test_the_ledger_sums_to_every_level_when_all_happens_at_once(
    stock: DynamoDBStock, client: Any
) -> None:
    use_cases.count_stock(dict.fromkeys(SKUS, 10), reason="opening", stock=stock)

    with ThreadPoolExecutor(6) as days:
        list(days.map(lambda number: a_day(f"at once {number}", client, 25), range(6)))

    books_agree(client)

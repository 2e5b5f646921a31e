"""A flash sale is judged by the shop's books, not by what its buyers were told."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from infra.cli.books import StockBook
from infra.cli.selling_out import Place, run_sales, sales_of
from tests.unit.cli.fake_shop import FakeShop


def held_sales(fake: FakeShop, *, buyers: int = 12, units: int = 5, runs: int = 1):
    shop = fake.client()
    out = io.StringIO()
    place = Place(shop, fake.staff(shop), fake)
    sales = sales_of(buyers, units, runs)
    status = run_sales(sales, place, Console(file=out), as_json=True)
    return status, json.loads(out.getvalue())


def test_exactly_the_units_there_are_get_sold():
    status, report = held_sales(FakeShop())

    assert status == 0
    (run,) = report["runs"]
    assert (run["confirmed"], run["captures"], run["charged"]) == (5, 5, 5)
    assert (run["available"], run["held"]) == (0, 0)
    assert run["told"] == {"CONFIRMED": 5, "out_of_stock": 7}


def test_fewer_buyers_than_units_leave_the_rest():
    status, report = held_sales(FakeShop(), buyers=3)

    assert status == 0
    assert report["runs"][0]["available"] == 2


def test_each_sale_is_of_its_own_product():
    fake = FakeShop()

    status, report = held_sales(fake, runs=3)

    assert status == 0
    assert len(report["runs"]) == len(fake.prices) == 3


class Overselling(FakeShop):
    def settle(self, order_id):
        self.available = {sku: max(units, 1) for sku, units in self.available.items()}
        super().settle(order_id)


class Holding(FakeShop):
    """A refused buyer's unit is never given back."""

    def stock(self, skus):
        return {sku: StockBook(level.available, 1) for sku, level in super().stock(skus).items()}


class Vague(FakeShop):
    """A buyer who came too late is told something else."""

    def settle(self, order_id):
        super().settle(order_id)
        if self.placed[order_id].reason:
            self.placed[order_id].reason = "checkout_failed"


class Uncharged(FakeShop):
    def charges(self):
        return {}


@pytest.mark.parametrize(
    ("faulty", "wrong"),
    [
        (Overselling, "confirmed: 12 instead of 5"),
        (Holding, "held: 1 instead of 0"),
        (Vague, "told: "),
        (Uncharged, "charged: 0 instead of 5"),
    ],
)
def test_a_sale_that_is_not_exact_is_found_and_named(faulty, wrong):
    status, report = held_sales(faulty())

    assert status == 1
    assert report["exact"] is False
    assert any(text.startswith(wrong) for text in report["runs"][0]["wrong"])

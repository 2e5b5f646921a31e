"""What was paid for part of an order: the parts sum to the whole, to the last minor unit."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from orders import use_cases
from orders.api import OrderView
from orders.model import (
    NotBoughtError,
    Order,
    OrderLine,
    editing,
    left_of,
    paid_for,
    paid_for_sending,
)
from tests.unit.orders.one_order import NOON, OneOrder, an_order
from tradepost.kernel.money import Money

# Three for 10.00 after a discount of 2.00, of which 20 % tax: nothing divides by three.
MUGS = OrderLine("MUG", "A mug", 3, 400, discount_minor=200, tax_minor=167)
CUP = OrderLine("CUP", "A cup", 1, 900, tax_minor=150)

CASES = 3_000


def sold(lines: list[OrderLine], **facts: Any) -> Order:
    includes = facts.get("prices_include_tax", True)
    total = sum(line.paid_minor(prices_include_tax=includes) for line in lines)
    order = an_order("CONFIRMED", total=Money(total, "GBP"), line_count=len(lines), **facts)
    sending = paid_for_sending(order)
    return replace(order, total=order.total + sending)


def any_lines(chance: random.Random) -> list[OrderLine]:
    lines = []
    for number in range(chance.randint(1, 5)):
        line = OrderLine(
            f"SKU-{number}", "Something", chance.randint(1, 12), chance.randint(0, 999)
        )
        discount = chance.randint(0, line.total_minor)
        tax = chance.randint(0, line.total_minor - discount)
        lines.append(replace(line, discount_minor=discount, tax_minor=tax))
    return lines


def test_the_units_of_a_line_priced_one_by_one_sum_to_what_was_paid_for_it() -> None:
    order = sold([MUGS, CUP])

    one_by_one = [
        paid_for(order, [MUGS, CUP], {"MUG": 1}, before={"MUG": before}) for before in range(3)
    ]

    assert [price.amount_minor for price in one_by_one] == [334, 333, 333]


def test_tax_on_top_of_the_price_goes_back_with_the_units() -> None:
    order = sold([MUGS], prices_include_tax=False, shipping_minor=300, shipping_tax_minor=60)

    assert paid_for(order, [MUGS], {"MUG": 3}) == Money(1167, "GBP")
    assert paid_for_sending(order) == Money(360, "GBP")
    assert order.total == Money(1527, "GBP")


def test_tax_within_the_price_is_paid_once() -> None:
    order = sold([MUGS], shipping_minor=300, shipping_tax_minor=50)

    assert paid_for(order, [MUGS], {"MUG": 3}) == Money(1000, "GBP")
    assert paid_for_sending(order) == Money(300, "GBP")


@pytest.mark.parametrize("prices_include_tax", [True, False])
def test_whatever_is_taken_apart_in_whatever_parts_sums_to_the_whole(
    prices_include_tax: bool,
) -> None:
    chance = random.Random(24)
    for _ in range(CASES):
        lines = any_lines(chance)
        order = sold(lines, prices_include_tax=prices_include_tax)
        before = dict.fromkeys([line.sku for line in lines], 0)
        parts = []
        while left := {line.sku: line.quantity - before[line.sku] for line in lines}:
            wanted = {sku: chance.randint(0, units) for sku, units in left.items() if units}
            if not wanted:
                break
            parts.append(paid_for(order, lines, wanted, before=before).amount_minor)
            before = {sku: before[sku] + wanted.get(sku, 0) for sku in before}

        assert min(parts) >= 0
        assert sum(parts) == order.total.amount_minor


def test_an_order_made_smaller_again_and_again_gives_back_what_was_paid() -> None:
    chance = random.Random(34)
    for _ in range(CASES // 10):
        lines = any_lines(chance)
        order = sold(lines, prices_include_tax=False)
        paid = order.total
        refunds = 0
        while sum(line.quantity for line in lines) > 1:
            line = chance.choice(lines)
            if len(lines) == 1 and line.quantity == 1:
                break
            at_least = 1 if len(lines) == 1 else 0
            fewer = {line.sku: chance.randint(at_least, line.quantity - 1)}
            edited = editing.asked(
                order, fewer, lines, key="key", expected=_after(order, lines, fewer), at=NOON
            )
            assert edited.edit is not None
            refunds += edited.edit.refund_minor
            lines = left_of(lines, fewer)
            order = replace(editing.applied(edited, lines, at=NOON), status=order.status)
            assert order.total.amount_minor == sum(
                line.paid_minor(prices_include_tax=False) for line in lines
            )
        assert order.total.amount_minor + refunds == paid.amount_minor


def _after(order: Order, lines: list[OrderLine], fewer: dict[str, int]) -> Money:
    changed = left_of(lines, fewer)
    return Money(sum(line.paid_minor(prices_include_tax=False) for line in changed), "GBP")


def test_returns_one_after_the_other_sum_to_what_was_paid() -> None:
    orders: Any = OneOrder(sold([MUGS]), lines=[MUGS])

    prices = [
        use_cases.price_return("ord_1", f"ret_{number}", {"MUG": 1}, orders=orders)
        for number in range(3)
    ]

    assert [price.amount_minor for price in prices] == [334, 333, 333]


def test_a_return_keeps_its_price_however_often_it_is_asked_for() -> None:
    orders: Any = OneOrder(sold([MUGS]), lines=[MUGS])
    first = use_cases.price_return("ord_1", "ret_1", {"MUG": 1}, orders=orders)
    use_cases.price_return("ord_1", "ret_2", {"MUG": 1}, orders=orders)

    assert use_cases.price_return("ord_1", "ret_1", {"MUG": 1}, orders=orders) == first


def test_more_than_is_left_to_come_back_is_not_priced() -> None:
    orders: Any = OneOrder(sold([MUGS]), lines=[MUGS])
    use_cases.price_return("ord_1", "ret_1", {"MUG": 2}, orders=orders)

    with pytest.raises(NotBoughtError):
        use_cases.price_return("ord_1", "ret_2", {"MUG": 2}, orders=orders)


def test_parcels_sum_to_the_total_and_the_first_bears_the_shipping() -> None:
    lines = [MUGS, CUP]
    order = sold(lines, prices_include_tax=False, shipping_minor=300, shipping_tax_minor=60)
    orders: Any = OneOrder(order, lines=lines)

    first = use_cases.price_parcel(
        "ord_1", {"MUG": 2}, before={}, with_shipping=True, orders=orders
    )
    second = use_cases.price_parcel(
        "ord_1", {"MUG": 1, "CUP": 1}, before={"MUG": 2}, with_shipping=False, orders=orders
    )

    assert first + second == order.total


def test_an_order_shows_its_discount_and_its_tax() -> None:
    order = sold([MUGS, CUP], promotions=("SPRING",), shipping_minor=300, shipping_tax_minor=50)

    view = OrderView.with_lines(order, [MUGS, CUP])

    assert (view.discount.amount_minor, view.tax.amount_minor) == (200, 367)
    assert view.promotions == ["SPRING"]
    assert [line.total.amount_minor for line in view.lines] == [1000, 900]

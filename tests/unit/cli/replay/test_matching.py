"""Which order a cancelled row belongs to, and what is said of a row that belongs to none."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from infra.cli.replay.catalogue import implied_shop
from infra.cli.replay.matching import Matching, match
from infra.cli.replay.reading import parse_history
from tests.unit.cli.replay import histories
from tests.unit.cli.replay.histories import row


def matching(*rows: str) -> Matching:
    shop = implied_shop(parse_history(histories.text(*rows), "a.csv"))
    return match(shop.cancelled, shop.invoices)


def taken_back(*rows: str) -> list[tuple[str, str, int, int]]:
    return [
        (each.row.cancellation, each.invoice.number, each.units, each.amount_minor)
        for each in matching(*rows).matches
    ]


def reasons(*rows: str) -> list[tuple[str, int]]:
    return [(each.reason.value, each.units) for each in matching(*rows).unmatched]


def test_the_latest_earlier_order_at_that_price_is_taken_back_first():
    rows = (row("1", day=1), row("2", day=2), row("C3", quantity=-1, day=3), row("4", day=4))

    assert taken_back(*rows) == [("C3", "2", 1, 255)]


def test_an_order_that_covers_the_whole_row_goes_before_a_later_one_that_does_not():
    rows = (row("1", quantity=5), row("2", quantity=2, day=2), row("C3", quantity=-4, day=3))

    assert taken_back(*rows) == [("C3", "1", 4, 1020)]


def test_a_row_that_no_single_order_covers_is_spread_over_several():
    rows = (row("1", quantity=3), row("2", quantity=2, day=2), row("C3", quantity=-4, day=3))

    assert taken_back(*rows) == [("C3", "2", 2, 510), ("C3", "1", 2, 510)]


def test_units_are_given_back_once():
    rows = (row("1", quantity=3), row("C2", quantity=-2, day=2), row("C3", quantity=-2, day=3))

    assert taken_back(*rows) == [("C2", "1", 2, 510), ("C3", "1", 1, 255)]
    assert reasons(*rows) == [("more_than_bought", 1)]


def test_the_earlier_cancellation_has_the_first_choice_wherever_it_stands_in_the_file():
    rows = (row("1"), row("C3", quantity=-1, day=3), row("C2", quantity=-1, day=2))

    assert taken_back(*rows) == [("C2", "1", 1, 255)]


def test_the_same_price_goes_before_a_higher_one():
    rows = (row("1"), row("2", price="9.99", day=2), row("C3", quantity=-2, day=3))

    assert taken_back(*rows) == [("C3", "1", 1, 255), ("C3", "2", 1, 255)]


def test_more_than_was_paid_is_never_given_back():
    rows = (row("1", price="1.00"), row("C2", quantity=-1, day=2))

    assert taken_back(*rows) == []
    assert reasons(*rows) == [("more_than_paid", 1)]


def test_another_customers_order_is_not_taken_back():
    rows = (row("1", customer="1"), row("C2", customer="2", quantity=-1, day=2))

    assert reasons(*rows) == [("no_earlier_purchase", 1)]


def test_a_later_order_is_not_taken_back():
    assert reasons(row("C1", quantity=-1, day=1), row("2", day=2)) == [("no_earlier_purchase", 1)]


def test_a_guests_cancellation_finds_no_order():
    rows = (row("1", customer=""), row("C2", customer="", quantity=-1, day=2))

    assert reasons(*rows) == [("guest", 1)]


def test_a_discount_belongs_to_the_latest_earlier_order_that_has_so_much_left():
    rows = (
        row("1", quantity=9),
        row("2", day=2),
        row("C3", code="D", price="2.00", quantity=-1, day=3),
        row("C4", code="D", price="2.00", quantity=-1, day=4),
    )

    assert taken_back(*rows) == [("C3", "2", 1, 200), ("C4", "1", 1, 200)]


def test_a_discount_above_every_order_is_not_given():
    rows = (row("1"), row("C2", code="D", price="2.56", quantity=-1, day=2))

    assert reasons(*rows) == [("more_than_paid", 1)]


def test_a_discount_without_an_earlier_order_is_not_given():
    assert reasons(row("C1", code="D", quantity=-1)) == [("no_earlier_purchase", 1)]


def test_what_a_discount_gave_back_is_not_given_back_with_the_goods():
    rows = (
        row("1", quantity=3),
        row("C2", code="D", price="1.00", quantity=-1, day=2),
        row("C3", quantity=-3, day=3),
    )

    assert taken_back(*rows) == [("C2", "1", 1, 100), ("C3", "1", 2, 510)]
    assert reasons(*rows) == [("more_than_paid", 1)]


def history(seed: int) -> list[str]:
    """Write a history in which few customers buy few things often, and take back too much."""
    dice = random.Random(seed)
    rows = []
    for number in range(60):
        is_cancelled = dice.random() < 0.4
        for _ in range(dice.randint(1, 4)):
            rows.append(
                row(
                    f"C{number}" if is_cancelled else str(number),
                    code=dice.choice(["A1", "A2", "D", "POST"] if is_cancelled else ["A1", "A2"]),
                    quantity=dice.randint(1, 6) * (-1 if is_cancelled else 1),
                    price=dice.choice(["1.00", "1.25", "0.10"]),
                    customer=str(number % 3 or ""),
                    day=dice.randint(1, 28),
                )
            )
    return rows


@pytest.mark.parametrize("seed", range(20))
def test_every_cancelled_unit_is_matched_or_listed_never_both_and_never_lost(seed):
    shop = implied_shop(parse_history(histories.text(*history(seed)), "a.csv"))

    found = match(shop.cancelled, shop.invoices)

    accounted = Counter[int]()
    for each in (*found.matches, *found.unmatched):
        assert each.units > 0
        accounted[each.row.line] += each.units
    assert accounted == {row.line: row.quantity for row in shop.cancelled}
    assert len({each.row.line for each in found.unmatched}) == len(found.unmatched)


@pytest.mark.parametrize("seed", range(20))
def test_no_order_gives_back_more_units_or_more_money_than_were_bought(seed):
    shop = implied_shop(parse_history(histories.text(*history(seed)), "a.csv"))

    found = match(shop.cancelled, shop.invoices)

    assert any(each.line for each in found.matches)
    units, money = Counter[tuple[str, str]](), Counter[str]()
    for each in found.matches:
        money[each.invoice.number] += each.amount_minor
        if each.line is not None:
            assert each.row.price_minor <= each.line.price_minor
            units[each.invoice.number, each.line.sku] += each.units
    for invoice in shop.invoices:
        assert money[invoice.number] <= invoice.total_minor
        assert all(units[invoice.number, line.sku] <= line.quantity for line in invoice.lines)


@pytest.mark.parametrize("seed", range(5))
def test_what_belongs_where_does_not_change_from_one_time_to_the_next(seed):
    assert matching(*history(seed)) == matching(*history(seed))


@pytest.mark.parametrize("seed", range(5))
def test_a_row_takes_back_what_its_own_customer_bought_before(seed):
    for each in matching(*history(seed)).matches:
        assert each.invoice.customer == each.row.customer is not None
        assert each.invoice.placed_at <= each.row.cancelled_at
        assert each.line is None or each.line.code == each.row.code

"""Which order a cancellation takes back."""

from __future__ import annotations

from infra.cli.replay.cancelling import match
from infra.cli.replay.catalogue import implied_shop
from infra.cli.replay.reading import parse_history
from tests.unit.cli.replay import histories
from tests.unit.cli.replay.histories import row


def matching(*rows: str):
    shop = implied_shop(parse_history(histories.text(*rows), "a.csv"))
    return match(shop.cancellations, shop.invoices)


def refunded(*rows: str) -> list[tuple[str, str, int, int]]:
    return [
        (each.cancellation, each.invoice, each.units, each.amount_minor)
        for each in matching(*rows).refunds
    ]


def reasons(*rows: str) -> list[tuple[str, int]]:
    return [(each.reason, each.units) for each in matching(*rows).unmatched]


def test_the_latest_earlier_order_at_that_price_is_taken_back_first():
    rows = (row("1", day=1), row("2", day=2), row("C3", quantity=-1, day=3), row("4", day=4))

    assert refunded(*rows) == [("C3", "2", 1, 255)]


def test_what_one_order_lacks_is_taken_from_the_one_before():
    rows = (row("1", quantity=5), row("2", quantity=2, day=2), row("C3", quantity=-4, day=3))

    assert refunded(*rows) == [("C3", "2", 2, 510), ("C3", "1", 2, 510)]


def test_units_are_given_back_once():
    rows = (row("1", quantity=3), row("C2", quantity=-2, day=2), row("C3", quantity=-2, day=3))

    assert refunded(*rows) == [("C2", "1", 2, 510), ("C3", "1", 1, 255)]
    assert reasons(*rows) == [("no_earlier_purchase", 1)]


def test_the_same_price_goes_before_a_higher_one():
    rows = (row("1"), row("2", price="9.99", day=2), row("C3", quantity=-2, day=3))

    assert refunded(*rows) == [("C3", "1", 1, 255), ("C3", "2", 1, 255)]


def test_more_than_was_paid_is_never_given_back():
    rows = (row("1", price="1.00"), row("C2", quantity=-1, day=2))

    assert refunded(*rows) == []
    assert reasons(*rows) == [("price_above_paid", 1)]


def test_several_lines_from_one_order_are_one_refund():
    rows = (
        row("1", quantity=2),
        row("1", code="21730", price="1.00"),
        row("C2", quantity=-1, day=2),
        row("C2", code="21730", price="1.00", quantity=-1, day=2),
    )

    assert refunded(*rows) == [("C2", "1", 2, 355)]


def test_another_customers_order_is_not_taken_back():
    rows = (row("1", customer="1"), row("C2", customer="2", quantity=-1, day=2))

    assert reasons(*rows) == [("no_earlier_purchase", 1)]


def test_a_later_order_is_not_taken_back():
    assert reasons(row("C1", quantity=-1, day=1), row("2", day=2)) == [("no_earlier_purchase", 1)]


def test_a_guests_cancellation_finds_no_order():
    rows = (row("1", customer=""), row("C2", customer="", quantity=-1, day=2))

    assert reasons(*rows) == [("guest", 1)]

"""Whether what is taken back is a cancellation, a return or a refund."""

from __future__ import annotations

import pytest

from infra.cli.replay.catalogue import implied_shop
from infra.cli.replay.matching import match
from infra.cli.replay.planning import Kind, Reversal, plan, reversals_by_invoice
from infra.cli.replay.reading import parse_history
from tests.unit.cli.replay import histories
from tests.unit.cli.replay.histories import december, of_the_data_set, row


def reversals(*rows: str, services_sold: bool = False) -> tuple[Reversal, ...]:
    history = parse_history(histories.text(*rows), "a.csv")
    shop = implied_shop(history, services_sold=services_sold)
    return plan(match(shop.cancelled, shop.invoices).matches)


def planned(*rows: str, services_sold: bool = False) -> list[tuple[str, str, str, int]]:
    return [
        (each.kind.value, each.cancellation, each.invoice.number, each.amount_minor)
        for each in reversals(*rows, services_sold=services_sold)
    ]


def test_an_order_taken_back_whole_before_its_parcel_leaves_is_cancelled():
    rows = (
        row("1", quantity=2),
        row("1", code="21730", price="1.00"),
        row("C2", quantity=-1),
        row("C2", code="21730", price="1.00", quantity=-1),
        row("C2", quantity=-1),
    )

    assert planned(*rows) == [("cancellation", "C2", "1", 610)]
    assert reversals(*rows)[0].restocked == {"85123A-255": 2, "21730-100": 1}


def test_an_order_taken_back_whole_after_its_parcel_left_is_returned():
    assert planned(row("1", day=1), row("C2", quantity=-1, day=2)) == [("return", "C2", "1", 255)]


def test_some_of_an_order_is_returned_and_not_cancelled():
    rows = (row("1", quantity=2), row("C2", quantity=-1))

    assert planned(*rows) == [("return", "C2", "1", 255)]
    assert reversals(*rows)[0].restocked == {"85123A-255": 1}


def test_an_order_taken_back_in_two_cancellations_is_returned_twice():
    rows = (row("1", quantity=2), row("C2", quantity=-1), row("C3", quantity=-1))

    assert planned(*rows) == [("return", "C2", "1", 255), ("return", "C3", "1", 255)]


def test_an_order_that_was_given_a_discount_is_not_cancelled():
    rows = (
        row("1", quantity=2),
        row("1", code="21730", price="1.00"),
        row("C2", code="D", price="1.00", quantity=-1),
        row("C3", quantity=-2),
    )

    assert planned(*rows) == [("refund", "C2", "1", 100), ("return", "C3", "1", 510)]


def test_what_comes_back_for_less_than_was_paid_is_money_and_no_goods():
    rows = (row("1", price="2.95"), row("C2", quantity=-1))

    assert planned(*rows) == [("refund", "C2", "1", 255)]
    assert reversals(*rows)[0].restocked == {}


def test_goods_and_money_of_one_cancellation_are_a_return_and_a_refund():
    rows = (
        row("1", quantity=2),
        row("1", code="21730", price="4.25"),
        row("C2", quantity=-1),
        row("C2", code="21730", price="4.00", quantity=-1),
    )

    assert planned(*rows) == [("return", "C2", "1", 255), ("refund", "C2", "1", 400)]


def test_a_service_is_refunded_for_nobody_sends_it_back():
    rows = (
        row("1"),
        row("1", code="POST", price="18"),
        row("C2", code="POST", quantity=-1, price="18"),
    )

    assert planned(*rows, services_sold=True) == [("refund", "C2", "1", 1800)]


def test_carriage_is_taken_back_with_an_order_that_is_cancelled_whole():
    rows = (
        row("1"),
        row("1", code="POST", price="18"),
        row("C2", code="POST", quantity=-1, price="18"),
        row("C2", quantity=-1),
    )

    assert planned(*rows, services_sold=True) == [("cancellation", "C2", "1", 2055)]


def test_lines_of_one_cancellation_that_come_back_from_one_order_are_one_return():
    rows = (
        row("1", quantity=5),
        row("1", code="21730", quantity=5, price="1.00"),
        row("C2", quantity=-1, day=3),
        row("C2", code="21730", price="1.00", quantity=-2, day=3),
        row("C2", quantity=-3, day=3),
    )

    (reversal,) = reversals(*rows)
    assert reversal.restocked == {"85123A-255": 4, "21730-100": 2}
    assert (reversal.units, reversal.amount_minor) == (6, 4 * 255 + 200)


def test_what_is_taken_back_of_one_order_stays_together_in_its_order():
    rows = (
        row("1", quantity=3),
        row("2", code="21730"),
        row("C3", quantity=-1, day=3),
        row("C4", code="21730", quantity=-1, day=3),
        row("C5", quantity=-1, day=4),
    )

    groups = reversals_by_invoice(reversals(*rows))

    assert [[each.cancellation for each in group] for group in groups] == [["C3", "C5"], ["C4"]]


def test_a_return_of_more_lines_than_the_shop_takes_is_several():
    bought = [row("1", code=f"A{number}", quantity=2) for number in range(200)]
    back = [row("C2", code=f"A{number}", quantity=-1, day=3) for number in range(200)]

    parts = reversals(*bought, *back, row("C2", code="A0", quantity=-1, day=3))

    assert [len(part.restocked) for part in parts] == [90, 90, 20]
    assert [part.part for part in parts] == [1, 2, 3]
    assert parts[0].restocked["A0-255"] == 2
    assert sum(part.amount_minor for part in parts) == 201 * 255


@of_the_data_set
@pytest.mark.parametrize(("services_sold", "refunded_minor"), [(False, 41_344), (True, 43_144)])
def test_decembers_cancellations_are_played_in_three_ways(services_sold, refunded_minor):
    shop = implied_shop(december(), services_sold=services_sold)

    played = plan(match(shop.cancelled, shop.invoices).matches)

    sums = {kind: sum(each.amount_minor for each in played if each.kind is kind) for kind in Kind}
    assert sums == {
        Kind.CANCELLATION: 225_212,
        Kind.RETURN: 577_745,
        Kind.REFUND: refunded_minor,
    }


@of_the_data_set
def test_decembers_discounts_of_a_tenth_find_the_order_they_are_a_tenth_of():
    shop = implied_shop(december())

    discounts = [each for each in match(shop.cancelled, shop.invoices).matches if not each.line]

    tenths = [each for each in discounts if each.invoice.total_minor // 10 == each.amount_minor]
    assert (len(discounts), len(tenths)) == (6, 4)

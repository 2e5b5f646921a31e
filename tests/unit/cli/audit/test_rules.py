"""Each rule of the audit: what it lets pass, and what it names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.cli.audit.rows import (
    Books,
    Charge,
    Checkout,
    Entry,
    HeldLine,
    Hold,
    Level,
    Movement,
    Order,
    Payment,
    Queue,
    Refund,
    Unsent,
)
from infra.cli.audit.rules import RULES, checked

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
LATELY = AT - timedelta(minutes=2)
EARLIER = AT - timedelta(hours=3)
MUG = ("MUG", "main")
SHARD = ("MUG", "main/1")
NORTH = ("MUG", "north")

ORDER = Order("ord_1", "CONFIRMED", 2500, "GBP", "2026-01-05", EARLIER, units={"MUG": 2})
PAYMENT = Payment("ord_1", 0, "CAPTURED", "GBP", 2500, 2500, 2500, 0, "sim_1")
CAPTURE = Entry(
    "ord_1", "CAPTURE", "CAPTURE", "GBP", (("provider_receivable", 2500), ("sales", -2500))
)
CHARGE = Charge("sim_1", "ord_1", "CAPTURED", 2500, 2500, 0, "2026-01-05", EARLIER)
SOLD = Hold("ord_1", "COMMITTED", (HeldLine("MUG", 2, {MUG: 2}),))

# Ten mugs came in, in three places; two are sold.
SHOP = Books(
    AT,
    levels=(Level(MUG, 3, 0), Level(SHARD, 4, 0), Level(NORTH, 1, 0)),
    movements=(
        Movement(MUG, 10, 0),
        Movement(MUG, -4, 0),
        Movement(SHARD, 4, 0),
        Movement(MUG, -1, 0),
        Movement(NORTH, 1, 0),
        Movement(MUG, -2, 2, is_of_a_hold=True),
        Movement(MUG, 0, -2, is_of_a_hold=True),
    ),
    holds=(SOLD,),
    orders=(ORDER,),
    payments=(PAYMENT,),
    entries=(CAPTURE,),
    charges=(CHARGE,),
    queues=(Queue("orders-facts", 0),),
)


def broken(books: Books) -> dict[str, list[tuple[Any, Any]]]:
    """Tell which rules do not hold, each with the figures that disagree."""
    return {
        each.rule: [(one.one[1], one.other[1]) for one in each.violations]
        for each in checked(books)
        if each.violations
    }


def shop(**rows: Any) -> Books:
    return replace(SHOP, **rows)


def cancelled(**changes: Any) -> Order:
    return replace(ORDER, status="CANCELLED", **changes)


def test_the_books_of_a_sale_are_whole_and_every_rule_was_checked() -> None:
    assert broken(SHOP) == {}
    assert [rule.number for rule in RULES] == [each.rule for each in checked(SHOP)]


def test_empty_books_are_whole() -> None:
    assert broken(Books(AT)) == {}


class TestStock:
    def test_units_that_no_entry_explains_are_named_in_their_bucket(self) -> None:
        levels = (Level(MUG, 3, 0), Level(SHARD, 5, 0), Level(NORTH, 1, 0))

        assert broken(shop(levels=levels)) == {"I1": [(5, 4), (11, 10)]}

    def test_a_level_that_is_gone_is_missed(self) -> None:
        assert broken(shop(levels=SHOP.levels[:2])) == {"I1": [(0, 1), (9, 10)]}

    def test_fewer_than_none_are_named(self) -> None:
        levels = (Level(MUG, -1, 0), *SHOP.levels[1:])
        movements = (*SHOP.movements, Movement(MUG, -4, 0))

        assert broken(shop(levels=levels, movements=movements)) == {"I2": [(-1, 0)]}

    def test_units_held_in_another_bucket_than_the_order_says_are_named_twice(self) -> None:
        line = HeldLine("MUG", 1, {NORTH: 1})
        hold = Hold("ord_2", "HELD", (line,), AT + timedelta(minutes=20))
        levels = (Level(MUG, 2, 1), *SHOP.levels[1:])
        movements = (*SHOP.movements, Movement(MUG, -1, 1, is_of_a_hold=True))

        found = broken(shop(levels=levels, movements=movements, holds=(SOLD, hold)))

        assert found == {"I3": [(1, 0), (0, 1)]}

    @pytest.mark.parametrize(
        ("queued", "counted", "figures"),
        [(3, 3, []), (2, 3, [(2, 3)]), (3, 2, [(2, 3)]), (0, 0, [(0, 3), (0, 3)])],
    )
    def test_who_waits_has_a_place_and_is_counted(
        self, queued: int, counted: int, figures: list[tuple[int, int]]
    ) -> None:
        waits = Hold("ord_2", "COMMITTED", (HeldLine("MUG", 3, {}, waiting=3),))
        levels = (replace(SHOP.levels[0], waiting=counted), *SHOP.levels[1:])
        books = shop(
            holds=(SOLD, waits),
            levels=levels,
            movements=(*SHOP.movements, Movement(MUG, 0, 0, counted, is_of_a_hold=True)),
            queued=(("MUG", queued),),
            orders=(ORDER, replace(ORDER, order_id="ord_2", status="CAPTURING", updated_at=LATELY)),
        )

        assert broken(books) == ({"I3": figures} if figures else {})


class TestMoney:
    def test_a_supplement_is_a_charge_of_its_own(self) -> None:
        more = replace(PAYMENT, edit=1, reference="sim_2", amount_minor=1250)
        more = replace(more, captured_minor=1250, refundable_minor=1250)
        legs = (("provider_receivable", 1250), ("sales", -1250))
        books = shop(
            orders=(replace(ORDER, total_minor=3750),),
            payments=(PAYMENT, more),
            entries=(CAPTURE, replace(CAPTURE, entry_id="CAPTURE+1", legs=legs)),
            charges=(CHARGE, replace(CHARGE, reference="sim_2", captured_minor=1250)),
        )

        assert broken(books) == {}

    def test_a_second_live_charge_is_named(self) -> None:
        twin = replace(CHARGE, reference="sim_2")

        assert broken(shop(charges=(CHARGE, twin))) == {"I4": [(2, 1)], "Q7": [(2500, 0)]}

    @pytest.mark.parametrize(
        "twin",
        [
            replace(CHARGE, reference="sim_2", refunded_minor=2500),
            replace(CHARGE, reference="sim_2", status="VOIDED", captured_minor=0),
            replace(CHARGE, reference="sim_2", opened_at=LATELY),
        ],
        ids=["given back", "voided", "opened just now"],
    )
    def test_a_second_charge_that_holds_nothing_or_may_be_at_work_is_not(
        self, twin: Charge
    ) -> None:
        assert broken(shop(charges=(CHARGE, twin))) == {}

    def test_more_kept_than_the_order_costs_is_named_and_what_goes_back_is_not(self) -> None:
        cheaper = (replace(ORDER, total_minor=1250),)
        promised = Refund("ord_1", 0, "ref_1", "PENDING", 1250)
        paying = replace(PAYMENT, refundable_minor=1250)

        assert broken(shop(orders=cheaper))["I4"] == [(2500, 1250)]
        assert broken(shop(orders=cheaper, payments=(paying,), refunds=(promised,))) == {}

    def test_more_taken_than_the_charge_was_opened_for_is_named(self) -> None:
        charge = replace(CHARGE, amount_minor=2000)

        assert broken(shop(charges=(charge,))) == {"I4": [(2500, 2000)]}

    def test_more_refunded_than_taken_is_named(self) -> None:
        paid = replace(PAYMENT, refunded_minor=2600, refundable_minor=-100)

        assert broken(shop(payments=(paid,)))["I5"] == [(2600, 2500)]

    @pytest.mark.parametrize(
        ("legs", "figures"),
        [
            ((("provider_receivable", 2500), ("sales", -2400)), [(100, 0), (100, 0)]),
            ((("provider_receivable", 2500),), [(2500, 0), (1, 2), (2500, 0)]),
            ((("provider_receivable", 2400), ("sales", -2400)), [(2400, 2500)]),
        ],
        ids=["unequal", "one leg", "not what was captured"],
    )
    def test_an_entry_that_does_not_balance_is_named(
        self, legs: tuple[tuple[str, int], ...], figures: list[tuple[int, int]]
    ) -> None:
        assert broken(shop(entries=(replace(CAPTURE, legs=legs),))) == {"I6": figures}

    def test_a_refund_on_its_way_is_no_difference_with_the_provider(self) -> None:
        promised = Refund("ord_1", 0, "ref_1", "PENDING", 500)
        paying = replace(PAYMENT, refundable_minor=2000)
        sent = replace(CHARGE, refunded_minor=500)

        assert broken(shop(payments=(paying,), refunds=(promised,), charges=(sent,))) == {}
        assert broken(shop(charges=(sent,))) == {"Q7": [(0, 500)]}

    def test_charges_of_a_provider_whose_book_is_elsewhere_are_not_missed(self) -> None:
        assert broken(shop(payments=(replace(PAYMENT, reference="pi_1"),), charges=())) == {}
        assert broken(shop(charges=())) == {"Q7": [("CAPTURED", "not there")]}


class TestOrders:
    @pytest.mark.parametrize(
        ("status", "updated_at", "waits_until", "late"),
        [
            ("CAPTURING", AT - timedelta(minutes=9), None, False),
            ("CAPTURING", AT - timedelta(minutes=11), None, True),
            ("AWAITING_PAYMENT", EARLIER, AT + timedelta(minutes=1), False),
            ("AWAITING_PAYMENT", EARLIER, AT - timedelta(minutes=5), True),
            ("NEEDS_ATTENTION", EARLIER, None, True),
        ],
    )
    def test_an_order_ends_in_time(
        self, status: str, updated_at: datetime, waits_until: datetime | None, late: bool
    ) -> None:
        order = replace(ORDER, status=status, updated_at=updated_at, waits_until=waits_until)

        assert ("Q1" in broken(shop(orders=(order,)))) is late

    def test_money_set_aside_for_parcels_that_are_still_here_pays_an_order(self) -> None:
        aside = replace(PAYMENT, status="AUTHORIZED", captured_minor=0, refundable_minor=0)
        charge = replace(CHARGE, status="AUTHORIZED", captured_minor=0)

        assert broken(shop(payments=(aside,), entries=(), charges=(charge,))) == {}

    def test_a_sale_that_is_not_paid_or_not_taken_is_named(self) -> None:
        nothing = shop(payments=(), entries=(), charges=(), holds=())

        assert broken(nothing)["Q2"] == [(0, 2500), (0, 2)]

    def test_a_sale_of_this_moment_is_at_work(self) -> None:
        order = replace(ORDER, updated_at=LATELY)

        assert broken(shop(orders=(order,), payments=(), entries=(), charges=())) == {}

    def test_what_a_cancelled_order_keeps_is_named(self) -> None:
        assert broken(shop(orders=(cancelled(),)))["Q3"] == [(2500, 0), (2, 0)]
        assert broken(shop(orders=(cancelled(updated_at=LATELY),))) == {}

    def test_money_and_units_of_an_order_that_never_was_are_named(self) -> None:
        assert broken(shop(orders=()))["Q3"] == [(2500, 0), (2, 0)]

    def test_a_dead_letter_and_an_event_left_lying_are_named(self) -> None:
        books = shop(
            queues=(Queue("orders-facts", 3),),
            unsent=(
                Unsent("orders", "evt_1", "order.confirmed.v1", EARLIER),
                Unsent("orders", "evt_2", "order.confirmed.v1", LATELY),
            ),
        )

        assert broken(books) == {"Q4": [(3, 0)], "Q5": [(180, 5)]}

    @pytest.mark.parametrize(
        ("rows", "is_overdue"),
        [
            ({"holds": (Hold("ord_9", "HELD", (), EARLIER),)}, True),
            ({"holds": (SOLD, Hold("ord_9", "HELD", (), LATELY))}, False),
            ({"payments": (replace(PAYMENT, due_at=EARLIER),)}, True),
            ({"payments": (replace(PAYMENT, due_at=LATELY),)}, False),
            ({"refunds": (Refund("ord_1", 0, "ref_1", "PENDING", 0, EARLIER),)}, True),
            ({"refunds": (Refund("ord_1", 0, "ref_1", "PENDING", 0, LATELY),)}, False),
            ({"checkouts": (Checkout("ord_1", EARLIER),)}, True),
            ({"checkouts": (Checkout("ord_1", LATELY),)}, False),
        ],
    )
    def test_what_is_kept_past_its_time_is_named(
        self, rows: dict[str, Any], is_overdue: bool
    ) -> None:
        assert ("Q6" in broken(shop(**rows))) is is_overdue

    def test_whoever_waits_for_a_bank_keeps_what_they_hold(self) -> None:
        waits = replace(ORDER, order_id="ord_9", status="AWAITING_PAYMENT")
        waits = replace(waits, waits_until=AT + timedelta(minutes=5))
        hold = Hold("ord_9", "HELD", (), EARLIER)

        assert broken(shop(orders=(ORDER, waits), holds=(SOLD, hold))) == {}

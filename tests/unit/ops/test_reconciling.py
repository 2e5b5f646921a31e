"""Four books of one order: what contradicts is found, what an owner can mend is mended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ops.model import (
    QUIET_AFTER,
    Books,
    ChargeFacts,
    Finding,
    Kind,
    MoneyFacts,
    OrderFacts,
    Position,
    Repair,
    Sums,
    differences,
)
from ops.use_cases import reconcile_day
from tradepost.kernel.errors import UnavailableError

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
TODAY = NOW.date()
LONG_AGO = NOW - timedelta(hours=1)
PAID = Sums(1400, 0)

SOLD = Books(
    order=OrderFacts("ord_1", "CONFIRMED", 1400, "GBP", LONG_AGO),
    money=MoneyFacts("GBP", "CAPTURED", PAID, PAID, "CAPTURED", PAID),
    hold="COMMITTED",
    shipment="LABELLED",
)
UNDONE = Books(
    order=OrderFacts("ord_1", "CANCELLED", 1400, "GBP", LONG_AGO),
    money=MoneyFacts("GBP", "VOIDED", charge_status="VOIDED"),
    hold="RELEASED",
    shipment="CANCELLED",
)
UNKNOWN = OrderFacts("ord_1", None)
ADDED = MoneyFacts("GBP", "CAPTURED", Sums(600, 0), charge_status="CAPTURED", charge=Sums(600, 0))
SOLD_WITH_MORE = replace(
    SOLD,
    order=replace(SOLD.order, total_minor=2000),
    money=replace(SOLD.money, ledger=Sums(2000, 0), supplements=(ADDED,)),
)


def kinds(books: Books) -> dict[Kind, Repair | None]:
    return {finding.kind: finding.repair for finding in differences(books, NOW)}


def with_money(books: Books, **facts: object) -> Books:
    return replace(books, money=replace(books.money, **facts))


def with_order(books: Books, **facts: object) -> Books:
    return replace(books, order=replace(books.order, **facts))


@pytest.mark.parametrize(
    "books",
    [
        SOLD,
        UNDONE,
        with_order(SOLD, status="SHIPPED"),
        with_order(SOLD, status="DELIVERED"),
        with_money(SOLD, payment=Sums(1400, 400), ledger=Sums(1400, 400), charge=Sums(1400, 400)),
        with_money(
            UNDONE,
            payment_status="REFUNDED",
            payment=Sums(1400, 1400),
            ledger=Sums(1400, 1400),
            charge_status="CAPTURED",
            charge=Sums(1400, 1400),
        ),
        with_order(replace(UNDONE, hold="HELD"), status="NEEDS_ATTENTION"),
        with_order(replace(UNDONE, hold="HELD"), status="AWAITING_PAYMENT"),
        SOLD_WITH_MORE,
    ],
    ids=[
        "sold",
        "undone",
        "shipped",
        "delivered",
        "refunded in part",
        "refunded",
        "parked",
        "3ds",
        "added to",
    ],
)
def test_books_that_agree_show_no_difference(books: Books) -> None:
    assert kinds(books) == {}


def test_a_payment_that_missed_what_the_provider_did_is_settled() -> None:
    books = with_money(SOLD, payment_status="AUTHORIZED", payment=Sums(), ledger=Sums())

    assert kinds(books)[Kind.PAYMENT_BEHIND_PROVIDER] is Repair.SETTLE_PAYMENT


def test_a_supplement_that_missed_what_the_provider_did_is_settled() -> None:
    late = replace(ADDED, payment_status="AUTHORIZED", payment=Sums())
    books = with_money(SOLD_WITH_MORE, ledger=PAID, supplements=(late,))

    assert kinds(books) == {Kind.PAYMENT_BEHIND_PROVIDER: Repair.SETTLE_PAYMENT}


def test_what_an_edit_added_and_nobody_took_is_said() -> None:
    books = with_money(SOLD_WITH_MORE, ledger=PAID, supplements=())

    assert kinds(books) == {Kind.ORDER_WITHOUT_MONEY: None}


def test_a_supplement_set_aside_for_a_cancelled_order_is_given_back() -> None:
    held = MoneyFacts("GBP", "AUTHORIZED", charge_status="AUTHORIZED")

    found = kinds(with_money(UNDONE, supplements=(held,)))

    assert found == {Kind.MONEY_WITHOUT_ORDER: Repair.GIVE_MONEY_BACK}


def test_money_of_an_order_that_never_was_is_settled_and_given_back() -> None:
    money = MoneyFacts("GBP", "AUTHORIZED", charge_status="CAPTURED", charge=PAID)

    assert kinds(Books(UNKNOWN, money, None, None)) == {
        Kind.PAYMENT_BEHIND_PROVIDER: Repair.SETTLE_PAYMENT,
        Kind.MONEY_WITHOUT_ORDER: Repair.GIVE_MONEY_BACK,
    }


@pytest.mark.parametrize("status", ["AUTHORIZED", "CAPTURED"])
def test_money_of_an_order_that_was_cancelled_is_given_back(status: str) -> None:
    taken = PAID if status == "CAPTURED" else Sums()
    books = with_money(
        UNDONE,
        payment_status=status,
        payment=taken,
        ledger=taken,
        charge_status=status,
        charge=taken,
    )

    assert kinds(books) == {Kind.MONEY_WITHOUT_ORDER: Repair.GIVE_MONEY_BACK}


@pytest.mark.parametrize("captured_minor", [0, 1399, 1401])
def test_an_order_sold_for_another_amount_than_was_taken_is_for_a_person(
    captured_minor: int,
) -> None:
    taken = Sums(captured_minor)
    books = with_money(SOLD, payment=taken, ledger=taken, charge=taken)

    assert kinds(books) == {Kind.ORDER_WITHOUT_MONEY: None}


@pytest.mark.parametrize("captured_minor", [0, 700, 1399])
def test_money_set_aside_for_parcels_that_are_still_here_is_no_difference(
    captured_minor: int,
) -> None:
    taken = Sums(captured_minor)
    books = with_money(
        SOLD,
        payment_status="AUTHORIZED",
        payment=taken,
        ledger=taken,
        charge_status="AUTHORIZED",
        charge=taken,
    )

    assert kinds(replace(books, shipment="BOOKED", awaits_money=True)) == {}
    assert kinds(books) == {Kind.ORDER_WITHOUT_MONEY: None}


@pytest.mark.parametrize(("status", "captured_minor"), [("VOIDED", 0), ("CAPTURED", 700)])
def test_money_that_lapsed_before_the_last_parcel_left_is_for_a_person(
    status: str, captured_minor: int
) -> None:
    taken = Sums(captured_minor)
    books = with_money(
        SOLD,
        payment_status=status,
        payment=taken,
        ledger=taken,
        charge_status=status,
        charge=taken,
    )

    assert kinds(replace(books, shipment="BOOKED", awaits_money=True)) == {
        Kind.ORDER_WITHOUT_MONEY: None
    }


def test_a_ledger_that_does_not_explain_its_payment_is_for_a_person() -> None:
    assert kinds(with_money(SOLD, ledger=Sums(1300))) == {Kind.LEDGER_OUT_OF_BALANCE: None}


@pytest.mark.parametrize("charge", ["VOIDED", "OPENED", "DECLINED", None])
def test_a_charge_with_nothing_to_free_agrees_with_a_voided_payment(charge: str | None) -> None:
    assert kinds(with_money(UNDONE, charge_status=charge)) == {}


@pytest.mark.parametrize("hold", ["HELD", "COMMITTED", "MIXED"])
@pytest.mark.parametrize("order", [UNDONE.order, UNKNOWN])
def test_units_held_for_no_order_are_released(order: OrderFacts, hold: str) -> None:
    books = replace(UNDONE, order=order, hold=hold)

    assert kinds(books) == {Kind.HOLD_WITHOUT_ORDER: Repair.RELEASE_STOCK}


def test_units_of_a_sold_order_that_are_only_held_are_sold() -> None:
    assert kinds(replace(SOLD, hold="HELD")) == {Kind.STOCK_NOT_SOLD: Repair.COMMIT_STOCK}


@pytest.mark.parametrize("hold", ["RELEASED", None])
def test_units_of_a_sold_order_that_went_back_on_sale_are_for_a_person(hold: str | None) -> None:
    assert kinds(replace(SOLD, hold=hold)) == {Kind.STOCK_NOT_SOLD: None}


def test_a_confirmed_order_that_the_warehouse_never_heard_of_is_stated_again() -> None:
    assert kinds(replace(SOLD, shipment="BOOKED")) == {Kind.EVENT_LOST: Repair.CONFIRM_AGAIN}


@pytest.mark.parametrize("status", ["PENDING", "CAPTURING", "CANCELLING"])
def test_an_order_left_in_the_middle_is_run_again(status: str) -> None:
    assert kinds(with_order(UNDONE, status=status)) == {Kind.ORDER_UNFINISHED: Repair.RUN_AGAIN}


def test_an_order_somebody_is_at_work_on_is_left_alone() -> None:
    at_work = with_order(SOLD, status="CAPTURING", updated_at=NOW - QUIET_AFTER / 2)

    assert kinds(replace(at_work, hold="HELD")) == {}


@dataclass
class FakeContexts:
    """Owners that mend at once. `books` are those of the day's orders, by order."""

    books: dict[str, Books]
    mended: dict[Repair, Books] = field(default_factory=dict)  # what a repair makes of them
    charged: list[ChargeFacts] = field(default_factory=list)
    past_due: list[str] = field(default_factory=list)
    asked: list[tuple[str, Repair]] = field(default_factory=list)

    def orders_of_day(self, day: date, after: Any) -> tuple[list[str], Any]:
        known = sorted(one for one, books in self.books.items() if books.order.status is not None)
        place = after["place"] if after else 0
        return known[place : place + 1], {"place": place + 1} if place + 1 < len(known) else None

    def orders_changed(self, start: datetime, end: datetime, after: Any) -> tuple[list[str], Any]:
        return self.orders_of_day(TODAY, after)

    def charges_between(
        self, start: datetime, end: datetime, after: Any
    ) -> tuple[list[ChargeFacts], Any]:
        return self.charged, None

    def is_known(self, order_id: str) -> bool:
        return self.books[order_id].order.status is not None

    def holds_past_due(self) -> list[str]:
        return self.past_due

    def books_of(self, order_id: str) -> Books:
        return self.books[order_id]

    def mend(self, finding: Finding) -> None:
        assert finding.repair is not None
        self.asked.append((finding.reference or finding.order_id, finding.repair))
        if finding.repair not in self.mended:
            raise UnavailableError("nobody answers")
        self.books[finding.order_id] = self.mended[finding.repair]


def reconciled(contexts: FakeContexts, *, repair: bool) -> tuple[int, dict[str, str]]:
    """Go through all pages; return how many were compared, and what became of what was found."""
    compared, found, position = 0, {}, Position()
    while True:
        page = reconcile_day(TODAY, position, repair=repair, contexts=contexts, now=lambda: NOW)
        compared += page.compared
        found |= {finding.kind.value: finding.outcome.value for finding in page.findings}
        if page.then is None:
            return compared, found
        position = page.then


def test_each_order_of_the_day_is_compared_once_and_those_orders_does_not_know_beside() -> None:
    money = MoneyFacts("GBP", "CAPTURED", PAID, PAID, "CAPTURED", PAID)
    books = {
        "ord_1": SOLD,
        "ord_2": SOLD,
        "ord_3": UNDONE,
        "ord_9": Books(UNKNOWN, money, None, None),
    }
    charged = [ChargeFacts(order_id, "ch", "CAPTURED", PAID, is_ours=True) for order_id in books]
    contexts = FakeContexts(books, charged=charged)

    assert reconciled(contexts, repair=False) == (4, {"money_without_order": "left"})


@pytest.mark.parametrize(
    ("status", "sums", "is_stray"),
    [
        ("AUTHORIZED", Sums(), True),
        ("CAPTURED", PAID, True),
        ("CAPTURED", Sums(1400, 1400), False),
        ("VOIDED", Sums(), False),
        ("OPENED", Sums(), False),
    ],
)
def test_money_at_the_provider_that_no_payment_stands_behind_is_freed_by_its_reference(
    status: str, sums: Sums, is_stray: bool
) -> None:
    second = ChargeFacts("ord_1", "ch_2", status, sums, is_ours=False)
    contexts = FakeContexts({"ord_1": SOLD}, {Repair.FREE_CHARGE: SOLD}, charged=[second])

    _, found = reconciled(contexts, repair=True)

    assert found == ({"stray_charge": "begun"} if is_stray else {})
    assert contexts.asked == ([("ch_2", Repair.FREE_CHARGE)] if is_stray else [])


def test_nothing_is_mended_unless_asked() -> None:
    contexts = FakeContexts({"ord_1": replace(SOLD, hold="HELD")}, {Repair.COMMIT_STOCK: SOLD})

    assert reconciled(contexts, repair=False) == (1, {"stock_not_sold": "left"})
    assert contexts.asked == []


def test_what_was_mended_is_compared_again_and_said_to_be_mended() -> None:
    contexts = FakeContexts({"ord_1": replace(SOLD, hold="HELD")}, {Repair.COMMIT_STOCK: SOLD})

    assert reconciled(contexts, repair=True) == (1, {"stock_not_sold": "mended"})
    assert reconciled(contexts, repair=True) == (1, {})


def test_a_repair_that_brings_the_next_to_light_is_followed_by_it() -> None:
    unknown = with_money(UNDONE, payment_status="AUTHORIZED", charge_status="CAPTURED", charge=PAID)
    settled = with_money(
        UNDONE,
        payment_status="CAPTURED",
        payment=PAID,
        ledger=PAID,
        charge_status="CAPTURED",
        charge=PAID,
    )
    repairs = {Repair.SETTLE_PAYMENT: settled, Repair.GIVE_MONEY_BACK: UNDONE}
    contexts = FakeContexts({"ord_1": unknown}, repairs)

    _, found = reconciled(contexts, repair=True)

    assert set(found.values()) == {"mended"}
    assert contexts.books["ord_1"] == UNDONE


def test_a_repair_that_nobody_does_is_left_and_told() -> None:
    contexts = FakeContexts({"ord_1": replace(SOLD, hold="HELD")})

    assert reconciled(contexts, repair=True) == (1, {"stock_not_sold": "left"})
    assert len(contexts.asked) == 1


def test_holds_past_their_due_are_looked_at_whatever_their_day() -> None:
    orphan = Books(replace(UNKNOWN, order_id="ord_9"), MoneyFacts(), "HELD", None)
    contexts = FakeContexts(
        {"ord_9": orphan},
        {Repair.RELEASE_STOCK: replace(orphan, hold="RELEASED")},
        past_due=["ord_9"],
    )

    assert reconciled(contexts, repair=True) == (1, {"hold_without_order": "mended"})

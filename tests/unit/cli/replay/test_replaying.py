"""The whole command against a shop in memory: what it prints, and how it exits."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli.books import MoneyBook, PaymentBook, ReturnBook, StockBook
from infra.cli.progress import Phases
from infra.cli.replay.replaying import Options, Place, run_replay
from tests.unit.cli.fake_shop import FakeShop, RefusalError
from tests.unit.cli.replay import histories
from tests.unit.cli.replay.histories import row

HISTORY = (
    row("1", quantity=3),
    row("1", price="2.95"),
    row("1", code="POST", price="18.0"),
    row("2", customer="", code="21730", price="4.25", quantity=2),
    row("3", quantity=2, day=2),
    row("C4", quantity=-1, day=3),
    row("5", price="0", day=3),
    row("6", customer="17851", day=4),
)
SALES_MINOR = 3 * 255 + 295 + 2 * 425 + 2 * 255 + 255


class Replay:
    """One replay of a history, with what it printed."""

    def __init__(self, fake: FakeShop, file: Path, **options) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        shop = fake.client()
        quiet = Console(file=self.err, width=200)
        place = Place(shop, lambda: fake.staff(shop), lambda: fake, Phases(quiet))
        out = Console(file=self.out, width=200)
        options = {"as_json": True, **options}
        self.status = run_replay(Options(file, **options), place, out, quiet)

    @property
    def report(self):
        assert self.err.getvalue() == "" or self.status != 2, self.err.getvalue()
        return json.loads(self.out.getvalue())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return histories.file(tmp_path, *HISTORY)


def everywhere(amount: int) -> dict[str, int]:
    return dict.fromkeys(("file", "orders", "ledger", "provider"), amount)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_history_is_played_and_agrees_to_the_penny(file, concurrency):
    replay = Replay(FakeShop(), file, concurrency=concurrency)

    assert replay.status == 0
    assert replay.report["agrees"] is True
    assert (replay.report["invoices"], replay.report["orders"]) == (4, 4)
    assert replay.report["orders_by_status"] == {"CONFIRMED": 4}
    assert replay.report["sales_minor"] == everywhere(SALES_MINOR)
    assert replay.report["refunds_minor"] == everywhere(255)
    assert replay.report["revenue_minor"] == everywhere(SALES_MINOR - 255)
    assert replay.report["rows_skipped"] == {"carriage": 1, "zero_price": 1}


def test_exactly_what_is_sold_is_stocked_and_what_comes_back_is_left(file):
    replay = Replay(FakeShop(), file)

    assert replay.report["stock"] == {
        "skus": 3,
        "before": 9,
        "sold": 9,
        "restocked": 1,
        "after": 1,
        "held": 0,
    }


TAKEN_BACK = (
    row("1", quantity=4),
    row("1", code="21730", price="1.00", quantity=2),
    row("2", customer="17851", quantity=5),
    row("C3", customer="17851", quantity=-5),
    row("C4", quantity=-1, day=3),
    row("C4", code="21730", price="0.90", quantity=-1, day=3),
    row("C4", code="D", price="0.50", quantity=-1, day=3),
    row("C5", quantity=-2, day=4),
    row("C6", code="99999", quantity=-7, day=4),
    row("C7", customer="", quantity=-1, day=4),
    row("C8", code="POST", price="18.00", quantity=-1, day=4),
)
SOLD_MINOR = 4 * 255 + 2 * 100 + 5 * 255
TAKEN_BACK_MINOR = 5 * 255 + 255 + 90 + 50 + 2 * 255


@pytest.fixture
def cancelled(tmp_path: Path) -> Path:
    return histories.file(tmp_path, *TAKEN_BACK)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_what_belongs_to_an_order_is_cancelled_returned_and_refunded(cancelled, concurrency):
    fake = FakeShop()

    replay = Replay(fake, cancelled, concurrency=concurrency)

    assert replay.report["differences"] == []
    assert replay.status == 0
    assert replay.report["orders_by_status"] == {"CANCELLED": 1, "CONFIRMED": 1}
    assert replay.report["sales_minor"] == everywhere(SOLD_MINOR)
    assert replay.report["refunds_minor"] == everywhere(TAKEN_BACK_MINOR)
    assert fake.available == {"85123A-255": 8, "21730-100": 0}


def test_a_bookkeeper_is_led_from_sales_to_revenue(cancelled):
    assert Replay(FakeShop(), cancelled).report["from_sales_to_revenue"] == {
        "sales_minor": SOLD_MINOR,
        "less_cancelled_minor": -5 * 255,
        "less_returned_minor": -3 * 255,
        "less_refunded_minor": -140,
        "revenue_minor": SOLD_MINOR - TAKEN_BACK_MINOR,
    }


def test_every_row_of_a_cancellation_is_accounted_for(cancelled):
    account = Replay(FakeShop(), cancelled).report["cancellations"]

    played, unmatched, not_sold = account["played"], account["unmatched"], account["not_sold"]
    assert (account["invoices"], account["rows"], account["units"]) == (6, 8, 19)
    assert account["amount"] == "60.20"
    assert played["cancellation"] == {
        "times": 1,
        "orders": 1,
        "rows": 1,
        "units": 5,
        "amount_minor": 1275,
    }
    assert played["return"]["times"] == 2
    assert played["refund"]["rows"] == 2
    assert unmatched == {
        "guest": {"rows": 1, "units": 1, "amount_minor": 255},
        "no_earlier_purchase": {"rows": 1, "units": 7, "amount_minor": 1785},
    }
    assert not_sold == {"carriage": {"rows": 1, "units": 1, "amount": "18.00"}}


def test_a_cancelled_row_without_an_order_is_listed_with_its_reason(cancelled, tmp_path):
    list_to, matched_to = tmp_path / "left.csv", tmp_path / "matched.csv"

    Replay(FakeShop(), cancelled, list_to=list_to, matched_to=matched_to)

    assert list_to.read_text(encoding="utf-8").splitlines()[1:] == [
        "12,C8,POST,-1,18.00,carriage",
        "10,C6,99999,-7,2.55,unmatched: no_earlier_purchase",
        "11,C7,85123A,-1,2.55,unmatched: guest",
    ]
    assert matched_to.read_text(encoding="utf-8").splitlines() == [
        "line,cancellation,code,units,price,invoice,played_as",
        "5,C3,85123A,5,2.55,2,cancellation",
        "6,C4,85123A,1,2.55,1,return",
        "7,C4,21730,1,0.90,1,refund",
        "8,C4,D,1,0.50,1,refund",
        "9,C5,85123A,2,2.55,1,return",
    ]


def test_a_second_replay_takes_nothing_back_twice(cancelled):
    fake = FakeShop()
    Replay(fake, cancelled)

    again = Replay(fake, cancelled)

    assert again.report["differences"] == []
    assert again.status == 0
    assert again.report["stock"]["restocked"] == 0
    assert fake.available == {"85123A-255": 8, "21730-100": 0}
    assert again.report["refunds_minor"] == everywhere(TAKEN_BACK_MINOR)


def test_a_replay_interrupted_anywhere_takes_everything_back_once(cancelled):
    def played(requests: int | None) -> tuple[FakeShop, Replay]:
        fake = FakeShop()
        fake.down_after = requests
        replay = Replay(fake, cancelled, concurrency=1)
        return fake, replay

    needed = len(played(None)[0].requests)

    for requests in range(needed):
        fake, interrupted = played(requests)
        fake.down_after = None
        continued = Replay(fake, cancelled, concurrency=1)
        assert interrupted.status == 2, requests
        assert continued.report["differences"] == [], requests
        assert continued.status == 0
        assert len(fake.placed) == 2
        assert fake.available == {"85123A-255": 8, "21730-100": 0}


def test_a_person_reads_a_table_and_a_program_one_object(file):
    told = Replay(FakeShop(), file, as_json=False).out.getvalue()

    assert "Reconciliation: agrees" in told
    assert "26.75" in told


def test_a_second_replay_finds_its_own_orders_and_sells_nothing_twice(file):
    fake = FakeShop()
    Replay(fake, file)

    again = Replay(fake, file)

    assert again.status == 0
    assert len(fake.placed) == 4
    assert again.report["stock"]["sold"] == 0
    assert again.report["sales_minor"] == everywhere(SALES_MINOR)


def test_another_run_plays_the_same_file_once_more(file):
    fake = FakeShop()
    Replay(fake, file)

    again = Replay(fake, file, run="second")

    assert again.status == 0
    assert len(fake.placed) == 8
    assert again.report["sales_minor"] == everywhere(SALES_MINOR)


@pytest.mark.parametrize("requests_before_the_end", range(3, 27, 3))
def test_an_interrupted_replay_goes_on_and_finally_agrees(file, requests_before_the_end):
    fake = FakeShop()
    fake.down_after = requests_before_the_end
    interrupted = Replay(fake, file, concurrency=1)
    fake.down_after = None

    continued = Replay(fake, file, concurrency=1)

    assert interrupted.status == 2
    assert continued.status == 0
    assert len(fake.placed) == 4


def test_a_limited_replay_may_be_continued_with_the_whole_file(file):
    fake = FakeShop()
    limited = Replay(fake, file, limit=2)

    whole = Replay(fake, file)

    assert (limited.status, limited.report["invoices"]) == (0, 2)
    assert (whole.status, len(fake.placed)) == (0, 4)


def test_a_customer_with_an_account_logs_in(file):
    fake = FakeShop()
    Replay(fake, file)

    again = Replay(fake, file, run="second")

    assert again.status == 0
    assert len(fake.accounts) == 3


def test_an_expired_token_is_replaced(file):
    fake = FakeShop()
    fake.expired = {"token-1", "token-3"}

    assert Replay(fake, file, concurrency=1).status == 0


def test_other_orders_of_the_shop_do_not_count(file, tmp_path):
    fake = FakeShop()
    (tmp_path / "other").mkdir()
    Replay(fake, histories.file(tmp_path / "other", row("9", code="99999")))

    replay = Replay(fake, file)

    assert replay.report["orders"] == 4
    assert replay.report["sales_minor"] == everywhere(SALES_MINOR)


class Skimming(FakeShop):
    """The provider took a penny less than the shop believes."""

    def charges(self):
        charges = super().charges()
        charges[min(charges)].captured_minor -= 1
        return charges


class Compensating(FakeShop):
    """Two wrong captures whose errors cancel out in every sum."""

    def payments(self):
        payments = super().payments()
        first, second, *_ = sorted(payments)
        payments[first].entries.captured_minor += 1
        payments[second].entries.captured_minor -= 1
        return payments


class Unbalanced(FakeShop):
    def payments(self):
        return {
            order_id: PaymentBook(book.totals, book.entries, is_balanced=False)
            for order_id, book in super().payments().items()
        }


class Leaking(FakeShop):
    """A unit stays held though every order ended."""

    def stock(self, skus):
        levels = super().stock(skus)
        sold_out = {sku: level for sku, level in levels.items() if not level.available}
        return {**levels, **{sku: StockBook(0, 1) for sku in sold_out}}


class Doubling(FakeShop):
    """One invoice became two orders, of which the buyer was told one."""

    def orders(self):
        orders = super().orders()
        if orders:
            orders["ord_twin"] = orders[max(orders)]
            orders["ord_twin"] = replace(orders["ord_twin"], order_id="ord_twin")
        return orders


class Hoarding(FakeShop):
    """What came back was refunded and never put on the shelf."""

    def restock(self, order_id, asked):
        before = dict(self.available)
        super().restock(order_id, asked)
        self.available = before


class Generous(FakeShop):
    """A return's money went out twice."""

    def restock(self, order_id, asked):
        super().restock(order_id, asked)
        self.placed[order_id].refunds["again"] = asked.amount_minor


class Inattentive(FakeShop):
    """A unit less came back than was sent, and nobody noticed."""

    def returns(self):
        return {
            key: [
                ReturnBook(
                    e.return_id,
                    key,
                    e.status,
                    e.amount_minor,
                    {sku: units - 1 for sku, units in e.resellable.items()},
                )
                for e in found
            ]
            for key, found in super().returns().items()
        }


class Forgetful(FakeShop):
    """The provider has no record of a refund that the shop gave."""

    def charges(self):
        charges = super().charges()
        return {key: MoneyBook(charge.captured_minor, 0) for key, charge in charges.items()}


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        (Skimming, "1059 in provider"),
        (Compensating, "1061 in ledger"),
        (Unbalanced, "do not sum to zero"),
        (Leaking, "1 held after"),
        (Doubling, "a second order"),
        (Forgetful, "0 in provider"),
        (Hoarding, "1 restocked, 0 available"),
        (Generous, "refunded 255 in the file, 510 in orders"),
        (Inattentive, "1 returns of 1 units for 255 in the file, 1 returns of 0 units"),
    ],
)
def test_a_planted_difference_is_found_and_named(file, faulty, told):
    replay = Replay(faulty(), file, concurrency=1)

    assert replay.status == 1
    assert replay.report["agrees"] is False
    assert told in "\n".join(replay.report["differences"])


def test_an_order_that_fails_is_reported_and_does_not_stop_the_others(file):
    class SoldOut(FakeShop):
        def settle(self, order_id):
            self.available["21730-425"] = 0
            super().settle(order_id)

    replay = Replay(SoldOut(), file)

    assert replay.status == 1
    assert replay.report["orders_by_status"] == {"CANCELLED": 1, "CONFIRMED": 3}
    assert replay.report["problems"] == ["invoice 2: FAILED: out_of_stock"]


class Unapproving(FakeShop):
    """Nobody may send anything back."""

    def _approve(self, request, body, order_id, return_id):
        raise RefusalError(409, "return_transition")


class Parking(FakeShop):
    """What came back is set aside for a person."""

    def restock(self, order_id, asked):
        asked.status = "NEEDS_ATTENTION"


class Hasty(FakeShop):
    """The parcel was faster than the cancelling."""

    def settle(self, order_id):
        order = self.placed[order_id]
        if order.status == "CANCELLING":
            order.status, order.reason = "CONFIRMED", None
        super().settle(order_id)


class Losing(FakeShop):
    """Parcels are called off before they leave."""

    def _parcel(self, request, body, order_id):
        return {**super()._parcel(request, body, order_id), "status": "CANCELLED"}


@pytest.mark.parametrize(
    ("unwilling", "problem", "difference"),
    [
        (Unapproving, "return C4 of 1: ", "2 returns of 3 units for 765 in the file, 0 returns"),
        (Parking, "is NEEDS_ATTENTION", "refunded 905 in the file, 140 in orders"),
        (Hasty, "cancellation C3 of 2: its order is CONFIRMED", "its order is CONFIRMED"),
        (Losing, "parcel of invoice 1: it is CANCELLED", "2 returns of 3 units"),
    ],
)
def test_what_the_shop_does_not_take_back_is_reported(cancelled, unwilling, problem, difference):
    replay = Replay(unwilling(), cancelled)

    assert replay.status == 1
    assert problem in "\n".join(replay.report["problems"])
    assert difference in "\n".join(replay.report["differences"])
    assert replay.report["sales_minor"]["ledger"] == SOLD_MINOR


def test_bad_rows_are_listed_by_line_and_the_rest_is_played(tmp_path):
    file = histories.file(tmp_path, *HISTORY, row("7", price="free"))

    replay = Replay(FakeShop(), file)

    assert replay.status == 0
    assert replay.report["rows_skipped"]["bad_row"] == 1
    assert replay.report["bad_rows"] == [
        {"line": 10, "problem": "price 'free' is no decimal number"}
    ]


def test_every_row_that_was_not_played_is_in_the_list(file, tmp_path):
    list_to = tmp_path / "left.csv"

    Replay(FakeShop(), file, list_to=list_to)

    assert list_to.read_text(encoding="utf-8").splitlines() == [
        "line,invoice,code,quantity,price,reason",
        "4,1,POST,1,18.0,carriage",
        "8,5,85123A,1,0,zero_price",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("", "is empty"),
        ("a,b\n1,2\n", "is no order history"),
        (histories.text(row(price="0")), "holds no sale"),
    ],
)
def test_a_file_that_cannot_be_played_is_one_clear_line(tmp_path, content, told):
    file = tmp_path / "history.csv"
    if content is not None:
        file.write_text(content, encoding="utf-8")

    replay = Replay(FakeShop(), file)

    assert replay.status == 2
    assert replay.out.getvalue() == ""
    (line,) = replay.err.getvalue().splitlines()
    assert told in line


def test_a_shop_that_does_not_answer_is_one_clear_line(file):
    fake = FakeShop()
    fake.down_after = 0

    replay = Replay(fake, file)

    assert replay.status == 2
    assert "no shop answers at http://shop.test" in replay.err.getvalue()


def test_a_run_whose_name_fits_no_address_is_refused(file):
    replay = Replay(FakeShop(), file, run="Not A Name")

    assert replay.status == 2
    assert "a run's name" in replay.err.getvalue()


def test_one_customers_invoices_never_overlap(tmp_path):
    file = histories.file(tmp_path, *(row(str(number)) for number in range(1, 30)))
    fake = FakeShop()

    replay = Replay(fake, file, concurrency=8)

    visit, *bought = [p for _, p in fake.requests if p in ("/v1/cart", "/v1/checkouts")]
    assert replay.status == 0
    assert visit == "/v1/cart"
    assert bought == ["/v1/cart", "/v1/checkouts"] * 29

"""The whole command against a shop in memory: what it prints, and how it exits."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from infra.cli.books import MoneyBook, PaymentBook, StockBook
from infra.cli.progress import Phases
from infra.cli.replay.replaying import Options, Place, run_replay
from tests.unit.cli.fake_shop import FakeShop
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


def test_exactly_what_is_sold_is_stocked_and_nothing_is_left(file):
    replay = Replay(FakeShop(), file)

    assert replay.report["stock"] == {"skus": 3, "before": 9, "sold": 9, "after": 0, "held": 0}


def test_what_the_shop_cannot_do_yet_is_named(file):
    replay = Replay(FakeShop(), file)

    assert replay.report["not_yet_possible"] == {
        "returns_to_stock_units": 1,
        "cancellations_of_orders": 1,
    }


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
            twin = orders["ord_twin"]
            orders["ord_twin"] = type(twin)("ord_twin", twin.email, twin.status, twin.total_minor)
        return orders


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

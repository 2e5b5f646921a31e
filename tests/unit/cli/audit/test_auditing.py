"""An audit believes a contradiction that stays, and none that was only seen on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from infra.cli.audit.auditing import READINGS, audited, days_to_reconcile, violations
from infra.cli.audit.rows import Books, Level, Movement, Queue
from infra.cli.audit.violations import Checked, Remedy, Violation

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
MUG = ("MUG", "main")
WHOLE = Books(
    AT,
    levels=(Level(MUG, available=10, held=0),),
    movements=(Movement(MUG, available=10, held=0),),
)
BETWEEN = replace(WHOLE, movements=(Movement(MUG, available=8, held=0),))


class Shelf:
    """Books that are read one after the other; the last stay."""

    def __init__(self, *books: Books) -> None:
        self._books = list(books)
        self.readings = 0
        self.pauses: list[float] = []

    def read(self) -> Books:
        self.readings += 1
        return self._books.pop(0) if len(self._books) > 1 else self._books[0]

    def found(self) -> list[str]:
        return [one.rule for one in violations(audited(self.read, self.pauses.append))]


def test_books_that_agree_are_read_once() -> None:
    shelf = Shelf(WHOLE)

    assert shelf.found() == []
    assert (shelf.readings, shelf.pauses) == (1, [])


def test_what_was_seen_in_the_middle_of_a_sale_is_not_told() -> None:
    shelf = Shelf(BETWEEN, WHOLE)

    assert shelf.found() == []
    assert shelf.readings == 2


def test_what_is_seen_only_in_a_later_reading_is_not_told() -> None:
    dead = replace(WHOLE, queues=(Queue("orders-facts", 1),))

    assert Shelf(BETWEEN, dead).found() == []


def test_what_contradicts_in_every_reading_is_told_though_its_figures_moved() -> None:
    sold = replace(BETWEEN, levels=(Level(MUG, available=9, held=0),))
    shelf = Shelf(BETWEEN, sold, sold)

    # The ledger and the level, and what came in and what is there.
    assert shelf.found() == ["I1", "I1"]
    assert shelf.readings == READINGS


def test_each_day_is_reconciled_once_and_only_where_that_mends() -> None:
    def one(remedy: Remedy, day: str | None) -> Violation:
        return Violation("Q3", "ord_1", ("kept", 1), ("due", 0), remedy, day)

    found = (
        one(Remedy.RECONCILE, "2026-01-03"),
        one(Remedy.RECONCILE, "2026-01-03"),
        one(Remedy.RECONCILE, None),
        one(Remedy.JUDGE, "2026-01-02"),
    )

    days = days_to_reconcile([Checked("Q3", "", 4, "", found)], "2026-01-05")

    assert days == ["2026-01-03", "2026-01-05"]

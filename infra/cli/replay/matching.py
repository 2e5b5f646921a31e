"""Which earlier order each cancelled row belongs to.

Rows are matched one after another, the earlier cancellation first, rows of one in the file's
order. A row may take back units of lines that

    are of the same customer and the same stock code,
    stand in an order placed no later than the cancellation,
    have units that no earlier row took back, and money that no earlier row gave back.

Of these, lines bought at exactly the cancelled price go first, and among them one that covers the
whole row; then lines bought at a higher price. Within each, the latest order goes first. What one
line lacks is taken from the next, so a row may be spread over several orders. What is given back
is the cancelled price times the units: never more than was paid.

A discount has no units: it belongs to the customer's latest earlier order that has so much money
left, and is never spread. What finds no order is listed, with one reason:

    guest                a guest's orders cannot be told from another guest's
    no_earlier_purchase  no earlier order in the file holds the code: it lies before the file
    more_than_bought     one does, but all its units were taken back before
    more_than_paid       units are left, but less was paid for them, or is left of it
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.cli.replay.catalogue import CancelledRow, Invoice, Line


class Reason(StrEnum):
    """Why a row, or some units of it, belong to no order."""

    GUEST = "guest"
    NO_EARLIER_PURCHASE = "no_earlier_purchase"
    MORE_THAN_BOUGHT = "more_than_bought"
    MORE_THAN_PAID = "more_than_paid"


@dataclass(frozen=True, slots=True)
class Match:
    """Units of a cancelled row, and the order line that they take back; None: a discount's."""

    row: CancelledRow
    invoice: Invoice
    line: Line | None
    units: int

    @property
    def amount_minor(self) -> int:
        return self.units * self.row.price_minor

    @property
    def is_at_the_price_paid(self) -> bool:
        return self.line is not None and self.line.price_minor == self.row.price_minor


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Units of a cancelled row that belong to no order here."""

    row: CancelledRow
    units: int
    reason: Reason

    @property
    def amount_minor(self) -> int:
        return self.units * self.row.price_minor


@dataclass(frozen=True, slots=True)
class Matching:
    """Every unit of every cancelled row, in one of the two."""

    matches: tuple[Match, ...]
    unmatched: tuple[Unmatched, ...]


def match(rows: Sequence[CancelledRow], invoices: Sequence[Invoice]) -> Matching:
    """Match every cancelled row to earlier orders. The same rows give the same matches."""
    purchases = _Purchases(invoices)
    matches: list[Match] = []
    unmatched: list[Unmatched] = []
    for row in sorted(rows, key=lambda each: each.cancelled_at):
        found = list(purchases.take_back(row))
        matches += found
        left = row.quantity - sum(each.units for each in found)
        if left:
            unmatched.append(Unmatched(row, left, purchases.why_not(row)))
    return Matching(tuple(matches), tuple(unmatched))


@dataclass(slots=True)
class _Bought:
    """An order line, and how many of its units may still be taken back."""

    invoice: Invoice
    line: Line
    left: int


class _Purchases:
    """What known customers bought and have not given back yet, the latest order first."""

    def __init__(self, invoices: Sequence[Invoice]) -> None:
        self._lines: dict[tuple[str, str], list[_Bought]] = defaultdict(list)
        self._invoices: dict[str, list[Invoice]] = defaultdict(list)
        self._money_left: dict[str, int] = {}
        for invoice in sorted(invoices, key=lambda each: each.placed_at, reverse=True):
            if invoice.customer is None:
                continue
            self._invoices[invoice.customer].append(invoice)
            self._money_left[invoice.number] = invoice.total_minor
            for line in invoice.lines:
                bought = _Bought(invoice, line, line.quantity)
                self._lines[invoice.customer, line.code].append(bought)

    def take_back(self, row: CancelledRow) -> Iterator[Match]:
        """Yield the matches of a row; what they take is gone for the rows that follow."""
        if row.is_discount:
            yield from self._take_money(row)
            return
        missing = row.quantity
        for bought in self._in_order_of_choice(row):
            units = min(missing, self._units_left(bought, row))
            if units:
                bought.left -= units
                missing -= units
                self._money_left[bought.invoice.number] -= units * row.price_minor
                yield Match(row, bought.invoice, bought.line, units)

    def why_not(self, row: CancelledRow) -> Reason:
        """Tell why what is missing of a row could not be taken back."""
        if row.customer is None:
            return Reason.GUEST
        if row.is_discount:
            earlier = self._earlier_invoices(row)
            return Reason.MORE_THAN_PAID if earlier else Reason.NO_EARLIER_PURCHASE
        candidates = self._candidates(row)
        if any(bought.left for bought in candidates):
            return Reason.MORE_THAN_PAID
        return Reason.MORE_THAN_BOUGHT if candidates else Reason.NO_EARLIER_PURCHASE

    def _take_money(self, row: CancelledRow) -> Iterator[Match]:
        amount_minor = row.quantity * row.price_minor
        for invoice in self._earlier_invoices(row):
            if self._money_left[invoice.number] >= amount_minor:
                self._money_left[invoice.number] -= amount_minor
                yield Match(row, invoice, None, row.quantity)
                return

    def _in_order_of_choice(self, row: CancelledRow) -> Iterator[_Bought]:
        candidates = self._candidates(row)
        exact = [each for each in candidates if each.line.price_minor == row.price_minor]
        yield from sorted(exact, key=lambda each: self._units_left(each, row) < row.quantity)
        yield from (each for each in candidates if each.line.price_minor > row.price_minor)

    def _units_left(self, bought: _Bought, row: CancelledRow) -> int:
        return min(bought.left, self._money_left[bought.invoice.number] // row.price_minor)

    def _candidates(self, row: CancelledRow) -> list[_Bought]:
        if row.customer is None:
            return []
        bought = self._lines.get((row.customer, row.code), [])
        return [each for each in bought if each.invoice.placed_at <= row.cancelled_at]

    def _earlier_invoices(self, row: CancelledRow) -> list[Invoice]:
        if row.customer is None:
            return []
        invoices = self._invoices.get(row.customer, [])
        return [each for each in invoices if each.placed_at <= row.cancelled_at]

"""Cancellations: which earlier order each takes back, and as which refund.

A cancelled line is matched to the same customer's earlier orders, the latest first: to units of
the same SKU, then to units of the same stock code bought at a higher price; a line may be spread
over several orders. The refund is the cancelled price times the units matched. It never exceeds
what was paid for them, and no unit is refunded twice. What finds no order is listed with a reason:

    guest                a guest's orders cannot be told from another guest's
    price_above_paid     the code was bought, but for less than is given back
    no_earlier_purchase  the order is older than the file, or its units were returned before
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from infra.cli.buying import money
from infra.cli.replay.catalogue import CURRENCY, Invoice, Line
from infra.cli.replay.identity import Run
from infra.cli.shop import Session, ShopRefusedError

_REASON_MAX = 200  # characters the shop takes


@dataclass(frozen=True, slots=True)
class Refund:
    """What one cancellation gives back of one invoice's order."""

    cancellation: str
    invoice: str
    amount_minor: int
    units: int


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Units of a cancelled line that belong to no order here."""

    cancellation: str
    line: Line
    units: int
    reason: str

    @property
    def amount_minor(self) -> int:
        return self.units * self.line.price_minor


@dataclass(frozen=True, slots=True)
class Matching:
    refunds: tuple[Refund, ...]
    unmatched: tuple[Unmatched, ...]


@dataclass(slots=True)
class _Purchased:
    """Units of one order line that may still be given back."""

    invoice: Invoice
    line: Line
    left: int


def match(cancellations: Sequence[Invoice], invoices: Sequence[Invoice]) -> Matching:
    """Match every cancelled line; the earlier cancellation has the first choice."""
    purchased = _purchases(invoices)
    refunds: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    unmatched: list[Unmatched] = []
    for cancellation in sorted(cancellations, key=lambda each: each.placed_at):
        for line in cancellation.lines:
            candidates = _candidates(purchased, cancellation, line.code)
            left = line.quantity
            for candidate in _in_order_of_choice(candidates, line):
                units = min(left, candidate.left)
                candidate.left -= units
                left -= units
                amount, before = refunds[cancellation.number, candidate.invoice.number]
                refunds[cancellation.number, candidate.invoice.number] = (
                    amount + units * line.price_minor,
                    before + units,
                )
                if left == 0:
                    break
            if left:
                reason = _why_unmatched(cancellation, candidates)
                unmatched.append(Unmatched(cancellation.number, line, left, reason))
    return Matching(
        refunds=tuple(Refund(*pair, *sums) for pair, sums in refunds.items()),
        unmatched=tuple(unmatched),
    )


class Till:
    """Refunds as staff, and remembers what the shop accepted and what it refused."""

    def __init__(self, staff: Session, run: Run, orders: Mapping[str, str]) -> None:
        self.accepted_minor: dict[str, int] = {}  # by order id
        self.problems: list[str] = []
        self._staff = staff
        self._run = run
        self._orders = orders  # order id by invoice

    def refund(self, refunds: Sequence[Refund]) -> None:
        """Play all refunds of one invoice, one after another: they share its payment."""
        for refund in refunds:
            order_id = self._orders.get(refund.invoice)
            if order_id is None:
                self._refuse(refund, "it is no order")
                continue
            try:
                self._request(order_id, refund)
            except ShopRefusedError as refusal:
                self._refuse(refund, str(refusal))
            else:
                so_far = self.accepted_minor.get(order_id, 0)
                self.accepted_minor[order_id] = so_far + refund.amount_minor

    def _request(self, order_id: str, refund: Refund) -> None:
        body = {
            "amount": money(refund.amount_minor, CURRENCY),
            "reason": f"cancellation {refund.cancellation}"[:_REASON_MAX],
        }
        key = self._run.refund_key(refund.cancellation, refund.invoice)
        self._staff.call("POST", f"/v1/payments/{quote(order_id)}/refunds", body, key=key)

    def _refuse(self, refund: Refund, why: str) -> None:
        self.problems.append(f"cancellation {refund.cancellation} of {refund.invoice}: {why}")


def refunds_by_invoice(refunds: Sequence[Refund]) -> list[list[Refund]]:
    """Group refunds so that no two threads meet in one payment."""
    groups: dict[str, list[Refund]] = defaultdict(list)
    for refund in refunds:
        groups[refund.invoice].append(refund)
    return list(groups.values())


def _purchases(invoices: Sequence[Invoice]) -> dict[tuple[str, str], list[_Purchased]]:
    """Index what known customers bought by customer and code, latest first."""
    purchased: dict[tuple[str, str], list[_Purchased]] = defaultdict(list)
    for invoice in sorted(invoices, key=lambda each: each.placed_at, reverse=True):
        if invoice.customer is not None:
            for line in invoice.lines:
                bought = _Purchased(invoice, line, line.quantity)
                purchased[invoice.customer, line.code].append(bought)
    return purchased


def _candidates(
    purchased: Mapping[tuple[str, str], list[_Purchased]], cancellation: Invoice, code: str
) -> list[_Purchased]:
    if cancellation.customer is None:
        return []
    bought = purchased.get((cancellation.customer, code), [])
    return [each for each in bought if each.invoice.placed_at <= cancellation.placed_at]


def _in_order_of_choice(candidates: Sequence[_Purchased], line: Line) -> Iterator[_Purchased]:
    for exactly in (True, False):
        for each in candidates:
            paid = each.line.price_minor
            fits = paid == line.price_minor if exactly else paid > line.price_minor
            if fits and each.left > 0:
                yield each


def _why_unmatched(cancellation: Invoice, candidates: Sequence[_Purchased]) -> str:
    if cancellation.customer is None:
        return "guest"
    if any(each.left > 0 for each in candidates):
        return "price_above_paid"
    return "no_earlier_purchase"

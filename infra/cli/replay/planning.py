"""How what belongs to an order is taken back: its cancellation, a return, or a refund.

The file does not tell when a parcel left. Here it leaves a day after its order was placed:

    cancellation  one cancellation, within that day, takes back every unit of every line at the
                  price paid, and nothing else of the order is ever taken back
    return        articles that come back at the price paid, otherwise: one return for each
                  cancellation and order, in parts where it has more lines than the shop takes, of
                  a parcel that was delivered; every unit is resellable, for the file tells of no
                  damage
    refund        money without goods: discounts, services such as carriage, and articles given
                  back at less than was paid, of which the file does not tell what they were worth
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from infra.cli.replay.catalogue import Invoice
from infra.cli.replay.classifying import service_of
from infra.cli.replay.matching import Match

PARCEL_LEAVES_AFTER = timedelta(days=1)
RETURN_LINES_MAX = 90


class Kind(StrEnum):
    CANCELLATION = "cancellation"
    RETURN = "return"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Reversal:
    """What one cancellation takes back of one order in one way."""

    kind: Kind
    cancellation: str
    invoice: Invoice
    matches: tuple[Match, ...]
    part: int = 1

    @property
    def amount_minor(self) -> int:
        return sum(match.amount_minor for match in self.matches)

    @property
    def units(self) -> int:
        """Count the units of the file, whether they come back to the shelf or not."""
        return sum(match.units for match in self.matches)

    @property
    def restocked(self) -> dict[str, int]:
        """Tell the units by SKU that are on the shelf again afterwards."""
        units: Counter[str] = Counter()
        if self.kind is not Kind.REFUND:
            for match in self.matches:
                if match.line is not None:
                    units[match.line.sku] += match.units
        return dict(units)


def plan(matches: Sequence[Match]) -> tuple[Reversal, ...]:
    """Decide how each match is played: order by order, each order's in the order they happened."""
    by_invoice: dict[str, list[Match]] = defaultdict(list)
    for match in matches:
        by_invoice[match.invoice.number].append(match)
    return tuple(reversal for group in by_invoice.values() for reversal in _of_one_order(group))


def reversals_by_invoice(reversals: Sequence[Reversal]) -> list[list[Reversal]]:
    """Group by order, so that no two threads meet in one order."""
    groups: dict[str, list[Reversal]] = defaultdict(list)
    for reversal in reversals:
        groups[reversal.invoice.number].append(reversal)
    return list(groups.values())


def _of_one_order(matches: Sequence[Match]) -> Iterator[Reversal]:
    if _takes_back_the_order(matches):
        yield Reversal(
            Kind.CANCELLATION, matches[0].row.cancellation, matches[0].invoice, tuple(matches)
        )
        return
    groups: dict[tuple[str, Kind], list[Match]] = defaultdict(list)
    for match in matches:
        kind = Kind.RETURN if _brings_goods(match) else Kind.REFUND
        groups[match.row.cancellation, kind].append(match)
    for (cancellation, kind), group in groups.items():
        for part, some in enumerate(_parts(group), start=1):
            yield Reversal(kind, cancellation, some[0].invoice, tuple(some), part)


def _parts(matches: Sequence[Match]) -> Iterator[list[Match]]:
    """Divide so that no part has more SKUs than a return takes; one SKU stays in one part."""
    by_sku: dict[str, list[Match]] = defaultdict(list)
    for match in matches:
        by_sku[match.line.sku if match.line else ""].append(match)
    groups = list(by_sku.values())
    for at in range(0, len(groups), RETURN_LINES_MAX):
        yield [match for group in groups[at : at + RETURN_LINES_MAX] for match in group]


def _takes_back_the_order(matches: Sequence[Match]) -> bool:
    invoice, row = matches[0].invoice, matches[0].row
    taken: Counter[str] = Counter()
    for match in matches:
        if match.line is not None:
            taken[match.line.sku] += match.units
    return (
        row.cancelled_at - invoice.placed_at < PARCEL_LEAVES_AFTER
        and all(match.row.cancellation == row.cancellation for match in matches)
        and all(match.is_at_the_price_paid for match in matches)
        and taken == {line.sku: line.quantity for line in invoice.lines}
    )


def _brings_goods(match: Match) -> bool:
    return match.is_at_the_price_paid and service_of(match.row.code) is None

"""What was bought, line by line, and how a line is divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tradepost.kernel.errors import ConflictError

# As many as a cart may have: the snapshot of 1,500 fits into a state of Step Functions.
ORDER_LINES_MAX = 1_500


class NotBoughtError(ConflictError):
    """The order has fewer units of this SKU, or none."""

    code = "not_bought"

    def __init__(self, order_id: str, sku: str) -> None:
        super().__init__(f"{order_id} does not have so many of {sku}")
        self.order_id = order_id
        self.sku = sku


@dataclass(frozen=True, slots=True)
class OrderLine:
    """What was bought, with the price it was bought at.

    `discount_minor` and `tax_minor` are the whole line's. Whether the price contains the tax is the
    order's to say.
    """

    sku: str
    title: str
    quantity: int
    unit_price_minor: int
    discount_minor: int = 0
    tax_minor: int = 0

    @property
    def total_minor(self) -> int:
        """What its units cost before any discount, and before a tax that comes on top."""
        return self.unit_price_minor * self.quantity

    def first(self, units: int) -> OrderLine:
        """Return the line with only its first units, and their share of its discount and tax.

        Shares are rounded down, counted from the first unit: those of the first k units and of the
        n - k others are exactly the line's, however often it is divided.
        """
        return replace(
            self,
            quantity=units,
            discount_minor=self.discount_minor * units // self.quantity,
            tax_minor=self.tax_minor * units // self.quantity,
        )

    def with_more(self, added: OrderLine) -> OrderLine:
        """Return the line with units bought later, maybe at another price.

        It shows the dearer price, and what the other units cost less is a discount of the line:
        what was paid for it is exact, and each of its units is worth the same from now on.
        """
        unit_price_minor = max(self.unit_price_minor, added.unit_price_minor)
        cheaper_minor = sum(
            (unit_price_minor - line.unit_price_minor) * line.quantity for line in (self, added)
        )
        return replace(
            self,
            quantity=self.quantity + added.quantity,
            unit_price_minor=unit_price_minor,
            discount_minor=self.discount_minor + added.discount_minor + cheaper_minor,
            tax_minor=self.tax_minor + added.tax_minor,
        )

    def paid_minor(self, *, prices_include_tax: bool) -> int:
        """What the customer paid for the whole line."""
        on_top = 0 if prices_include_tax else self.tax_minor
        return self.total_minor - self.discount_minor + on_top


def left_of(lines: Sequence[OrderLine], quantities: Mapping[str, int]) -> list[OrderLine]:
    """Return what these quantities leave of the lines; one of none is no line any more."""
    left = (
        line.first(min(line.quantity, quantities.get(line.sku, line.quantity))) for line in lines
    )
    return [line for line in left if line.quantity > 0]


def units_of(lines: Sequence[OrderLine]) -> dict[str, int]:
    return {line.sku: line.quantity for line in lines}

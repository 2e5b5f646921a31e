"""What the customer paid for some units of an order, and for those that came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orders.model.line import NotBoughtError, OrderLine
from orders.model.order import Order
from tradepost.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Returned:
    """The units of an order that came back, and what was paid for those of each return.

    `version` counts its writes; 0 was never written.
    """

    version: int = 0
    units: Mapping[str, int] = field(default_factory=dict)  # by SKU
    prices_minor: Mapping[str, int] = field(default_factory=dict)  # by return id


def paid_for(
    order: Order,
    lines: Sequence[OrderLine],
    quantities: Mapping[str, int],
    *,
    before: Mapping[str, int] | None = None,
) -> Money:
    """Tell what the customer paid for some units of an order, without its shipping.

    Everything that goes back, or is captured in parts, is priced here. `before` names how many
    units of each SKU were priced already: those priced one after the other sum to what all of them
    were bought for, to the last minor unit.

    Raises
    ------
    NotBoughtError
        There are fewer of them in the order.
    """
    bought = {line.sku: line for line in lines}
    paid = 0
    for sku, quantity in quantities.items():
        start = (before or {}).get(sku, 0)
        if sku not in bought or bought[sku].quantity < start + quantity:
            raise NotBoughtError(order.order_id, sku)
        paid += _paid_up_to(order, bought[sku], start + quantity)
        paid -= _paid_up_to(order, bought[sku], start)
    return Money(paid, order.total.currency)


def paid_for_sending(order: Order) -> Money:
    """Tell what the customer paid for the parcel, with the tax on it."""
    on_top = 0 if order.prices_include_tax else order.shipping_tax_minor
    return Money(order.shipping_minor + on_top, order.total.currency)


def return_priced(
    order: Order,
    lines: Sequence[OrderLine],
    returned: Returned,
    return_id: str,
    quantities: Mapping[str, int],
) -> Returned:
    """Return what came back with one more return in it; one that is in it changes nothing.

    Raises
    ------
    NotBoughtError
        More would have come back than was bought.
    """
    if return_id in returned.prices_minor:
        return returned
    price = paid_for(order, lines, quantities, before=returned.units)
    units = dict(returned.units)
    for sku, quantity in quantities.items():
        units[sku] = units.get(sku, 0) + quantity
    return Returned(
        version=returned.version + 1,
        units=units,
        prices_minor={**returned.prices_minor, return_id: price.amount_minor},
    )


def _paid_up_to(order: Order, line: OrderLine, units: int) -> int:
    return line.first(units).paid_minor(prices_include_tax=order.prices_include_tax)

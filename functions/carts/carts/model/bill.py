"""
What a cart comes to: its lines, less a discount, with the tax of where it goes, and its shipping.

    total = lines - discounts + shipping, and the taxes where prices do not include them

Every part is a whole number of minor units that belongs to one line or to the shipping, so
whatever is summed adds up. A discount is taken off before tax is reckoned, and tax is rounded once
per line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from carts.model.cart import Cart, CartLine, Offer, line_of
from carts.model.promotion import Buyer, Inapplicable, Promotion, Redemption, Reduces
from carts.model.shipping import Shipping
from carts.model.tax import UNTAXED, Rates, TaxTable
from tradepost.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Prices:
    """What a cart is priced from, as it is now. What is not there was not found, or not asked."""

    offers: Mapping[str, Offer] = field(default_factory=dict)  # by SKU
    promotions: Mapping[str, Promotion] = field(default_factory=dict)  # by code
    uses: Mapping[str, int] = field(default_factory=dict)  # one person's, by code
    tax_table: TaxTable | None = None


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line with the discount and the tax of all its units."""

    line: CartLine
    discount_minor: int = 0
    tax_minor: int = 0


@dataclass(frozen=True, slots=True)
class Bill:
    """What a cart comes to. `shipping` is what is paid for it, after a promotion."""

    currency: str
    lines: tuple[PricedLine, ...]
    shipping: Shipping | None  # None while it is not known how the cart is sent
    shipping_tax_minor: int = 0
    prices_include_tax: bool = True
    promotions: tuple[str, ...] = ()  # the codes that count
    not_counted: Mapping[str, Inapplicable] = field(default_factory=dict)  # the others, and why
    redemptions: tuple[Redemption, ...] = ()

    @property
    def discount(self) -> Money:
        return self._money(sum(priced.discount_minor for priced in self.lines))

    @property
    def tax(self) -> Money:
        """All tax, that on the shipping included."""
        return self._money(sum(priced.tax_minor for priced in self.lines) + self.shipping_tax_minor)

    @property
    def total(self) -> Money:
        goods = self._money(sum(priced.line.total.amount_minor for priced in self.lines))
        total = goods - self.discount
        if self.shipping is not None:
            total = total + self.shipping.price
        return total if self.prices_include_tax else total + self.tax

    def _money(self, amount_minor: int) -> Money:
        return Money(amount_minor, self.currency)


def bill_of(
    cart: Cart,
    shipping: Shipping | None,
    prices: Prices,
    buyer: Buyer,
    *,
    region: str | None,
    at: datetime,
) -> Bill:
    """Reckon what a cart that was priced anew comes to; one without lines is not reckoned.

    Without a tax table nothing is taxed, and prices are what is paid.

    Raises
    ------
    TaxRegionError
    """
    currency = str(cart.currency)
    amounts = {line.sku: line.total.amount_minor for line in cart.lines}
    rates = prices.tax_table.rates_at(region, at) if prices.tax_table else UNTAXED
    discounts: dict[str, int] = {}
    counted: list[Promotion] = []
    not_counted: dict[str, Inapplicable] = {}
    for code in cart.codes:
        promotion = prices.promotions.get(code.code)
        if promotion is None:
            not_counted[code.code] = Inapplicable.UNKNOWN
            continue
        why = promotion.why_not_for(buyer, at) or promotion.why_not_on(amounts, currency)
        is_for_shipping = promotion.terms.reduces is Reduces.SHIPPING
        if is_for_shipping and shipping is not None and shipping.price.amount_minor == 0:
            # Its use is not to be spent on what costs nothing anyway.
            why = why or Inapplicable.NOTHING_QUALIFIES
        if why is not None:
            not_counted[code.code] = why
            continue
        counted.append(promotion)
        discounts |= promotion.discounts(amounts, currency)
        if is_for_shipping and shipping is not None:
            shipping = replace(shipping, price=Money(0, currency))
    return Bill(
        currency=currency,
        lines=tuple(_priced(line, discounts.get(line.sku, 0), rates) for line in cart.lines),
        shipping=shipping,
        shipping_tax_minor=_tax_on_shipping(shipping, rates),
        prices_include_tax=rates.prices_include_tax,
        promotions=tuple(promotion.code for promotion in counted),
        not_counted=not_counted,
        redemptions=tuple(_redemption(promotion, buyer) for promotion in counted),
    )


def units_priced(
    quantities: Mapping[str, int], prices: Prices, *, region: str | None, at: datetime
) -> tuple[list[PricedLine], bool]:
    """Price units by themselves, without promotions, and tell whether that includes their tax.

    What is not on sale is left out. Raises TaxRegionError.
    """
    rates = prices.tax_table.rates_at(region, at) if prices.tax_table else UNTAXED
    lines = [
        _priced(line_of(prices.offers[sku], quantity), 0, rates)
        for sku, quantity in quantities.items()
        if sku in prices.offers
    ]
    return lines, rates.prices_include_tax


def _priced(line: CartLine, discount_minor: int, rates: Rates) -> PricedLine:
    left = line.total.amount_minor - discount_minor
    return PricedLine(line, discount_minor, rates.tax_on(left, line.tax_class))


def _tax_on_shipping(shipping: Shipping | None, rates: Rates) -> int:
    if shipping is None:
        return 0
    return rates.tax_on(shipping.price.amount_minor, rates.shipping_class)


def _redemption(promotion: Promotion, buyer: Buyer) -> Redemption:
    per_person_max = promotion.terms.uses_per_person_max
    person = buyer.person if per_person_max is not None else None
    return Redemption(promotion.code, promotion.version, person, per_person_max)

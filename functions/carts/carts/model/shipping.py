"""How a checkout's parcel is sent, and what for: as quoted, or slowly and for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from carts.model.cart import Cart
from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import to_text
from tradepost.kernel.errors import ConflictError
from tradepost.kernel.money import Money

# How a parcel is sent that no quote was taken for.
FREE_SERVICE = "free"


class QuoteExpiredError(ConflictError):
    """The shipping quote's time is over: ask for a new one, and show its price."""

    code = "shipping_quote_expired"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__("the shipping quote has expired")
        self.expired_at = to_text(expired_at)


class QuoteMismatchError(ConflictError):
    """The shipping quote is for another parcel. `differs`: country, weight_grams or currency."""

    code = "shipping_quote_mismatch"

    def __init__(self, differs: str, quoted: str | int, needed: str | int) -> None:
        super().__init__(f"the shipping quote's {differs} is not this checkout's")
        self.differs = differs
        self.quoted = quoted
        self.needed = needed


@dataclass(frozen=True, slots=True)
class Shipping:
    """How a checkout's parcel is sent, and what for."""

    service: str
    price: Money


def shipping_of(cart: Cart, country: str, quote: ShippingQuote | None, at: datetime) -> Shipping:
    """Tell how a cart is sent to a country: as quoted, or for nothing in the slowest way.

    Raises
    ------
    QuoteExpiredError
    QuoteMismatchError
        It was quoted for another country, a lighter parcel, or in another currency.
    """
    currency = str(cart.currency)
    if quote is None:
        return Shipping(FREE_SERVICE, Money(0, currency))
    if at >= quote.expires_at:
        raise QuoteExpiredError(quote.expires_at)
    if quote.country != country:
        raise QuoteMismatchError("country", quote.country, country)
    if quote.price.currency != currency:
        raise QuoteMismatchError("currency", quote.price.currency, currency)
    if quote.weight_grams < cart.weight_grams:
        raise QuoteMismatchError("weight_grams", quote.weight_grams, cart.weight_grams)
    return Shipping(quote.service, quote.price)

"""
A cart, the offers it draws on, and the checkout that freezes it.

    OPEN ──▶ FROZEN (a checkout runs) ──▶ OPEN, empty (it was confirmed)
      │                               ├─▶ OPEN, as it was (it failed)
      │                               └─▶ OPEN, empty (its order was set aside)
      └──▶ MERGED (a guest's cart that a log-in took over, once)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import to_text
from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError
from tradepost.kernel.money import Money, total_of

# Real orders have up to 1,114 lines; the snapshot of 1,500 fits into a state of Step Functions.
CART_LINES_MAX = 1_500
QUANTITY_MAX = 100_000

# A state of Step Functions takes 256 KiB, and the snapshot has company in it.
CART_BYTES_MAX = 200 * 1024
_LINE_BYTES = 90  # of a line's names and numbers in JSON, beside its SKU and title

# How a parcel is sent that no quote was taken for.
FREE_SERVICE = "free"


# An execution ends within five minutes: nobody works on a checkout that was begun longer ago.
LEFT_ALONE_MAX = timedelta(minutes=6)


class CartStatus(StrEnum):
    OPEN = "OPEN"
    FROZEN = "FROZEN"
    MERGED = "MERGED"


class CheckoutStatus(StrEnum):
    RUNNING = "RUNNING"
    UNDER_REVIEW = "UNDER_REVIEW"  # the order waits for a person of ours; the cart does not
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class UnknownSKUError(NotFoundError):
    """Nothing is on sale under this SKU."""

    code = "unknown_sku"

    def __init__(self, sku: str) -> None:
        super().__init__(f"nothing is on sale as {sku}")
        self.sku = sku


class CartFrozenError(ConflictError):
    """A checkout of this cart is running; it can be changed when that has ended."""

    code = "cart_frozen"

    def __init__(self, order_id: str) -> None:
        super().__init__("a checkout of this cart is running")
        self.order_id = order_id


class CartEmptyError(ConflictError):
    code = "cart_empty"

    def __init__(self) -> None:
        super().__init__("there is nothing in the cart")


class CartLimitError(ConflictError):
    """The cart would hold more lines, or more of one SKU, than a cart may."""

    code = "cart_limit"


class CartMergedError(ConflictError):
    """A log-in took this guest's cart over; use the account's."""

    code = "cart_merged"

    def __init__(self) -> None:
        super().__init__("this guest's cart belongs to an account now")


class CurrencyMixedError(ConflictError):
    code = "currency_mixed"

    def __init__(self, expected: str, offered: str) -> None:
        super().__init__(f"the cart is in {expected}, the product is sold in {offered}")
        self.expected = expected
        self.offered = offered


class VersionMismatchError(ConflictError):
    """The cart changed since the caller saw the version it names."""

    code = "version_mismatch"

    def __init__(self, version: int) -> None:
        super().__init__(f"the cart is at version {version}")
        self.version = version


class CartChangedError(ConflictError):
    """Prices or products changed: the total is not what the customer saw. Show it and ask."""

    code = "cart_changed"

    def __init__(self, total: Money, changed: list[str]) -> None:
        super().__init__("the cart's total is not what was expected")
        self.total = {"amount_minor": total.amount_minor, "currency": total.currency}
        self.changed_skus = changed


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


class CheckoutNotFoundError(NotFoundError):
    code = "checkout_not_found"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no checkout {order_id}")
        self.order_id = order_id


class GuestTokenError(InvalidError):
    """The token is not a guest's, or not valid."""

    code = "invalid_guest_token"


@dataclass(frozen=True, slots=True)
class ProductNews:
    """Which state of which product an offer is told by: newer news has a higher version."""

    product_id: str
    version: int
    stated_at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """What carts knows of a variant on sale."""

    sku: str
    title: str
    unit_price: Money
    weight_grams: int


@dataclass(frozen=True, slots=True)
class CartLine:
    """A quantity of one SKU, with the offer's title and price as last seen."""

    sku: str
    title: str
    quantity: int
    unit_price: Money
    weight_grams: int

    @property
    def total(self) -> Money:
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Cart:
    """One person's cart. `version` counts its writes; 0 was never written."""

    cart_id: str
    status: CartStatus = CartStatus.OPEN
    version: int = 0
    lines: tuple[CartLine, ...] = ()
    order_id: str | None = None  # of the checkout that froze it

    @property
    def currency(self) -> str | None:
        return self.lines[0].unit_price.currency if self.lines else None

    @property
    def total(self) -> Money | None:
        """Sum the lines; None for an empty cart, which has no currency."""
        if self.currency is None:
            return None
        return total_of([line.total for line in self.lines], self.currency)

    @property
    def weight_grams(self) -> int:
        return sum(line.weight_grams * line.quantity for line in self.lines)

    def quantity_of(self, sku: str) -> int:
        return next((line.quantity for line in self.lines if line.sku == sku), 0)

    def require_version(self, version: int | None) -> None:
        """Raise VersionMismatchError unless the caller saw this version or names none."""
        if version is not None and version != self.version:
            raise VersionMismatchError(self.version)

    def with_quantities(self, quantities: Mapping[str, int], offers: Mapping[str, Offer]) -> Cart:
        """Set the quantities of some SKUs, keeping the others; 0 removes a line.

        Raises
        ------
        UnknownSKUError, CartLimitError, CurrencyMixedError
        CartFrozenError, CartMergedError
            The cart cannot be changed now.
        """
        self._require_open()
        lines = {line.sku: line for line in self.lines}
        for sku, quantity in quantities.items():
            if quantity == 0:
                lines.pop(sku, None)
                continue
            if sku not in offers:
                raise UnknownSKUError(sku)
            if quantity > QUANTITY_MAX:
                raise CartLimitError(f"at most {QUANTITY_MAX} of one SKU")
            lines[sku] = _line(offers[sku], quantity)
        if len(lines) > CART_LINES_MAX:
            raise CartLimitError(f"at most {CART_LINES_MAX} lines")
        changed = replace(self, lines=tuple(lines.values()), version=self.version + 1)
        changed._require_one_currency()
        changed._require_fit()
        return changed

    def emptied(self) -> Cart:
        self._require_open()
        return replace(self, lines=(), version=self.version + 1)

    def merged_away(self) -> Cart:
        self._require_open()
        return replace(self, lines=(), status=CartStatus.MERGED, version=self.version + 1)

    def frozen_for(self, order_id: str) -> Cart:
        self._require_open()
        if not self.lines:
            raise CartEmptyError
        return replace(self, status=CartStatus.FROZEN, order_id=order_id, version=self.version + 1)

    def repriced(self, offers: Mapping[str, Offer]) -> tuple[Cart, list[str]]:
        """Return the cart at today's prices, and the SKUs that changed or are gone."""
        lines = tuple(
            _line(offers[line.sku], line.quantity) for line in self.lines if line.sku in offers
        )
        prices = {line.sku: line.unit_price for line in lines}
        changed = [line.sku for line in self.lines if prices.get(line.sku) != line.unit_price]
        return replace(self, lines=lines), changed

    def _require_open(self) -> None:
        if self.status is CartStatus.FROZEN:
            raise CartFrozenError(self.order_id or "")
        if self.status is CartStatus.MERGED:
            raise CartMergedError

    def _require_fit(self) -> None:
        size = sum(
            len(line.sku.encode()) + len(line.title.encode()) + _LINE_BYTES for line in self.lines
        )
        if size > CART_BYTES_MAX:
            raise CartLimitError("the cart is too large for one order; split it")

    def _require_one_currency(self) -> None:
        for line in self.lines:
            if line.unit_price.currency != self.currency:
                raise CurrencyMixedError(str(self.currency), line.unit_price.currency)


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


@dataclass(frozen=True, slots=True)
class Checkout:
    """A frozen cart's snapshot, and how its checkout ended. Its id is the order's.

    One whose customer was forgotten has no e-mail, and of the address the country.
    """

    order_id: str
    customer_id: str
    email: str
    shipping_address: dict[str, str]
    payment_method: str
    total: Money  # with the shipping
    shipping: Shipping
    lines: tuple[CartLine, ...]
    line_count: int
    status: CheckoutStatus
    reason: str | None
    fingerprint: str  # of the request that began it
    correlation_id: str
    placed_at: datetime


def _line(offer: Offer, quantity: int) -> CartLine:
    return CartLine(offer.sku, offer.title, quantity, offer.unit_price, offer.weight_grams)

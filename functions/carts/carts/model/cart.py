"""
A cart, and the offers it draws on.

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

from carts.model.promotion import CartCode, with_code
from carts.model.tax import TaxClass
from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError
from tradepost.kernel.money import Money, total_of

# Real orders have up to 1,114 lines; the snapshot of 1,500 fits into a state of Step Functions.
CART_LINES_MAX = 1_500
QUANTITY_MAX = 100_000

# A state of Step Functions takes 256 KiB, and the snapshot has company in it.
CART_BYTES_MAX = 224 * 1024
_LINE_BYTES = 112  # of a line's names and numbers in JSON, beside its SKU and title

# So long a cart is kept after it was last changed. A guest's token is good for a week of it.
CART_KEPT = timedelta(days=30)


class CartStatus(StrEnum):
    OPEN = "OPEN"
    FROZEN = "FROZEN"
    MERGED = "MERGED"


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
    tax_class: TaxClass = TaxClass.STANDARD


@dataclass(frozen=True, slots=True)
class CartLine:
    """A quantity of one SKU, with the offer's title and price as last seen."""

    sku: str
    title: str
    quantity: int
    unit_price: Money
    weight_grams: int
    tax_class: TaxClass = TaxClass.STANDARD

    @property
    def total(self) -> Money:
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Cart:
    """One person's cart. `version` counts its writes; 0 was never written.

    `expires_at` is when it is empty if nobody changes it before.
    """

    cart_id: str
    status: CartStatus = CartStatus.OPEN
    version: int = 0
    lines: tuple[CartLine, ...] = ()
    codes: tuple[CartCode, ...] = ()
    order_id: str | None = None  # of the checkout that froze it
    expires_at: datetime | None = None

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
            lines[sku] = line_of(offers[sku], quantity)
        if len(lines) > CART_LINES_MAX:
            raise CartLimitError(f"at most {CART_LINES_MAX} lines")
        changed = replace(self, lines=tuple(lines.values()), version=self.version + 1)
        changed._require_one_currency()
        changed._require_fit()
        return changed

    def with_code(self, code: CartCode) -> Cart:
        """Add a code, in the place of one that reduces the same money."""
        self._require_open()
        return replace(self, codes=with_code(self.codes, code), version=self.version + 1)

    def without_code(self, code: str) -> Cart:
        self._require_open()
        left = tuple(one for one in self.codes if one.code != code)
        return replace(self, codes=left, version=self.version + 1)

    def emptied(self) -> Cart:
        self._require_open()
        return replace(self, lines=(), codes=(), version=self.version + 1)

    def taking_over(self, guests: Cart, offers: Mapping[str, Offer]) -> Cart:
        """Add what a guest's cart holds: quantities add up, and a code fills an empty place.

        What is not on sale any more stays behind. Raises as `with_quantities` does.
        """
        guests._require_open()
        quantities = {
            line.sku: line.quantity + self.quantity_of(line.sku)
            for line in guests.lines
            if line.sku in offers
        }
        codes = self.codes
        for code in guests.codes:
            if all(one.reduces is not code.reduces for one in self.codes):
                codes = with_code(codes, code)
        return replace(self.with_quantities(quantities, offers), codes=codes)

    def merged_away(self) -> Cart:
        self._require_open()
        return replace(self, lines=(), codes=(), status=CartStatus.MERGED, version=self.version + 1)

    def as_of(self, at: datetime) -> Cart:
        """Return the cart as it is by now: nothing is in one that nobody changed for long.

        A checkout does not lose what it froze, however long it takes.
        """
        is_over = self.expires_at is not None and at >= self.expires_at
        if not is_over or self.status is not CartStatus.OPEN:
            return self
        return replace(self, lines=(), codes=(), expires_at=None)

    def kept(self, at: datetime) -> Cart:
        """Return the cart with its time begun anew, in whole seconds as it is stored."""
        return replace(self, expires_at=(at + CART_KEPT).replace(microsecond=0))

    def frozen_for(self, order_id: str) -> Cart:
        self._require_open()
        if not self.lines:
            raise CartEmptyError
        return replace(self, status=CartStatus.FROZEN, order_id=order_id, version=self.version + 1)

    def repriced(self, offers: Mapping[str, Offer]) -> tuple[Cart, list[str]]:
        """Return the cart at today's prices, and the SKUs that changed or are gone."""
        lines = tuple(
            line_of(offers[line.sku], line.quantity) for line in self.lines if line.sku in offers
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


def line_of(offer: Offer, quantity: int) -> CartLine:
    return CartLine(
        offer.sku,
        offer.title,
        quantity,
        offer.unit_price,
        offer.weight_grams,
        offer.tax_class,
    )

"""What people do with a cart until they check out: fill it, look at it, take another over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from carts.model.bill import Bill, Prices, bill_of
from carts.model.cart import Cart, CartStatus
from carts.model.promotion import (
    Buyer,
    CartCode,
    PromotionInapplicableError,
    PromotionNotFoundError,
    may_come_right,
)
from carts.model.shipping import shipping_of
from carts.ports import CartRepository, PriceBook
from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import ConflictError, StaleError

ATTEMPTS_MAX = 4

Change = Callable[[Cart, Prices], Cart]


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose cart it is."""

    cart_id: str
    is_guest: bool

    @property
    def person(self) -> str | None:
        """Name whose uses of promotions count: a guest's are known when they give an address."""
        return None if self.is_guest else self.cart_id


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a cart is to go, as far as its owner says before the checkout."""

    country: str | None = None
    region: str | None = None
    quote: ShippingQuote | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A cart with what it comes to; `bill` is None for one without lines."""

    cart: Cart
    bill: Bill | None
    changed_skus: list[str]


def view_cart(
    owner: Owner, destination: Destination, *, carts: CartRepository, prices: PriceBook, now: Clock
) -> Shown:
    """Show a cart at today's prices, with the SKUs whose price changed or that are gone.

    Tax and shipping are told for a destination. A frozen cart is shown as it was frozen.

    Raises
    ------
    TaxRegionError, QuoteExpiredError, QuoteMismatchError
    """
    cart = carts.get(owner.cart_id).as_of(now())
    if cart.status is CartStatus.FROZEN:
        checkout = carts.checkout_with_lines(cart.order_id or "")
        return Shown(cart, checkout.bill if checkout else None, [])
    if not cart.lines:
        return Shown(cart, None, [])
    found = prices.prices(
        [line.sku for line in cart.lines],
        codes=[one.code for one in cart.codes],
        person=owner.person,
        country=destination.country,
    )
    priced, changed = cart.repriced(found.offers)
    return Shown(priced, _bill(priced, owner, destination, found, now), changed)


def set_lines(
    owner: Owner,
    quantities: Mapping[str, int],
    *,
    version: int | None,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
) -> Shown:
    """Set the quantities of some SKUs, keeping the others; 0 removes a line. Safe to repeat.

    Raises
    ------
    VersionMismatchError
        The cart is not at `version`, if one is named.
    UnknownSKUError, CartLimitError, CurrencyMixedError, CartFrozenError, CartMergedError
    """

    def change(cart: Cart, found: Prices) -> Cart:
        return cart.with_quantities(quantities, found.offers)

    return _change(owner, change, version, carts, prices, now, skus=list(quantities))


def replace_lines(
    owner: Owner,
    quantities: Mapping[str, int],
    *,
    version: int | None,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
) -> Shown:
    """Put exactly these lines in the cart. Raises as `set_lines` does. Safe to repeat."""

    def change(cart: Cart, found: Prices) -> Cart:
        empty = replace(cart, lines=())
        filled = empty.with_quantities(quantities, found.offers)
        return replace(filled, version=cart.version + 1)

    return _change(owner, change, version, carts, prices, now, skus=list(quantities))


def clear_cart(
    owner: Owner,
    *,
    version: int | None,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
) -> Shown:
    """Take everything out of the cart, its codes too. Safe to repeat."""
    return _change(owner, lambda cart, _: cart.emptied(), version, carts, prices, now)


def apply_promotion(
    owner: Owner,
    code: str,
    *,
    version: int | None,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
) -> Shown:
    """Put a code in the cart, in the place of one that reduces the same money. Safe to repeat.

    One that other things in the cart would make count is taken, and shown as not counted yet.
    Nothing is set aside: its use is taken with the checkout.

    Raises
    ------
    PromotionNotFoundError
    PromotionInapplicableError
        It cannot be used, whatever is in the cart.
    VersionMismatchError, CartFrozenError, CartMergedError
    """

    def change(cart: Cart, found: Prices) -> Cart:
        promotion = found.promotions.get(code)
        if promotion is None:
            raise PromotionNotFoundError(code)
        why = promotion.why_not_for(_buyer(owner, found), now())
        if why is not None and not may_come_right(why):
            raise PromotionInapplicableError(code, why)
        return cart.with_code(CartCode(code, promotion.terms.reduces))

    return _change(owner, change, version, carts, prices, now, codes=[code])


def remove_promotion(
    owner: Owner,
    code: str,
    *,
    version: int | None,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
) -> Shown:
    """Take a code out of the cart. Safe to repeat."""
    return _change(owner, lambda cart, _: cart.without_code(code), version, carts, prices, now)


def add_to_cart(
    owner: Owner,
    sku: str,
    quantity: int,
    *,
    request: Any,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
) -> Shown:
    """Add units to what is there, once per request. Raises as `set_lines` does."""
    for _ in range(ATTEMPTS_MAX):
        cart, found = _read(owner, carts, prices, now, skus=[sku])
        try:
            changed = cart.with_quantities({sku: cart.quantity_of(sku) + quantity}, found.offers)
        except ConflictError:
            # What the cart refuses now, it may have taken when the request came the first time.
            if carts.has_done(request):
                return _shown(cart, owner, found, now)
            raise
        changed = changed.kept(now())
        try:
            if carts.save_once(changed, request):
                return _shown(changed, owner, found, now)
        except StaleError:
            continue
        return _shown(cart, owner, found, now)
    raise StaleError("the cart kept changing")


def merge_carts(
    owner: Owner, guest_cart_id: str, *, carts: CartRepository, prices: PriceBook, now: Clock
) -> Shown:
    """Add a guest's cart to an account's, once: the guest's cart is closed in the same write.

    Quantities of a SKU in both add up, and a code fills an empty place. What is no longer on sale
    stays behind, and is named among the changed SKUs.

    Raises
    ------
    CartFrozenError
        One of the two is being checked out: repeat it when that has ended.
    CartLimitError, CurrencyMixedError
        They do not fit into one. Nothing was done; the guest's cart is as it was.
    """
    for _ in range(ATTEMPTS_MAX):
        guests = carts.get(guest_cart_id).as_of(now())
        own = carts.get(owner.cart_id).as_of(now())
        taken_over = guests.status is CartStatus.MERGED or not guests.lines
        codes = own.codes if taken_over else (*own.codes, *guests.codes)
        found = prices.prices(
            [] if taken_over else [line.sku for line in guests.lines],
            codes=list(dict.fromkeys(one.code for one in codes)),
            person=owner.person,
        )
        if taken_over:
            return _shown(own, owner, found, now)
        merged = own.taking_over(guests, found.offers).kept(now())
        try:
            carts.save_both(merged, guests.merged_away().kept(now()))
        except StaleError:
            continue
        left_behind = [line.sku for line in guests.lines if line.sku not in found.offers]
        return replace(_shown(merged, owner, found, now), changed_skus=left_behind)
    raise StaleError("the carts kept changing")


def _change(
    owner: Owner,
    change: Change,
    version: int | None,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
    *,
    skus: list[str] | None = None,
    codes: list[str] | None = None,
) -> Shown:
    """Load, change, store; change anew if somebody else wrote and no version was named."""
    for _ in range(ATTEMPTS_MAX):
        cart, found = _read(owner, carts, prices, now, skus=skus or [], codes=codes or [])
        cart.require_version(version)
        changed = change(cart, found).kept(now())
        try:
            carts.save(changed)
        except StaleError:
            continue
        return _shown(changed, owner, found, now)
    raise StaleError("the cart kept changing")


def _read(
    owner: Owner,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
    *,
    skus: list[str],
    codes: list[str] | None = None,
) -> tuple[Cart, Prices]:
    """Read a cart, with the offers of these SKUs and the promotions of its codes and of these."""
    cart = carts.get(owner.cart_id).as_of(now())
    wanted = dict.fromkeys([*(one.code for one in cart.codes), *(codes or [])])
    return cart, prices.prices(skus, codes=list(wanted), person=owner.person)


def _shown(cart: Cart, owner: Owner, found: Prices, now: Clock) -> Shown:
    return Shown(cart, _bill(cart, owner, Destination(), found, now), [])


def _bill(
    cart: Cart, owner: Owner, destination: Destination, found: Prices, now: Clock
) -> Bill | None:
    if not cart.lines:
        return None
    shipping = None
    if destination.country is not None and destination.quote is not None:
        shipping = shipping_of(cart, destination.country, destination.quote, now())
    return bill_of(cart, shipping, found, _buyer(owner, found), region=destination.region, at=now())


def _buyer(owner: Owner, found: Prices) -> Buyer:
    return Buyer(owner.person, owner.is_guest, found.uses)

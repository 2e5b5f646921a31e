"""What people do with a cart, from the first line to the end of its checkout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from carts.model import (
    LEFT_ALONE_MAX,
    Cart,
    CartChangedError,
    CartEmptyError,
    CartFrozenError,
    CartMergedError,
    CartStatus,
    Checkout,
    CheckoutNotFoundError,
    CheckoutStatus,
    Offer,
    ProductNews,
    QuoteExpiredError,
    QuoteMismatchError,
    Shipping,
    shipping_of,
)
from carts.ports import CartRepository, CheckoutRunner, Erasures
from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import ConflictError, IdempotencyMismatchError, StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money

_ATTEMPTS_MAX = 4

# What one sweep starts again; the rest waits for the next minute.
SWEPT_MAX = 160

_REFUSALS = (
    CartChangedError,
    CartEmptyError,
    CartFrozenError,
    CartMergedError,
    QuoteExpiredError,
    QuoteMismatchError,
)


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What the customer sends with a checkout. `key` identifies it among the customer's own."""

    customer_id: str
    email: str
    shipping_address: dict[str, str]
    payment_method: str
    expected_total: Money
    shipping_quote: ShippingQuote | None
    key: str
    fingerprint: str
    correlation_id: str


def view_cart(cart_id: str, *, carts: CartRepository) -> tuple[Cart, list[str]]:
    """Show a cart at today's prices, with the SKUs whose price changed or that are gone."""
    cart = carts.get(cart_id)
    if cart.status is CartStatus.FROZEN or not cart.lines:
        return cart, []
    return cart.repriced(carts.offers([line.sku for line in cart.lines]))


def set_lines(
    cart_id: str,
    quantities: Mapping[str, int],
    *,
    version: int | None,
    carts: CartRepository,
) -> Cart:
    """Set the quantities of some SKUs, keeping the others; 0 removes a line. Safe to repeat.

    Raises
    ------
    VersionMismatchError
        The cart is not at `version`, if one is named.
    UnknownSKUError, CartLimitError, CurrencyMixedError, CartFrozenError, CartMergedError
    """
    return _change(
        cart_id,
        list(quantities),
        lambda cart, offers: cart.with_quantities(quantities, offers),
        version,
        carts,
    )


def replace_lines(
    cart_id: str,
    quantities: Mapping[str, int],
    *,
    version: int | None,
    carts: CartRepository,
) -> Cart:
    """Put exactly these lines in the cart. Raises as `set_lines` does. Safe to repeat."""
    return _change(
        cart_id,
        list(quantities),
        lambda cart, offers: replace(
            replace(cart, lines=()).with_quantities(quantities, offers),
            version=cart.version + 1,
        ),
        version,
        carts,
    )


def clear_cart(cart_id: str, *, version: int | None, carts: CartRepository) -> Cart:
    """Take everything out of the cart. Safe to repeat."""
    return _change(cart_id, [], lambda cart, _: cart.emptied(), version, carts)


def add_to_cart(
    cart_id: str, sku: str, quantity: int, *, request: Any, carts: CartRepository
) -> Cart:
    """Add units to what is there, once per request. Raises as `set_lines` does."""
    for _ in range(_ATTEMPTS_MAX):
        cart, offers = carts.get_with_offers(cart_id, [sku])
        try:
            changed = cart.with_quantities({sku: cart.quantity_of(sku) + quantity}, offers)
        except ConflictError:
            # What the cart refuses now, it may have taken when the request came the first time.
            if carts.has_done(request):
                return cart
            raise
        try:
            if carts.save_once(changed, request):
                return changed
        except StaleError:
            continue
        return cart
    raise StaleError("the cart kept changing")


def merge_carts(cart_id: str, guest_cart_id: str, *, carts: CartRepository) -> Cart:
    """Add a guest's cart to an account's, once: the guest's cart is closed in the same write.

    Quantities of a SKU in both add up. What is no longer on sale stays behind.

    Raises
    ------
    CartFrozenError
        One of the two is being checked out.
    CartLimitError, CurrencyMixedError
    """
    for _ in range(_ATTEMPTS_MAX):
        guests = carts.get(guest_cart_id)
        own = carts.get(cart_id)
        if guests.status is CartStatus.MERGED or not guests.lines:
            return own
        offers = carts.offers([line.sku for line in guests.lines])
        quantities = {
            line.sku: line.quantity + own.quantity_of(line.sku)
            for line in guests.lines
            if line.sku in offers
        }
        merged = own.with_quantities(quantities, offers)
        try:
            carts.save_both(merged, guests.merged_away())
        except StaleError:
            continue
        return merged
    raise StaleError("the carts kept changing")


def check_out(
    request: CheckoutRequest, *, carts: CartRepository, runner: CheckoutRunner, now: Clock
) -> Checkout:
    """Freeze the cart at today's prices and start its checkout, once per request key.

    A repeated request is answered with its checkout as it stands, and one that is still running
    is started again: a crash between freezing and starting is mended by the repetition.

    Raises
    ------
    CartChangedError
        The total is not `expected_total`. Nothing was done.
    IdempotencyMismatchError
        The key belongs to another request.
    QuoteExpiredError, QuoteMismatchError
        The shipping quote is not for this parcel, or no longer. Nothing was done.
    CartEmptyError, CartFrozenError, CartMergedError
    """
    order_id = derived_id("ord", request.customer_id, request.key)
    stored = _begun(order_id, request, carts, now)
    if stored.fingerprint != request.fingerprint:
        raise IdempotencyMismatchError
    if stored.status is CheckoutStatus.RUNNING:
        runner.start(order_id, stored.correlation_id)
    return stored


def _begun(order_id: str, request: CheckoutRequest, carts: CartRepository, now: Clock) -> Checkout:
    for _ in range(_ATTEMPTS_MAX):
        cart = carts.get(request.customer_id)
        try:
            priced, shipping = _priced_as_expected(cart, request, carts, now)
            return carts.begin_checkout(
                priced.frozen_for(order_id), _checkout(priced, shipping, order_id, request, now)
            )
        except StaleError:
            continue
        except _REFUSALS:
            # A repetition finds the cart as its own first attempt left it, or its quote expired.
            begun = carts.checkout(order_id)
            if begun is None:
                raise
            return begun
    raise StaleError("the cart kept changing")


def _priced_as_expected(
    cart: Cart, request: CheckoutRequest, carts: CartRepository, now: Clock
) -> tuple[Cart, Shipping]:
    if not cart.lines:
        raise CartEmptyError
    priced, changed = cart.repriced(carts.offers([line.sku for line in cart.lines]))
    if priced.total is None:
        raise CartChangedError(Money(0, request.expected_total.currency), changed)
    country = request.shipping_address["country"]
    shipping = shipping_of(priced, country, request.shipping_quote, now())
    total = priced.total + shipping.price
    if total != request.expected_total:
        raise CartChangedError(total, changed)
    return priced, shipping


def _checkout(
    cart: Cart, shipping: Shipping, order_id: str, request: CheckoutRequest, now: Clock
) -> Checkout:
    return Checkout(
        order_id=order_id,
        customer_id=request.customer_id,
        email=request.email,
        shipping_address=request.shipping_address,
        payment_method=request.payment_method,
        total=request.expected_total,
        shipping=shipping,
        lines=cart.lines,
        line_count=len(cart.lines),
        status=CheckoutStatus.RUNNING,
        reason=None,
        fingerprint=request.fingerprint,
        correlation_id=request.correlation_id,
        placed_at=now(),
    )


def checkout_of(order_id: str, *, customer_id: str, carts: CartRepository) -> Checkout:
    """Tell its owner how a checkout stands. Raises CheckoutNotFoundError."""
    checkout = carts.checkout(order_id)
    if checkout is None or checkout.customer_id != customer_id:
        raise CheckoutNotFoundError(order_id)
    return checkout


def read_checkout(order_id: str, *, carts: CartRepository) -> Checkout:
    """Read the snapshot that the order is made from. Raises CheckoutNotFoundError."""
    checkout = carts.checkout_with_lines(order_id)
    if checkout is None:
        raise CheckoutNotFoundError(order_id)
    return checkout


def end_checkout(
    order_id: str, *, customer_id: str, reason: str | None, carts: CartRepository
) -> None:
    """Close a checkout and open its cart: empty if it was confirmed, as it was if not.

    `reason` is None for success, otherwise the problem code the customer is told. Safe to repeat:
    a checkout that has ended stays as it ended.

    Raises
    ------
    CheckoutNotFoundError
    """
    carts.end_checkout(
        order_id,
        customer_id,
        status=CheckoutStatus.CONFIRMED if reason is None else CheckoutStatus.FAILED,
        reason=reason,
    )


def set_checkout_aside(order_id: str, *, customer_id: str, carts: CartRepository) -> None:
    """Open the cart of an order that was set aside: its customer need not wait for our person.

    It is empty, because the order may still be confirmed. Safe to repeat: a checkout that has
    ended stays as it ended.

    Raises
    ------
    CheckoutNotFoundError
    """
    carts.end_checkout(order_id, customer_id, status=CheckoutStatus.UNDER_REVIEW, reason=None)


def sweep_checkouts(*, carts: CartRepository, runner: CheckoutRunner, now: Clock) -> int:
    """Start every checkout again that should have ended by now; tell how many.

    Its start may have been lost, or its end, with an order or without one.

    Raises
    ------
    UnavailableError
        Some could not be started; the next sweep tries them again.
    """
    due = carts.due(now(), SWEPT_MAX)
    for order_id, correlation_id in due:
        runner.start_again(order_id, correlation_id)
        carts.postpone(order_id, now() + LEFT_ALONE_MAX)
    return len(due)


def follow_offer(offer: Offer, news: ProductNews, *, carts: CartRepository) -> None:
    """Take over an offer that catalog published. Late and repeated news changes nothing."""
    carts.put_offer(offer, news)


def withdraw_offer(sku: str, news: ProductNews, *, carts: CartRepository) -> None:
    """Stop selling what a product took off sale. Late and repeated news changes nothing."""
    carts.withdraw_offer(sku, news)


def _change(
    cart_id: str,
    skus: list[str],
    change: Callable[[Cart, Mapping[str, Offer]], Cart],
    version: int | None,
    carts: CartRepository,
) -> Cart:
    """Load, change, store; change anew if somebody else wrote and no version was named."""
    for _ in range(_ATTEMPTS_MAX):
        cart, offers = carts.get_with_offers(cart_id, skus)
        cart.require_version(version)
        changed = change(cart, offers)
        try:
            carts.save(changed)
        except StaleError:
            continue
        return changed
    raise StaleError("the cart kept changing")


def held_of(person_id: str, *, carts: CartRepository) -> tuple[Cart, list[Checkout]]:
    """Read what is kept of a person: their cart, and their checkouts without the lines."""
    return carts.get(person_id), carts.checkouts_of(person_id)


def sweep_erasures(*, carts: CartRepository, erasures: Erasures, now: Clock) -> int:
    """Forget whose account is gone, as far as their checkouts are over; tell how many.

    Nobody begins another: their tokens have expired. One that runs is looked at again each hour.
    """
    due = erasures.due(now())
    for erasure in due:
        if _forgotten(erasure.user_id, carts=carts):
            erasures.finish(erasure.user_id)
        else:
            erasures.postpone(erasure.user_id, now())
    return len(due)


def _forgotten(person_id: str, *, carts: CartRepository) -> bool:
    is_done = carts.forget(person_id)
    for checkout in carts.checkouts_of(person_id):
        try:
            carts.anonymise_checkout(checkout)
        except StaleError:
            is_done = False
    return is_done

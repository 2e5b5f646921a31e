"""Turning a cart into an order: frozen, run, and ended one way or the other."""

from __future__ import annotations

from dataclasses import dataclass

from carts.model.bill import Bill, bill_of
from carts.model.cart import Cart, CartEmptyError, CartFrozenError, CartMergedError
from carts.model.checkout import (
    LEFT_ALONE_MAX,
    CartChangedError,
    Checkout,
    CheckoutNotFoundError,
    CheckoutStatus,
)
from carts.model.promotion import Buyer, guest_person
from carts.model.shipping import QuoteExpiredError, QuoteMismatchError, shipping_of
from carts.model.tax import TaxRegionError
from carts.ports import CartRepository, CheckoutRunner, PriceBook
from carts.use_cases.carts import ATTEMPTS_MAX
from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money

# What one sweep starts again; the rest waits for the next minute.
SWEPT_MAX = 160

_REFUSALS = (
    CartChangedError,
    CartEmptyError,
    CartFrozenError,
    CartMergedError,
    QuoteExpiredError,
    QuoteMismatchError,
    TaxRegionError,
)


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What the customer sends with a checkout. `key` identifies it among the customer's own."""

    customer_id: str
    is_guest: bool
    email: str
    shipping_address: dict[str, str]
    payment_method: str
    expected_total: Money
    shipping_quote: ShippingQuote | None
    key: str
    fingerprint: str
    correlation_id: str


def check_out(
    request: CheckoutRequest,
    *,
    carts: CartRepository,
    prices: PriceBook,
    runner: CheckoutRunner,
    now: Clock,
) -> Checkout:
    """Freeze the cart at today's prices and start its checkout, once per request key.

    A repeated request is answered with its checkout as it stands, and one that is still running
    is started again: a crash between freezing and starting is mended by the repetition. The uses
    of its promotions are taken in the write that freezes the cart, or nothing is.

    Raises
    ------
    CartChangedError
        The total is not `expected_total`. Nothing was done.
    IdempotencyMismatchError
        The key belongs to another request.
    QuoteExpiredError, QuoteMismatchError
        The shipping quote is not for this parcel, or no longer. Nothing was done.
    TaxRegionError
        Tax differs by region there, and the address names none that is known.
    CartEmptyError, CartFrozenError, CartMergedError
    """
    order_id = derived_id("ord", request.customer_id, request.key)
    stored = _begun(order_id, request, carts, prices, now)
    if stored.fingerprint != request.fingerprint:
        raise IdempotencyMismatchError
    if stored.status is CheckoutStatus.RUNNING:
        runner.start(order_id, stored.correlation_id)
    return stored


def _begun(
    order_id: str,
    request: CheckoutRequest,
    carts: CartRepository,
    prices: PriceBook,
    now: Clock,
) -> Checkout:
    for _ in range(ATTEMPTS_MAX):
        cart = carts.get(request.customer_id).as_of(now())
        try:
            frozen = cart.frozen_for(order_id).kept(now())
            priced, bill = _priced_as_expected(frozen, request, prices, now)
            return carts.begin_checkout(priced, _checkout(bill, order_id, request, now))
        except StaleError:
            continue
        except _REFUSALS:
            # A repetition finds the cart as its own first attempt left it, or its quote expired.
            begun = carts.checkout(order_id)
            if begun is None:
                raise
            return begun
    raise StaleError("the cart or a promotion in it kept changing")


def _priced_as_expected(
    cart: Cart, request: CheckoutRequest, prices: PriceBook, now: Clock
) -> tuple[Cart, Bill]:
    address = request.shipping_address
    person = guest_person(request.email) if request.is_guest else request.customer_id
    found = prices.prices(
        [line.sku for line in cart.lines],
        codes=[one.code for one in cart.codes],
        person=person,
        country=address["country"],
    )
    priced, changed = cart.repriced(found.offers)
    if not priced.lines:
        raise CartChangedError(Money(0, request.expected_total.currency), changed)
    bill = bill_of(
        priced,
        shipping_of(priced, address["country"], request.shipping_quote, now()),
        found,
        Buyer(person, request.is_guest, found.uses),
        region=address.get("region"),
        at=now(),
    )
    if bill.total != request.expected_total:
        raise CartChangedError(bill.total, changed, bill.not_counted)
    return priced, bill


def _checkout(bill: Bill, order_id: str, request: CheckoutRequest, now: Clock) -> Checkout:
    return Checkout(
        order_id=order_id,
        customer_id=request.customer_id,
        email=request.email,
        shipping_address=request.shipping_address,
        payment_method=request.payment_method,
        bill=bill,
        total=bill.total,
        discount=bill.discount,
        tax=bill.tax,
        line_count=len(bill.lines),
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

    A checkout that failed gives the uses of its promotions back. One that was confirmed never does,
    even if its order is cancelled later: what was bought with the code was bought.

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

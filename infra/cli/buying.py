"""One purchase over HTTP, from the cart to the end of the checkout, and its request bodies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from infra.cli.shop import Json, Session, ShopRefusedError

CARD_OK = "pm_card_ok"
# So many of any shop's products fit into a cart, which is bounded in bytes, too.
VISITED_MAX = 1_000

# What a cart answers for a SKU whose product was published a moment ago: carts hears of products
# by event, so the same request succeeds a little later.
_NOT_YET_KNOWN = {"unknown_sku"}

# No checkout ends sooner, and asking in vain is what a busy shop needs least.
_FIRST_PAUSE_SECONDS = 0.05
_PAUSE_GROWTH = 1.5
_PAUSE_SECONDS_MAX = 1.0
_PATIENCE_SECONDS = 300.0
_CATALOGUE_PATIENCE_SECONDS = 300.0

_RUNNING = "RUNNING"


class CheckoutStuckError(Exception):
    """A checkout did not end while we waited."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a checkout ended: CONFIRMED, or FAILED with the shop's reason code."""

    order_id: str
    status: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Purchase:
    """What one buyer wants. `total_minor` is what they expect to pay, or nothing happens."""

    lines: Mapping[str, int]  # units by SKU
    total_minor: int
    currency: str
    email: str
    address: Json
    key: str  # the checkout's Idempotency-Key
    payment_method: str = CARD_OK


def buy(buyer: Session, purchase: Purchase) -> Outcome:
    """Fill the buyer's cart with the purchase alone, check out and wait for the end.

    Raises
    ------
    ShopRefusedError
        A request was refused, the total being another one included.
    CheckoutStuckError
        The checkout neither succeeded nor failed.
    """
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in purchase.lines.items()]
    _with_patience(buyer, lambda: buyer.call("PUT", "/v1/cart", {"lines": lines}))
    return check_out(buyer, purchase)


def check_out(buyer: Session, purchase: Purchase) -> Outcome:
    """Check out the cart as it stands and wait for the end. Raises what `buy` raises."""
    body = {
        "email": purchase.email,
        "shipping_address": purchase.address,
        "payment_method": purchase.payment_method,
        "expected_total": money(purchase.total_minor, purchase.currency),
    }
    accepted = buyer.call("POST", "/v1/checkouts", body, key=purchase.key)
    return end_of_checkout(buyer, str(accepted["order_id"]))


def await_on_sale(visitor: Session, skus: Sequence[str]) -> None:
    """Wait until carts have heard of up to `VISITED_MAX` SKUs; they end up in the visitor's."""
    body = {"lines": [{"sku": sku, "quantity": 1} for sku in skus]}
    _with_patience(visitor, lambda: visitor.call("PUT", "/v1/cart", body))


def end_of_checkout(buyer: Session, order_id: str) -> Outcome:
    """Ask for a checkout, ever less often, until it has ended."""
    for wait in growing_pauses(_PATIENCE_SECONDS):
        answer = buyer.call("GET", f"/v1/checkouts/{quote(order_id)}")
        if answer["status"] != _RUNNING:
            return Outcome(order_id, str(answer["status"]), answer.get("reason"))
        buyer.shop.pause(wait)
    raise CheckoutStuckError(f"{order_id} still runs after {_PATIENCE_SECONDS:.0f} s")


def money(amount_minor: int, currency: str) -> Json:
    return {"amount_minor": amount_minor, "currency": currency}


def address(name: str, line1: str, country: str) -> Json:
    """Write a shipping address where the buyer's own is not known. `country` is ISO 3166."""
    return {
        "name": name,
        "line1": line1,
        "city": "Replay",
        "postal_code": "AA1 1AA",
        "country": country,
    }


def _with_patience(buyer: Session, call: Callable[[], Json]) -> Json:
    for wait in growing_pauses(_CATALOGUE_PATIENCE_SECONDS):
        try:
            return call()
        except ShopRefusedError as refusal:
            if refusal.code not in _NOT_YET_KNOWN:
                raise
        buyer.shop.pause(wait)
    return call()


def growing_pauses(patience_seconds: float) -> list[float]:
    """Plan pauses that grow up to a second and together last as long as the patience."""
    pauses = [_FIRST_PAUSE_SECONDS]
    while sum(pauses) < patience_seconds:
        pauses.append(min(pauses[-1] * _PAUSE_GROWTH, _PAUSE_SECONDS_MAX))
    return pauses


def seconds_now() -> float:
    """Read the stopwatch that all durations here are measured with."""
    return time.perf_counter()

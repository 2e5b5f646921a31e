"""Carts over HTTP, as steps of the checkout, and as a follower of the catalogue."""

from __future__ import annotations

import functools
import os
from typing import Any

import jwt
from chalice import Rate
from chalice.app import CloudWatchEvent, SQSEvent

from carts import use_cases
from carts.api import (
    CART_BODY_BYTES_MAX,
    CartView,
    CheckoutView,
    Merge,
    NewCheckout,
    NewLine,
    NewLines,
    Quantity,
)
from carts.dynamodb import DynamoDBCarts
from carts.messages import EndedCheckout, ProductOnSale, ProductWithdrawn, snapshot
from carts.model import (
    Cart,
    CartChangedError,
    CartEmptyError,
    CartFrozenError,
    CartLimitError,
    CartMergedError,
    CheckoutNotFoundError,
    CurrencyMixedError,
    GuestTokenError,
    QuoteExpiredError,
    QuoteMismatchError,
    UnknownSKUError,
    VersionMismatchError,
)
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.platform import aws
from tradepost.platform.arguments import IdempotencyKey, IfMatch
from tradepost.platform.auth import BUYERS, Caller, Role, verify_access_token
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import consume
from tradepost.platform.idempotency import IdempotentRequest, fingerprint
from tradepost.platform.quotes import QuoteInvalidError, read_quote
from tradepost.platform.runner import StepFunctionsRunner
from tradepost.platform.service import Reply, Service

app = Service("carts")

_CHANGE_REFUSALS = (
    UnknownSKUError,
    CartLimitError,
    CurrencyMixedError,
    CartFrozenError,
    CartMergedError,
    VersionMismatchError,
    StaleError,
)


@functools.cache
def carts() -> DynamoDBCarts:
    return DynamoDBCarts(aws.dynamodb(), os.environ["CARTS_TABLE"])


@functools.cache
def runner() -> StepFunctionsRunner:
    return StepFunctionsRunner(aws.step_functions(), os.environ["CHECKOUT_STATE_MACHINE_ARN"])


@app.get("/v1/cart", roles=BUYERS)
def view_cart(caller: Caller) -> Reply[CartView]:
    """Show your cart at today's prices."""
    cart, changed = use_cases.view_cart(caller.principal_id, carts=carts())
    return _tagged(cart, changed)


@app.put("/v1/cart/lines/{sku}", roles=BUYERS, refusals=_CHANGE_REFUSALS)
def set_line(sku: str, body: Quantity, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Set the quantity of one line; 0 removes it."""
    cart = use_cases.set_lines(
        caller.principal_id, {sku: body.quantity}, version=if_match, carts=carts()
    )
    return _tagged(cart)


@app.post("/v1/cart/lines", roles=BUYERS, refusals=(*_CHANGE_REFUSALS, IdempotencyMismatchError))
def add_line(body: NewLine, caller: Caller, idempotency_key: IdempotencyKey) -> Reply[CartView]:
    """Add units of a SKU to what is in the cart."""
    request = IdempotentRequest(
        principal_id=caller.principal_id,
        operation="add_to_cart",
        key=idempotency_key,
        fingerprint=fingerprint(body),
    )
    cart = use_cases.add_to_cart(
        caller.principal_id, body.sku, body.quantity, request=request, carts=carts()
    )
    return _tagged(cart)


@app.delete("/v1/cart/lines/{sku}", roles=BUYERS, refusals=_CHANGE_REFUSALS)
def remove_line(sku: str, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Remove one line."""
    cart = use_cases.set_lines(caller.principal_id, {sku: 0}, version=if_match, carts=carts())
    return _tagged(cart)


@app.put("/v1/cart", roles=BUYERS, refusals=_CHANGE_REFUSALS, body_bytes_max=CART_BODY_BYTES_MAX)
def replace_lines(body: NewLines, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Put exactly these lines in the cart."""
    cart = use_cases.replace_lines(
        caller.principal_id, body.quantities(), version=if_match, carts=carts()
    )
    return _tagged(cart)


@app.delete("/v1/cart", roles=BUYERS, refusals=_CHANGE_REFUSALS)
def clear_cart(caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Take everything out of the cart."""
    return _tagged(use_cases.clear_cart(caller.principal_id, version=if_match, carts=carts()))


@app.post(
    "/v1/cart/merge",
    roles={Role.CUSTOMER},
    refusals=(GuestTokenError, CartFrozenError, CartLimitError, CurrencyMixedError, StaleError),
    repeatable="a guest's cart is taken over once",
)
def merge_carts(body: Merge, caller: Caller) -> Reply[CartView]:
    """Take over the cart you filled as a guest; its token shows that it was yours."""
    try:
        guest = verify_access_token(body.guest_token)
    except jwt.InvalidTokenError as error:
        raise GuestTokenError("the guest token is not valid") from error
    if guest.role is not Role.GUEST:
        raise GuestTokenError("the token is not a guest's")
    return _tagged(use_cases.merge_carts(caller.principal_id, guest.principal_id, carts=carts()))


@app.post(
    "/v1/checkouts",
    roles=BUYERS,
    status=202,
    refusals=(
        CartChangedError,
        CartEmptyError,
        CartFrozenError,
        CartMergedError,
        QuoteExpiredError,
        QuoteInvalidError,
        QuoteMismatchError,
        IdempotencyMismatchError,
        StaleError,
    ),
)
def check_out(
    body: NewCheckout, caller: Caller, idempotency_key: IdempotencyKey, correlation_id: str
) -> Reply[CheckoutView]:
    """Check out your cart. Follow `Location` to learn how it ends."""
    checkout = use_cases.check_out(
        use_cases.CheckoutRequest(
            customer_id=caller.principal_id,
            email=body.email,
            shipping_address=body.shipping_address.filled_in(),
            payment_method=body.payment_method,
            expected_total=body.expected_total.to_money(),
            shipping_quote=read_quote(body.shipping_quote) if body.shipping_quote else None,
            key=idempotency_key,
            fingerprint=fingerprint(body),
            correlation_id=correlation_id,
        ),
        carts=carts(),
        runner=runner(),
        now=utc_now,
    )
    return Reply(
        CheckoutView.of(checkout), headers={"Location": f"/v1/checkouts/{checkout.order_id}"}
    )


@app.get("/v1/checkouts/{order_id}", roles=BUYERS, refusals=(CheckoutNotFoundError,))
def get_checkout(order_id: str, caller: Caller) -> CheckoutView:
    """Tell how a checkout stands: RUNNING, UNDER_REVIEW, CONFIRMED, or FAILED with its reason."""
    checkout = use_cases.checkout_of(order_id, customer_id=caller.principal_id, carts=carts())
    return CheckoutView.of(checkout)


@app.step
def read_checkout(step: StepInput) -> dict[str, Any]:
    """Hand the frozen snapshot to the checkout."""
    return snapshot(use_cases.read_checkout(step.order_id, carts=carts()))


@app.step
def consume_cart(step: EndedCheckout) -> None:
    """Empty the cart: its order is confirmed."""
    use_cases.end_checkout(step.order_id, customer_id=step.customer_id, reason=None, carts=carts())


@app.step
def thaw_cart(step: EndedCheckout) -> None:
    """Give the cart back as it was, and tell why."""
    use_cases.end_checkout(
        step.order_id,
        customer_id=step.customer_id,
        reason=step.reason or "checkout_failed",
        carts=carts(),
    )


@app.step
def set_checkout_aside(step: EndedCheckout) -> None:
    """Open the cart again: a person looks at the order."""
    use_cases.set_checkout_aside(step.order_id, customer_id=step.customer_id, carts=carts())


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_checkouts")
def sweep_checkouts(_event: CloudWatchEvent) -> None:
    """Start the checkouts again that should have ended by now."""
    use_cases.sweep_checkouts(carts=carts(), runner=runner(), now=utc_now)


@app.on_sqs_message(queue="carts-products", name="on_product", batch_size=10)
def on_product(event: SQSEvent) -> dict[str, Any]:
    """Follow the catalogue: what may be put in a cart, and at what price."""
    return consume(
        event.to_dict(),
        event.context,
        reactions={
            "product.published.v2": _follow_product,
            "product.changed.v2": _follow_product,
            # Nothing new comes of these; some may lie in the queue or be a dead letter.
            "product.published.v1": _follow_product,
            "product.changed.v1": _follow_product,
            "product.withdrawn.v1": _withdraw_product,
        },
    )


def _follow_product(message: str) -> None:
    product = ProductOnSale.model_validate_json(message)
    for offer in product.offers():
        use_cases.follow_offer(offer, product.news, carts=carts())
    for sku in product.removed_skus:
        use_cases.withdraw_offer(sku, product.news, carts=carts())


def _withdraw_product(message: str) -> None:
    product = ProductWithdrawn.model_validate_json(message)
    for sku in product.skus:
        use_cases.withdraw_offer(sku, product.news, carts=carts())


def _tagged(cart: Cart, changed: list[str] | None = None) -> Reply[CartView]:
    return Reply(CartView.of(cart, changed), headers={"ETag": f'"{cart.version}"'})

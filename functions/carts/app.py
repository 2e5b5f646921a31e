"""Carts over HTTP, as steps of the checkout, and as a follower of the catalogue."""

from __future__ import annotations

import functools
import os
from typing import Any

import jwt
from chalice import Rate
from chalice.app import CloudWatchEvent, SQSEvent

from carts import use_cases
from carts.api.carts import (
    CART_BODY_BYTES_MAX,
    CartQuery,
    CartView,
    CheckoutView,
    Merge,
    NewCheckout,
    NewLine,
    NewLines,
    Quantity,
    exported,
)
from carts.api.pricing import (
    TAX_TABLE_BODY_BYTES_MAX,
    NewPromotion,
    NewTaxTable,
    PromotionPage,
    PromotionView,
    TaxTableList,
    TaxTableView,
    require_code,
    require_country,
)
from carts.dynamodb import (
    RUNNING,
    DynamoDBCarts,
    DynamoDBPriceBook,
    DynamoDBPromotions,
    DynamoDBTaxes,
)
from carts.messages import (
    EndedCheckout,
    ErasedUser,
    ProductOnSale,
    ProductWithdrawn,
    snapshot,
    units_told,
)
from carts.model.bill import units_priced
from carts.model.cart import (
    CartEmptyError,
    CartFrozenError,
    CartLimitError,
    CartMergedError,
    CurrencyMixedError,
    GuestTokenError,
    UnknownSKUError,
    VersionMismatchError,
)
from carts.model.checkout import CartChangedError, CheckoutNotFoundError
from carts.model.promotion import (
    PromotionExistsError,
    PromotionInapplicableError,
    PromotionNotFoundError,
)
from carts.model.shipping import QuoteExpiredError, QuoteMismatchError
from carts.model.tax import TaxRegionError, TaxTable, TaxTableNotFoundError
from carts.use_cases import Destination, Owner, Shown
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.platform import aws
from tradepost.platform.arguments import IdempotencyKey, IfMatch
from tradepost.platform.auth import BUYERS, STAFF, Caller, Role, verify_access_token
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import consume
from tradepost.platform.cursor import InvalidCursorError, Page, read_cursor, sign_cursor
from tradepost.platform.dynamodb import passing_faults_named
from tradepost.platform.erasures import Erasures
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
def prices() -> DynamoDBPriceBook:
    return DynamoDBPriceBook(aws.dynamodb(), os.environ["CARTS_TABLE"])


@functools.cache
def promotions() -> DynamoDBPromotions:
    return DynamoDBPromotions(aws.dynamodb(), os.environ["CARTS_TABLE"])


@functools.cache
def taxes() -> DynamoDBTaxes:
    return DynamoDBTaxes(aws.dynamodb(), os.environ["CARTS_TABLE"])


@functools.cache
def erasures() -> Erasures:
    return Erasures(aws.dynamodb(), os.environ["CARTS_TABLE"], RUNNING)


@functools.cache
def runner() -> StepFunctionsRunner:
    return StepFunctionsRunner(aws.step_functions(), os.environ["CHECKOUT_STATE_MACHINE_ARN"])


@app.get(
    "/v1/cart",
    roles=BUYERS,
    refusals=(TaxRegionError, QuoteExpiredError, QuoteInvalidError, QuoteMismatchError),
)
def view_cart(query: CartQuery, caller: Caller) -> Reply[CartView]:
    """Show your cart at today's prices, and what it comes to where it is to go.

    With `country` (and `region`, where tax differs by it) the tax is told, with `shipping_quote`
    the shipping: then `total` is what a checkout expects.
    """
    destination = Destination(
        country=query.country,
        region=query.region,
        quote=read_quote(query.shipping_quote) if query.shipping_quote else None,
    )
    return _tagged(
        use_cases.view_cart(
            _owner(caller), destination, carts=carts(), prices=prices(), now=utc_now
        )
    )


@app.put("/v1/cart/lines/{sku}", roles=BUYERS, refusals=_CHANGE_REFUSALS)
def set_line(sku: str, body: Quantity, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Set the quantity of one line; 0 removes it."""
    return _set_lines(caller, {sku: body.quantity}, if_match)


@app.post("/v1/cart/lines", roles=BUYERS, refusals=(*_CHANGE_REFUSALS, IdempotencyMismatchError))
def add_line(body: NewLine, caller: Caller, idempotency_key: IdempotencyKey) -> Reply[CartView]:
    """Add units of a SKU to what is in the cart."""
    request = IdempotentRequest(
        principal_id=caller.principal_id,
        operation="add_to_cart",
        key=idempotency_key,
        fingerprint=fingerprint(body),
    )
    return _tagged(
        use_cases.add_to_cart(
            _owner(caller),
            body.sku,
            body.quantity,
            request=request,
            carts=carts(),
            prices=prices(),
            now=utc_now,
        )
    )


@app.delete("/v1/cart/lines/{sku}", roles=BUYERS, refusals=_CHANGE_REFUSALS)
def remove_line(sku: str, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Remove one line."""
    return _set_lines(caller, {sku: 0}, if_match)


@app.put("/v1/cart", roles=BUYERS, refusals=_CHANGE_REFUSALS, body_bytes_max=CART_BODY_BYTES_MAX)
def replace_lines(body: NewLines, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Put exactly these lines in the cart."""
    return _tagged(
        use_cases.replace_lines(
            _owner(caller),
            body.quantities(),
            version=if_match,
            carts=carts(),
            prices=prices(),
            now=utc_now,
        )
    )


@app.delete("/v1/cart", roles=BUYERS, refusals=_CHANGE_REFUSALS)
def clear_cart(caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Take everything out of the cart, its promotions too."""
    return _tagged(
        use_cases.clear_cart(
            _owner(caller), version=if_match, carts=carts(), prices=prices(), now=utc_now
        )
    )


@app.put(
    "/v1/cart/promotions/{code}",
    roles=BUYERS,
    refusals=(
        PromotionNotFoundError,
        PromotionInapplicableError,
        CartFrozenError,
        CartMergedError,
        VersionMismatchError,
        StaleError,
    ),
)
def apply_promotion(code: str, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Put a promotion's code in the cart: one for the goods, and one for the shipping.

    A second one for the same replaces the first. Its use is taken at the checkout.
    """
    return _tagged(
        use_cases.apply_promotion(
            _owner(caller),
            require_code(code),
            version=if_match,
            carts=carts(),
            prices=prices(),
            now=utc_now,
        )
    )


@app.delete(
    "/v1/cart/promotions/{code}",
    roles=BUYERS,
    refusals=(
        PromotionNotFoundError,
        CartFrozenError,
        CartMergedError,
        VersionMismatchError,
        StaleError,
    ),
)
def remove_promotion(code: str, caller: Caller, if_match: IfMatch | None) -> Reply[CartView]:
    """Take a promotion's code out of the cart."""
    return _tagged(
        use_cases.remove_promotion(
            _owner(caller),
            require_code(code),
            version=if_match,
            carts=carts(),
            prices=prices(),
            now=utc_now,
        )
    )


@app.post(
    "/v1/cart/merge",
    roles={Role.CUSTOMER},
    refusals=(
        GuestTokenError,
        CartFrozenError,
        CartMergedError,
        CartLimitError,
        CurrencyMixedError,
        StaleError,
    ),
    repeatable="a guest's cart is taken over once",
)
def merge_carts(body: Merge, caller: Caller) -> Reply[CartView]:
    """Take over the cart you filled as a guest; its token shows that it was yours.

    What is no longer on sale stays behind, and is named in `changed_skus`.
    """
    try:
        guest = verify_access_token(body.guest_token)
    except jwt.InvalidTokenError as error:
        raise GuestTokenError("the guest token is not valid") from error
    if guest.role is not Role.GUEST:
        raise GuestTokenError("the token is not a guest's")
    return _tagged(
        use_cases.merge_carts(
            _owner(caller), guest.principal_id, carts=carts(), prices=prices(), now=utc_now
        )
    )


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
        TaxRegionError,
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
            is_guest=caller.role is Role.GUEST,
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
        prices=prices(),
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


@app.put("/v1/staff/promotions/{code}", roles={Role.ADMIN}, refusals=(PromotionExistsError,))
def create_promotion(code: str, body: NewPromotion) -> PromotionView:
    """Announce a promotion under a code; the same again changes nothing.

    What was announced is never changed: end it, and announce another one.
    """
    promotion = use_cases.create_promotion(
        require_code(code), body.terms(), promotions=promotions(), now=utc_now
    )
    return PromotionView.of(promotion)


@app.get("/v1/staff/promotions", roles=STAFF, refusals=(InvalidCursorError,))
def list_promotions(query: Page) -> PromotionPage:
    """List the promotions by code, with their uses."""
    listing = "staff-promotions"
    found, position = promotions().listed(query.limit, read_cursor(query.cursor, listing))
    return PromotionPage(
        promotions=[PromotionView.of(promotion) for promotion in found],
        next_cursor=sign_cursor(position, listing),
    )


@app.get("/v1/staff/promotions/{code}", roles=STAFF, refusals=(PromotionNotFoundError,))
def get_promotion(code: str) -> PromotionView:
    """Show one promotion with its uses."""
    return PromotionView.of(use_cases.promotion_of(require_code(code), promotions=promotions()))


@app.post(
    "/v1/staff/promotions/{code}/end",
    roles={Role.ADMIN},
    refusals=(PromotionNotFoundError, StaleError),
    repeatable="a promotion that has ended stays so",
)
def end_promotion(code: str) -> PromotionView:
    """End a promotion before its time: no checkout takes a use of it any more."""
    ended = use_cases.end_promotion(require_code(code), promotions=promotions(), now=utc_now)
    return PromotionView.of(ended)


@app.put(
    "/v1/staff/taxes/{country}",
    roles={Role.ADMIN},
    refusals=(VersionMismatchError, StaleError),
    body_bytes_max=TAX_TABLE_BODY_BYTES_MAX,
)
def set_tax_table(country: str, body: NewTaxTable, if_match: IfMatch | None) -> Reply[TaxTableView]:
    """Set how a country taxes, for the checkouts from now on; orders keep what they were told."""
    table = use_cases.set_tax_table(
        body.table(require_country(country)), version=if_match, taxes=taxes()
    )
    return _table(table)


@app.get("/v1/staff/taxes", roles=STAFF)
def list_tax_tables() -> TaxTableList:
    """List how each country taxes; where none is set, nothing is taxed."""
    return TaxTableList(taxes=[TaxTableView.of(table) for table in taxes().all()])


@app.get("/v1/staff/taxes/{country}", roles=STAFF, refusals=(TaxTableNotFoundError,))
def get_tax_table(country: str) -> Reply[TaxTableView]:
    """Show how a country taxes."""
    return _table(use_cases.tax_table_of(require_country(country), taxes=taxes()))


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


@app.lambda_function(name="price_units")
def price_units(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell another context what units cost today, sent to an address; what is not on sale is left
    out. `prices_include_tax` is None where it cannot be told how they are taxed there.
    """
    found = prices().prices(list(event["quantities"]), country=event["country"])
    try:
        lines, prices_include_tax = units_priced(
            event["quantities"], found, region=event["region"], at=utc_now()
        )
    except TaxRegionError:
        return {"lines": [], "prices_include_tax": None}
    return units_told(lines, prices_include_tax=prices_include_tax)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_checkouts")
def sweep_checkouts(_event: CloudWatchEvent) -> None:
    """Start the checkouts again that should have ended by now."""
    use_cases.sweep_checkouts(carts=carts(), runner=runner(), now=utc_now)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_erasures")
def sweep_erasures(_event: CloudWatchEvent) -> None:
    """Forget whose account is gone, as far as their checkouts are over."""
    use_cases.sweep_erasures(carts=carts(), erasures=erasures(), now=utc_now)


@app.lambda_function(name="personal_data")
def personal_data(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell users what an account's holder is to be told of their cart and checkouts."""
    return exported(*use_cases.held_of(event["user_id"], carts=carts()))


@app.on_sqs_message(queue="carts-products", name="on_product", batch_size=10)
def on_product(event: SQSEvent) -> dict[str, Any]:
    """Follow the catalogue: what may be put in a cart, and at what price. Note who is gone."""
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
            "user.erased.v1": _begin_erasure,
        },
    )


def _begin_erasure(message: str) -> None:
    gone = ErasedUser.model_validate_json(message)
    with passing_faults_named():
        erasures().begin(gone.user_id, gone.occurred_at)


def _follow_product(message: str) -> None:
    product = ProductOnSale.model_validate_json(message)
    for offer in product.offers():
        use_cases.follow_offer(offer, product.news, prices=prices())
    for sku in product.removed_skus:
        use_cases.withdraw_offer(sku, product.news, prices=prices())


def _withdraw_product(message: str) -> None:
    product = ProductWithdrawn.model_validate_json(message)
    for sku in product.skus:
        use_cases.withdraw_offer(sku, product.news, prices=prices())


def _set_lines(
    caller: Caller, quantities: dict[str, int], version: IfMatch | None
) -> Reply[CartView]:
    return _tagged(
        use_cases.set_lines(
            _owner(caller),
            quantities,
            version=version,
            carts=carts(),
            prices=prices(),
            now=utc_now,
        )
    )


def _owner(caller: Caller) -> Owner:
    return Owner(caller.principal_id, is_guest=caller.role is Role.GUEST)


def _tagged(shown: Shown) -> Reply[CartView]:
    return Reply(CartView.of(shown), headers={"ETag": f'"{shown.cart.version}"'})


def _table(table: TaxTable) -> Reply[TaxTableView]:
    return Reply(TaxTableView.of(table), headers={"ETag": f'"{table.version}"'})

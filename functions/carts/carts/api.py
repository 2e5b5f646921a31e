"""Carts' bodies and answers."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from carts.model import (
    CART_LINES_MAX,
    QUANTITY_MAX,
    Cart,
    CartLine,
    CartStatus,
    Checkout,
    CheckoutStatus,
)
from tradepost.kernel.clock import to_text
from tradepost.platform.bodies import Address, Amount, AmountGiven, RequestModel, View, shown_as
from tradepost.platform.quotes import QUOTE_LENGTH_MAX

# All lines of the largest cart, each with a long SKU.
CART_BODY_BYTES_MAX = 256 * 1024

# ISO/IEC 7812: a card number has thirteen digits or more, in one piece once its blanks are gone.
_CARD_NUMBER = re.compile(r"\d{13}")


def _without_card_number(token: str) -> str:
    if _CARD_NUMBER.search(token.replace("_", "")):
        raise ValueError("a card number, where the provider's token belongs")
    return token


# Two mugs of the demonstration shop, for whoever tries the API.
_CHECKOUT: dict[str, Any] = {
    "email": "ada@example.com",
    "shipping_address": {
        "name": "Ada",
        "line1": "1 Harbour Road",
        "city": "Whitby",
        "postal_code": "YO21 1AA",
        "country": "GB",
    },
    "payment_method": "pm_card_ok",
    "expected_total": {"amount_minor": 2800, "currency": "GBP"},
}

SKU = Annotated[str, Field(min_length=1, max_length=100)]


class Quantity(RequestModel):
    model_config = shown_as(quantity=2)

    quantity: int = Field(ge=0, le=QUANTITY_MAX)


class NewLine(RequestModel):
    model_config = shown_as(sku="MUG-STONEWARE-SAND", quantity=1)

    sku: SKU
    quantity: int = Field(ge=1, le=QUANTITY_MAX)


class NewLines(RequestModel):
    """A SKU named twice counts twice."""

    model_config = shown_as(lines=[{"sku": "MUG-STONEWARE-SAND", "quantity": 2}])

    lines: list[NewLine] = Field(max_length=CART_LINES_MAX)

    def quantities(self) -> dict[str, int]:
        quantities: dict[str, int] = {}
        for line in self.lines:
            quantities[line.sku] = quantities.get(line.sku, 0) + line.quantity
        return quantities


class Merge(RequestModel):
    guest_token: str = Field(min_length=1, max_length=4096)


class NewCheckout(RequestModel):
    model_config = shown_as(**_CHECKOUT)

    email: str = Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,189}\.[^@\s]+$", max_length=254)
    shipping_address: Address
    # A provider's token. A card number is refused before anything reads it, behind pm_ as well.
    payment_method: Annotated[
        str, Field(pattern=r"^pm_[A-Za-z0-9_]{1,100}$"), AfterValidator(_without_card_number)
    ]
    expected_total: AmountGiven  # with the shipping, if a quote is taken
    shipping_quote: str | None = Field(default=None, max_length=QUOTE_LENGTH_MAX)


class LineView(View):
    sku: str
    title: str
    quantity: int
    unit_price: Amount
    line_total: Amount

    @classmethod
    def of(cls, line: CartLine) -> LineView:
        return cls(
            sku=line.sku,
            title=line.title,
            quantity=line.quantity,
            unit_price=Amount.of(line.unit_price),
            line_total=Amount.of(line.total),
        )


class CartView(View):
    """`changed_skus` are lines whose price is not the one seen before, or that are gone."""

    cart_id: str
    version: int
    status: CartStatus
    currency: str | None
    lines: list[LineView]
    total: Amount | None
    weight_grams: int
    changed_skus: list[str]

    @classmethod
    def of(cls, cart: Cart, changed_skus: list[str] | None = None) -> CartView:
        return cls(
            cart_id=cart.cart_id,
            version=cart.version,
            status=cart.status,
            currency=cart.currency,
            lines=[LineView.of(line) for line in cart.lines],
            total=Amount.of(cart.total) if cart.total else None,
            weight_grams=cart.weight_grams,
            changed_skus=changed_skus or [],
        )


class CheckoutView(View):
    """`reason` is a problem code, such as out_of_stock or payment_declined, if it FAILED."""

    order_id: str
    status: CheckoutStatus
    reason: str | None
    total: Amount
    shipping: Amount
    shipping_service: str
    line_count: int

    @classmethod
    def of(cls, checkout: Checkout) -> CheckoutView:
        return cls(
            order_id=checkout.order_id,
            status=checkout.status,
            reason=checkout.reason,
            total=Amount.of(checkout.total),
            shipping=Amount.of(checkout.shipping.price),
            shipping_service=checkout.shipping.service,
            line_count=checkout.line_count,
        )


def exported(cart: Cart, checkouts: list[Checkout]) -> dict[str, Any]:
    """Tell all that is kept of a person, to themselves."""
    return {
        "cart": [{"sku": line.sku, "quantity": line.quantity} for line in cart.lines],
        "checkouts": [
            {
                "order_id": checkout.order_id,
                "placed_at": to_text(checkout.placed_at),
                "email": checkout.email,
                "shipping_address": checkout.shipping_address,
                "payment_method": checkout.payment_method,
            }
            for checkout in checkouts
        ],
    }

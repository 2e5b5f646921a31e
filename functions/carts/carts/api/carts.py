"""Carts' bodies and answers."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, model_validator

from carts.model.bill import Bill, PricedLine
from carts.model.cart import CART_LINES_MAX, QUANTITY_MAX, Cart, CartStatus
from carts.model.checkout import Checkout, CheckoutStatus
from carts.model.promotion import Inapplicable
from carts.model.tax import TaxClass
from carts.use_cases import Shown
from tradepost.kernel.clock import to_text
from tradepost.platform.bodies import (
    Address,
    Amount,
    AmountGiven,
    PaymentMethod,
    RequestModel,
    View,
    shown_as,
)
from tradepost.platform.quotes import QUOTE_LENGTH_MAX

# All lines of the largest cart, each with a long SKU.
CART_BODY_BYTES_MAX = 256 * 1024

COUNTRY = r"^[A-Z]{2}$"  # ISO 3166-1 alpha-2

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
Region = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


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
    payment_method: PaymentMethod
    expected_total: AmountGiven  # with the shipping, if a quote is taken
    shipping_quote: str | None = Field(default=None, max_length=QUOTE_LENGTH_MAX)


class CartQuery(RequestModel):
    """Where the cart is to go; a quote is for a country."""

    country: str | None = Field(default=None, pattern=COUNTRY)
    region: Region | None = None
    shipping_quote: str | None = Field(default=None, min_length=1, max_length=QUOTE_LENGTH_MAX)

    @model_validator(mode="after")
    def _for_a_country(self) -> Self:
        if self.country is None and (self.region or self.shipping_quote):
            raise ValueError("name the country, too")
        return self


class LineView(View):
    """`discount` and `tax` are the whole line's; `line_total` is before either."""

    sku: str
    title: str
    quantity: int
    unit_price: Amount
    line_total: Amount
    discount: Amount
    tax: Amount
    tax_class: TaxClass

    @classmethod
    def of(cls, priced: PricedLine) -> LineView:
        line = priced.line
        currency = line.unit_price.currency
        return cls(
            sku=line.sku,
            title=line.title,
            quantity=line.quantity,
            unit_price=Amount.of(line.unit_price),
            line_total=Amount.of(line.total),
            discount=Amount(amount_minor=priced.discount_minor, currency=currency),
            tax=Amount(amount_minor=priced.tax_minor, currency=currency),
            tax_class=line.tax_class,
        )


class CartCodeView(View):
    """A code in the cart; one that does not count says why not."""

    code: str
    counts: bool
    why_not: Inapplicable | None


class CartView(View):
    """`changed_skus` are lines whose price is not the one seen before, or that are gone.

    `total` is what is to be paid as far as it is known: with the shipping if a quote was named,
    and with the tax that comes on top if a country was.
    """

    cart_id: str
    version: int
    status: CartStatus
    currency: str | None
    lines: list[LineView]
    promotions: list[CartCodeView]
    subtotal: Amount | None
    discount: Amount | None
    shipping: Amount | None
    tax: Amount | None
    prices_include_tax: bool
    total: Amount | None
    weight_grams: int
    changed_skus: list[str]
    expires_at: AwareDatetime | None

    @classmethod
    def of(cls, shown: Shown) -> CartView:
        cart, bill = shown.cart, shown.bill
        return cls(
            cart_id=cart.cart_id,
            version=cart.version,
            status=cart.status,
            currency=cart.currency,
            lines=[LineView.of(priced) for priced in bill.lines] if bill else [],
            promotions=[_code_view(one.code, bill) for one in cart.codes],
            subtotal=Amount.of(cart.total) if cart.total else None,
            discount=Amount.of(bill.discount) if bill else None,
            shipping=Amount.of(bill.shipping.price) if bill and bill.shipping else None,
            tax=Amount.of(bill.tax) if bill else None,
            prices_include_tax=bill.prices_include_tax if bill else True,
            total=Amount.of(bill.total) if bill else None,
            weight_grams=cart.weight_grams,
            changed_skus=shown.changed_skus,
            expires_at=cart.expires_at,
        )


def _code_view(code: str, bill: Bill | None) -> CartCodeView:
    return CartCodeView(
        code=code,
        counts=bill is not None and code in bill.promotions,
        why_not=bill.not_counted.get(code) if bill else None,
    )


class CheckoutView(View):
    """`reason` is a problem code, such as out_of_stock or payment_declined, if it FAILED."""

    order_id: str
    status: CheckoutStatus
    reason: str | None
    total: Amount
    discount: Amount
    tax: Amount
    prices_include_tax: bool
    promotions: list[str]
    shipping: Amount
    shipping_service: str
    line_count: int

    @classmethod
    def of(cls, checkout: Checkout) -> CheckoutView:
        bill = checkout.bill
        assert bill.shipping is not None
        return cls(
            order_id=checkout.order_id,
            status=checkout.status,
            reason=checkout.reason,
            total=Amount.of(checkout.total),
            discount=Amount.of(checkout.discount),
            tax=Amount.of(checkout.tax),
            prices_include_tax=bill.prices_include_tax,
            promotions=list(bill.promotions),
            shipping=Amount.of(bill.shipping.price),
            shipping_service=bill.shipping.service,
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

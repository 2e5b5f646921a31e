"""Carts' bodies and answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from carts.model.bill import Bill, PricedLine
from carts.model.cart import CART_LINES_MAX, QUANTITY_MAX, CartStatus
from carts.model.checkout import Checkout, CheckoutStatus
from carts.model.promotion import (
    PROMOTION_SKUS_MAX,
    WHOLE_BASIS_POINTS,
    Inapplicable,
    Promotion,
    PromotionKind,
    PromotionNotFoundError,
    Terms,
    code_of,
)
from carts.model.tax import (
    TAX_RATES_MAX,
    WHOLE_PPM,
    TaxClass,
    TaxRate,
    TaxTable,
    TaxTableNotFoundError,
)
from carts.use_cases import Shown
from tradepost.kernel.clock import from_text, to_text
from tradepost.platform.bodies import (
    Amount,
    AmountGiven,
    PaymentMethod,
    RequestModel,
    View,
    shown_as,
)
from tradepost.platform.cursor import CURSOR_LENGTH_MAX, PAGE_SIZE_MAX
from tradepost.platform.quotes import QUOTE_LENGTH_MAX

# All lines of the largest cart, each with a long SKU.
CART_BODY_BYTES_MAX = 256 * 1024

# All rates of the largest table, each of a region with two names.
TAX_TABLE_BODY_BYTES_MAX = 128 * 1024

# So many uses are no limit any more.
USES_MAX = 1_000_000_000

_CURRENCIES_MAX = 50
_REGION_NAMES_MAX = 10
_NEVER = datetime.max.replace(tzinfo=UTC)
_COUNTRY = r"^[A-Z]{2}$"  # ISO 3166-1 alpha-2

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
Printable = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]

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


class Address(RequestModel):
    name: Printable
    line1: Printable
    line2: Printable | None = None
    city: Printable
    region: Printable | None = None
    postal_code: Annotated[str, Field(min_length=1, max_length=20)]
    country: str = Field(pattern=r"^[A-Z]{2}$")  # ISO 3166-1 alpha-2

    def filled_in(self) -> dict[str, str]:
        return {name: text for name, text in self.model_dump().items() if text is not None}


class NewCheckout(RequestModel):
    model_config = shown_as(**_CHECKOUT)

    email: str = Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,189}\.[^@\s]+$", max_length=254)
    shipping_address: Address
    payment_method: PaymentMethod
    expected_total: AmountGiven  # with the shipping, if a quote is taken
    shipping_quote: str | None = Field(default=None, max_length=QUOTE_LENGTH_MAX)


class CartQuery(RequestModel):
    """Where the cart is to go; a quote is for a country."""

    country: str | None = Field(default=None, pattern=_COUNTRY)
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


class PromotionsQuery(RequestModel):
    limit: int = Field(default=20, ge=1, le=PAGE_SIZE_MAX)
    cursor: str | None = Field(default=None, max_length=CURSOR_LENGTH_MAX)


class NewPromotion(RequestModel):
    """`percent` has `basis_points`, `amount` has `amounts`, one per currency; one is named only.

    Without `ends_at`, `uses_max` or `uses_per_person_max` there is no such end. `skus` are those it
    is for, or none for all. `minimums` are of the goods before the discount, one per currency.
    """

    model_config = shown_as(
        kind="percent", basis_points=1000, starts_at="2026-01-01T00:00:00Z", uses_max=100
    )

    kind: PromotionKind
    basis_points: int = Field(default=0, ge=0, le=WHOLE_BASIS_POINTS)
    amounts: list[AmountGiven] = Field(default=[], max_length=_CURRENCIES_MAX)
    minimums: list[AmountGiven] = Field(default=[], max_length=_CURRENCIES_MAX)
    starts_at: AwareDatetime
    ends_at: AwareDatetime = _NEVER
    uses_max: int = Field(default=USES_MAX, ge=1, le=USES_MAX)
    uses_per_person_max: int = Field(default=USES_MAX, ge=1, le=USES_MAX)
    skus: list[SKU] = Field(default=[], max_length=PROMOTION_SKUS_MAX)
    customers_only: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.kind is PromotionKind.PERCENT) is not (self.basis_points > 0):
            raise ValueError("basis_points belong to percent, and are more than none")
        if (self.kind is PromotionKind.AMOUNT) is not bool(self.amounts):
            raise ValueError("amounts belong to amount")
        for named in (self.amounts, self.minimums):
            if len(by_currency(named)) < len(named):
                raise ValueError("name each currency once")
        if self.ends_at <= self.starts_at:
            raise ValueError("it ends before it starts")
        return self

    def terms(self) -> Terms:
        return Terms(
            kind=self.kind,
            starts_at=_whole_milliseconds(self.starts_at),
            ends_at=_whole_milliseconds(self.ends_at) if self.ends_at < _NEVER else None,
            basis_points=self.basis_points,
            amounts=by_currency(self.amounts),
            minimums=by_currency(self.minimums),
            uses_max=_limit(self.uses_max),
            uses_per_person_max=_limit(self.uses_per_person_max),
            skus=tuple(dict.fromkeys(self.skus)),
            customers_only=self.customers_only,
        )


class PromotionView(View):
    """`uses` are redemptions by checkouts that run or were confirmed."""

    code: str
    kind: PromotionKind
    basis_points: int
    amounts: list[Amount]
    minimums: list[Amount]
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None
    uses_max: int | None
    uses_per_person_max: int | None
    skus: list[str]
    customers_only: bool
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    uses: int

    @classmethod
    def of(cls, promotion: Promotion) -> PromotionView:
        terms = promotion.terms
        return cls(
            code=promotion.code,
            kind=terms.kind,
            basis_points=terms.basis_points,
            amounts=_amounts(terms.amounts),
            minimums=_amounts(terms.minimums),
            starts_at=terms.starts_at,
            ends_at=terms.ends_at,
            uses_max=terms.uses_max,
            uses_per_person_max=terms.uses_per_person_max,
            skus=list(terms.skus),
            customers_only=terms.customers_only,
            created_at=promotion.created_at,
            ended_at=promotion.ended_at,
            uses=promotion.uses,
        )


class PromotionPage(View):
    promotions: list[PromotionView]
    next_cursor: str | None


class NewTaxRate(RequestModel):
    """`rate_ppm` is in millionths: 200000 is 20 %. `regions` are the names of one region."""

    tax_class: Literal["standard", "reduced"]
    rate_ppm: int = Field(ge=0, le=WHOLE_PPM)
    valid_from: date
    regions: list[Region] = Field(default=[], max_length=_REGION_NAMES_MAX)


class NewTaxTable(RequestModel):
    """How a country taxes: all its rates, those to come as well."""

    model_config = shown_as(
        prices_include_tax=True,
        rates=[{"tax_class": "standard", "rate_ppm": 200000, "valid_from": "2026-01-01"}],
    )

    prices_include_tax: bool
    shipping_class: TaxClass = TaxClass.STANDARD
    needs_region: bool = False
    rates: list[NewTaxRate] = Field(max_length=TAX_RATES_MAX)

    def table(self, country: str) -> TaxTable:
        return TaxTable(
            country=country,
            prices_include_tax=self.prices_include_tax,
            shipping_class=self.shipping_class,
            needs_region=self.needs_region,
            rates=tuple(
                TaxRate(
                    TaxClass(rate.tax_class), rate.rate_ppm, rate.valid_from, tuple(rate.regions)
                )
                for rate in self.rates
            ),
        )


class TaxRateView(View):
    tax_class: TaxClass
    rate_ppm: int
    valid_from: date
    regions: list[str]


class TaxTableView(View):
    country: str
    prices_include_tax: bool
    shipping_class: TaxClass
    needs_region: bool
    rates: list[TaxRateView]
    version: int

    @classmethod
    def of(cls, table: TaxTable) -> TaxTableView:
        return cls(
            country=table.country,
            prices_include_tax=table.prices_include_tax,
            shipping_class=table.shipping_class,
            needs_region=table.needs_region,
            rates=[
                TaxRateView(
                    tax_class=rate.tax_class,
                    rate_ppm=rate.rate_ppm,
                    valid_from=rate.valid_from,
                    regions=list(rate.regions),
                )
                for rate in table.rates
            ],
            version=table.version,
        )


class TaxTableList(View):
    taxes: list[TaxTableView]


def require_code(text: str) -> str:
    """Read a code out of a path. Raises PromotionNotFoundError if it cannot be one."""
    code = code_of(text)
    if code is None:
        raise PromotionNotFoundError(text)
    return code


def require_country(text: str) -> str:
    """Read a country out of a path. Raises TaxTableNotFoundError if it cannot be one."""
    if not re.fullmatch(_COUNTRY, text):
        raise TaxTableNotFoundError(text)
    return text


def by_currency(amounts: list[AmountGiven]) -> dict[str, int]:
    return {amount.currency: amount.amount_minor for amount in amounts}


def _amounts(by_currency: Mapping[str, int]) -> list[Amount]:
    return [
        Amount(amount_minor=amount, currency=currency)
        for currency, amount in sorted(by_currency.items())
    ]


def _limit(uses: int) -> int | None:
    return uses if uses < USES_MAX else None


def _whole_milliseconds(moment: datetime) -> datetime:
    """Cut a moment to what is stored of it, so that the same terms are the same."""
    return from_text(to_text(moment))

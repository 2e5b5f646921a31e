"""What carts reads of the catalogue's events and of the checkout's state, and hands to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from carts.model.bill import PricedLine
from carts.model.cart import Offer, ProductNews
from carts.model.checkout import Checkout
from carts.model.tax import TaxClass
from tradepost.kernel.clock import to_text
from tradepost.kernel.money import Money
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import Fact


class _Variant(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    sku: str
    title: str
    amount_minor: int
    currency: str
    weight_grams: int
    tax_class: TaxClass = TaxClass.STANDARD  # the first versions of these events do not tell


class _ProductFact(Fact):
    product_id: str
    occurred_at: AwareDatetime

    @property
    def news(self) -> ProductNews:
        return ProductNews(self.product_id, self.version, self.occurred_at)


class ProductOnSale(_ProductFact):
    """product.published and product.changed."""

    variants: list[_Variant]
    removed_skus: list[str] = []

    def offers(self) -> list[Offer]:
        return [
            Offer(
                sku=variant.sku,
                title=variant.title,
                unit_price=Money(variant.amount_minor, variant.currency),
                weight_grams=variant.weight_grams,
                tax_class=variant.tax_class,
            )
            for variant in self.variants
        ]


class ProductWithdrawn(_ProductFact):
    skus: list[str]


class EndedCheckout(StepInput):
    """`reason` is why it failed; a confirmed checkout has none."""

    customer_id: str
    reason: str | None = None


def snapshot(checkout: Checkout) -> dict[str, Any]:
    """Write a checkout as the steps read it: plain JSON, lines without what no step needs."""
    bill = checkout.bill
    assert bill.shipping is not None
    lines = [priced.line for priced in bill.lines]
    return {
        "customer_id": checkout.customer_id,
        "email": checkout.email,
        "shipping_address": checkout.shipping_address,
        "payment_method": checkout.payment_method,
        "amount_minor": checkout.total.amount_minor,
        "currency": checkout.total.currency,
        "prices_include_tax": bill.prices_include_tax,
        "promotions": list(bill.promotions),
        "shipping_minor": bill.shipping.price.amount_minor,
        "shipping_tax_minor": bill.shipping_tax_minor,
        "shipping_service": bill.shipping.service,
        "weight_grams": sum(line.weight_grams * line.quantity for line in lines),
        "placed_at": to_text(checkout.placed_at),
        "lines": [_line(priced) for priced in bill.lines],
    }


def units_told(lines: Iterable[PricedLine], *, prices_include_tax: bool) -> dict[str, Any]:
    """Write what units cost, for a context that asks."""
    told = [{**_line(one), "currency": one.line.unit_price.currency} for one in lines]
    return {"lines": told, "prices_include_tax": prices_include_tax}


def _line(priced: PricedLine) -> dict[str, Any]:
    line = priced.line
    told: dict[str, Any] = {
        "sku": line.sku,
        "title": line.title,
        "quantity": line.quantity,
        "unit_price_minor": line.unit_price.amount_minor,
    }
    # The state is bounded, and most lines of most shops have neither.
    if priced.discount_minor:
        told["discount_minor"] = priced.discount_minor
    if priced.tax_minor:
        told["tax_minor"] = priced.tax_minor
    return told


class ErasedUser(Fact):
    user_id: str
    occurred_at: AwareDatetime

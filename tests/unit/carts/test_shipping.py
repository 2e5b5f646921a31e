"""How a checkout's parcel is sent: as quoted, and for this checkout only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from carts.model.cart import Cart, CartLine
from carts.model.shipping import (
    QuoteExpiredError,
    QuoteMismatchError,
    Shipping,
    shipping_of,
)
from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.money import Money

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CART = Cart("gst_1", lines=(CartLine("MUG", "Mug", 2, Money(1400, "GBP"), 320),))
QUOTE = ShippingQuote("GB", "domestic", 640, "express", Money(795, "GBP"), NOON)
JUST_IN_TIME = NOON - timedelta(seconds=1)


def test_a_checkout_is_sent_as_quoted() -> None:
    assert shipping_of(CART, "GB", QUOTE, JUST_IN_TIME) == Shipping("express", Money(795, "GBP"))


def test_a_quote_for_a_heavier_parcel_is_as_good() -> None:
    heavier = replace(QUOTE, weight_grams=641)

    assert shipping_of(CART, "GB", heavier, JUST_IN_TIME).price == Money(795, "GBP")


def test_without_a_quote_it_goes_slowly_and_free() -> None:
    assert shipping_of(CART, "GB", None, NOON) == Shipping("free", Money(0, "GBP"))


def test_a_quote_whose_time_is_over_is_refused() -> None:
    with pytest.raises(QuoteExpiredError):
        shipping_of(CART, "GB", QUOTE, NOON)


@pytest.mark.parametrize(
    ("quote", "differs"),
    [
        (replace(QUOTE, country="FR"), "country"),
        (replace(QUOTE, weight_grams=639), "weight_grams"),
        (replace(QUOTE, price=Money(795, "EUR")), "currency"),
    ],
)
def test_a_quote_for_another_parcel_is_refused(quote: ShippingQuote, differs: str) -> None:
    with pytest.raises(QuoteMismatchError) as refused:
        shipping_of(CART, "GB", quote, JUST_IN_TIME)

    assert refused.value.differs == differs

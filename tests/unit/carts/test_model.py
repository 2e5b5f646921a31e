"""A cart's rules: what may be in it, at what price, and who may change it when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carts.model.cart import (
    CART_LINES_MAX,
    QUANTITY_MAX,
    Cart,
    CartEmptyError,
    CartFrozenError,
    CartLimitError,
    CartMergedError,
    CartStatus,
    CurrencyMixedError,
    Offer,
    UnknownSKUError,
    VersionMismatchError,
)
from tradepost.kernel.money import Money


def an_offer(sku: str = "MUG", amount_minor: int = 1250, **traits: object) -> Offer:
    offer = Offer(sku, f"Product {sku}", Money(amount_minor, "GBP"), 300)
    return replace(offer, **traits)  # type: ignore[arg-type]


def a_cart(**quantities: int) -> Cart:
    return Cart("gst_1").with_quantities(quantities, {sku: an_offer(sku) for sku in quantities})


def test_a_line_takes_title_and_price_from_the_offer() -> None:
    cart = a_cart(MUG=2)

    assert cart.lines[0].title == "Product MUG"
    assert cart.total == Money(2500, "GBP")


def test_an_empty_cart_has_no_total_and_no_currency() -> None:
    assert (Cart("gst_1").total, Cart("gst_1").currency) == (None, None)


def test_setting_a_quantity_to_nothing_removes_the_line() -> None:
    assert a_cart(MUG=2).with_quantities({"MUG": 0}, {}).lines == ()


def test_what_is_not_on_sale_cannot_be_put_in() -> None:
    with pytest.raises(UnknownSKUError):
        a_cart().with_quantities({"MUG": 1}, {})


def test_a_cart_is_in_one_currency() -> None:
    euros = an_offer("TEA", unit_price=Money(300, "EUR"))

    with pytest.raises(CurrencyMixedError):
        a_cart(MUG=1).with_quantities({"TEA": 1}, {"TEA": euros})


@pytest.mark.parametrize(("quantity", "allowed"), [(QUANTITY_MAX, True), (QUANTITY_MAX + 1, False)])
def test_a_line_holds_up_to_its_limit(quantity: int, allowed: bool) -> None:
    if allowed:
        assert a_cart(MUG=quantity).quantity_of("MUG") == quantity
    else:
        with pytest.raises(CartLimitError):
            a_cart(MUG=quantity)


def test_a_cart_holds_up_to_its_lines() -> None:
    full = a_cart(**{f"S{number}": 1 for number in range(CART_LINES_MAX)})

    assert len(full.lines) == CART_LINES_MAX
    with pytest.raises(CartLimitError):
        full.with_quantities({"ONE-MORE": 1}, {"ONE-MORE": an_offer("ONE-MORE")})


def test_a_cart_too_large_to_travel_through_the_checkout_is_refused_when_it_is_filled() -> None:
    skus = [f"S{number}" for number in range(700)]
    offers = {sku: an_offer(sku, title="t" * 250) for sku in skus}

    with pytest.raises(CartLimitError):
        Cart("gst_1").with_quantities(dict.fromkeys(skus, 1), offers)


def test_repricing_tells_what_changed_and_what_is_gone() -> None:
    cart = a_cart(MUG=1, TEA=1, LAMP=1)
    today = {"MUG": an_offer("MUG"), "TEA": an_offer("TEA", 999)}

    repriced, changed = cart.repriced(today)

    assert changed == ["TEA", "LAMP"]
    assert repriced.total == Money(1250 + 999, "GBP")


def test_a_frozen_cart_cannot_be_changed() -> None:
    frozen = a_cart(MUG=1).frozen_for("ord_1")

    for change in (frozen.emptied, lambda: frozen.frozen_for("ord_2"), frozen.merged_away):
        with pytest.raises(CartFrozenError):
            change()


def test_a_cart_that_was_taken_over_is_closed() -> None:
    merged = a_cart(MUG=1).merged_away()

    assert (merged.status, merged.lines) == (CartStatus.MERGED, ())
    with pytest.raises(CartMergedError):
        merged.with_quantities({"MUG": 1}, {"MUG": an_offer()})


def test_nothing_cannot_be_checked_out() -> None:
    with pytest.raises(CartEmptyError):
        Cart("gst_1").frozen_for("ord_1")


@pytest.mark.parametrize(("named", "refused"), [(None, False), (1, False), (0, True), (2, True)])
def test_an_edit_of_a_version_that_is_gone_is_refused(named: int | None, refused: bool) -> None:
    cart = a_cart(MUG=1)

    if refused:
        with pytest.raises(VersionMismatchError):
            cart.require_version(named)
    else:
        cart.require_version(named)

"""What a cart comes to: it adds up, whatever is taken off and however it is taxed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from carts.messages import snapshot
from carts.model.bill import Bill, Prices, bill_of
from carts.model.cart import CART_BYTES_MAX, CART_LINES_MAX, Cart, CartLine, Offer
from carts.model.checkout import Checkout, CheckoutStatus
from carts.model.promotion import (
    Buyer,
    CartCode,
    Inapplicable,
    Promotion,
    PromotionKind,
    Terms,
    allotted,
)
from carts.model.shipping import Shipping
from carts.model.tax import TaxClass, TaxRate, TaxRegionError, TaxTable
from tradepost.kernel.money import Money

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO = date(2020, 1, 1)
ADA = Buyer("usr_1", is_guest=False)
GUEST = Buyer(None, is_guest=True)

CASES = 4_000


def gbp(amount_minor: int) -> Money:
    return Money(amount_minor, "GBP")


def a_line(
    sku: str = "MUG",
    quantity: int = 1,
    amount_minor: int = 1000,
    tax_class: TaxClass = TaxClass.STANDARD,
) -> CartLine:
    return CartLine(sku, f"Product {sku}", quantity, gbp(amount_minor), 300, tax_class)


def a_promotion(kind: str = "percent", code: str = "SPRING", **terms: Any) -> Promotion:
    given = {"basis_points": 1000} if kind == "percent" and "basis_points" not in terms else {}
    return Promotion(
        code,
        Terms(PromotionKind(kind), starts_at=NOON - timedelta(days=1), **given, **terms),
        created_at=NOON - timedelta(days=2),
    )


def british(**rates: int) -> TaxTable:
    told = rates or {"standard": 200_000, "reduced": 50_000}
    return TaxTable(
        "GB",
        prices_include_tax=True,
        shipping_class=TaxClass.STANDARD,
        needs_region=False,
        rates=tuple(TaxRate(TaxClass(name), ppm, LONG_AGO) for name, ppm in told.items()),
    )


AMERICAN = TaxTable(
    "US",
    prices_include_tax=False,
    shipping_class=TaxClass.ZERO,
    needs_region=True,
    rates=(
        TaxRate(TaxClass.STANDARD, 72_500, LONG_AGO, ("CA", "California")),
        TaxRate(TaxClass.STANDARD, 88_750, LONG_AGO, ("NY", "New York")),
        TaxRate(TaxClass.STANDARD, 0, LONG_AGO, ("OR", "Oregon")),
    ),
)


def billed(
    *lines: CartLine,
    promotions: tuple[Promotion, ...] = (),
    shipping: int | None = None,
    tax_table: TaxTable | None = None,
    region: str | None = None,
    buyer: Buyer = ADA,
    at: datetime = NOON,
) -> Bill:
    codes = tuple(CartCode(one.code, one.terms.reduces) for one in promotions)
    return bill_of(
        Cart("usr_1", lines=lines, codes=codes),
        Shipping("economy", gbp(shipping)) if shipping is not None else None,
        Prices(promotions={one.code: one for one in promotions}, tax_table=tax_table),
        buyer,
        region=region,
        at=at,
    )


def test_without_promotion_and_tax_prices_are_what_is_paid() -> None:
    bill = billed(a_line(quantity=2), shipping=295)

    assert (bill.total, bill.discount, bill.tax) == (gbp(2295), gbp(0), gbp(0))
    assert bill.redemptions == ()


def test_a_percentage_is_taken_off_the_goods() -> None:
    bill = billed(a_line(quantity=2), a_line("CUP", amount_minor=500), promotions=(a_promotion(),))

    assert [priced.discount_minor for priced in bill.lines] == [200, 50]
    assert bill.total == gbp(2250)


def test_an_amount_is_taken_off_and_never_more_than_the_goods_cost() -> None:
    voucher = a_promotion("amount", amounts={"GBP": 5000})

    bill = billed(a_line(), a_line("CUP", amount_minor=999), promotions=(voucher,), shipping=295)

    assert bill.discount == gbp(1999)
    assert bill.total == gbp(295)


def test_a_promotion_for_some_skus_leaves_the_others_alone() -> None:
    for_cups = a_promotion(skus=("CUP",), basis_points=5000)

    bill = billed(a_line(), a_line("CUP", amount_minor=500), promotions=(for_cups,))

    assert [priced.discount_minor for priced in bill.lines] == [0, 250]


def test_one_code_for_the_goods_and_one_for_the_shipping_count_beside_each_other() -> None:
    free = a_promotion("free_shipping", "SHIPFREE")

    bill = billed(a_line(), promotions=(a_promotion(), free), shipping=295)

    assert bill.promotions == ("SPRING", "SHIPFREE")
    assert bill.total == gbp(900)


def test_free_shipping_is_not_used_up_on_what_is_sent_for_nothing() -> None:
    free = a_promotion("free_shipping", "SHIPFREE")

    bill = billed(a_line(), promotions=(free,), shipping=0)

    assert bill.redemptions == ()
    assert bill.not_counted == {"SHIPFREE": Inapplicable.NOTHING_QUALIFIES}


@pytest.mark.parametrize(
    ("promotion", "buyer", "why"),
    [
        (a_promotion(ends_at=NOON), ADA, "expired"),
        (replace(a_promotion(), ended_at=NOON), ADA, "ended"),
        (a_promotion(uses_max=0), ADA, "used_up"),
        (a_promotion(uses_per_person_max=1), replace(ADA, uses={"SPRING": 1}), "used_by_you"),
        (a_promotion(customers_only=True), GUEST, "not_for_guests"),
        (a_promotion("amount", amounts={"EUR": 500}), ADA, "other_currency"),
        (a_promotion(minimums={"EUR": 500}), ADA, "other_currency"),
        (a_promotion(minimums={"GBP": 1001}), ADA, "below_minimum"),
        (a_promotion(skus=("CUP",)), ADA, "nothing_qualifies"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_code_that_does_not_count_says_why(promotion: Promotion, buyer: Buyer, why: str) -> None:
    bill = billed(a_line(), promotions=(promotion,), buyer=buyer)

    assert bill.not_counted == {"SPRING": why}
    assert (bill.discount, bill.promotions, bill.redemptions) == (gbp(0), (), ())


def test_a_promotion_holds_from_its_first_moment_to_its_last() -> None:
    promotion = a_promotion(ends_at=NOON + timedelta(days=1))
    start, end = promotion.terms.starts_at, NOON + timedelta(days=1)
    moment = timedelta(microseconds=1)

    told = {
        at: billed(a_line(), promotions=(promotion,), at=at).not_counted.get("SPRING")
        for at in (start - moment, start, end - moment, end)
    }

    assert list(told.values()) == ["not_started", None, None, "expired"]


def test_the_minimum_is_of_the_goods_before_the_discount_and_is_met_exactly() -> None:
    promotion = a_promotion(minimums={"GBP": 1000})

    assert billed(a_line(), promotions=(promotion,)).total == gbp(900)


def test_tax_within_the_price_leaves_the_total_as_it_is() -> None:
    bill = billed(a_line(amount_minor=1200), shipping=300, tax_table=british())

    assert [priced.tax_minor for priced in bill.lines] == [200]
    assert (bill.total, bill.tax) == (gbp(1500), gbp(250))


def test_tax_on_top_of_the_price_is_paid_besides() -> None:
    bill = billed(a_line(quantity=3, amount_minor=999), tax_table=AMERICAN, region="CA")

    assert (bill.tax, bill.total) == (gbp(217), gbp(3214))  # 7.25 % of 29.97 is 2.172825


def test_a_discount_is_taken_off_before_tax_is_reckoned() -> None:
    bill = billed(
        a_line(amount_minor=10_000), promotions=(a_promotion(),), tax_table=AMERICAN, region="NY"
    )

    assert (bill.tax, bill.total) == (gbp(799), gbp(9799))  # 8.875 % of 90.00 is 7.9875


def test_half_a_penny_of_tax_is_a_penny() -> None:
    table = replace(british(standard=100_000), prices_include_tax=False)

    assert billed(a_line(amount_minor=5), tax_table=table).tax == gbp(1)
    assert billed(a_line(amount_minor=4), tax_table=table).tax == gbp(0)


@pytest.mark.parametrize(
    ("tax_class", "tax"), [(TaxClass.STANDARD, 200), (TaxClass.REDUCED, 57), (TaxClass.ZERO, 0)]
)
def test_each_class_has_its_rate(tax_class: TaxClass, tax: int) -> None:
    bill = billed(a_line(amount_minor=1200, tax_class=tax_class), tax_table=british())

    assert bill.tax == gbp(tax)


def test_a_class_without_a_rate_is_taxed_as_standard() -> None:
    reduced = a_line(amount_minor=1200, tax_class=TaxClass.REDUCED)

    assert billed(reduced, tax_table=british(standard=200_000)).tax == gbp(200)


def test_a_rate_holds_from_its_day_on() -> None:
    table = replace(
        british(standard=200_000),
        rates=(
            TaxRate(TaxClass.STANDARD, 200_000, LONG_AGO),
            TaxRate(TaxClass.STANDARD, 0, date(2026, 3, 3)),
        ),
    )
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    line = a_line(amount_minor=1200)

    assert billed(line, tax_table=table, at=midnight - timedelta(seconds=1)).tax == gbp(200)
    assert billed(line, tax_table=table, at=midnight).tax == gbp(0)


def test_before_its_first_rate_a_country_does_not_tax() -> None:
    table = replace(british(), rates=(TaxRate(TaxClass.STANDARD, 200_000, date(2027, 1, 1)),))

    assert billed(a_line(), tax_table=table).tax == gbp(0)


@pytest.mark.parametrize("region", ["CA", "ca", " California ", "CALIFORNIA"])
def test_a_region_is_known_by_any_of_its_names(region: str) -> None:
    assert billed(a_line(), tax_table=AMERICAN, region=region).tax == gbp(73)


@pytest.mark.parametrize("region", [None, "", "Kalifornia"])
def test_a_region_that_tax_needs_and_nobody_knows_is_refused(region: str | None) -> None:
    with pytest.raises(TaxRegionError):
        billed(a_line(), tax_table=AMERICAN, region=region)


def test_a_region_without_tax_is_known_all_the_same() -> None:
    assert billed(a_line(), tax_table=AMERICAN, region="Oregon").total == gbp(1000)


def test_elsewhere_in_a_country_its_own_rate_holds() -> None:
    table = replace(AMERICAN, needs_region=False)
    country_wide = TaxRate(TaxClass.STANDARD, 50_000, LONG_AGO)

    bill = billed(
        a_line(), tax_table=replace(table, rates=(*table.rates, country_wide)), region="Yukon"
    )

    assert bill.tax == gbp(50)


def test_a_share_that_does_not_divide_goes_to_the_largest_remainders() -> None:
    assert allotted(100, {"A": 1, "B": 1, "C": 1}) == {"A": 34, "B": 33, "C": 33}
    assert allotted(10, {"A": 1, "B": 2, "C": 4}) == {"A": 1, "B": 3, "C": 6}
    assert allotted(0, {"A": 0}) == {}


def anything(chance: random.Random) -> dict[str, Any]:
    """Make any cart with any promotions in any country."""
    lines = [
        a_line(
            f"SKU-{number}",
            chance.randint(1, 40),
            chance.choice([0, 1, 2, 99, chance.randint(0, 200_000)]),
            chance.choice(list(TaxClass)),
        )
        for number in range(chance.randint(1, 8))
    ]
    some = tuple(chance.sample([line.sku for line in lines], chance.randint(0, len(lines))))
    goods = chance.choice(
        [
            a_promotion(basis_points=chance.randint(1, 10_000), skus=some),
            a_promotion("amount", amounts={"GBP": chance.randint(0, 300_000)}, skus=some),
        ]
    )
    promotions = (*chance.sample([goods], chance.randint(0, 1)),)
    if chance.random() < 0.3:
        promotions = (*promotions, a_promotion("free_shipping", "SHIPFREE"))
    table = TaxTable(
        "XX",
        prices_include_tax=chance.random() < 0.5,
        shipping_class=chance.choice(list(TaxClass)),
        needs_region=False,
        rates=(
            TaxRate(TaxClass.STANDARD, chance.randint(0, 300_000), LONG_AGO),
            TaxRate(TaxClass.REDUCED, chance.randint(0, 100_000), LONG_AGO),
        ),
    )
    return {
        "lines": lines,
        "promotions": promotions,
        "shipping": chance.randint(0, 5_000),
        "tax_table": chance.choice([None, table, table]),
    }


def test_whatever_is_bought_wherever_the_lines_sum_to_the_total() -> None:
    chance = random.Random(13)
    for _ in range(CASES):
        case = anything(chance)
        lines = case.pop("lines")

        bill = billed(*lines, **case)

        assert bill.shipping is not None
        parts = [bill.shipping.price.amount_minor]
        for priced in bill.lines:
            assert 0 <= priced.discount_minor <= priced.line.total.amount_minor
            assert priced.tax_minor >= 0
            parts.append(priced.line.total.amount_minor - priced.discount_minor)
        if not bill.prices_include_tax:
            parts += [priced.tax_minor for priced in bill.lines]
            parts.append(bill.shipping_tax_minor)
        assert bill.total.amount_minor == sum(parts) >= 0


def test_tax_within_prices_never_changes_what_is_paid() -> None:
    chance = random.Random(14)
    for _ in range(CASES):
        case = anything(chance)
        lines, table = case.pop("lines"), case.pop("tax_table")
        within = replace(table, prices_include_tax=True) if table else british()

        taxed, untaxed = billed(*lines, **case, tax_table=within), billed(*lines, **case)

        assert taxed.total == untaxed.total
        assert taxed.tax.amount_minor <= taxed.total.amount_minor


def test_a_discount_is_allotted_to_the_penny() -> None:
    chance = random.Random(12)
    for _ in range(CASES):
        weights = {f"SKU-{n}": chance.randint(0, 10_000) for n in range(chance.randint(1, 9))}
        amount = chance.randint(0, sum(weights.values()))

        parts = allotted(amount, weights)

        assert sum(parts.values()) == amount
        assert all(0 <= parts.get(sku, 0) <= weight for sku, weight in weights.items())


def test_the_largest_cart_with_discount_and_tax_on_every_line_fits_into_a_checkouts_state() -> None:
    title = "T" * (CART_BYTES_MAX // CART_LINES_MAX - 112 - len("SKU-0000"))
    lines = [
        CartLine(f"SKU-{number:04d}", title, 100_000, gbp(9_999_999), 300)
        for number in range(CART_LINES_MAX)
    ]
    offers = {line.sku: Offer(line.sku, title, line.unit_price, 300) for line in lines}
    cart = Cart("usr_1").with_quantities({line.sku: 100_000 for line in lines}, offers)
    promotion = a_promotion(basis_points=1)
    bill = billed(*cart.lines, promotions=(promotion,), shipping=295, tax_table=british())
    checkout = Checkout(
        order_id="ord_1",
        customer_id="usr_1",
        email="a" * 64 + "@example.com",
        shipping_address={"line1": "1 Harbour Road", "country": "GB"},
        payment_method="pm_card_ok",
        bill=bill,
        total=bill.total,
        discount=bill.discount,
        tax=bill.tax,
        line_count=len(bill.lines),
        status=CheckoutStatus.RUNNING,
        reason=None,
        fingerprint="",
        correlation_id="cor_1",
        placed_at=NOON,
    )

    # Step Functions takes 256 KiB, and the ids of an execution are with it.
    assert len(json.dumps(snapshot(checkout))) < 250 * 1024

"""The carts' table: uses of a promotion are taken and given back once, and carts merge once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carts import use_cases
from carts.dynamodb import DynamoDBCarts, DynamoDBPriceBook, DynamoDBPromotions, DynamoDBTaxes
from carts.model.cart import (
    CART_KEPT,
    QUANTITY_MAX,
    Cart,
    CartFrozenError,
    CartLimitError,
    CartStatus,
    Offer,
    ProductNews,
    VersionMismatchError,
)
from carts.model.checkout import CartChangedError, Checkout, CheckoutStatus
from carts.model.promotion import (
    Promotion,
    PromotionExistsError,
    PromotionInapplicableError,
    PromotionKind,
    PromotionNotFoundError,
    Terms,
    guest_person,
)
from carts.model.tax import TaxClass, TaxRate, TaxTable, TaxTableChangedError
from carts.use_cases import CheckoutRequest, Destination, Owner
from tests.integration.tables import tables
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ADDRESS = {"name": "Ada", "line1": "1 Harbour Road", "city": "Whitby", "country": "GB"}
TEN_PERCENT = Terms(PromotionKind.PERCENT, starts_at=NOON, basis_points=1000)


class Runner:
    """Satisfies `ports.CheckoutRunner`."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, order_id: str, correlation_id: str) -> None:
        self.started.append(order_id)

    start_again = start


@dataclass
class Shop:
    client: Any
    at: datetime = NOON

    def __post_init__(self) -> None:
        self.carts = DynamoDBCarts(self.client, "carts")
        self.prices = DynamoDBPriceBook(self.client, "carts")
        self.promotions = DynamoDBPromotions(self.client, "carts")
        self.taxes = DynamoDBTaxes(self.client, "carts")
        self.runner = Runner()

    def now(self) -> datetime:
        return self.at

    @property
    def means(self) -> dict[str, Any]:
        return {"carts": self.carts, "prices": self.prices, "now": self.now}

    def sells(self, sku: str = "MUG", amount_minor: int = 1000) -> None:
        news = ProductNews(f"prd_{sku}", 1, NOON)
        self.prices.put_offer(Offer(sku, sku, Money(amount_minor, "GBP"), 300), news)

    def announces(self, code: str = "SPRING", terms: Terms = TEN_PERCENT) -> Promotion:
        return use_cases.create_promotion(code, terms, promotions=self.promotions, now=self.now)

    def uses(self, code: str = "SPRING") -> int:
        return use_cases.promotion_of(code, promotions=self.promotions).uses

    def fills(self, owner: Owner, quantity: int = 1, code: str | None = "SPRING") -> None:
        use_cases.set_lines(owner, {"MUG": quantity}, version=None, **self.means)
        if code is not None:
            use_cases.apply_promotion(owner, code, version=None, **self.means)

    def checks_out(
        self, owner: Owner, total: int = 900, email: str = "ada@example.com", key: str = "key"
    ) -> Checkout:
        return use_cases.check_out(
            CheckoutRequest(
                customer_id=owner.cart_id,
                is_guest=owner.is_guest,
                email=email,
                shipping_address=ADDRESS,
                payment_method="pm_card_ok",
                expected_total=Money(total, "GBP"),
                shipping_quote=None,
                key=key,
                fingerprint="fingerprint",
                correlation_id="cor_1",
            ),
            runner=self.runner,
            **self.means,
        )

    def ends(self, checkout: Checkout, reason: str | None) -> None:
        use_cases.end_checkout(
            checkout.order_id,
            customer_id=checkout.customer_id,
            reason=reason,
            carts=self.carts,
        )

    def cart(self, owner: Owner) -> Cart:
        return use_cases.view_cart(owner, Destination(), **self.means).cart


ADA = Owner("usr_ada", is_guest=False)
GUEST = Owner("gst_1", is_guest=True)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with tables("carts") as client:
        yield client


@pytest.fixture
def shop(client: Any) -> Iterator[Shop]:
    shop = Shop(client)
    shop.sells()
    yield shop
    for item in client.scan(TableName="carts")["Items"]:
        client.delete_item(TableName="carts", Key={"pk": item["pk"], "sk": item["sk"]})


def test_of_a_hundred_checkouts_at_once_ten_get_a_code_of_ten_uses(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_max=10))
    buyers = [Owner(f"usr_{number}", is_guest=False) for number in range(100)]
    for buyer in buyers:
        shop.fills(buyer)

    def outcome(buyer: Owner) -> str:
        try:
            return shop.checks_out(buyer).status
        except (CartChangedError, StaleError) as refusal:
            return refusal.code

    with ThreadPoolExecutor(32) as pool:
        outcomes = Counter(pool.map(outcome, buyers))

    assert outcomes == {"RUNNING": 10, "cart_changed": 90}
    assert shop.uses() == 10
    assert len(shop.runner.started) == 10


def test_a_code_used_up_is_told_with_the_total_without_it(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_max=1))
    shop.fills(ADA)
    shop.fills(GUEST)
    shop.checks_out(ADA)

    with pytest.raises(CartChangedError) as refusal:
        shop.checks_out(GUEST)

    assert refusal.value.promotions_not_counted == {"SPRING": "used_up"}
    assert refusal.value.total["amount_minor"] == 1000
    assert shop.checks_out(GUEST, total=1000).bill.promotions == ()


@pytest.mark.parametrize("times", [1, 3])
def test_a_checkout_that_failed_gives_its_uses_back_once(shop: Shop, times: int) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_max=5, uses_per_person_max=1))
    shop.fills(GUEST)
    shop.checks_out(GUEST, email="first@example.com")
    shop.fills(ADA)
    checkout = shop.checks_out(ADA)

    for _ in range(times):
        shop.ends(checkout, "payment_declined")

    assert shop.uses() == 1
    assert shop.cart(ADA).codes != ()
    assert shop.checks_out(ADA, key="again").status is CheckoutStatus.RUNNING


def test_many_who_end_one_failed_checkout_give_its_use_back_once(shop: Shop) -> None:
    shop.announces()
    shop.fills(GUEST)
    shop.checks_out(GUEST)
    shop.fills(ADA)
    checkout = shop.checks_out(ADA)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: shop.ends(checkout, "out_of_stock"), range(8)))

    assert shop.uses() == 1


def test_a_confirmed_checkout_keeps_its_uses_and_takes_the_code_out(shop: Shop) -> None:
    shop.announces()
    shop.fills(ADA)
    checkout = shop.checks_out(ADA)

    shop.ends(checkout, None)
    shop.ends(checkout, "cancelled_by_customer")

    assert shop.uses() == 1
    assert (shop.cart(ADA).lines, shop.cart(ADA).codes) == ((), ())


def test_a_checkout_under_review_gives_back_when_it_fails_after_all(shop: Shop) -> None:
    shop.announces()
    shop.fills(ADA)
    checkout = shop.checks_out(ADA)

    use_cases.set_checkout_aside(checkout.order_id, customer_id="usr_ada", carts=shop.carts)
    held = shop.uses()
    # Its cart is another one by now.
    use_cases.set_lines(ADA, {"MUG": 3}, version=None, **shop.means)
    shop.ends(checkout, "checkout_failed")
    shop.ends(checkout, "checkout_failed")

    assert (held, shop.uses()) == (1, 0)
    assert shop.cart(ADA).quantity_of("MUG") == 3


def test_an_account_uses_a_code_as_often_as_a_person_may(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_per_person_max=1))
    shop.fills(ADA)
    shop.ends(shop.checks_out(ADA), None)

    with pytest.raises(PromotionInapplicableError) as refusal:
        shop.fills(ADA)

    assert refusal.value.why == "used_by_you"


def test_one_person_at_two_checkouts_at_once_uses_a_code_once(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_per_person_max=1))
    devices = [Owner(f"gst_{number}", is_guest=True) for number in range(6)]
    for device in devices:
        shop.fills(device)

    def outcome(device: Owner) -> str:
        try:
            return shop.checks_out(device, email="Ada@Example.com").status
        except (CartChangedError, StaleError) as refusal:
            return refusal.code

    with ThreadPoolExecutor(6) as pool:
        outcomes = Counter(pool.map(outcome, devices))

    assert outcomes == {"RUNNING": 1, "cart_changed": 5}
    assert shop.uses() == 1


def test_a_guest_is_known_by_the_address_they_order_with() -> None:
    assert guest_person("Ada@Example.com ") == guest_person("ada@example.com")
    assert "ada" not in guest_person("ada@example.com")


def test_a_code_ended_between_the_reading_and_the_freezing_takes_nothing_off(shop: Shop) -> None:
    shop.announces()
    shop.fills(ADA)

    class Ending(DynamoDBPriceBook):
        def prices(self, skus: Any, **wanted: Any) -> Any:
            found = super().prices(skus, **wanted)
            use_cases.end_promotion("SPRING", promotions=shop.promotions, now=shop.now)
            return found

    shop.prices = Ending(shop.client, "carts")
    with pytest.raises(CartChangedError) as refusal:
        shop.checks_out(ADA)

    assert refusal.value.promotions_not_counted == {"SPRING": "ended"}
    assert shop.uses() == 0
    assert shop.cart(ADA).status is CartStatus.OPEN


def test_a_repeated_checkout_takes_one_use(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_max=1))
    shop.fills(ADA)

    first, second = shop.checks_out(ADA), shop.checks_out(ADA)

    assert first.order_id == second.order_id
    assert shop.uses() == 1


def test_a_second_code_for_the_goods_takes_the_place_of_the_first(shop: Shop) -> None:
    shop.announces()
    shop.announces("SUMMER", replace(TEN_PERCENT, basis_points=2000))
    shop.announces("SHIPFREE", Terms(PromotionKind.FREE_SHIPPING, starts_at=NOON))
    shop.fills(ADA)

    for code in ("SHIPFREE", "SUMMER", "SUMMER"):
        shown = use_cases.apply_promotion(ADA, code, version=None, **shop.means)

    assert {one.code for one in shown.cart.codes} == {"SHIPFREE", "SUMMER"}
    assert shown.bill is not None
    assert shown.bill.total == Money(800, "GBP")


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        (replace(TEN_PERCENT, starts_at=NOON + timedelta(days=1)), "not_started"),
        (
            replace(TEN_PERCENT, starts_at=NOON - timedelta(days=1), ends_at=NOON),
            "expired",
        ),
        (replace(TEN_PERCENT, customers_only=True), "not_for_guests"),
    ],
)
def test_a_code_that_cannot_count_is_not_taken(shop: Shop, terms: Terms, why: str) -> None:
    shop.announces(terms=terms)

    with pytest.raises(PromotionInapplicableError) as refusal:
        shop.fills(GUEST)

    assert refusal.value.why == why
    assert shop.cart(GUEST).codes == ()


def test_a_code_below_its_minimum_is_taken_and_counts_when_that_is_reached(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, minimums={"GBP": 2000}))
    shop.fills(ADA)

    before = use_cases.view_cart(ADA, Destination(), **shop.means).bill
    after = use_cases.set_lines(ADA, {"MUG": 2}, version=None, **shop.means).bill

    assert before is not None
    assert after is not None
    assert before.not_counted == {"SPRING": "below_minimum"}
    assert (after.not_counted, after.total) == ({}, Money(1800, "GBP"))


def test_a_promotion_is_read_as_it_was_announced_and_never_changed(shop: Shop) -> None:
    terms = Terms(
        PromotionKind.AMOUNT,
        starts_at=NOON,
        ends_at=NOON + timedelta(days=3),
        amounts={"GBP": 500, "EUR": 600},
        minimums={"GBP": 2000},
        uses_max=10,
        uses_per_person_max=1,
        skus=("MUG",),
        customers_only=True,
    )
    announced = shop.announces(terms=terms)

    assert shop.promotions.get("SPRING") == announced == shop.announces(terms=terms)
    with pytest.raises(PromotionExistsError):
        shop.announces(terms=replace(terms, uses_max=11))


def test_a_promotion_is_ended_once_and_keeps_its_uses(shop: Shop) -> None:
    shop.announces()
    shop.fills(ADA)
    shop.checks_out(ADA)

    first = use_cases.end_promotion("SPRING", promotions=shop.promotions, now=shop.now)
    shop.at = NOON + timedelta(days=1)
    second = use_cases.end_promotion("SPRING", promotions=shop.promotions, now=shop.now)

    assert first.ended_at == second.ended_at == NOON
    assert shop.uses() == 1
    with pytest.raises(PromotionNotFoundError):
        use_cases.end_promotion("WINTER", promotions=shop.promotions, now=shop.now)


def test_promotions_are_listed_by_code_page_by_page(shop: Shop) -> None:
    for code in ("CCC", "AAA", "BBB"):
        shop.announces(code)

    first, after = shop.promotions.listed(2, None)
    second, end = shop.promotions.listed(2, after)

    assert [one.code for one in (*first, *second)] == ["AAA", "BBB", "CCC"]
    assert end is None


def british(**changes: Any) -> TaxTable:
    rates = (TaxRate(TaxClass.STANDARD, 200_000, NOON.date(), ("GB", "Great Britain")),)
    table = TaxTable("GB", True, TaxClass.STANDARD, False, rates)
    return replace(table, **changes)


def test_a_tax_table_nobody_set_is_at_no_version(shop: Shop) -> None:
    with pytest.raises(TaxTableChangedError, match="no tax is set for GB") as refusal:
        use_cases.set_tax_table(british(), version=1, taxes=shop.taxes)

    assert refusal.value.facts == {"country": "GB", "version": 0}
    assert shop.taxes.all() == []


def test_how_a_country_taxes_is_read_as_it_was_set(shop: Shop) -> None:
    first = use_cases.set_tax_table(british(), version=0, taxes=shop.taxes)
    same = use_cases.set_tax_table(british(), version=1, taxes=shop.taxes)
    changed = use_cases.set_tax_table(british(needs_region=True), version=None, taxes=shop.taxes)

    assert (first.version, same.version, changed.version) == (1, 1, 2)
    assert shop.taxes.get("GB") == changed
    assert shop.taxes.all() == [changed]
    with pytest.raises(TaxTableChangedError, match="the tax table of GB is at version 2"):
        use_cases.set_tax_table(british(), version=1, taxes=shop.taxes)
    with pytest.raises(StaleError):
        shop.taxes.save(british(version=2))


def test_a_cart_nobody_changed_is_empty_though_it_is_still_stored(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, ends_at=None))
    shop.fills(ADA)

    shop.at = NOON + CART_KEPT - timedelta(seconds=1)
    before = shop.cart(ADA)
    shop.at = NOON + CART_KEPT
    after = shop.cart(ADA)

    assert (len(before.lines), len(before.codes)) == (1, 1)
    assert (after.lines, after.codes) == ((), ())
    assert shop.carts.get("usr_ada").lines != ()


def test_an_expired_cart_is_filled_anew_and_does_not_come_back(shop: Shop) -> None:
    shop.fills(ADA, quantity=7, code=None)
    shop.at = NOON + CART_KEPT

    shop.sells("CUP")
    use_cases.set_lines(ADA, {"CUP": 1}, version=None, **shop.means)

    assert [line.sku for line in shop.cart(ADA).lines] == ["CUP"]


def test_every_change_keeps_a_cart_for_its_whole_time_again(shop: Shop) -> None:
    shop.fills(ADA, code=None)
    shop.at = NOON + CART_KEPT - timedelta(days=1)
    shop.fills(ADA, quantity=2, code=None)
    shop.at += CART_KEPT - timedelta(days=1)

    assert shop.cart(ADA).quantity_of("MUG") == 2


def test_an_expired_guests_cart_adds_nothing_at_log_in(shop: Shop) -> None:
    shop.fills(GUEST, code=None)
    shop.at = NOON + CART_KEPT

    shown = use_cases.merge_carts(ADA, "gst_1", **shop.means)

    assert shown.cart.lines == ()


def test_a_frozen_cart_does_not_expire(shop: Shop) -> None:
    shop.fills(ADA, code=None)
    checkout = shop.checks_out(ADA, total=1000)
    shop.at = NOON + 2 * CART_KEPT
    frozen = shop.cart(ADA)

    shop.ends(checkout, "payment_declined")

    assert (frozen.status, frozen.quantity_of("MUG")) == (CartStatus.FROZEN, 1)
    assert shop.cart(ADA).status is CartStatus.OPEN


def test_of_fifty_merges_at_once_one_adds_the_guests_units(shop: Shop) -> None:
    shop.announces()
    shop.fills(GUEST, quantity=2)
    shop.fills(ADA, quantity=3, code=None)

    with ThreadPoolExecutor(16) as pool:
        shown = list(
            pool.map(lambda _: use_cases.merge_carts(ADA, "gst_1", **shop.means), range(50))
        )

    assert {one.cart.quantity_of("MUG") for one in shown} == {5}
    assert shop.cart(ADA).quantity_of("MUG") == 5
    assert [one.code for one in shop.cart(ADA).codes] == ["SPRING"]
    assert shop.carts.get("gst_1").status is CartStatus.MERGED


def test_a_merge_keeps_the_code_the_account_has_for_the_same_money(shop: Shop) -> None:
    shop.announces()
    shop.announces("SUMMER")
    shop.fills(GUEST, code="SUMMER")
    shop.fills(ADA)

    shown = use_cases.merge_carts(ADA, "gst_1", **shop.means)

    assert [one.code for one in shown.cart.codes] == ["SPRING"]


@pytest.mark.parametrize("frozen", [GUEST, ADA], ids=["the guest's", "the account's"])
def test_carts_do_not_merge_while_one_is_checked_out(shop: Shop, frozen: Owner) -> None:
    shop.fills(GUEST, code=None)
    shop.fills(ADA, code=None)
    checkout = shop.checks_out(frozen, total=1000)

    with pytest.raises(CartFrozenError):
        use_cases.merge_carts(ADA, "gst_1", **shop.means)
    shop.ends(checkout, "out_of_stock")

    assert use_cases.merge_carts(ADA, "gst_1", **shop.means).cart.quantity_of("MUG") == 2


def test_carts_that_do_not_fit_into_one_stay_as_they_are(shop: Shop) -> None:
    shop.fills(GUEST, quantity=QUANTITY_MAX, code=None)
    shop.fills(ADA, code=None)

    with pytest.raises(CartLimitError):
        use_cases.merge_carts(ADA, "gst_1", **shop.means)

    assert shop.cart(ADA).quantity_of("MUG") == 1
    assert shop.cart(GUEST).quantity_of("MUG") == QUANTITY_MAX


def test_what_is_no_longer_on_sale_stays_behind_and_is_named(shop: Shop) -> None:
    shop.sells("CUP")
    use_cases.set_lines(GUEST, {"CUP": 1, "MUG": 1}, version=None, **shop.means)
    shop.prices.withdraw_offer("CUP", ProductNews("prd_CUP", 2, NOON))

    shown = use_cases.merge_carts(ADA, "gst_1", **shop.means)

    assert [line.sku for line in shown.cart.lines] == ["MUG"]
    assert shown.changed_skus == ["CUP"]


def test_of_many_edits_of_one_version_one_is_made(shop: Shop) -> None:
    shop.fills(ADA, code=None)
    version = shop.cart(ADA).version

    def outcome(quantity: int) -> str:
        try:
            use_cases.set_lines(ADA, {"MUG": quantity}, version=version, **shop.means)
        except VersionMismatchError as refusal:
            return refusal.code
        return str(quantity)

    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(outcome, range(2, 10)))

    (made,) = set(outcomes) - {"version_mismatch"}
    assert outcomes["version_mismatch"] == 7
    assert shop.cart(ADA).quantity_of("MUG") == int(made)


def test_a_frozen_cart_is_shown_as_it_was_frozen(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_max=1))
    shop.fills(ADA)
    shop.checks_out(ADA)
    shop.prices.put_offer(
        Offer("MUG", "MUG", Money(5000, "GBP"), 300), ProductNews("prd_MUG", 2, NOON)
    )

    shown = use_cases.view_cart(ADA, Destination(), **shop.means)

    assert shown.bill is not None
    assert (shown.bill.total, shown.bill.promotions) == (Money(900, "GBP"), ("SPRING",))


def test_a_checkout_is_read_as_it_was_written(shop: Shop) -> None:
    shop.announces(terms=replace(TEN_PERCENT, uses_per_person_max=2))
    use_cases.set_tax_table(british(needs_region=False), version=None, taxes=shop.taxes)
    shop.fills(ADA, quantity=3)
    begun = shop.checks_out(ADA, total=2700)

    stored = shop.carts.checkout_with_lines(begun.order_id)

    assert stored == replace(begun, bill=replace(begun.bill, not_counted={}))
    assert stored is not None
    assert [taken.person for taken in stored.bill.redemptions] == ["usr_ada"]

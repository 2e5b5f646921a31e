"""What becomes of a product when merchants write it, and what others are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from catalog.model.product import Content, InvalidProductError, Outcome, StaleProductError, Variant
from catalog.use_cases import editing
from tradepost.kernel.money import Money

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def a_variant(sku="MUG", *, amount=1200, **fields):
    return replace(
        Variant(sku, (), Money(amount, "GBP"), compare_at=None, weight_grams=300, barcode=None),
        **fields,
    )


def a_content(**fields):
    nothing = Content(
        handle="mug", title="Mug", description="", vendor="", categories=(), tags=(),
        attributes={}, images=(), options=(), variants=(a_variant(),), published=True,
    )  # fmt: skip
    return replace(nothing, **fields)


class OvertakenProducts:
    """A repository in which somebody else always writes first."""

    def __init__(self):
        self.attempts = 0

    def find(self, _handle):
        return None

    def save(self, product, *, replacing, events):
        self.attempts += 1
        raise StaleProductError(product.handle)


def test_a_writer_overtaken_again_and_again_gives_up_and_says_so():
    products = OvertakenProducts()

    with pytest.raises(StaleProductError):
        editing.put_product(
            a_content(), stored=None, correlation_id="c", products=products, now=lambda: MONDAY
        )

    assert products.attempts == 5


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, True, ["product.published.v2", "product.published.v1"]),
        (None, False, []),
        (False, True, ["product.published.v2", "product.published.v1"]),
        (False, False, []),
        (True, True, ["product.changed.v2", "product.changed.v1"]),
        (True, False, ["product.withdrawn.v1"]),
    ],
)
def test_others_are_told_of_what_is_or_was_on_sale(before, after, told):
    saved = []

    class Products:
        def save(self, product, *, replacing, events):
            saved.append(events)

    stored = None
    if before is not None:
        stored, _ = editing.put_product(
            a_content(published=before, title="Before"), stored=None, correlation_id="c",
            products=Products(), now=lambda: MONDAY,
        )  # fmt: skip

    _, outcome = editing.put_product(
        a_content(published=after), stored=stored, correlation_id="c", products=Products(),
        now=lambda: MONDAY,
    )  # fmt: skip

    assert outcome is (Outcome.CREATED if before is None else Outcome.CHANGED)
    assert [event.TYPE for event in saved[-1]] == told


def test_a_product_is_as_old_as_its_first_day_on_sale():
    tuesday = MONDAY.replace(day=3)
    product = editing.new_product(a_content(published=False), at=MONDAY)

    on_sale = product.revised(a_content(), at=tuesday)
    back = on_sale.withdrawn(at=tuesday).revised(a_content(), at=tuesday.replace(day=9))

    assert product.on_sale_since is None
    assert on_sale.on_sale_since == back.on_sale_since == tuesday


@pytest.mark.parametrize(
    "fields",
    [
        {"weight_grams": -1},
        {"price": Money(-1, "GBP")},
        {"compare_at": Money(1, "EUR")},
        {"sku": "MUG RED"},
        {"sku": "x" * 101},
        {"option_values": ("",)},
    ],
)
def test_an_impossible_variant_cannot_be_made(fields):
    with pytest.raises(InvalidProductError):
        a_variant(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"variants": ()},
        {"variants": tuple(a_variant(f"S{n}", option_values=(str(n),)) for n in range(101)),
         "options": ("Size",)},
        {"variants": (a_variant("A"), a_variant("B"))},
        {"categories": ("a",) * 2},
        {"categories": tuple(f"c{n}" for n in range(7))},
        {"options": ("a", "b", "c", "d")},
        {"tags": ("  padded ",)},
        {"title": "bell\x07"},
    ],
)  # fmt: skip
def test_an_impossible_product_cannot_be_made(fields):
    with pytest.raises(InvalidProductError):
        a_content(**fields)

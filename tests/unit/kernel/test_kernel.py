"""Money, ids and moments: the values everything else is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tradepost.kernel.clock import from_text, set_clock, to_text, utc_now
from tradepost.kernel.errors import ConflictError, StaleError
from tradepost.kernel.ids import derived_id, new_id
from tradepost.kernel.money import AMOUNT_MINOR_MAX, Money, total_of
from tradepost.kernel.randomness import set_randomness
from tradepost.platform.dynamodb import from_item, to_item


def test_lines_add_up_to_the_total_without_rounding() -> None:
    lines = [Money(255, "GBP") * 6, Money(339, "GBP") * 8]

    assert total_of(lines, "GBP") == Money(4242, "GBP")


def test_amounts_of_two_currencies_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        Money(1, "GBP") + Money(1, "EUR")


@pytest.mark.parametrize("currency", ["gbp", "GB", "GBPP", "", "£"])
def test_money_needs_a_currency_code(currency: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(1, currency)


def test_an_amount_that_a_json_reader_would_garble_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond"):
        Money(AMOUNT_MINOR_MAX, "GBP") + Money(1, "GBP")


def test_ids_of_one_kind_sort_by_age() -> None:
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    set_clock(lambda: noon)
    older = new_id("ord")
    set_clock(lambda: noon + timedelta(milliseconds=1))
    newer = new_id("ord")
    set_clock(None)

    assert older < newer


def test_time_and_chance_have_one_source_each_that_a_simulation_can_replace() -> None:
    set_clock(lambda: datetime(2026, 1, 2, 12, tzinfo=UTC))
    set_randomness(bytes)
    first, second = new_id("ord"), new_id("ord")
    set_clock(None)
    set_randomness(None)

    assert first == second


def test_the_same_parts_give_the_same_id_and_no_others_do() -> None:
    assert derived_id("ord", "usr_1", "key") == derived_id("ord", "usr_1", "key")
    assert derived_id("ord", "a", "bc") != derived_id("ord", "ab", "c")


def test_texts_of_moments_sort_as_the_moments_do() -> None:
    moment = datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-5)))

    assert to_text(moment) == "2026-03-29T05:59:59.999Z"
    assert from_text(to_text(moment)) == moment.replace(microsecond=999_000)
    assert utc_now().tzinfo is UTC


def test_an_error_tells_the_facts_it_was_made_with() -> None:
    class SoldOutError(ConflictError):
        code = "sold_out"

        def __init__(self, sku: str) -> None:
            super().__init__("sold out")
            self.sku = sku

    assert SoldOutError("MUG").facts == {"sku": "MUG"}
    assert StaleError("x").facts == {}


def test_an_item_comes_back_as_it_was_stored() -> None:
    item = {"a": "x", "n": 12, "b": True, "none": None, "l": [1, {"m": "y"}], "raw": b"\x00"}

    assert from_item(to_item(item)) == item


def test_a_float_cannot_be_stored() -> None:
    with pytest.raises(TypeError):
        to_item({"price": 1.5})

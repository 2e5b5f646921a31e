"""Amounts in words, by the currency's minor unit."""

from __future__ import annotations

import pytest

from tradepost.kernel.money import AMOUNT_MINOR_MAX, Money


@pytest.mark.parametrize(
    ("amount_minor", "currency", "words"),
    [
        (1250, "GBP", "12.50 GBP"),
        (5, "EUR", "0.05 EUR"),
        (0, "USD", "0.00 USD"),
        (123_456_789, "USD", "1,234,567.89 USD"),
        (1250, "JPY", "1,250 JPY"),
        (0, "KRW", "0 KRW"),
        (50_000, "VND", "50,000 VND"),
        (1250, "ISK", "1,250 ISK"),
        (1250, "KWD", "1.250 KWD"),
        (7, "BHD", "0.007 BHD"),
        (12_345, "CLF", "1.2345 CLF"),
        (-1250, "GBP", "-12.50 GBP"),
        (AMOUNT_MINOR_MAX, "JPY", "9,007,199,254,740,991 JPY"),
    ],
)
def test_an_amount_has_as_many_digits_behind_the_point_as_its_currency(
    amount_minor: int, currency: str, words: str
) -> None:
    assert Money(amount_minor, currency).in_words() == words

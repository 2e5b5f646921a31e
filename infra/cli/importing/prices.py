"""Prices as people write them, exactly in minor units."""

from __future__ import annotations

import re
from decimal import Decimal

# ISO 4217, list one: the currencies that have no hundredths.
_NO_MINOR_UNIT = frozenset(
    {
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    }
)
_THOUSANDTHS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})

_PRICE = re.compile(r"\d{1,12}(?:\.\d{1,12})?")


def minor_units(price: str, currency: str) -> int:
    """Turn a decimal price such as 12.5 into minor units, without rounding.

    Raises
    ------
    ValueError
        Not a price, or finer than the currency's smallest coin. The message is for a person.
    """
    if not _PRICE.fullmatch(price):
        raise ValueError(f"{price!r} is no price such as 12.50")
    exact = Decimal(price).scaleb(_decimals(currency))
    if exact != exact.to_integral_value():
        raise ValueError(f"{price!r} has more decimals than {currency}")
    return int(exact)


def _decimals(currency: str) -> int:
    if currency in _NO_MINOR_UNIT:
        return 0
    return 3 if currency in _THOUSANDTHS else 2

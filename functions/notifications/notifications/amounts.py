"""Amounts of money as a person reads them."""

from __future__ import annotations

from tradepost.kernel.money import Money

# How many digits of an amount stand behind the point, where it is not two. ISO 4217, list one,
# column "Minor unit".
_DIGITS = {
    **dict.fromkeys(
        (
            *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
            *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_DIGITS_OF_MOST = 2


def in_words(amount: Money) -> str:
    """Write an amount such as 1,234.50 GBP, 1,234 JPY or 1.234 KWD."""
    digits = _DIGITS.get(amount.currency, _DIGITS_OF_MOST)
    sign = "-" if amount.amount_minor < 0 else ""
    units, fraction = divmod(abs(amount.amount_minor), 10**digits)
    behind_the_point = f".{fraction:0{digits}d}" if digits else ""
    return f"{sign}{units:,}{behind_the_point} {amount.currency}"

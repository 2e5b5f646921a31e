"""Money as whole minor units."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CURRENCY = re.compile(r"[A-Z]{3}")

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

# Totals stay exact in any JSON reader: 2**53 - 1 is the largest integer a double holds exactly.
AMOUNT_MINOR_MAX = 2**53 - 1


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in the currency's minor unit: 1999 is 19.99 EUR and 1999 JPY."""

    amount_minor: int
    currency: str  # ISO 4217, upper case

    def __post_init__(self) -> None:
        if not _CURRENCY.fullmatch(self.currency):
            raise ValueError(f"not an ISO 4217 currency code: {self.currency!r}")
        if abs(self.amount_minor) > AMOUNT_MINOR_MAX:
            raise ValueError(f"amount beyond {AMOUNT_MINOR_MAX} minor units")

    def __add__(self, other: Money) -> Money:
        """Add an amount of the same currency."""
        return Money(self.amount_minor + self._same_currency(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        """Subtract an amount of the same currency; the result may be negative."""
        return Money(self.amount_minor - self._same_currency(other), self.currency)

    def __mul__(self, quantity: int) -> Money:
        """Multiply by whole units; there is no rounding because there are no fractions."""
        return Money(self.amount_minor * quantity, self.currency)

    def in_words(self) -> str:
        """Write the amount for a person, such as 1,234.50 GBP, 1,234 JPY or 1.234 KWD."""
        digits = _DIGITS.get(self.currency, _DIGITS_OF_MOST)
        sign = "-" if self.amount_minor < 0 else ""
        units, fraction = divmod(abs(self.amount_minor), 10**digits)
        behind_the_point = f".{fraction:0{digits}d}" if digits else ""
        return f"{sign}{units:,}{behind_the_point} {self.currency}"

    def _same_currency(self, other: Money) -> int:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not add up")
        return other.amount_minor


def total_of(amounts: list[Money], currency: str) -> Money:
    """Sum the amounts; an empty list is zero of `currency`."""
    total = Money(0, currency)
    for amount in amounts:
        total = total + amount
    return total

"""Amounts as Stripe counts them: in ISO 4217's minor units, but for a few currencies.

All from docs.stripe.com/currencies, "Minor units in API amounts" and "Special cases". HUF and TWD
are special for payouts only.
"""

from __future__ import annotations

from tradepost.kernel.errors import InvalidError
from tradepost.kernel.money import Money

# The króna has no minor unit; Stripe goes on counting hundredths of it, and takes whole ones only
# (support.stripe.com, "Deprecation of fractional ISK charges and refunds").
_HUNDREDTHS = frozenset({"ISK"})

# Three decimals, of which the card networks take two: the last digit has to be 0.
_TENS_ONLY = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

# The ariary has two decimals in ISO 4217 and none at Stripe. The Ugandan shilling has none, and
# Stripe lists it both so and among those to be given in hundredths: a guess could be a hundredfold.
_REFUSED = frozenset({"MGA", "UGX"})


class AmountNotChargeableError(InvalidError):
    """The provider takes no such amount, or not in this currency."""

    code = "amount_not_chargeable"

    def __init__(self, amount: Money) -> None:
        super().__init__(
            f"{amount.amount_minor} minor units of {amount.currency} cannot be charged"
        )
        self.amount_minor = amount.amount_minor
        self.currency = amount.currency


def to_stripe(amount: Money) -> int:
    """Count an amount as Stripe does. Raises AmountNotChargeableError."""
    if amount.currency in _REFUSED:
        raise AmountNotChargeableError(amount)
    if amount.currency in _TENS_ONLY and amount.amount_minor % 10:
        raise AmountNotChargeableError(amount)
    return amount.amount_minor * (100 if amount.currency in _HUNDREDTHS else 1)


def from_stripe(counted: int, currency: str) -> Money:
    """Take an amount as Stripe counts it; a fraction of a króna, made elsewhere, is rounded."""
    if currency in _HUNDREDTHS:
        return Money((counted + 50) // 100, currency)
    return Money(counted, currency)

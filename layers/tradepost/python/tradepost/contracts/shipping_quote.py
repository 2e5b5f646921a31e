"""What sending a parcel costs, as shipping promises it and carts takes it to a checkout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tradepost.kernel.money import Money


@dataclass(frozen=True, slots=True)
class ShippingQuote:
    """The price of one parcel of at most `weight_grams` to `country`, good until `expires_at`."""

    country: str  # ISO 3166-1 alpha-2
    zone: str
    weight_grams: int
    service: str
    price: Money
    expires_at: datetime  # in whole seconds

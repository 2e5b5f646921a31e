"""
What sending costs: the merchant's tariff, by zone, weight and service.

These are example prices made up for the demonstration shop, in no carrier's name; whoever runs a
shop owns this table and writes their own here. Prices are in minor units of each currency and
include everything; a zone that a country stands in nowhere is not served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from tradepost.contracts.shipping_quote import ShippingQuote
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import ConflictError
from tradepost.kernel.money import Money

# A price is looked up again after a day: long enough to think it over, short enough to change it.
QUOTE_LIFETIME = timedelta(days=1)

# Free is what a checkout without a quote gets, and costs nothing in a quote either.
FREE, ECONOMY, STANDARD, EXPRESS = "free", "economy", "standard", "express"

# Within how many days of its hand-over a parcel has to arrive; later it may be claimed.
DELIVERED_WITHIN = {
    FREE: timedelta(days=21),
    ECONOMY: timedelta(days=14),
    STANDARD: timedelta(days=7),
    EXPRESS: timedelta(days=3),
}

# ISO 3166-1 alpha-2.
_ZONES: Mapping[str, str] = {
    "domestic": "GB GG IM JE",
    "europe": (
        "AT BE BG CH CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE"
        " SI SK"
    ),
    "world": "AE AU BH BR CA HK IL IN JP KR LB MX MY NZ RS SA SG TH TR TW US ZA",
}

# Zone and service: up to these grams, at this price.
_Steps = tuple[tuple[int, int], ...]
_PRICES_MINOR: Mapping[str, Mapping[tuple[str, str], _Steps]] = {
    "GBP": {
        ("domestic", FREE): ((30_000, 0),),
        ("europe", FREE): ((20_000, 0),),
        ("world", FREE): ((20_000, 0),),
        ("domestic", ECONOMY): ((1_000, 295), (5_000, 495), (20_000, 995), (30_000, 1495)),
        ("domestic", STANDARD): ((1_000, 395), (5_000, 645), (20_000, 1295), (30_000, 1895)),
        ("domestic", EXPRESS): ((1_000, 795), (5_000, 1195), (20_000, 2195)),
        ("europe", ECONOMY): ((1_000, 895), (5_000, 1495), (20_000, 2995)),
        ("europe", STANDARD): ((1_000, 1195), (5_000, 1895), (20_000, 3695)),
        ("europe", EXPRESS): ((1_000, 2495), (5_000, 3995), (20_000, 7995)),
        ("world", ECONOMY): ((1_000, 1495), (5_000, 2995), (20_000, 6995)),
        ("world", STANDARD): ((1_000, 1995), (5_000, 3995), (20_000, 8995)),
        ("world", EXPRESS): ((1_000, 3995), (5_000, 6995), (20_000, 14995)),
    },
    "EUR": {
        ("domestic", FREE): ((30_000, 0),),
        ("europe", FREE): ((20_000, 0),),
        ("world", FREE): ((20_000, 0),),
        ("domestic", ECONOMY): ((1_000, 345), (5_000, 575), (20_000, 1145), (30_000, 1725)),
        ("domestic", STANDARD): ((1_000, 455), (5_000, 745), (20_000, 1495), (30_000, 2185)),
        ("domestic", EXPRESS): ((1_000, 915), (5_000, 1375), (20_000, 2525)),
        ("europe", ECONOMY): ((1_000, 1035), (5_000, 1725), (20_000, 3445)),
        ("europe", STANDARD): ((1_000, 1375), (5_000, 2185), (20_000, 4255)),
        ("europe", EXPRESS): ((1_000, 2875), (5_000, 4595), (20_000, 9195)),
        ("world", ECONOMY): ((1_000, 1725), (5_000, 3445), (20_000, 8045)),
        ("world", STANDARD): ((1_000, 2295), (5_000, 4595), (20_000, 10345)),
        ("world", EXPRESS): ((1_000, 4595), (5_000, 8045), (20_000, 17245)),
    },
}
assert all(
    prices.keys() == {(zone, service) for zone in _ZONES for service in DELIVERED_WITHIN}
    and all(steps == tuple(sorted(steps)) for steps in prices.values())
    for prices in _PRICES_MINOR.values()
), "every currency prices every zone and service, and what weighs more costs no less"

CURRENCIES = tuple(_PRICES_MINOR)


class DestinationNotServedError(ConflictError):
    code = "destination_not_served"

    def __init__(self, country: str) -> None:
        super().__init__(f"nothing is sent to {country}")
        self.country = country


class ParcelTooHeavyError(ConflictError):
    code = "parcel_too_heavy"

    def __init__(self, weight_grams_max: int) -> None:
        super().__init__(f"a parcel there weighs at most {weight_grams_max} grams")
        self.weight_grams_max = weight_grams_max


class TariffCurrencyError(ConflictError):
    """There is no tariff in this currency."""

    code = "tariff_currency"

    def __init__(self, currency: str) -> None:
        super().__init__(f"sending is not priced in {currency}")
        self.currency = currency
        self.currencies = list(CURRENCIES)


@dataclass(frozen=True, slots=True)
class Sending:
    """What a buyer wants priced."""

    country: str
    weight_grams: int
    currency: str


def quotes_for(sending: Sending, now: Clock) -> list[ShippingQuote]:
    """Price a parcel in each service that takes it, the cheapest first.

    Raises
    ------
    TariffCurrencyError, DestinationNotServedError
    ParcelTooHeavyError
        No service takes this weight there.
    """
    if sending.currency not in _PRICES_MINOR:
        raise TariffCurrencyError(sending.currency)
    zone = next((name for name, of in _ZONES.items() if sending.country in of.split()), None)
    if zone is None:
        raise DestinationNotServedError(sending.country)
    of_zone = {
        service: steps
        for (of, service), steps in _PRICES_MINOR[sending.currency].items()
        if of == zone
    }
    expires_at = (now() + QUOTE_LIFETIME).replace(microsecond=0)
    quotes = [
        ShippingQuote(
            country=sending.country,
            zone=zone,
            weight_grams=sending.weight_grams,
            service=service,
            price=Money(price_minor, sending.currency),
            expires_at=expires_at,
        )
        for service, steps in of_zone.items()
        if (price_minor := _price_minor(steps, sending.weight_grams)) is not None
    ]
    if not quotes:
        raise ParcelTooHeavyError(max(steps[-1][0] for steps in of_zone.values()))
    return sorted(quotes, key=lambda quote: quote.price.amount_minor)


def _price_minor(steps: _Steps, weight_grams: int) -> int | None:
    return next((price for grams_max, price in steps if weight_grams <= grams_max), None)

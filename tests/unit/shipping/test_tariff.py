"""What sending costs, and where nothing is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shipping.model.tariff import (
    CURRENCIES,
    FREE,
    QUOTE_LIFETIME,
    DestinationNotServedError,
    ParcelTooHeavyError,
    Sending,
    TariffCurrencyError,
    quotes_for,
)

NOON = datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)


def now() -> datetime:
    return NOON


def prices(country: str, weight_grams: int, currency: str = "GBP") -> dict[str, int]:
    sending = Sending(country, weight_grams, currency)
    return {quote.service: quote.price.amount_minor for quote in quotes_for(sending, now)}


def test_each_service_has_a_price_and_the_cheapest_comes_first() -> None:
    assert prices("GB", 640) == {"free": 0, "economy": 295, "standard": 395, "express": 795}
    assert list(prices("GB", 640)) == ["free", "economy", "standard", "express"]


@pytest.mark.parametrize(("weight_grams", "price"), [(0, 295), (1_000, 295), (1_001, 495)])
def test_a_step_reaches_up_to_its_weight_and_no_further(weight_grams: int, price: int) -> None:
    assert prices("GB", weight_grams)["economy"] == price


def test_a_service_that_does_not_take_the_weight_is_left_out() -> None:
    assert prices("GB", 25_000).keys() == {"free", "economy", "standard"}


def test_farther_is_never_cheaper() -> None:
    for service in ("economy", "standard", "express"):
        near, far, farthest = (prices(to, 2_000)[service] for to in ("GB", "FR", "US"))

        assert near < far < farthest


def test_the_service_of_a_checkout_without_a_quote_costs_nothing_anywhere() -> None:
    assert [prices(to, 2_000)[FREE] for to in ("GB", "FR", "US")] == [0, 0, 0]


def test_what_no_service_takes_is_too_heavy() -> None:
    with pytest.raises(ParcelTooHeavyError) as refused:
        prices("FR", 20_001)

    assert refused.value.weight_grams_max == 20_000


def test_a_country_in_no_zone_is_not_served() -> None:
    with pytest.raises(DestinationNotServedError):
        prices("AQ", 640)


def test_a_currency_without_a_tariff_is_refused() -> None:
    with pytest.raises(TariffCurrencyError) as refused:
        prices("GB", 640, "JPY")

    assert refused.value.currencies == list(CURRENCIES)


def test_a_quote_holds_for_a_day_to_the_second() -> None:
    (first, *_) = quotes_for(Sending("GB", 640, "GBP"), now)

    assert first.expires_at == NOON.replace(microsecond=0) + QUOTE_LIFETIME
    assert timedelta(days=1) == QUOTE_LIFETIME

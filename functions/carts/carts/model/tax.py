"""
What tax a price contains, or what comes on top of it, by country and region.

A country's table is data that staff maintain. Rates hold from a day on, so next year's can be
entered this year, and a rate that ends is followed by one of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, NotFoundError

# 1,000,000 is 100 %; New York City's 8.875 % is 88,750.
WHOLE_PPM = 1_000_000

# Every state of the largest federations, in three classes, with some years' changes; a table stays
# far below DynamoDB's 400 KB per item.
TAX_RATES_MAX = 500


class TaxClass(StrEnum):
    STANDARD = "standard"
    REDUCED = "reduced"
    ZERO = "zero"  # never taxed


class TaxRegionError(ConflictError):
    """Tax differs by region there, and the address names none that is known."""

    code = "tax_region_unknown"

    def __init__(self, country: str) -> None:
        super().__init__(f"name the state or province: tax in {country} differs by it")
        self.country = country


class TaxTableNotFoundError(NotFoundError):
    code = "tax_table_not_found"

    def __init__(self, country: str) -> None:
        super().__init__(f"no tax is set for {country}")
        self.country = country


class TaxTableChangedError(ConflictError):
    """The table changed since the caller saw the version it names."""

    code = "version_mismatch"

    def __init__(self, country: str, version: int) -> None:
        super().__init__(
            f"the tax table of {country} is at version {version}"
            if version
            else f"no tax is set for {country}"
        )
        self.country = country
        self.version = version


@dataclass(frozen=True, slots=True)
class TaxRate:
    """One rate of a country, or of a region in it under each name that addresses give it."""

    tax_class: TaxClass
    rate_ppm: int
    valid_from: date  # the UTC day from which it holds, until the next of its kind
    regions: tuple[str, ...] = ()  # in any case: CA, California; none is the whole country

    def is_of(self, region: str) -> bool:
        return region.casefold() in {name.casefold() for name in self.regions}


@dataclass(frozen=True, slots=True)
class TaxTable:
    """How one country taxes. `version` counts its writes, from 1."""

    country: str  # ISO 3166-1 alpha-2
    prices_include_tax: bool
    shipping_class: TaxClass
    needs_region: bool  # whether an address without a known region is refused
    rates: tuple[TaxRate, ...]
    version: int = 1

    def rates_at(self, region: str | None, at: datetime) -> Rates:
        """Tell what holds in a region at a moment.

        A region with rates of its own is taxed by those alone: they are the whole of it, the
        country's share included. Elsewhere the country's hold.

        Raises
        ------
        TaxRegionError
            The table needs a region, and has no rate for this one.
        """
        begun = [rate for rate in self.rates if rate.valid_from <= at.date()]
        own = [rate for rate in begun if rate.is_of((region or "").strip())]
        if self.needs_region and not own:
            raise TaxRegionError(self.country)
        return Rates(
            prices_include_tax=self.prices_include_tax,
            shipping_class=self.shipping_class,
            ppm=_latest(own or [rate for rate in begun if not rate.regions]),
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """What holds at one place and moment. A class without a rate is taxed as standard."""

    prices_include_tax: bool
    shipping_class: TaxClass
    ppm: dict[TaxClass, int]

    def tax_on(self, amount_minor: int, tax_class: TaxClass) -> int:
        """Tell the tax within an amount, or what comes on top of it, rounded half up."""
        if tax_class is TaxClass.ZERO:
            return 0
        rate = self.ppm.get(tax_class, self.ppm.get(TaxClass.STANDARD, 0))
        whole = WHOLE_PPM + (rate if self.prices_include_tax else 0)
        return (2 * amount_minor * rate + whole) // (2 * whole)


UNTAXED = Rates(prices_include_tax=True, shipping_class=TaxClass.ZERO, ppm={})


def _latest(rates: Iterable[TaxRate]) -> dict[TaxClass, int]:
    in_turn = sorted(rates, key=lambda rate: rate.valid_from)
    return {rate.tax_class: rate.rate_ppm for rate in in_turn}

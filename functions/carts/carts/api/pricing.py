"""Bodies and answers about promotions and taxes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from carts.api.carts import COUNTRY, SKU, Region
from carts.model.promotion import (
    PROMOTION_SKUS_MAX,
    WHOLE_BASIS_POINTS,
    Promotion,
    PromotionKind,
    PromotionNotFoundError,
    Terms,
    code_of,
)
from carts.model.tax import (
    TAX_RATES_MAX,
    WHOLE_PPM,
    TaxClass,
    TaxRate,
    TaxTable,
    TaxTableNotFoundError,
)
from tradepost.kernel.clock import from_text, to_text
from tradepost.platform.bodies import Amount, AmountGiven, RequestModel, View, shown_as

# All rates of the largest table, each of a region with two names.
TAX_TABLE_BODY_BYTES_MAX = 128 * 1024

# So many uses are no limit any more.
USES_MAX = 1_000_000_000

_CURRENCIES_MAX = 50
_REGION_NAMES_MAX = 10
_NEVER = datetime.max.replace(tzinfo=UTC)


class NewPromotion(RequestModel):
    """`percent` has `basis_points`, `amount` has `amounts`, one per currency; one is named only.

    Without `ends_at`, `uses_max` or `uses_per_person_max` there is no such end. `skus` are those it
    is for, or none for all. `minimums` are of the goods before the discount, one per currency.
    """

    model_config = shown_as(
        kind="percent", basis_points=1000, starts_at="2026-01-01T00:00:00Z", uses_max=100
    )

    kind: PromotionKind
    basis_points: int = Field(default=0, ge=0, le=WHOLE_BASIS_POINTS)
    amounts: list[AmountGiven] = Field(default=[], max_length=_CURRENCIES_MAX)
    minimums: list[AmountGiven] = Field(default=[], max_length=_CURRENCIES_MAX)
    starts_at: AwareDatetime
    ends_at: AwareDatetime = _NEVER
    uses_max: int = Field(default=USES_MAX, ge=1, le=USES_MAX)
    uses_per_person_max: int = Field(default=USES_MAX, ge=1, le=USES_MAX)
    skus: list[SKU] = Field(default=[], max_length=PROMOTION_SKUS_MAX)
    customers_only: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.kind is PromotionKind.PERCENT) is not (self.basis_points > 0):
            raise ValueError("basis_points belong to percent, and are more than none")
        if (self.kind is PromotionKind.AMOUNT) is not bool(self.amounts):
            raise ValueError("amounts belong to amount")
        for named in (self.amounts, self.minimums):
            if len(by_currency(named)) < len(named):
                raise ValueError("name each currency once")
        if self.ends_at <= self.starts_at:
            raise ValueError("it ends before it starts")
        return self

    def terms(self) -> Terms:
        return Terms(
            kind=self.kind,
            starts_at=_whole_milliseconds(self.starts_at),
            ends_at=_whole_milliseconds(self.ends_at) if self.ends_at < _NEVER else None,
            basis_points=self.basis_points,
            amounts=by_currency(self.amounts),
            minimums=by_currency(self.minimums),
            uses_max=_limit(self.uses_max),
            uses_per_person_max=_limit(self.uses_per_person_max),
            skus=tuple(dict.fromkeys(self.skus)),
            customers_only=self.customers_only,
        )


class PromotionView(View):
    """`uses` are redemptions by checkouts that run or were confirmed."""

    code: str
    kind: PromotionKind
    basis_points: int
    amounts: list[Amount]
    minimums: list[Amount]
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None
    uses_max: int | None
    uses_per_person_max: int | None
    skus: list[str]
    customers_only: bool
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    uses: int

    @classmethod
    def of(cls, promotion: Promotion) -> PromotionView:
        terms = promotion.terms
        return cls(
            code=promotion.code,
            kind=terms.kind,
            basis_points=terms.basis_points,
            amounts=_amounts(terms.amounts),
            minimums=_amounts(terms.minimums),
            starts_at=terms.starts_at,
            ends_at=terms.ends_at,
            uses_max=terms.uses_max,
            uses_per_person_max=terms.uses_per_person_max,
            skus=list(terms.skus),
            customers_only=terms.customers_only,
            created_at=promotion.created_at,
            ended_at=promotion.ended_at,
            uses=promotion.uses,
        )


class PromotionPage(View):
    promotions: list[PromotionView]
    next_cursor: str | None


class NewTaxRate(RequestModel):
    """`rate_ppm` is in millionths: 200000 is 20 %. `regions` are the names of one region."""

    tax_class: Literal["standard", "reduced"]
    rate_ppm: int = Field(ge=0, le=WHOLE_PPM)
    valid_from: date
    regions: list[Region] = Field(default=[], max_length=_REGION_NAMES_MAX)


class NewTaxTable(RequestModel):
    """How a country taxes: all its rates, those to come as well."""

    model_config = shown_as(
        prices_include_tax=True,
        rates=[{"tax_class": "standard", "rate_ppm": 200000, "valid_from": "2026-01-01"}],
    )

    prices_include_tax: bool
    shipping_class: TaxClass = TaxClass.STANDARD
    needs_region: bool = False
    rates: list[NewTaxRate] = Field(max_length=TAX_RATES_MAX)

    def table(self, country: str) -> TaxTable:
        return TaxTable(
            country=country,
            prices_include_tax=self.prices_include_tax,
            shipping_class=self.shipping_class,
            needs_region=self.needs_region,
            rates=tuple(
                TaxRate(
                    TaxClass(rate.tax_class), rate.rate_ppm, rate.valid_from, tuple(rate.regions)
                )
                for rate in self.rates
            ),
        )


class TaxRateView(View):
    tax_class: TaxClass
    rate_ppm: int
    valid_from: date
    regions: list[str]


class TaxTableView(View):
    country: str
    prices_include_tax: bool
    shipping_class: TaxClass
    needs_region: bool
    rates: list[TaxRateView]
    version: int

    @classmethod
    def of(cls, table: TaxTable) -> TaxTableView:
        return cls(
            country=table.country,
            prices_include_tax=table.prices_include_tax,
            shipping_class=table.shipping_class,
            needs_region=table.needs_region,
            rates=[
                TaxRateView(
                    tax_class=rate.tax_class,
                    rate_ppm=rate.rate_ppm,
                    valid_from=rate.valid_from,
                    regions=list(rate.regions),
                )
                for rate in table.rates
            ],
            version=table.version,
        )


class TaxTableList(View):
    taxes: list[TaxTableView]


def require_code(text: str) -> str:
    """Read a code out of a path. Raises PromotionNotFoundError if it cannot be one."""
    code = code_of(text)
    if code is None:
        raise PromotionNotFoundError(text)
    return code


def require_country(text: str) -> str:
    """Read a country out of a path. Raises TaxTableNotFoundError if it cannot be one."""
    if not re.fullmatch(COUNTRY, text):
        raise TaxTableNotFoundError(text)
    return text


def by_currency(amounts: list[AmountGiven]) -> dict[str, int]:
    return {amount.currency: amount.amount_minor for amount in amounts}


def _amounts(by_currency: Mapping[str, int]) -> list[Amount]:
    return [
        Amount(amount_minor=amount, currency=currency)
        for currency, amount in sorted(by_currency.items())
    ]


def _limit(uses: int) -> int | None:
    return uses if uses < USES_MAX else None


def _whole_milliseconds(moment: datetime) -> datetime:
    """Cut a moment to what is stored of it, so that the same terms are the same."""
    return from_text(to_text(moment))

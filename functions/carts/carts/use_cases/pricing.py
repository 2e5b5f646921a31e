"""What staff say of prices: promotions made and ended, and how a country taxes."""

from __future__ import annotations

from dataclasses import replace

from carts.model.promotion import (
    Promotion,
    PromotionExistsError,
    PromotionNotFoundError,
    Terms,
)
from carts.model.tax import TaxTable, TaxTableChangedError, TaxTableNotFoundError
from carts.ports import PromotionRepository, TaxRepository
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError

_ATTEMPTS_MAX = 4


def create_promotion(
    code: str, terms: Terms, *, promotions: PromotionRepository, now: Clock
) -> Promotion:
    """Announce a promotion. Safe to repeat with the same terms: they never change afterwards.

    Raises
    ------
    PromotionExistsError
        The code is another promotion's.
    """
    stored = promotions.add(Promotion(code, terms, created_at=now()))
    if stored.terms != terms:
        raise PromotionExistsError(code)
    return stored


def promotion_of(code: str, *, promotions: PromotionRepository) -> Promotion:
    """Read a promotion with its uses. Raises PromotionNotFoundError."""
    promotion = promotions.get(code)
    if promotion is None:
        raise PromotionNotFoundError(code)
    return promotion


def end_promotion(code: str, *, promotions: PromotionRepository, now: Clock) -> Promotion:
    """End a promotion before its time. Checkouts that took a use keep it. Safe to repeat.

    Raises
    ------
    PromotionNotFoundError
    """
    for _ in range(_ATTEMPTS_MAX):
        promotion = promotion_of(code, promotions=promotions)
        ended = promotion.ended(now())
        if ended is promotion:
            return promotion
        try:
            promotions.save_ended(ended)
        except StaleError:
            continue
        return ended
    raise StaleError(f"{code} kept changing")


def tax_table_of(country: str, *, taxes: TaxRepository) -> TaxTable:
    """Read how a country taxes. Raises TaxTableNotFoundError."""
    table = taxes.get(country)
    if table is None:
        raise TaxTableNotFoundError(country)
    return table


def set_tax_table(table: TaxTable, *, version: int | None, taxes: TaxRepository) -> TaxTable:
    """Set how a country taxes from now on. Orders keep the tax they were placed with.

    The same content again changes nothing, and keeps its version.

    Raises
    ------
    TaxTableChangedError
        The table is not at `version`, if one is named; 0 is one that is not there.
    """
    for _ in range(_ATTEMPTS_MAX):
        stored = taxes.get(table.country)
        known = stored.version if stored else 0
        if version is not None and version != known:
            raise TaxTableChangedError(table.country, known)
        if stored is not None and replace(table, version=known) == stored:
            return stored
        changed = replace(table, version=known + 1)
        try:
            taxes.save(changed)
        except StaleError:
            continue
        return changed
    raise StaleError(f"how {table.country} taxes kept changing")

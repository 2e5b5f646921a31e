"""Which rows are a sale, which take one back, and why the others are neither.

The first rule that fits decides:

    adjustment                invoice A…: the bookkeeping of bad debt
    discount_given            code D on invoice C…: money given back on an order, without goods
    carriage, manual, …       the stock code names a service and no article (`service_of`)
    zero_quantity             nothing changed hands
    stock_correction          a negative quantity on an invoice that is no cancellation
    positive_on_cancellation  a positive quantity on one that is
    negative_price            money without goods
    zero_price                a gift, a sample, a write-off
    finer_than_minor_unit     a price that is no whole number of pence: nothing is ever rounded
    otherwise                 a return on invoice C…, else a sale

A code is a service by its shape, not by a list of one month's codes: one letter, C and a digit,
no digit but a word that shops use for carriage, fees and corrections, or a prefix for vouchers,
tests and adjustments. Everything else is an article.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from infra.cli.replay.reading import Row

MINOR_PER_MAJOR = 100

_CANCELLATION = re.compile(r"C-?[0-9]+")
_ADJUSTMENT = re.compile(r"A-?[0-9]+")


class RowKind(StrEnum):
    """What a row is. All but SALE and what is TAKEN_BACK are reasons to skip it."""

    SALE = "sale"
    RETURN = "return"
    DISCOUNT_GIVEN = "discount_given"
    ADJUSTMENT = "adjustment"
    CARRIAGE = "carriage"
    MANUAL = "manual"
    DISCOUNT = "discount"
    FEE = "fee"
    SAMPLE = "sample"
    VOUCHER = "voucher"
    BAD_DEBT = "bad_debt"
    DONATION = "donation"
    CORRECTION = "correction"
    TEST = "test"
    BOOKKEEPING = "bookkeeping"
    ZERO_QUANTITY = "zero_quantity"
    STOCK_CORRECTION = "stock_correction"
    POSITIVE_ON_CANCELLATION = "positive_on_cancellation"
    NEGATIVE_PRICE = "negative_price"
    ZERO_PRICE = "zero_price"
    FINER_THAN_MINOR_UNIT = "finer_than_minor_unit"
    OTHER_CUSTOMER = "other_customer"  # its invoice belongs to somebody else: decided by `implied`


# What belongs to an earlier order.
TAKEN_BACK = {RowKind.RETURN, RowKind.DISCOUNT_GIVEN}

# In this order: a voucher's code may end in digits, a fee's may begin with a name.
_SERVICES: tuple[tuple[re.Pattern[str], RowKind], ...] = (
    (re.compile(r"M|MANUAL"), RowKind.MANUAL),
    (re.compile(r"D|DISCOUNT"), RowKind.DISCOUNT),
    (re.compile(r"S|SAMPLES?"), RowKind.SAMPLE),
    (re.compile(r"B|BAD ?DEBT"), RowKind.BAD_DEBT),
    (re.compile(r"[A-Z]"), RowKind.BOOKKEEPING),
    (re.compile(r"C[0-9]|DOT|POST(AGE)?|CARRIAGE|SHIPPING|DELIVERY|FREIGHT"), RowKind.CARRIAGE),
    (re.compile(r"[^0-9]*(FEES?|CHARGES?|COMMISSION)"), RowKind.FEE),
    (re.compile(r"CRUK|DONATIONS?"), RowKind.DONATION),
    (re.compile(r"(GIFT|VOUCHER)([ _-].*)?"), RowKind.VOUCHER),
    (re.compile(r"ADJUST(MENT)?[ _-]?[0-9]*|CORRECTION"), RowKind.CORRECTION),
    (re.compile(r"TEST[ _-]?[0-9]*"), RowKind.TEST),
)


def service_of(code: str) -> RowKind | None:
    """Tell what service an upper-case stock code names; None for an article."""
    for shape, service in _SERVICES:
        if shape.fullmatch(code):
            return service
    return None


def kind_of(row: Row, *, services_sold: bool) -> RowKind:
    """Classify one row; with `services_sold`, carriage and the like are articles too."""
    service = service_of(row.code)
    is_cancellation = is_cancelled(row)
    is_discount = is_cancellation and service is RowKind.DISCOUNT
    rules = (
        (_ADJUSTMENT.fullmatch(row.invoice) is not None, RowKind.ADJUSTMENT),
        (service is not None and not (services_sold or is_discount), service or RowKind.SALE),
        (row.quantity == 0, RowKind.ZERO_QUANTITY),
        (row.quantity < 0 and not is_cancellation, RowKind.STOCK_CORRECTION),
        (row.quantity > 0 and is_cancellation, RowKind.POSITIVE_ON_CANCELLATION),
        (row.price < 0, RowKind.NEGATIVE_PRICE),
        (row.price == 0, RowKind.ZERO_PRICE),
        (minor_units(row.price) is None, RowKind.FINER_THAN_MINOR_UNIT),
    )
    for fits, kind in rules:
        if fits:
            return kind
    if is_discount:
        return RowKind.DISCOUNT_GIVEN
    return RowKind.RETURN if is_cancellation else RowKind.SALE


def is_cancelled(row: Row) -> bool:
    """Tell whether a row stands on a cancellation."""
    return _CANCELLATION.fullmatch(row.invoice) is not None


def is_positive(row: Row) -> bool:
    """Tell whether a row counts in the file's naive total: sold, at a price, on an invoice."""
    return row.quantity > 0 and row.price > 0 and not is_cancelled(row)


def minor_units(price: Decimal) -> int | None:
    """Turn pounds into pence exactly; None where that would round."""
    # A Decimal product would be rounded to the context's digits; a fraction never is.
    pence = Fraction(price) * MINOR_PER_MAJOR
    return int(pence) if pence.denominator == 1 else None

"""Which rows are a sale: the rule, over what all months of the data set hold."""

from __future__ import annotations

from decimal import Decimal

import pytest

from infra.cli.replay.classifying import RowKind, kind_of, minor_units, service_of
from infra.cli.replay.reading import parse_history
from tests.unit.cli.replay import histories


def kind(**fields) -> RowKind:
    (row,) = parse_history(histories.text(histories.row(**fields)), "a.csv").rows
    return kind_of(row, services_sold=False)


@pytest.mark.parametrize(
    "code",
    ["85123A", "10002", "15056BL", "DCGS0076", "DCGSSBOY", "SP1002", "PADS", "79323LP", "MUG-RED"],
)
def test_an_articles_code_is_no_service(code):
    assert service_of(code) is None


@pytest.mark.parametrize(
    ("code", "service"),
    [
        ("POST", RowKind.CARRIAGE),
        ("DOT", RowKind.CARRIAGE),
        ("C2", RowKind.CARRIAGE),
        ("C3", RowKind.CARRIAGE),
        ("M", RowKind.MANUAL),
        ("D", RowKind.DISCOUNT),
        ("S", RowKind.SAMPLE),
        ("B", RowKind.BAD_DEBT),
        ("X", RowKind.BOOKKEEPING),
        ("AMAZONFEE", RowKind.FEE),
        ("BANK CHARGES", RowKind.FEE),
        ("CRUK", RowKind.DONATION),
        ("GIFT_0001_40", RowKind.VOUCHER),
        ("GIFT", RowKind.VOUCHER),
        ("ADJUST2", RowKind.CORRECTION),
        ("TEST001", RowKind.TEST),
    ],
)
def test_a_services_code_is_known_by_its_shape(code, service):
    assert service_of(code) is service


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, RowKind.SALE),
        ({"invoice": "C536379", "quantity": -1}, RowKind.RETURN),
        ({"invoice": "c536379", "quantity": -1}, RowKind.RETURN),
        ({"invoice": "C536379", "quantity": 1}, RowKind.POSITIVE_ON_CANCELLATION),
        ({"quantity": -10, "price": "0.0"}, RowKind.STOCK_CORRECTION),
        ({"quantity": -10}, RowKind.STOCK_CORRECTION),
        ({"quantity": 0}, RowKind.ZERO_QUANTITY),
        ({"price": "0"}, RowKind.ZERO_PRICE),
        ({"price": "-11062.06"}, RowKind.NEGATIVE_PRICE),
        ({"price": "0.001"}, RowKind.FINER_THAN_MINOR_UNIT),
        ({"price": "0.12500"}, RowKind.FINER_THAN_MINOR_UNIT),
        ({"price": "2.5500"}, RowKind.SALE),
        ({"invoice": "A563185", "code": "B", "price": "11062.06"}, RowKind.ADJUSTMENT),
        ({"code": "post", "price": "18.0"}, RowKind.CARRIAGE),
        ({"invoice": "C536379", "code": "D", "quantity": -1}, RowKind.DISCOUNT_GIVEN),
        ({"invoice": "C536379", "code": "D", "quantity": 1}, RowKind.POSITIVE_ON_CANCELLATION),
        ({"code": "D"}, RowKind.DISCOUNT),
        ({"code": "D", "quantity": -1}, RowKind.DISCOUNT),
        ({"invoice": "C536379", "code": "POST", "quantity": -1}, RowKind.CARRIAGE),
    ],
)
def test_the_first_rule_that_fits_decides(fields, expected):
    assert kind(**fields) is expected


def test_with_services_sold_carriage_is_an_article_like_others():
    (row,) = parse_history(histories.text(histories.row(code="POST", price="18")), "a.csv").rows

    assert kind_of(row, services_sold=True) is RowKind.SALE


@pytest.mark.parametrize(
    ("pounds", "pence"),
    [("2.55", 255), ("0.29", 29), ("1.10", 110), ("8.289999999999999999", None), ("0.001", None)],
)
def test_pounds_become_pence_exactly_or_not_at_all(pounds, pence):
    assert minor_units(Decimal(pounds)) == pence

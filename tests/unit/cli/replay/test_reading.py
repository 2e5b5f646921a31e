"""Reading order history: what real files hold, and what broken ones do."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from infra.cli.replay.reading import UnreadableFileError, parse_history, read_history

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def a_row(
    invoice: str = "536365",
    code: str = "85123A",
    quantity: str = "6",
    date: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
) -> str:
    return f"{invoice},{code},HEART HOLDER,{quantity},{date},{price},{customer},United Kingdom"


def read(*rows: str, header: str = HEADER):
    return parse_history("\n".join((header, *rows)), "a.csv")


def test_a_row_is_read_exactly():
    (row,) = read(a_row()).rows

    assert (row.line, row.invoice, row.code, row.quantity) == (2, "536365", "85123A", 6)
    assert row.price == Decimal("2.55")
    assert row.placed_at == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    assert row.customer == "17850"


@pytest.mark.parametrize("written", ["", " ", "nan", "NULL"])
def test_a_row_without_a_customer_is_a_guests(written):
    (row,) = read(a_row(customer=written)).rows

    assert row.customer is None


def test_letter_case_and_blanks_make_no_other_article():
    rows = read(a_row(code="85123a"), a_row(code=" 85123A ")).rows

    assert {row.code for row in rows} == {"85123A"}


def test_the_second_editions_header_is_known():
    header = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"

    (row,) = read(a_row(), header=header).rows

    assert row.customer == "17850"


def test_dates_with_the_month_first_are_read_as_the_original_has_them():
    rows = read(a_row(date="12/1/2010 8:26"), a_row(date="12/13/2010 8:26")).rows

    assert [(row.placed_at.month, row.placed_at.day) for row in rows] == [(12, 1), (12, 13)]


def test_one_date_that_only_reads_day_first_decides_for_the_file():
    rows = read(a_row(date="01/12/2010 08:26"), a_row(date="13/12/2010 08:26")).rows

    assert [(row.placed_at.month, row.placed_at.day) for row in rows] == [(12, 1), (12, 13)]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (a_row(quantity="six"), "quantity 'six'"),
        (a_row(quantity="1.5"), "quantity '1.5'"),
        (a_row(quantity=""), "quantity ''"),
        (a_row(quantity="9" * 5000), "quantity '999"),
        (a_row(price="£2"), "price '£2'"),
        (a_row(price="NaN"), "price 'NaN'"),
        (a_row(price="1e999999999"), "price '1e999999999'"),
        (a_row(date="yesterday"), "date 'yesterday'"),
        (a_row(date="2010-13-45"), "date '2010-13-45'"),
        (a_row(invoice=""), "no invoice number"),
        (a_row(code=""), "no stock code"),
        ("536365,85123A", "has 2 columns instead of 8"),
        (a_row() + ",more", "has 9 columns instead of 8"),
        ('536365,"' + "x" * 200_000 + '"', "is no CSV"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_others_are_read(broken, told):
    history = read(a_row(), broken, a_row())

    assert [row.line for row in history.rows] == [2, 4]
    assert [error.line for error in history.errors] == [3]
    assert told in history.errors[0].problem


def test_an_empty_line_is_no_row():
    history = read(a_row(), "", ",,,,,,,", a_row())

    assert (len(history.rows), history.errors) == (2, ())


def test_a_line_break_inside_quotes_does_not_move_the_line_numbers():
    broken = '536365,85123A,"TWO\nLINES",6,2010-12-01 08:26:00,2.55,17850,EIRE'

    history = read(broken, a_row(price="x"))

    assert history.rows[0].description == "TWO LINES"
    assert history.errors[0].line == 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1"])
def test_a_pound_sign_is_read_in_the_encodings_that_files_have(tmp_path: Path, encoding):
    file = tmp_path / "a.csv"
    row = a_row().replace("HEART HOLDER", "Voucher £40.00")
    file.write_bytes(f"{HEADER}\n{row}\n".encode(encoding))

    (read_back,) = read_history(file).rows

    assert read_back.description == "Voucher £40.00"


def test_a_compressed_file_is_known_by_its_content_and_not_its_name(tmp_path: Path):
    file = tmp_path / "a.csv"
    file.write_bytes(gzip.compress(f"{HEADER}\r\n{a_row()}\r\n".encode()))

    assert len(read_history(file).rows) == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name,price\nmug,2\n", "it has no invoiceno, stockcode, quantity"),
        (b"\xff\xfe\x00\x01binary", "no order history"),
        (gzip.compress(HEADER.encode() * 99, mtime=0)[:40], "no whole gzip file"),
    ],
)
def test_a_file_that_is_no_history_is_refused_in_one_line(tmp_path: Path, content, told):
    file = tmp_path / "a.csv"
    file.write_bytes(content)

    with pytest.raises(UnreadableFileError, match=told) as refusal:
        read_history(file)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UnreadableFileError, match="No such file"):
        read_history(tmp_path / "none.csv")

"""Builders of order history, row by row, and the real one."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from infra.cli.replay.reading import History, read_history

DECEMBER = Path(__file__).parents[5] / "shared/data/online-retail/2010-12.csv.gz"

of_the_data_set = pytest.mark.skipif(
    not DECEMBER.exists(), reason="the data set lies beside the repository"
)

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def row(
    invoice: str = "536365",
    code: str = "85123A",
    quantity: int = 1,
    price: str = "2.55",
    customer: str = "17850.0",
    day: int = 1,
    description: str = "HEART HOLDER",
) -> str:
    """Write one row of December 2010."""
    date = f"2010-12-{day:02d} 08:26:00"
    return f"{invoice},{code},{description},{quantity},{date},{price},{customer},United Kingdom"


def text(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


def file(folder: Path, *rows: str) -> Path:
    path = folder / "history.csv"
    path.write_text(text(*rows), encoding="utf-8")
    return path


@cache
def december() -> History:
    return read_history(DECEMBER)

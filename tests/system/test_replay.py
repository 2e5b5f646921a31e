"""A small month of a retailer's, played through the whole shop with what was taken back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from infra.cli.books import TableBooks
from infra.cli.progress import Phases
from infra.cli.replay.replaying import Options, Place, run_replay
from infra.cli.shop import Shop, session_of
from infra.local.server import LocalSite
from tests.system.shopper import Town
from tests.unit.cli.replay import histories
from tests.unit.cli.replay.histories import row
from tradepost.platform import aws

MONTH = (
    row("1", quantity=4, day=1),
    row("1", code="21730", price="1.00", quantity=2, day=1),
    row("2", customer="17851", quantity=5, day=2),
    row("C3", customer="17851", quantity=-5, day=2),
    row("4", customer="", quantity=1, day=3),
    row("C5", quantity=-1, day=4),
    row("C5", code="21730", price="0.90", quantity=-1, day=4),
    row("C5", code="D", price="0.50", quantity=-1, day=4),
    row("C6", quantity=-2, day=5),
    row("C6", code="99999", quantity=-7, day=5),
    row("C7", customer="", quantity=-1, day=5),
)
SALES_MINOR = 4 * 255 + 2 * 100 + 5 * 255 + 255


def replayed(town: Town, file: Path) -> dict[str, Any]:
    """Run the command against the town; whoever waits there lets everything else happen."""
    shop = Shop(
        "http://localhost",
        transport=httpx.WSGITransport(app=LocalSite(town.stack, "http://localhost/_aws")),
        pause=lambda _seconds: town.stack.drain(),
    )
    out, err = io.StringIO(), Console(file=io.StringIO())
    place = Place(
        shop,
        staff=lambda: session_of(shop, "admin@example.com", "a long enough password"),
        books=lambda: TableBooks(aws.dynamodb(), "local"),
        phases=Phases(err),
    )
    options = Options(file, concurrency=2, as_json=True)

    status = run_replay(options, place, Console(file=out), err)

    report: dict[str, Any] = json.loads(out.getvalue())
    assert (status == 0) is report["agrees"]
    return report


def everywhere(amount: int) -> dict[str, int]:
    return dict.fromkeys(("file", "orders", "ledger", "provider"), amount)


@pytest.fixture
def month(tmp_path: Path) -> Path:
    return histories.file(tmp_path, *MONTH)


def test_a_month_with_what_was_taken_back_agrees_to_the_penny(town, month):
    report = replayed(town, month)

    assert (report["problems"], report["differences"]) == ([], [])
    assert report["orders_by_status"] == {"CANCELLED": 1, "CONFIRMED": 1, "DELIVERED": 1}
    assert report["sales_minor"] == everywhere(SALES_MINOR)
    assert report["refunds_minor"] == everywhere(5 * 255 + 255 + 2 * 255 + 90 + 50)
    assert report["from_sales_to_revenue"]["less_returned_minor"] == -3 * 255
    assert report["stock"] == {
        "skus": 2,
        "before": 12,
        "sold": 12,
        "restocked": 8,
        "after": 8,
        "held": 0,
    }
    assert set(report["cancellations"]["unmatched"]) == {"guest", "no_earlier_purchase"}
    assert town.level("85123A-255") == (8, 0)


def test_a_month_played_again_takes_nothing_back_twice(town, month):
    replayed(town, month)

    again = replayed(town, month)

    assert (again["agrees"], again["differences"]) == (True, [])
    assert (again["stock"]["sold"], again["stock"]["restocked"]) == (0, 0)
    assert town.level("85123A-255") == (8, 0)

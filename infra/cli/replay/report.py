"""What a replay tells: one object for programs, one table for people, one list of what was left."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.cli.replay.cancelling import Matching
from infra.cli.replay.catalogue import CURRENCY, ImpliedShop, Invoice, amounts_by_reason
from infra.cli.replay.classifying import MINOR_PER_MAJOR
from infra.cli.replay.reading import History
from infra.cli.replay.reconciling import Reconciliation
from infra.cli.replay.timing import Pace, Timing

Report = dict[str, Any]

_DIFFERENCES_SHOWN_MAX = 50
_BAD_ROW = "bad_row"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A whole replay, as it is told."""

    run: str
    history: History
    shop: ImpliedShop
    matching: Matching
    reconciliation: Reconciliation
    timing: Timing
    problems: Sequence[str]  # checkouts and refunds the shop refused
    seconds: float


def report_of(replayed: Replayed) -> Report:
    """Write the object that `--json` prints. Amounts end in `_minor`, or are pounds as text."""
    shop, books = replayed.shop, replayed.reconciliation
    skipped = Counter(each.reason.value for each in shop.skipped)
    if replayed.history.errors:
        skipped[_BAD_ROW] = len(replayed.history.errors)
    return {
        "agrees": books.agrees,
        "run": replayed.run,
        "currency": CURRENCY,
        "rows": len(replayed.history.rows) + len(replayed.history.errors),
        "invoices": len(shop.invoices),
        "orders": sum(books.orders_by_status.values()) - books.orders_by_status.get("MISSING", 0),
        "orders_by_status": dict(books.orders_by_status),
        "lines": sum(len(invoice.lines) for invoice in shop.invoices),
        "customers": len(shop.customers),
        "products": len(shop.products),
        "variants": len(shop.stock()),
        "rows_skipped": dict(sorted(skipped.items())),
        "rows_skipped_amount": {
            reason: str(amount) for reason, amount in amounts_by_reason(shop.skipped).items()
        },
        "bad_rows": [asdict(error) for error in replayed.history.errors],
        "bridge": {group: _bridge(shop, group) for group in shop.naive},
        "revenue_minor": asdict(books.revenue),
        "sales_minor": asdict(books.sales),
        "refunds_minor": asdict(books.refunds),
        "cancellations": _cancellations(shop, replayed.matching),
        "not_yet_possible": _not_yet_possible(replayed.matching),
        "stock": asdict(books.stock),
        "problems": list(replayed.problems),
        "differences": list(books.differences[:_DIFFERENCES_SHOWN_MAX]),
        "differences_count": len(books.differences),
        "timing": _timing(replayed.timing, replayed.seconds),
    }


def print_report(report: Report, console: Console) -> None:
    """Print the reconciliation for a person."""
    console.print(_revenue_table(report))
    sections = {
        "Invoices and orders": _counts(report),
        "Rows skipped, with pounds": _skipped(report),
        **{f"From positive rows to sales: {group}": b for group, b in report["bridge"].items()},
        "Cancellations": _flat(report["cancellations"]),
        "Not yet possible": report["not_yet_possible"],
        "Stock, units": report["stock"],
        "Timing": _flat(report["timing"]),
    }
    for title, rows in sections.items():
        console.print(f"\n{title}", highlight=False)
        console.print(_table(rows))
    for error in report["bad_rows"][:_DIFFERENCES_SHOWN_MAX]:
        console.print(f"line {error['line']}: {error['problem']}", markup=False)
    for text in (*report["problems"][:_DIFFERENCES_SHOWN_MAX], *report["differences"]):
        console.print(text, markup=False)
    told = "agrees" if report["agrees"] else f"{report['differences_count']} differences"
    console.print(f"Reconciliation: {told}", markup=False)


def write_list(path: Path, history: History, shop: ImpliedShop, matching: Matching) -> None:
    """Write every row that was not played, and every cancelled line without an order, as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "invoice", "code", "quantity", "price", "reason"])
        for error in history.errors:
            writer.writerow([error.line, "", "", "", "", f"{_BAD_ROW}: {error.problem}"])
        for skipped in shop.skipped:
            row, reason = skipped.row, skipped.reason.value
            writer.writerow([row.line, row.invoice, row.code, row.quantity, row.price, reason])
        for each in matching.unmatched:
            price = Decimal(each.line.price_minor) / MINOR_PER_MAJOR
            cells = ["", each.cancellation, each.line.code, -each.units, price]
            writer.writerow([*cells, f"unmatched: {each.reason}"])


def _bridge(shop: ImpliedShop, group: str) -> dict[str, Any]:
    """Lead from the naive total of positive rows to the sales: what each reason takes away."""
    is_guest = group == "guests"
    naive = shop.naive[group]
    sold = [invoice for invoice in shop.invoices if (invoice.customer is None) is is_guest]
    bridge: dict[str, Any] = {
        "positive_rows_invoices": naive.invoices,
        "positive_rows_customers": naive.customers,
        "positive_rows_amount": str(naive.amount),
    }
    left_out = amounts_by_reason(naive.left_out)
    bridge.update({f"less_{reason}_amount": str(amount) for reason, amount in left_out.items()})
    sales_minor = sum(invoice.total_minor for invoice in sold)
    bridge["sales_invoices"] = len(sold)
    bridge["sales_amount"] = str(Decimal(sales_minor) / MINOR_PER_MAJOR)
    bridge["sales_minor"] = sales_minor
    return bridge


def _cancellations(shop: ImpliedShop, matching: Matching) -> Report:
    unmatched: dict[str, dict[str, int]] = {}
    for each in matching.unmatched:
        sums = unmatched.setdefault(each.reason, {"lines": 0, "units": 0, "amount_minor": 0})
        sums["lines"] += 1
        sums["units"] += each.units
        sums["amount_minor"] += each.amount_minor
    return {
        "invoices": len(shop.cancellations),
        "amount_minor": _total(shop.cancellations),
        "refunds": len(matching.refunds),
        "refunded_minor": sum(refund.amount_minor for refund in matching.refunds),
        "unmatched": dict(sorted(unmatched.items())),
    }


def _not_yet_possible(matching: Matching) -> dict[str, int]:
    """Count what the shop has no request for: goods that come back, orders taken back whole."""
    return {
        "returns_to_stock_units": sum(refund.units for refund in matching.refunds),
        "cancellations_of_orders": len({refund.invoice for refund in matching.refunds}),
    }


def _timing(timing: Timing, seconds: float) -> Report:
    return {
        "seconds": round(seconds, 1),
        "checkout_p50_ms": timing.p50_ms,
        "checkout_p95_ms": timing.p95_ms,
        **_pace(timing.whole),
        "first_tenth": _pace(timing.first_tenth),
        "last_tenth": _pace(timing.last_tenth),
    }


def _pace(pace: Pace) -> dict[str, float]:
    return {
        "orders": pace.orders,
        "checkout_seconds": round(pace.seconds, 1),
        "orders_per_second": pace.orders_per_second,
        "lines_per_second": pace.lines_per_second,
    }


def _revenue_table(report: Report) -> Table:
    table = Table("", "file", "orders", "ledger", "provider", title=f"Reconciliation, {CURRENCY}")
    for name in ("sales", "refunds", "revenue"):
        amounts = report[f"{name}_minor"]
        table.add_row(name, *(pounds(amounts[p]) for p in ("file", "orders", "ledger", "provider")))
    return table


def _counts(report: Report) -> dict[str, Any]:
    names = ("run", "rows", "invoices", "orders", "lines", "customers", "products", "variants")
    statuses = {f"orders {name}": n for name, n in report["orders_by_status"].items()}
    return {**{name: report[name] for name in names}, **statuses}


def _skipped(report: Report) -> dict[str, str]:
    amounts = report["rows_skipped_amount"]
    return {
        reason: f"{rows} ({amounts.get(reason, 'unknown')})"
        for reason, rows in report["rows_skipped"].items()
    }


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        inner = _flat(value, f"{prefix}{name} ") if isinstance(value, dict) else None
        flat.update(inner if inner is not None else {f"{prefix}{name}": value})
    return flat


def _table(rows: Mapping[str, Any]) -> Table:
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(str(name), str(value))
    return table


def _total(invoices: Sequence[Invoice]) -> int:
    return sum(invoice.total_minor for invoice in invoices)


def pounds(amount_minor: int) -> str:
    """Write pence as pounds, for reading."""
    return f"{Decimal(amount_minor) / MINOR_PER_MAJOR:,.2f}"

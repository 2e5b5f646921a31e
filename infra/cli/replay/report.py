"""What a replay tells: an object for programs, tables for people, lists of rows for bookkeepers."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from infra.cli.replay.catalogue import (
    CURRENCY,
    EXACT_DIGITS,
    ImpliedShop,
    Skipped,
    amounts_by_reason,
)
from infra.cli.replay.classifying import MINOR_PER_MAJOR, is_cancelled
from infra.cli.replay.matching import Matching, Unmatched
from infra.cli.replay.planning import Kind, Reversal
from infra.cli.replay.reading import History, Row
from infra.cli.replay.reconciling import Reconciliation
from infra.cli.replay.timing import Pace, Timing

Report = dict[str, Any]

_DIFFERENCES_SHOWN_MAX = 50
_BAD_ROW = "bad_row"
_PENNY = Decimal("0.01")
_LESS = {
    Kind.CANCELLATION: "less_cancelled",
    Kind.RETURN: "less_returned",
    Kind.REFUND: "less_refunded",
}
assert set(_LESS) == set(Kind)

Listed = TypeVar("Listed", Unmatched, Skipped)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A whole replay, as it is told."""

    run: str
    history: History
    shop: ImpliedShop
    matching: Matching
    reversals: Sequence[Reversal]
    reconciliation: Reconciliation
    timing: Timing
    problems: Sequence[str]  # what the shop refused
    taking_back_seconds: float  # parcels, cancellations, returns and refunds
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
        "from_sales_to_revenue": _from_sales_to_revenue(replayed),
        "cancellations": _cancellations(replayed),
        "stock": asdict(books.stock),
        "problems": list(replayed.problems),
        "differences": list(books.differences[:_DIFFERENCES_SHOWN_MAX]),
        "differences_count": len(books.differences),
        "timing": _timing(replayed),
    }


def print_report(report: Report, console: Console) -> None:
    """Print the reconciliation for a person."""
    console.print(_revenue_table(report))
    sections = {
        "Invoices and orders": _counts(report),
        "Rows skipped, with pounds": _skipped(report),
        **{f"From positive rows to sales: {group}": b for group, b in report["bridge"].items()},
        "From sales to revenue": _in_pounds(report["from_sales_to_revenue"]),
        "Stock, units": report["stock"],
        "Timing": _flat(report["timing"]),
    }
    tables = {title: _table(rows) for title, rows in sections.items()}
    tables["Rows of cancellations, and where they went"] = _account(report["cancellations"])
    for title, table in tables.items():
        console.print(f"\n{title}", highlight=False)
        console.print(table)
    for error in report["bad_rows"][:_DIFFERENCES_SHOWN_MAX]:
        console.print(f"line {error['line']}: {error['problem']}", markup=False)
    for text in (*report["problems"][:_DIFFERENCES_SHOWN_MAX], *report["differences"]):
        console.print(text, markup=False)
    told = "agrees" if report["agrees"] else f"{report['differences_count']} differences"
    console.print(f"Reconciliation: {told}", markup=False)


def write_list(path: Path, history: History, shop: ImpliedShop, matching: Matching) -> None:
    """Write every row that was not played, and every cancelled unit without an order, as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "invoice", "code", "quantity", "price", "reason"])
        for error in history.errors:
            writer.writerow([error.line, "", "", "", "", f"{_BAD_ROW}: {error.problem}"])
        for skipped in shop.skipped:
            row, reason = skipped.row, skipped.reason.value
            writer.writerow([row.line, row.invoice, row.code, row.quantity, row.price, reason])
        for each in matching.unmatched:
            cells = [each.row.line, each.row.cancellation, each.row.code, -each.units]
            writer.writerow([*cells, _price(each.row.price_minor), f"unmatched: {each.reason}"])


def write_matches(path: Path, reversals: Sequence[Reversal]) -> None:
    """Write every cancelled row that found its order, with the order and how it was played."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "cancellation", "code", "units", "price", "invoice", "played_as"])
        for reversal in reversals:
            for match in reversal.matches:
                cells = [match.row.line, match.row.cancellation, match.row.code, match.units]
                price = _price(match.row.price_minor)
                writer.writerow([*cells, price, match.invoice.number, reversal.kind.value])


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


def _from_sales_to_revenue(replayed: Replayed) -> dict[str, int]:
    """Lead from what was sold to what was earned, as the file has it."""
    bridge = {"sales": replayed.reconciliation.sales.file}
    for kind, words in _LESS.items():
        amounts = [each.amount_minor for each in replayed.reversals if each.kind is kind]
        bridge[words] = -sum(amounts)
    bridge["revenue"] = sum(bridge.values())
    return {f"{words}_minor": amount for words, amount in bridge.items()}


def _cancellations(replayed: Replayed) -> Report:
    """Account for every row that stands on a cancellation. Units and amounts are positive."""
    shop, matching = replayed.shop, replayed.matching
    skipped = [each for each in shop.skipped if is_cancelled(each.row)]
    matched, unmatched = (
        {each.row.line for each in group} for group in (matching.matches, matching.unmatched)
    )
    numbers = {row.cancellation for row in shop.cancelled} | {each.row.invoice for each in skipped}
    amount = sum((each.total_minor for each in shop.cancelled), 0)
    return {
        "invoices": len(numbers),
        "rows": len(shop.cancelled) + len(skipped),
        "units": sum(row.quantity for row in shop.cancelled) + _units(e.row for e in skipped),
        "amount": str(_price(amount) + _amount(each.row for each in skipped)),
        "rows_matched": len(matched),
        "rows_matched_in_part": len(matched & unmatched),
        "played": {kind.value: _played(replayed.reversals, kind) for kind in Kind},
        "unmatched": {
            reason: {
                "rows": len(group),
                "units": sum(each.units for each in group),
                "amount_minor": sum(each.amount_minor for each in group),
            }
            for reason, group in _grouped(matching.unmatched).items()
        },
        "not_sold": {
            reason: {
                "rows": len(group),
                "units": _units(each.row for each in group),
                "amount": str(_amount(each.row for each in group)),
            }
            for reason, group in _grouped(skipped).items()
        },
    }


def _played(reversals: Sequence[Reversal], kind: Kind) -> dict[str, int]:
    played = [each for each in reversals if each.kind is kind]
    return {
        "times": len(played),
        "orders": len({each.invoice.number for each in played}),
        "rows": len({match.row.line for each in played for match in each.matches}),
        "units": sum(each.units for each in played),
        "amount_minor": sum(each.amount_minor for each in played),
    }


def _grouped(listed: Iterable[Listed]) -> dict[str, list[Listed]]:
    groups: dict[str, list[Listed]] = {}
    for each in listed:
        groups.setdefault(each.reason.value, []).append(each)
    return dict(sorted(groups.items()))


def _units(rows: Iterable[Row]) -> int:
    return -sum(row.quantity for row in rows)


def _amount(rows: Iterable[Row]) -> Decimal:
    with localcontext(prec=EXACT_DIGITS):
        return -sum((row.amount for row in rows), Decimal(0))


def _price(amount_minor: int) -> Decimal:
    return (Decimal(amount_minor) / MINOR_PER_MAJOR).quantize(_PENNY)


def _timing(replayed: Replayed) -> Report:
    timing = replayed.timing
    return {
        "seconds": round(replayed.seconds, 1),
        "taking_back_seconds": round(replayed.taking_back_seconds, 1),
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


def _in_pounds(amounts: Mapping[str, int]) -> dict[str, str]:
    return {
        name.removesuffix("_minor").replace("_", " "): pounds(amount)
        for name, amount in amounts.items()
    }


def _account(cancellations: Report) -> Table:
    """Show where each row that stands on a cancellation went; the first line is the rest's sum."""
    table = Table("", "orders", "rows", "units", CURRENCY)
    ways = {
        "on cancellations": cancellations,
        **{f"played as {kind}": sums for kind, sums in cancellations["played"].items()},
        **{f"unmatched: {reason}": sums for reason, sums in cancellations["unmatched"].items()},
        **{f"not sold: {reason}": sums for reason, sums in cancellations["not_sold"].items()},
    }
    for way, sums in ways.items():
        amount = sums["amount"] if "amount" in sums else pounds(sums["amount_minor"])
        counts = (sums.get("orders", ""), sums["rows"], sums["units"])
        table.add_row(way, *(str(count) for count in counts), amount)
    return table


def _table(rows: Mapping[str, Any]) -> Table:
    table = Table(show_header=False)
    for name, value in rows.items():
        table.add_row(str(name), str(value))
    return table


def pounds(amount_minor: int) -> str:
    """Write pence as pounds, for reading."""
    return f"{Decimal(amount_minor) / MINOR_PER_MAJOR:,.2f}"

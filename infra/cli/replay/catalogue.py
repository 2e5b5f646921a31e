"""What an order history implies: products, stock, customers, invoices and cancellations.

The shop alone decides prices, and the file charges many prices for one article, often within one
invoice. So the catalogue gets one product per stock code with one variant per price the file
charged, and the variant's SKU is `<code>-<price in minor units>`: the same in every file, so that
months can be replayed into one shop. The same SKU twice in an invoice adds up to one line.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext

from infra.cli.replay.classifying import (
    TAKEN_BACK,
    RowKind,
    is_positive,
    kind_of,
    minor_units,
)
from infra.cli.replay.reading import History, Row

CURRENCY = "GBP"

_PLAIN_CODE = re.compile(r"[A-Z0-9.]{1,40}")
_TITLE_MAX = 120
_PRICES_MAX = 100
# Enough digits for the largest readable count times the finest readable price, summed.
EXACT_DIGITS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One SKU of an invoice. `price_minor` is the unit price in pence."""

    sku: str
    code: str
    price_minor: int
    quantity: int

    @property
    def total_minor(self) -> int:
        return self.price_minor * self.quantity


@dataclass(frozen=True, slots=True)
class Invoice:
    """A sale."""

    number: str
    customer: str | None  # None: a guest
    placed_at: datetime
    country: str
    lines: tuple[Line, ...]

    @property
    def total_minor(self) -> int:
        return sum(line.total_minor for line in self.lines)


@dataclass(frozen=True, slots=True)
class CancelledRow:
    """One row of a cancellation: how many units came back, and what was given back for each."""

    line: int  # in the file
    cancellation: str
    customer: str | None  # None: a guest
    cancelled_at: datetime
    code: str
    price_minor: int
    quantity: int  # units, above zero
    is_discount: bool  # money given back for no goods

    @property
    def total_minor(self) -> int:
        return self.price_minor * self.quantity


@dataclass(frozen=True, slots=True)
class Product:
    """One stock code. `prices_minor` are what it was sold at, lowest first.

    The shop takes a hundred variants per product: a code with more prices is several products,
    told apart by `part`, which counts from 1.
    """

    code: str
    title: str
    prices_minor: tuple[int, ...]
    part: int = 1

    @property
    def handle(self) -> str:
        handle = f"online-retail-{_slug(self.code).lower().replace('.', '-')}"
        return handle if self.part == 1 else f"{handle}-part-{self.part}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that is not played, and why."""

    row: Row
    reason: RowKind


@dataclass(frozen=True, slots=True)
class Naive:
    """The file's total as anyone would first sum it: positive rows of invoices not cancelled."""

    invoices: int
    customers: int
    amount: Decimal  # pounds
    left_out: tuple[Skipped, ...]  # positive rows that are no sale by our rule


@dataclass(frozen=True, slots=True)
class ImpliedShop:
    """Everything the replay needs of a file, in the file's order."""

    invoices: tuple[Invoice, ...]
    cancelled: tuple[CancelledRow, ...]
    products: tuple[Product, ...]
    skipped: tuple[Skipped, ...]
    naive: dict[str, Naive]  # of `known_customers` and of `guests`

    @property
    def customers(self) -> tuple[str, ...]:
        known = (invoice.customer for invoice in self.invoices if invoice.customer is not None)
        return tuple(dict.fromkeys(known))

    def stock(self) -> dict[str, int]:
        """Sum the units sold per SKU: exactly what has to be on hand."""
        return units_of(self.invoices)


def implied_shop(
    history: History, *, limit: int | None = None, services_sold: bool = False
) -> ImpliedShop:
    """Derive the shop from the first `limit` invoices that sell anything; None takes all.

    With a limit, cancellations and skipped rows count up to where the next invoice begins.
    """
    kinds = [(row, kind_of(row, services_sold=services_sold)) for row in history.rows]
    kept = _of_one_customer(_limited(kinds, limit))
    sales = [row for row, kind in kept if kind is RowKind.SALE]
    with localcontext(prec=EXACT_DIGITS):
        naive = {
            "known_customers": _naive(each for each in kept if each[0].customer is not None),
            "guests": _naive(each for each in kept if each[0].customer is None),
        }
    return ImpliedShop(
        invoices=_invoices(sales),
        cancelled=tuple(_cancelled(row, kind) for row, kind in kept if kind in TAKEN_BACK),
        products=_products(sales),
        skipped=tuple(
            Skipped(row, kind)
            for row, kind in kept
            if kind is not RowKind.SALE and kind not in TAKEN_BACK
        ),
        naive=naive,
    )


def sku_of(code: str, price_minor: int) -> str:
    return f"{_slug(code)}-{price_minor}"


def units_of(invoices: Iterable[Invoice]) -> dict[str, int]:
    """Sum the units per SKU over several invoices."""
    units: Counter[str] = Counter()
    for invoice in invoices:
        for line in invoice.lines:
            units[line.sku] += line.quantity
    return dict(units)


def amounts_by_reason(skipped: Sequence[Skipped]) -> dict[str, Decimal]:
    """Sum the skipped rows' pounds by reason, signs as in the file."""
    with localcontext(prec=EXACT_DIGITS):
        amounts: dict[str, Decimal] = defaultdict(Decimal)
        for each in skipped:
            amounts[each.reason.value] += each.row.amount
        return dict(sorted(amounts.items()))


def _slug(code: str) -> str:
    """Spell a code so that any SKU may hold it; a digest keeps respelt codes apart."""
    if _PLAIN_CODE.fullmatch(code):
        return code
    digest = hashlib.sha256(code.encode()).hexdigest()[:6].upper()
    return f"{re.sub(r'[^A-Z0-9]+', '-', code)[:40].strip('-')}-{digest}".lstrip("-")


def _limited(
    kinds: Sequence[tuple[Row, RowKind]], limit: int | None
) -> Sequence[tuple[Row, RowKind]]:
    selling = tuple(dict.fromkeys(row.invoice for row, kind in kinds if kind is RowKind.SALE))
    if limit is None or limit >= len(selling):
        return kinds
    cut = next(at for at, (row, _) in enumerate(kinds) if row.invoice == selling[limit])
    taken = {row.invoice for row, _ in kinds[:cut]}
    return [(row, kind) for row, kind in kinds if row.invoice in taken]


def _of_one_customer(kinds: Sequence[tuple[Row, RowKind]]) -> list[tuple[Row, RowKind]]:
    """Give an invoice's rows the first customer it names; rows naming another are set aside."""
    owner: dict[str, str | None] = {}
    for row, _ in kinds:
        if owner.get(row.invoice) is None:
            owner[row.invoice] = row.customer
    return [
        (replace(row, customer=owner[row.invoice]), kind)
        if row.customer in (None, owner[row.invoice])
        else (row, RowKind.OTHER_CUSTOMER)
        for row, kind in kinds
    ]


def _naive(kinds: Iterable[tuple[Row, RowKind]]) -> Naive:
    positive = [(row, kind) for row, kind in kinds if is_positive(row)]
    return Naive(
        invoices=len({row.invoice for row, _ in positive}),
        customers=len({row.customer for row, _ in positive} - {None}),
        amount=sum((row.amount for row, _ in positive), Decimal(0)),
        left_out=tuple(Skipped(row, kind) for row, kind in positive if kind is not RowKind.SALE),
    )


def _invoices(rows: Iterable[Row]) -> tuple[Invoice, ...]:
    by_number: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_number[row.invoice].append(row)
    return tuple(_invoice(number, group) for number, group in by_number.items())


def _invoice(number: str, rows: Sequence[Row]) -> Invoice:
    quantities: dict[tuple[str, int], int] = defaultdict(int)
    for row in rows:
        quantities[row.code, _price_minor(row)] += row.quantity
    return Invoice(
        number=number,
        customer=next((row.customer for row in rows if row.customer is not None), None),
        placed_at=rows[0].placed_at,
        country=rows[0].country,
        lines=tuple(
            Line(sku_of(code, price), code, price, quantity)
            for (code, price), quantity in quantities.items()
        ),
    )


def _cancelled(row: Row, kind: RowKind) -> CancelledRow:
    return CancelledRow(
        line=row.line,
        cancellation=row.invoice,
        customer=row.customer,
        cancelled_at=row.placed_at,
        code=row.code,
        price_minor=_price_minor(row),
        quantity=abs(row.quantity),
        is_discount=kind is RowKind.DISCOUNT_GIVEN,
    )


def _products(sales: Sequence[Row]) -> tuple[Product, ...]:
    prices: dict[str, set[int]] = defaultdict(set)
    titles: dict[str, Counter[str]] = defaultdict(Counter)
    for row in sales:
        prices[row.code].add(_price_minor(row))
        if row.description:
            titles[row.code][row.description] += 1
    return tuple(
        Product(
            code,
            _title(code, titles[code]),
            tuple(sorted(prices[code])[at : at + _PRICES_MAX]),
            part,
        )
        for code in sorted(prices)
        for part, at in enumerate(range(0, len(prices[code]), _PRICES_MAX), start=1)
    )


def _title(code: str, spellings: Counter[str]) -> str:
    """Take the commonest spelling, the first of several; the code where there is none."""
    commonest = spellings.most_common(1)
    title = commonest[0][0] if commonest else code
    return "".join(sign if sign.isprintable() else "?" for sign in title)[:_TITLE_MAX].strip()


def _price_minor(row: Row) -> int:
    price = minor_units(row.price)
    if price is None:
        raise ValueError(f"line {row.line} was classified as a sale at {row.price}")
    return price

"""The reconciliation: the file against orders, ledger, provider, returns and stock.

Sums alone could agree by two errors that cancel out, so every order is compared by itself, every
return, and every SKU. What differs is named; an empty list of differences is what `agrees` means.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.cli.books import Books, MoneyBook, OrderBook, PaymentBook, ReturnBook, StockBook
from infra.cli.replay.catalogue import Invoice, units_of
from infra.cli.replay.planning import Kind, Reversal
from infra.cli.replay.reversing import RETURNED

# An order in one of these is sold and paid; the parcel may be on its way already.
SOLD = {"CONFIRMED", "SHIPPED", "DELIVERED"}
TAKEN_BACK = "CANCELLED"

_NO_ORDER = OrderBook("", "", "MISSING", 0)
_NO_PAYMENT = PaymentBook()
_NO_CHARGE = MoneyBook()
_NO_STOCK = StockBook(0, 0)


@dataclass(frozen=True, slots=True)
class Claims:
    """What the file and the shop's answers say there should be."""

    invoices: Sequence[Invoice]
    orders: Mapping[str, str]  # order id by invoice number, as the API answered
    reversals: Sequence[Reversal]  # as planned from the file
    invoice_by_email: Mapping[str, str]  # this run's orders are known by their e-mail
    sold_before: frozenset[str]  # invoices an earlier replay of the run had sold
    restocked_before: Mapping[str, int]  # units by SKU that one had put back on the shelf
    stock_before: Mapping[str, StockBook]

    @property
    def cancelled(self) -> frozenset[str]:
        """Tell the invoices whose orders are to be cancelled."""
        return frozenset(
            each.invoice.number for each in self.reversals if each.kind is Kind.CANCELLATION
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the books say there is."""

    orders: Mapping[str, OrderBook]
    payments: Mapping[str, PaymentBook]
    charges: Mapping[str, MoneyBook]
    returns: Mapping[str, Sequence[ReturnBook]]
    stock: Mapping[str, StockBook]


@dataclass(frozen=True, slots=True)
class Places:
    """One sum in the four places it must be the same in, in minor units."""

    file: int
    orders: int
    ledger: int
    provider: int

    def less(self, other: Places) -> Places:
        return Places(
            self.file - other.file,
            self.orders - other.orders,
            self.ledger - other.ledger,
            self.provider - other.provider,
        )


@dataclass(frozen=True, slots=True)
class StockSums:
    """Units over all SKUs of the file; of this replay, not of an earlier one."""

    skus: int
    before: int
    sold: int
    restocked: int
    after: int
    held: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    orders_by_status: Mapping[str, int]
    sales: Places
    refunds: Places
    stock: StockSums
    differences: tuple[str, ...]

    @property
    def revenue(self) -> Places:
        """Sales less refunds."""
        return self.sales.less(self.refunds)

    @property
    def agrees(self) -> bool:
        return not self.differences


def gather(books: Books, skus: Sequence[str]) -> Evidence:
    """Read all books, one after another: nothing must be selling meanwhile."""
    return Evidence(
        books.orders(), books.payments(), books.charges(), books.returns(), books.stock(skus)
    )


def reconcile(claims: Claims, evidence: Evidence) -> Reconciliation:
    """Compare what should be with what is."""
    orders = [_order_of(claims, evidence, invoice) for invoice in claims.invoices]
    ids = set(claims.orders.values())
    payments = [evidence.payments.get(order_id, _NO_PAYMENT) for order_id in ids]
    charges = [evidence.charges.get(order_id, _NO_CHARGE) for order_id in ids]
    return Reconciliation(
        orders_by_status=dict(sorted(Counter(order.status for order in orders).items())),
        sales=Places(
            file=sum(invoice.total_minor for invoice in claims.invoices),
            orders=sum(
                order.total_minor
                for invoice, order in zip(claims.invoices, orders, strict=True)
                if _is_as_planned(claims, invoice, order)
            ),
            ledger=sum(payment.entries.captured_minor for payment in payments),
            provider=sum(charge.captured_minor for charge in charges),
        ),
        refunds=Places(
            file=sum(reversal.amount_minor for reversal in claims.reversals),
            orders=sum(order.refunded_minor for order in orders),
            ledger=sum(payment.entries.refunded_minor for payment in payments),
            provider=sum(charge.refunded_minor for charge in charges),
        ),
        stock=_stock_sums(claims, evidence),
        differences=(
            *_order_differences(claims, evidence),
            *_return_differences(claims, evidence),
            *_strangers(claims, evidence),
            *_stock_differences(claims, evidence),
        ),
    )


def restocked_so_far(
    reversals: Sequence[Reversal],
    orders: Mapping[str, OrderBook],
    returns: Mapping[str, Sequence[ReturnBook]],
) -> dict[str, int]:
    """Sum the units by SKU that are back on the shelf; `orders` are this run's, by invoice."""
    units: Counter[str] = Counter()
    for reversal in reversals:
        order = orders.get(reversal.invoice.number, _NO_ORDER)
        if reversal.kind is Kind.CANCELLATION and order.status == TAKEN_BACK:
            units.update(reversal.restocked)
    for order in orders.values():
        for each in returns.get(order.order_id, ()):
            units.update(each.resellable)
    return dict(units)


def _order_of(claims: Claims, evidence: Evidence, invoice: Invoice) -> OrderBook:
    return evidence.orders.get(claims.orders.get(invoice.number, ""), _NO_ORDER)


def _is_as_planned(claims: Claims, invoice: Invoice, order: OrderBook) -> bool:
    if invoice.number in claims.cancelled:
        return order.status == TAKEN_BACK
    return order.status in SOLD


def _order_differences(claims: Claims, evidence: Evidence) -> Iterator[str]:
    """Compare each invoice's money in every place it stands in."""
    planned: Counter[str] = Counter()
    for reversal in claims.reversals:
        planned[reversal.invoice.number] += reversal.amount_minor
    for invoice in claims.invoices:
        order = _order_of(claims, evidence, invoice)
        if not _is_as_planned(claims, invoice, order):
            yield f"invoice {invoice.number}: its order is {order.status}"
        payment = evidence.payments.get(order.order_id, _NO_PAYMENT)
        charge = evidence.charges.get(order.order_id, _NO_CHARGE)
        yield from _unlike(
            f"invoice {invoice.number}: sold",
            invoice.total_minor,
            orders=order.total_minor,
            payment=payment.totals.captured_minor,
            ledger=payment.entries.captured_minor,
            provider=charge.captured_minor,
        )
        yield from _unlike(
            f"invoice {invoice.number}: refunded",
            planned[invoice.number],
            orders=order.refunded_minor,
            payment=payment.totals.refunded_minor,
            ledger=payment.entries.refunded_minor,
            provider=charge.refunded_minor,
        )
        if not payment.is_balanced:
            yield f"invoice {invoice.number}: the legs of a ledger entry do not sum to zero"


def _unlike(what: str, in_file: int, **places: int) -> Iterator[str]:
    wrong = {place: amount for place, amount in places.items() if amount != in_file}
    if wrong:
        told = ", ".join(f"{amount} in {place}" for place, amount in wrong.items())
        yield f"{what} {in_file} in the file, {told}"


def _return_differences(claims: Claims, evidence: Evidence) -> Iterator[str]:
    """Compare each order's returns, units and money, with what shipping has of them."""
    planned: dict[str, list[Reversal]] = defaultdict(list)
    for reversal in claims.reversals:
        if reversal.kind is Kind.RETURN:
            planned[reversal.invoice.number].append(reversal)
    for invoice in claims.invoices:
        order = _order_of(claims, evidence, invoice)
        expected = sorted(
            (each.amount_minor, sorted(each.restocked.items())) for each in planned[invoice.number]
        )
        found = sorted(
            (each.amount_minor, sorted(each.resellable.items()))
            for each in evidence.returns.get(order.order_id, ())
            if each.status == RETURNED
        )
        if found != expected:
            yield f"invoice {invoice.number}: {_told(expected)} in the file, {_told(found)} here"


def _told(returns: Sequence[tuple[int, Sequence[tuple[str, int]]]]) -> str:
    units = sum(units for _, lines in returns for _, units in lines)
    return f"{len(returns)} returns of {units} units for {sum(amount for amount, _ in returns)}"


def _strangers(claims: Claims, evidence: Evidence) -> Iterator[str]:
    """Name orders of this run that the API never answered: an invoice played twice."""
    known = set(claims.orders.values())
    for order in evidence.orders.values():
        invoice = claims.invoice_by_email.get(order.email)
        if invoice is not None and order.order_id not in known and order.status in SOLD:
            yield f"invoice {invoice}: a second order {order.order_id} is {order.status}"


def _sold_now(claims: Claims, evidence: Evidence) -> dict[str, int]:
    """Sum the units per SKU of the orders that became sales in this replay."""
    return units_of(
        invoice
        for invoice in claims.invoices
        if invoice.number not in claims.sold_before
        and _is_as_planned(claims, invoice, _order_of(claims, evidence, invoice))
    )


def _restocked_now(claims: Claims) -> Counter[str]:
    """Sum the units per SKU that this replay has to put back on the shelf."""
    units: Counter[str] = Counter()
    for reversal in claims.reversals:
        units.update(reversal.restocked)
    units.subtract(claims.restocked_before)
    return units


def _stock_differences(claims: Claims, evidence: Evidence) -> Iterator[str]:
    sold, restocked = _sold_now(claims, evidence), _restocked_now(claims)
    for sku, before in claims.stock_before.items():
        after = evidence.stock.get(sku, _NO_STOCK)
        left = before.on_hand - sold.get(sku, 0) + restocked[sku]
        if after.on_hand != left or after.held:
            yield (
                f"{sku}: {before.on_hand} before, {sold.get(sku, 0)} sold, {restocked[sku]} "
                f"restocked, {after.available} available and {after.held} held after"
            )


def _stock_sums(claims: Claims, evidence: Evidence) -> StockSums:
    after = [evidence.stock.get(sku, _NO_STOCK) for sku in claims.stock_before]
    return StockSums(
        skus=len(claims.stock_before),
        before=sum(level.on_hand for level in claims.stock_before.values()),
        sold=sum(_sold_now(claims, evidence).values()),
        restocked=_restocked_now(claims).total(),
        after=sum(level.on_hand for level in after),
        held=sum(level.held for level in after),
    )

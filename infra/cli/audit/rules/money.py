"""The rules of money: each tells how many things it looked at, and what breaks it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from infra.cli.audit.rows import Books, Charge, Entry, Order, Payment, Refund
from infra.cli.audit.violations import Remedy, Violation

Found = tuple[int, list[Violation]]

# As the reconciliation: what moved lately is at work, and its books may differ for a moment.
QUIET_AFTER = timedelta(minutes=15)

_RECEIVABLE = "provider_receivable"
_LEGS = 2

# How the simulated provider names its charges: only of those it has a book that can be read here.
SIMULATED = "sim_"

# As the reconciliation: how the provider may have a charge whose payment has ended so.
_CHARGE_OF_A_PAYMENT: dict[str, set[str]] = {
    "VOIDED": {"VOIDED", "OPENED", "DECLINED"},
    "DECLINED": {"DECLINED", "VOIDED"},
}
# Such a payment may never have come as far as the provider.
_HAS_NO_CHARGE = {"OPENED", "VOIDED", "DECLINED"}

Row = TypeVar("Row", Payment, Refund, Entry, Charge)


def no_charge_is_too_many(books: Books) -> Found:
    """I4: no order is charged more than it costs, none has a live charge without a payment."""
    orders = {order.order_id: order for order in books.orders}
    charges = by_order(charge for charge in books.charges if is_live(charge))
    found = []
    on_its_way = promised(books)
    for order_id, payments in by_order(books.payments).items():
        for payment in payments:
            if payment.captured_minor > payment.amount_minor:
                one = ("captured", payment.captured_minor)
                other = ("asked of the customer", payment.amount_minor)
                found.append(Violation("I4", name_of(payment), one, other, Remedy.JUDGE))
        order = orders.get(order_id)
        if order is None or order.status == "CANCELLED" or not is_quiet(order, books):
            continue
        kept = sum(
            one.captured_minor - one.refunded_minor - on_its_way[order_id, one.edit]
            for one in payments
        )
        if kept > order.total_minor:
            one = ("captured, less refunded", kept)
            other = ("the order's total", order.total_minor)
            found.append(Violation("I4", order_id, one, other, Remedy.JUDGE))
    for charge in books.charges:
        if charge.captured_minor > charge.amount_minor:
            one = ("captured, by the provider", charge.captured_minor)
            other = ("opened for", charge.amount_minor)
            subject = f"{charge.order_id} ({charge.reference})"
            found.append(Violation("I4", subject, one, other, Remedy.JUDGE))
    payments_of = by_order(books.payments)
    for order_id, live in charges.items():
        replaced = {payment.replaces for payment in payments_of.get(order_id, ())}
        lasting = [
            one
            for one in live
            if one.reference not in replaced and books.at - one.opened_at >= QUIET_AFTER
        ]
        known = [payment for payment in payments_of.get(order_id, ()) if payment.reference]
        if len(lasting) > len(known):
            found.append(
                Violation(
                    "I4",
                    order_id,
                    ("live charges", len(lasting)),
                    ("payments", len(known)),
                    Remedy.RECONCILE,
                    max(one.opened_on for one in lasting),
                )
            )
    return len(payments_of.keys() | charges.keys()), found


def no_refund_is_too_large(books: Books) -> Found:
    """I5: no more went back than was taken, and what may still go back is what is left."""
    on_its_way = promised(books)
    found = []
    for payment in books.payments:
        left = (
            payment.captured_minor
            - payment.refunded_minor
            - on_its_way[payment.order_id, payment.edit]
        )
        if payment.refunded_minor > payment.captured_minor:
            one = ("refunded", payment.refunded_minor)
            other = ("captured", payment.captured_minor)
            found.append(Violation("I5", name_of(payment), one, other, Remedy.JUDGE))
        elif payment.refundable_minor != left:
            one = ("refundable", payment.refundable_minor)
            other = ("captured, less refunded and promised", left)
            found.append(Violation("I5", name_of(payment), one, other, Remedy.JUDGE))
    for charge in books.charges:
        if charge.refunded_minor > charge.captured_minor:
            one = ("refunded, by the provider", charge.refunded_minor)
            other = ("captured, by the provider", charge.captured_minor)
            subject = f"{charge.order_id} ({charge.reference})"
            found.append(Violation("I5", subject, one, other, Remedy.JUDGE))
    return len(books.payments) + len(books.charges), found


def the_ledger_balances(books: Books) -> Found:
    """I6: an entry's two legs sum to nothing, so do all, and they are what the payments say."""
    found = []
    sums: Counter[str] = Counter()
    moved: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for entry in books.entries:
        total = sum(amount for _, amount in entry.legs)
        subject = f"{entry.order_id} {entry.entry_id}"
        sums[entry.currency] += total
        if total:
            other = ("of a balanced entry", 0)
            found.append(Violation("I6", subject, ("sum of legs", total), other, Remedy.JUDGE))
        if len(entry.legs) != _LEGS:
            other = ("of an entry", _LEGS)
            found.append(Violation("I6", subject, ("legs", len(entry.legs)), other, Remedy.JUDGE))
        received = sum(amount for account, amount in entry.legs if account == _RECEIVABLE)
        moved[entry.order_id, entry.currency].update(
            captured=max(received, 0), refunded=max(-received, 0)
        )
    for currency, total in sorted(sums.items()):
        if total:
            other = ("of balanced books", 0)
            found.append(Violation("I6", currency, ("sum of all legs", total), other, Remedy.JUDGE))
    paid: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for payment in books.payments:
        paid[payment.order_id, payment.currency].update(
            captured=payment.captured_minor, refunded=payment.refunded_minor
        )
    for order_id, currency in sorted(moved.keys() | paid.keys()):
        for name in ("captured", "refunded"):
            entered = moved[order_id, currency][name]
            said = paid[order_id, currency][name]
            if entered != said:
                one, other = (f"{name}, by the ledger", entered), (f"{name}, by payments", said)
                subject = f"{order_id} in {currency}"
                found.append(Violation("I6", subject, one, other, Remedy.JUDGE))
    return len(books.entries) + len(paid), found


def the_provider_agrees(books: Books) -> Found:
    """Q7: the provider has what our payments say, and every live charge is a payment's."""
    orders = {order.order_id: order for order in books.orders}
    charges = {charge.reference: charge for charge in books.charges}
    on_its_way = promised(books)
    found = []
    compared = 0
    for payment in books.payments:
        order = orders.get(payment.order_id)
        is_at_work = order is not None and not is_quiet(order, books)
        if is_at_work or not payment.reference.startswith(SIMULATED):
            continue
        compared += 1
        charge = charges.get(payment.reference)
        day = order.placed_on if order else charge.opened_on if charge else None
        for one, other in _differences(payment, charge, on_its_way[payment.order_id, payment.edit]):
            found.append(Violation("Q7", name_of(payment), one, other, Remedy.RECONCILE, day))
    ours = {payment.reference for payment in books.payments}
    ours |= {payment.replaces for payment in books.payments if payment.replaces}
    for charge in books.charges:
        is_old = books.at - charge.opened_at >= QUIET_AFTER
        if is_live(charge) and is_old and charge.reference not in ours:
            compared += 1
            net = charge.captured_minor - charge.refunded_minor
            subject = f"{charge.order_id} ({charge.reference})"
            one, other = (f"the provider has {charge.status}", net), ("payments of it", 0)
            remedy = Remedy.RECONCILE
            found.append(Violation("Q7", subject, one, other, remedy, charge.opened_on))
    return compared, found


def _differences(
    payment: Payment, charge: Charge | None, promised_minor: int
) -> Iterable[tuple[tuple[str, int | str], tuple[str, int | str]]]:
    if charge is None:
        if payment.status not in _HAS_NO_CHARGE:
            yield ("the payment is", payment.status), ("the provider's charge is", "not there")
        return
    if charge.captured_minor != payment.captured_minor:
        yield (
            ("captured, by payments", payment.captured_minor),
            ("captured, by the provider", charge.captured_minor),
        )
    # What is promised may have been sent, and its answer be under way.
    sent = charge.refunded_minor - payment.refunded_minor
    if not 0 <= sent <= promised_minor:
        yield (
            ("refunded, by payments", payment.refunded_minor),
            ("refunded, by the provider", charge.refunded_minor),
        )
    if charge.status not in _CHARGE_OF_A_PAYMENT.get(payment.status, {payment.status}):
        yield ("the payment is", payment.status), ("the provider's charge is", charge.status)


def by_order(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Gather rows of each order."""
    gathered: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        gathered[row.order_id].append(row)
    return gathered


def promised(books: Books) -> Counter[tuple[str, int]]:
    """Sum what is promised back and not known to be sent, by order and edit."""
    sums: Counter[tuple[str, int]] = Counter()
    for refund in books.refunds:
        if refund.status == "PENDING":
            sums[refund.order_id, refund.edit] += refund.amount_minor
    return sums


def is_live(charge: Charge) -> bool:
    """Tell whether the provider holds the customer's money, or has set it aside."""
    return charge.status == "AUTHORIZED" or charge.captured_minor > charge.refunded_minor


def is_quiet(order: Order, books: Books) -> bool:
    """Tell whether nobody is at work on an order, so that a difference is one."""
    return books.at - order.updated_at >= QUIET_AFTER


def name_of(payment: Payment) -> str:
    return f"{payment.order_id}+{payment.edit}" if payment.edit else payment.order_id

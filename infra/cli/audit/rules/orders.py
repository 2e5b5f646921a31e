"""The rules of orders at rest, and of what is under way: how many were looked at, what broke it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from infra.cli.audit.rows import Books, Hold, Order, Payment
from infra.cli.audit.rules.money import QUIET_AFTER, by_order, is_live, is_quiet, promised
from infra.cli.audit.rules.stock import ALIVE, holds_by_order
from infra.cli.audit.violations import Figure, Remedy, Violation

Found = tuple[int, list[Violation]]

SOLD = {"CONFIRMED", "SHIPPED", "DELIVERED"}
UNDER_WAY = {"PENDING", "AWAITING_PAYMENT", "CAPTURING", "EDITING", "CANCELLING"}
_FOR_A_PERSON = "NEEDS_ATTENTION"

# What the orders' own model leaves an order alone for, and then three visits of the sweep.
_LEFT_ALONE_MAX = timedelta(minutes=6)
PATIENCE = timedelta(minutes=3)

# The relay takes a second, its sweep a minute.
UNSENT_MAX = timedelta(minutes=5)

# Longer than anything that is due is left lying: a reconciliation comes by each hour.
OVERDUE_MAX = timedelta(minutes=75)


def no_order_is_unfinished(books: Books) -> Found:
    """Q1: every order ends in time, or waits for a person who has been told."""
    found: list[Violation] = []
    for order in books.orders:
        if order.status in UNDER_WAY:
            due = order.updated_at + _LEFT_ALONE_MAX
            if order.status == "AWAITING_PAYMENT" and order.waits_until is not None:
                due = order.waits_until
            late, remedy = books.at - due, Remedy.RECONCILE
        elif order.status == _FOR_A_PERSON:
            late, remedy = books.at - order.updated_at, Remedy.RESUME
        else:
            continue
        if late > PATIENCE:
            one = (f"{order.status}, minutes past its time", _minutes(late))
            other = ("at most", _minutes(PATIENCE))
            day = order.placed_on if remedy is Remedy.RECONCILE else None
            found.append(Violation("Q1", order.order_id, one, other, remedy, day))
    return len(books.orders), found


def sold_orders_are_paid_and_taken_from_stock(books: Books) -> Found:
    """Q2: an order that is confirmed is paid, and its units are sold to it."""
    holds, payments = holds_by_order(books), by_order(books.payments)
    sold = [order for order in books.orders if order.status in SOLD and is_quiet(order, books)]
    found: list[Violation] = []
    for order in sold:
        found += _unpaid(order, payments.get(order.order_id, []))
        found += _not_taken(order, holds.get(order.order_id, []))
    return len(sold), found


def _unpaid(order: Order, payments: list[Payment]) -> Iterator[Violation]:
    captured = sum(payment.captured_minor for payment in payments)
    refunded = sum(payment.refunded_minor + _promised(payment) for payment in payments)
    # Money for parcels that are still here is set aside until they leave.
    set_aside = sum(
        payment.amount_minor - payment.captured_minor
        for payment in payments
        if payment.status == "AUTHORIZED" or payment.replaces is not None
    )
    # What was taken out of the order since was paid, and has gone back.
    is_paid = captured + set_aside >= order.total_minor >= captured - refunded
    if not is_paid:
        one: Figure = ("captured and set aside", captured + set_aside)
        if captured > order.total_minor:
            one = ("captured, less refunded", captured - refunded)
        other = ("the order's total", order.total_minor)
        yield Violation("Q2", order.order_id, one, other, Remedy.JUDGE)


def _promised(payment: Payment) -> int:
    return payment.captured_minor - payment.refunded_minor - payment.refundable_minor


def _not_taken(order: Order, holds: list[Hold]) -> Iterator[Violation]:
    taken: Counter[str] = Counter()
    held = 0
    for hold in holds:
        for line in hold.lines:
            taken[line.sku] += line.quantity if hold.state == "COMMITTED" else 0
            held += line.quantity if hold.state == "HELD" else 0
    # Units that were given back may be somebody else's; what is still held can be sold.
    remedy, day = (Remedy.RECONCILE, order.placed_on) if held else (Remedy.JUDGE, None)
    ordered = order.units or {}
    for sku in sorted(taken.keys() | ordered.keys()):
        if taken[sku] != ordered.get(sku, 0):
            one, other = ("sold to it", taken[sku]), ("ordered", ordered.get(sku, 0))
            yield Violation("Q2", f"{order.order_id} {sku}", one, other, remedy, day)


def cancelled_orders_keep_nothing(books: Books) -> Found:
    """Q3: an order that is cancelled, or never was, has nobody's money and no units."""
    orders = {order.order_id: order for order in books.orders}
    over = {
        order.order_id: order.placed_on
        for order in books.orders
        if order.status == "CANCELLED" and is_quiet(order, books)
    }
    found = []
    payments = by_order(books.payments)
    on_its_way = promised(books)
    for order_id, of_it in payments.items():
        if order_id in orders and order_id not in over:
            continue
        kept = sum(one.captured_minor - one.refunded_minor for one in of_it)
        kept -= sum(on_its_way[order_id, one.edit] for one in of_it)
        if kept:
            other = (_as_it_is(order_id, orders), 0)
            found.append(_undone(order_id, ("kept of its money", kept), other, over))
        for one in of_it:
            if one.status == "AUTHORIZED":
                set_aside = ("set aside", one.amount_minor - one.captured_minor)
                other = (_as_it_is(order_id, orders), 0)
                found.append(_undone(order_id, set_aside, other, over))
    for charge in books.charges:
        if charge.order_id not in over or charge.order_id in payments or not is_live(charge):
            continue
        net = charge.captured_minor - charge.refunded_minor
        other = (_as_it_is(charge.order_id, orders), 0)
        found.append(_undone(charge.order_id, ("kept by the provider", net), other, over))
    for order_id, holds in holds_by_order(books).items():
        if order_id in orders and order_id not in over:
            continue
        for state in sorted(ALIVE):
            units = _units(holds, state)
            # What was held for an order that is not there yet is judged by its expiry.
            if units and (state == "COMMITTED" or order_id in over):
                other = (_as_it_is(order_id, orders), 0)
                found.append(_undone(order_id, (f"units {state}", units), other, over))
    return len(over), found


def _undone(order_id: str, one: Figure, other: Figure, over: dict[str, str]) -> Violation:
    if order_id in over:
        return Violation("Q3", order_id, one, other, Remedy.RECONCILE, over[order_id])
    return Violation("Q3", order_id, one, other, Remedy.JUDGE)


def _as_it_is(order_id: str, orders: dict[str, Order]) -> str:
    return "due to a cancelled order" if order_id in orders else "due to an order nobody knows"


def _units(holds: list[Hold], state: str) -> int:
    return sum(line.quantity for hold in holds if hold.state == state for line in hold.lines)


def no_message_was_given_up(books: Books) -> Found:
    """Q4: the dead-letter queues are empty."""
    found = [
        Violation("Q4", queue.name, ("messages", queue.messages), ("at rest", 0), Remedy.REDRIVE)
        for queue in books.queues
        if queue.messages
    ]
    return len(books.queues), found


def no_event_is_unsent(books: Books) -> Found:
    """Q5: an event leaves its outbox within minutes."""
    found = []
    for event in books.unsent:
        age = books.at - event.occurred_at
        if age > UNSENT_MAX:
            subject = f"{event.table} {event.type} {event.event_id}"
            one, other = ("minutes unsent", _minutes(age)), ("at most", _minutes(UNSENT_MAX))
            found.append(Violation("Q5", subject, one, other, Remedy.SWEEP))
    return len(books.unsent), found


def nothing_outlives_its_time(books: Books) -> Found:
    """Q6: no units, money, refund or cart are kept past their expiry for nobody."""
    orders = {order.order_id: order for order in books.orders}
    found = []
    held = [hold for hold in books.holds if hold.state == "HELD" and hold.held_until is not None]
    for hold in held:
        assert hold.held_until is not None
        late = books.at - hold.held_until
        order = orders.get(hold.order_id)
        # Whoever waits for a bank, or for a person, keeps what they hold: Q1 sees to them.
        if late > QUIET_AFTER and (order is None or order.status in {*SOLD, "CANCELLED"}):
            day = order.placed_on if order else hold.held_until.date().isoformat()
            one = ("units held, minutes past their time", _minutes(late))
            found.append(_overdue(hold.order_id, one, Remedy.RECONCILE, day))
    watched = [payment for payment in books.payments if payment.due_at is not None]
    for payment in watched:
        assert payment.due_at is not None
        late = books.at - payment.due_at
        if late > OVERDUE_MAX:
            one = (f"money {payment.status}, minutes past its time", _minutes(late))
            found.append(_overdue(payment.order_id, one, Remedy.SWEEP))
    waiting = [refund for refund in books.refunds if refund.due_at is not None]
    for refund in waiting:
        assert refund.due_at is not None
        late = books.at - refund.due_at
        if late > OVERDUE_MAX:
            one = (f"a refund of {refund.amount_minor}, minutes past its time", _minutes(late))
            subject = f"{refund.order_id} {refund.refund_id}"
            found.append(_overdue(subject, one, Remedy.SWEEP))
    for checkout in books.checkouts:
        late = books.at - checkout.due_at
        order = orders.get(checkout.order_id)
        is_over = order is None or order.status in {*SOLD, "CANCELLED"}
        if is_over and late > OVERDUE_MAX:
            one = ("a cart frozen, minutes past its time", _minutes(late))
            found.append(_overdue(checkout.order_id, one, Remedy.SWEEP))
    return len(held) + len(watched) + len(waiting) + len(books.checkouts), found


def _overdue(subject: str, one: Figure, remedy: Remedy, day: str | None = None) -> Violation:
    return Violation("Q6", subject, one, ("kept for nobody", 0), remedy, day)


def _minutes(time: timedelta) -> int:
    return int(time.total_seconds()) // 60

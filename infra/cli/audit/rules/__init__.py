"""The invariants of money and stock over whole books: pure functions of what was read.

Those of I hold at every moment, those of Q once nobody is at work: an order that moved lately is
left out of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from infra.cli.audit.rows import Books
from infra.cli.audit.rules import money, orders, stock
from infra.cli.audit.violations import Checked, Violation


@dataclass(frozen=True, slots=True)
class Rule:
    """An invariant: its number in the design, what it promises, and what it is checked on."""

    number: str
    promise: str
    of: str
    check: Callable[[Books], tuple[int, list[Violation]]]

    def checked(self, books: Books) -> Checked:
        count, violations = self.check(books)
        return Checked(self.number, self.promise, count, self.of, tuple(violations))


RULES = (
    Rule("I1", "stock is conserved", "buckets and SKUs", stock.stock_is_conserved),
    Rule("I2", "no stock below zero", "buckets", stock.nothing_is_below_zero),
    Rule("I3", "held units have a live hold", "buckets", stock.held_is_what_orders_hold),
    Rule("I4", "no order is charged twice or too much", "orders", money.no_charge_is_too_many),
    Rule("I5", "no more refunded than captured", "charges", money.no_refund_is_too_large),
    Rule("I6", "the money's ledger balances", "entries and payments", money.the_ledger_balances),
    Rule("Q1", "no order is unfinished", "orders", orders.no_order_is_unfinished),
    Rule(
        "Q2",
        "what is confirmed is paid and sold",
        "orders sold",
        orders.sold_orders_are_paid_and_taken_from_stock,
    ),
    Rule(
        "Q3",
        "what is cancelled keeps nothing",
        "orders cancelled",
        orders.cancelled_orders_keep_nothing,
    ),
    Rule("Q4", "dead-letter queues are empty", "queues", orders.no_message_was_given_up),
    Rule("Q5", "outboxes are empty", "events waiting", orders.no_event_is_unsent),
    Rule("Q6", "nothing outlives its time", "things that expire", orders.nothing_outlives_its_time),
    Rule("Q7", "the provider agrees", "charges", money.the_provider_agrees),
)


def checked(books: Books) -> list[Checked]:
    """Check every rule, in the order of their numbers."""
    return [rule.checked(books) for rule in RULES]

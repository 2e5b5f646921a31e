"""
What the books say of one order, and where they contradict each other.

Four books are kept apart: the orders', the provider's, our payments' with their ledger, and the
stock's. A difference that its owner can mend from what it knows is mended by asking the owner; one
that needs a judgement is only told.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

# Longer than a checkout or its undo runs, with the sweeper's waiting: what is younger is at work.
QUIET_AFTER = timedelta(minutes=15)

_SOLD = frozenset({"CONFIRMED", "SHIPPED", "DELIVERED"})
_UNFINISHED = frozenset({"PENDING", "CAPTURING", "EDITING", "CANCELLING"})

# What the provider may have where our payment has ended so. Refunded is our word alone; a charge
# that was never asked for money, or was declined, has nothing to free.
_CHARGE_OF_A_PAYMENT: dict[str | None, set[str | None]] = {
    "REFUNDED": {"CAPTURED"},
    "VOIDED": {"VOIDED", "OPENED", "DECLINED", None},
    "DECLINED": {"DECLINED", "VOIDED"},
}


class Kind(StrEnum):
    """What a difference is, by what would be lost if it stayed."""

    PAYMENT_BEHIND_PROVIDER = "payment_behind_provider"  # a webhook was dropped, an answer lost
    MONEY_WITHOUT_ORDER = "money_without_order"  # taken or set aside, and nothing is sold for it
    STRAY_CHARGE = "stray_charge"  # the provider holds money that no payment of ours stands behind
    ORDER_WITHOUT_MONEY = "order_without_money"  # sold, and not paid for in full
    LEDGER_OUT_OF_BALANCE = "ledger_out_of_balance"  # the entries do not sum to the totals
    HOLD_WITHOUT_ORDER = "hold_without_order"  # units kept from sale for nobody
    STOCK_NOT_SOLD = "stock_not_sold"  # sold, and its units are still only held, or not at all
    EVENT_LOST = "event_lost"  # confirmed, and the warehouse never heard of it
    ORDER_UNFINISHED = "order_unfinished"  # neither done nor undone


class Repair(StrEnum):
    """What an owner can be asked to do: safe to repeat, and nothing where all is right."""

    SETTLE_PAYMENT = "settle_payment"  # payments reads the charge back and records what is true
    GIVE_MONEY_BACK = "give_money_back"  # payments voids or refunds
    FREE_CHARGE = "free_charge"  # payments voids or refunds what only the provider knows
    RELEASE_STOCK = "release_stock"
    COMMIT_STOCK = "commit_stock"
    CONFIRM_AGAIN = "confirm_again"  # orders states its fact once more
    RUN_AGAIN = "run_again"  # orders starts the checkout once more


class Outcome(StrEnum):
    """What became of a finding."""

    LEFT = "left"  # nobody was asked to mend it, or nobody could
    BEGUN = "begun"  # its owner was asked to; the next run tells what came of it
    MENDED = "mended"  # asked, compared again, and gone


@dataclass(frozen=True, slots=True)
class OrderFacts:
    order_id: str
    status: str | None  # None: orders does not know it
    total_minor: int = 0
    currency: str = ""
    updated_at: datetime | None = None

    @property
    def is_sold(self) -> bool:
        return self.status in _SOLD

    @property
    def is_over(self) -> bool:
        """Tell whether nothing of it may stay taken: it was cancelled, or never was."""
        return self.status is None or self.status == "CANCELLED"

    def is_quiet(self, now: datetime) -> bool:
        """Tell whether nobody is at work on it, so that a difference is one."""
        return self.updated_at is None or now - self.updated_at >= QUIET_AFTER


@dataclass(frozen=True, slots=True)
class Sums:
    """What was taken and given back, in minor units."""

    captured_minor: int = 0
    refunded_minor: int = 0

    @property
    def net_minor(self) -> int:
        return self.captured_minor - self.refunded_minor

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.captured_minor + other.captured_minor, self.refunded_minor + other.refunded_minor
        )


Amount = TypeVar("Amount", int, Sums)


@dataclass(frozen=True, slots=True)
class MoneyFacts:
    """One order's money: as our payment says, as its ledger sums, as the provider has it.

    What its edits added is in payments of their own, and in the one ledger.
    """

    currency: str = ""
    payment_status: str | None = None
    payment: Sums = Sums()
    ledger: Sums = Sums()
    charge_status: str | None = None
    charge: Sums = Sums()
    supplements: tuple[MoneyFacts, ...] = ()

    @property
    def paid(self) -> Sums:
        """Sum what our payments say."""
        return sum((one.payment for one in self.supplements), self.payment)

    @property
    def charged(self) -> Sums:
        """Sum what the provider has."""
        return sum((one.charge for one in self.supplements), self.charge)

    @property
    def is_behind(self) -> bool:
        expected = _CHARGE_OF_A_PAYMENT.get(self.payment_status, {self.payment_status})
        is_own_behind = self.charge != self.payment or self.charge_status not in expected
        return is_own_behind or any(one.is_behind for one in self.supplements)

    @property
    def is_taken(self) -> bool:
        """Tell whether the customer's money is taken or set aside."""
        statuses = {one.charge_status for one in (self, *self.supplements)}
        return self.charged.net_minor > 0 or "AUTHORIZED" in statuses


@dataclass(frozen=True, slots=True)
class ChargeFacts:
    """A charge as the provider lists it. `is_ours` tells whether a payment stands behind it."""

    order_id: str
    reference: str
    status: str
    sums: Sums
    is_ours: bool

    @property
    def stray(self) -> Finding | None:
        """Name the money that nobody accounts for; None if there is none."""
        if self.is_ours or (self.status != "AUTHORIZED" and self.sums.net_minor <= 0):
            return None
        detail = f"{self.reference} is {self.status} {self.sums.net_minor}, and no payment has it"
        return Finding(
            Kind.STRAY_CHARGE,
            self.order_id,
            detail,
            Repair.FREE_CHARGE,
            reference=self.reference,
        )


@dataclass(frozen=True, slots=True)
class Books:
    """All that is known of one order. `hold` is HELD, COMMITTED, RELEASED, MIXED, or None.

    `awaits_money`: a parcel is still here, and its money is to be captured when it leaves.
    """

    order: OrderFacts
    money: MoneyFacts
    hold: str | None
    shipment: str | None
    awaits_money: bool = False

    @property
    def is_paid(self) -> bool:
        """Tell whether what was sold is paid for, or set aside for parcels that are still here."""
        missing_minor = self.order.total_minor - self.money.charged.captured_minor
        is_set_aside = self.awaits_money and self.money.charge_status == "AUTHORIZED"
        # What was taken out of the order since was taken of its customer, and has gone back.
        is_given_back = missing_minor < 0 and self.money.charged.refunded_minor >= -missing_minor
        return missing_minor == 0 or is_given_back or (missing_minor > 0 and is_set_aside)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference. `repair` is None where a person has to judge."""

    kind: Kind
    order_id: str
    detail: str
    repair: Repair | None
    outcome: Outcome = Outcome.LEFT
    reference: str | None = None  # of the charge, where the order does not lead to it


class Listing(StrEnum):
    """What is gone through, one after the other."""

    ORDERS = "orders"  # of the day
    CHARGES = "charges"  # that the provider opened on the day
    HOLDS = "holds"  # past their due, whatever their day


@dataclass(frozen=True, slots=True)
class Position:
    """How far a comparison has come: `after` is the listing's own, as its owner gave it."""

    listing: Listing = Listing.ORDERS
    after: Any = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing some orders brought. Sums are per currency."""

    compared: int = 0
    orders_minor: dict[str, int] = field(default_factory=dict)
    ledger: dict[str, Sums] = field(default_factory=dict)
    provider: dict[str, Sums] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    then: Position | None = None  # where to go on; None when all has been compared

    def with_order(self, books: Books, findings: list[Finding]) -> Comparison:
        """Add one order to the sums, with what was found in its books."""
        order, money = books.order, books.money
        currency = order.currency or money.currency
        sold_minor = order.total_minor if order.is_sold else 0
        return replace(
            self,
            compared=self.compared + 1,
            orders_minor=_added(self.orders_minor, currency, sold_minor, 0),
            ledger=_added(self.ledger, currency, money.ledger, Sums()),
            provider=_added(self.provider, currency, money.charged, Sums()),
            findings=(*self.findings, *findings),
        )


def _added(
    sums: dict[str, Amount], currency: str, one: Amount, nothing: Amount
) -> dict[str, Amount]:
    return {**sums, currency: sums.get(currency, nothing) + one} if currency else sums


def differences(books: Books, now: datetime) -> list[Finding]:
    """Name every contradiction between the books of one order; nothing where one is at work."""
    if not books.order.is_quiet(now):
        return []
    return [
        *_of_the_money(books),
        *_of_the_stock(books),
        *_of_the_order(books),
    ]


def _of_the_money(books: Books) -> list[Finding]:
    order, money = books.order, books.money
    found = []
    if money.is_behind:
        detail = (
            f"the provider has {money.charge_status} {money.charged.net_minor},"
            f" our payment {money.payment_status} {money.paid.net_minor}"
        )
        found.append(_finding(Kind.PAYMENT_BEHIND_PROVIDER, order, detail, Repair.SETTLE_PAYMENT))
    if money.ledger != money.paid:
        detail = f"the ledger sums to {money.ledger.net_minor}, not {money.paid.net_minor}"
        found.append(_finding(Kind.LEDGER_OUT_OF_BALANCE, order, detail, None))
    if order.is_over and money.is_taken:
        detail = f"{money.charged.net_minor} is taken and the order is {order.status or 'unknown'}"
        found.append(_finding(Kind.MONEY_WITHOUT_ORDER, order, detail, Repair.GIVE_MONEY_BACK))
    if order.is_sold and not books.is_paid:
        detail = f"{money.charged.captured_minor} was taken of {order.total_minor}"
        found.append(_finding(Kind.ORDER_WITHOUT_MONEY, order, detail, None))
    return found


def _of_the_stock(books: Books) -> list[Finding]:
    order, hold = books.order, books.hold
    if order.is_over and hold not in {None, "RELEASED"}:
        detail = f"its stock is {hold} and the order is {order.status or 'unknown'}"
        return [_finding(Kind.HOLD_WITHOUT_ORDER, order, detail, Repair.RELEASE_STOCK)]
    if order.is_sold and hold != "COMMITTED":
        # Units given back may be somebody else's by now; what is still held can be sold.
        repair = Repair.COMMIT_STOCK if hold in {"HELD", "MIXED"} else None
        return [_finding(Kind.STOCK_NOT_SOLD, order, f"its stock is {hold}", repair)]
    return []


def _of_the_order(books: Books) -> list[Finding]:
    order = books.order
    if order.status in _UNFINISHED:
        return [_finding(Kind.ORDER_UNFINISHED, order, f"it is {order.status}", Repair.RUN_AGAIN)]
    if order.status == "CONFIRMED" and books.shipment == "BOOKED" and not books.awaits_money:
        detail = "the order is confirmed and its parcel was never released to the warehouse"
        return [_finding(Kind.EVENT_LOST, order, detail, Repair.CONFIRM_AGAIN)]
    return []


def _finding(kind: Kind, order: OrderFacts, detail: str, repair: Repair | None) -> Finding:
    return Finding(kind, order.order_id, detail, repair)

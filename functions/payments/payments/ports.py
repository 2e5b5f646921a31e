"""What the use cases need: the payments' keeper and a payment provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from payments.model import Entry, Payment, Refund
from tradepost.contracts.event import Event
from tradepost.contracts.webhook import RawMessage
from tradepost.kernel.money import Money


@dataclass(frozen=True, slots=True)
class ProviderKeys:
    """The keys under which the provider knows an order's operations.

    They are derived from the order and from what our book says of it, so that whoever repeats an
    operation, from whatever state of knowledge, repeats the same one (rule R8). An authorization
    that is made anew is another attempt, whose number is written down first; what an `edit` adds
    to an order is paid for by another charge, under its number.
    """

    order_id: str
    attempt: int = 1
    edit: int = 0

    @classmethod
    def of(cls, payment: Payment) -> ProviderKeys:
        return cls(payment.order_id, payment.attempt, payment.edit)

    @property
    def open(self) -> str:
        return f"open#{self._charged}"

    @property
    def authorize(self) -> str:
        return f"authorize#{self._charged}"

    @property
    def capture(self) -> str:
        return f"capture#{self._charged}"

    @property
    def void(self) -> str:
        return f"void#{self._charged}"

    @property
    def _charged(self) -> str:
        supplement = f"+{self.edit}" if self.edit else ""
        return f"{self.order_id}{supplement}#{self.attempt}"

    def part(self, part_id: str) -> str:
        return f"capture#{self._charged}#{part_id}"

    def refund(self, refund_id: str) -> str:
        return f"refund#{self.order_id}#{refund_id}"


class ChargeStatus(StrEnum):
    OPENED = "OPENED"  # known to the provider; no money has moved
    REQUIRES_ACTION = "REQUIRES_ACTION"  # the customer has to confirm it with their bank
    AUTHORIZED = "AUTHORIZED"  # of which parts may be captured, until the last
    CAPTURED = "CAPTURED"  # all or a part; the rest is free again
    DECLINED = "DECLINED"  # the bank said no
    VOIDED = "VOIDED"  # freed by us, or lapsed


@dataclass(frozen=True, slots=True)
class Charge:
    """A payment in the provider's book.

    `authorized` is nothing until the money is set aside and stays what it was from then on.
    `action_url` is where the customer confirms, while REQUIRES_ACTION; one that begins with `/`
    lies below the address of our own API. `expires_at` is when an authorization lapses, or the
    confirmation is due; None if the provider does not tell.
    """

    reference: str
    order_id: str
    status: ChargeStatus
    authorized: Money
    captured: Money
    refunded: Money
    action_url: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """That something may have happened to a charge: a hint of where to look, never a fact.

    `status` and `refunded_minor` are what the message claims. A claim that our book has passed
    need not be looked into; None is no claim: look.
    """

    event_id: str
    reference: str
    order_id: str
    status: ChargeStatus | None = None
    refunded_minor: int = 0


class PaymentProvider(Protocol):
    """A card processor. `charges_again` tells whether a means of payment that was charged once can
    be charged once more without its holder. Every call is idempotent by its key; each may raise
    ProviderUnavailableError, after which nothing is known and the same call may be repeated.
    A call that names a reference raises UnknownChargeError where the provider has none.
    """

    name: str
    charges_again: bool

    def open(self, key: str, *, order_id: str, amount: Money) -> str:
        """Make a charge known; no money moves. Return the provider's reference, per key one."""

    def authorize(self, key: str, *, reference: str, method: str) -> Charge:
        """Set the charge's amount aside; return it AUTHORIZED or REQUIRES_ACTION.

        A repetition returns the charge as it is by then. Raises PaymentDeclinedError or
        InsufficientFundsError, a definite no, again and again; a voided charge is declined.
        """

    def capture(self, key: str, *, reference: str, amount: Money) -> None:
        """Take the amount, at most what was authorized; the rest is left.

        The first capture stands. Raises CaptureRefusedError: a definite no.
        """

    def capture_part(self, key: str, *, reference: str, amount: Money, is_last: bool) -> None:
        """Take a part of what was authorized, once per key; the rest is left with the last.

        Raises CaptureRefusedError: a definite no.
        """

    def void(self, key: str, *, reference: str) -> None:
        """Free what is set aside, if anything is; bar the charge from then on.

        Raises AlreadyCapturedError: what was captured stays so, and nothing else is set aside.
        """

    def refund(self, key: str, *, reference: str, amount: Money) -> None:
        """Send money back. Raises RefundRefusedError: a definite no, again and again."""

    def charge(self, reference: str) -> Charge:
        """Read a charge as it is now."""

    def charges_between(
        self, start: datetime, end: datetime, after: str | None
    ) -> tuple[list[Charge], str | None]:
        """Page through the charges opened from `start` to before `end`, oldest first.

        Returns a page and where the next one begins, None after the last.
        """

    def event(self, raw: RawMessage, *, now: datetime) -> ProviderEvent | None:
        """Tell what a webhook is about; None if it is about nothing of ours.

        Raises an UnauthenticatedError where the signature does not hold, at `now`.
        """


class Orders(Protocol):
    def want_money(self, order_id: str) -> bool:
        """Ask orders whether the order is still to be paid. Raises UnavailableError."""


class PaymentRepository(Protocol):
    """Keeps payments and their refunds. An event's version counts what is told of the payments of
    one order: it is that of the order's own, which is moved with every event.
    """

    def get(self, order_id: str, edit: int = 0) -> Payment | None:
        """Read a payment as it is now: the order's own, or the supplement for an edit."""

    def of_order(self, order_id: str) -> list[Payment]:
        """Read an order's payments as they are now: its own first, then the supplements."""

    def add(self, payment: Payment) -> Payment:
        """Store a new payment, once per order and edit; return what is stored."""

    def move(self, payment: Payment, event: Event | None = None) -> None:
        """Store what a payment has become, with the event that reports it, if one does.

        Not what is captured of it. Raises StaleError if it is not at the version before, or the
        order's own is not at the version before the event's.
        """

    def record_capture(self, payment: Payment, entry: Entry, event: Event) -> None:
        """Store that the entry's amount was captured. Raises StaleError as `move` does."""

    def promise_refunds(self, refunds: Sequence[Refund]) -> list[Refund]:
        """Set all the amounts aside or none, once per the first one's id; return what is stored.

        They are promised together, each of another payment of one order. What is stored may have
        been spread in another way: its sum is the same.

        Raises RefundTooLargeError, PaymentNotFoundError; IdempotencyMismatchError for another sum.
        """

    def settle_refund(self, refund: Refund, entry: Entry, event: Event) -> None:
        """Record that the provider sent the money. Safe to repeat.

        Raises StaleError if the order's own payment is not at the version before the event's.
        """

    def add_foreign_refund(self, refund: Refund, entry: Entry, event: Event) -> None:
        """Record a refund that was made without us. Raises StaleError as `settle_refund` does."""

    def withdraw_refund(self, refund: Refund) -> None:
        """Take the promise back: the provider refused. Safe to repeat."""

    def due_payments(self, until: datetime) -> list[tuple[str, int]]:
        """List the open payments to be looked at by `until`, each by order and edit; a bounded
        number.
        """

    def due_refunds(self, until: datetime) -> list[Refund]:
        """List PENDING refunds that nobody is at work on by `until`; a bounded number."""

    def entries(self, order_id: str) -> list[Entry]:
        """Read an order's ledger entries."""

    def refunds(self, order_id: str) -> list[Refund]:
        """Read an order's refunds."""

"""What the use cases need: the payments' keeper and a payment provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from payments.model import Entry, Payment, Refund
from tradepost.contracts.event import Event
from tradepost.kernel.money import Money


@dataclass(frozen=True, slots=True)
class ProviderKeys:
    """The keys under which the provider knows an order's operations.

    They are derived from the order alone, so that whoever repeats an operation, from whatever
    state of knowledge, repeats the same one (rule R8).
    """

    order_id: str

    @property
    def authorize(self) -> str:
        return f"authorize#{self.order_id}#1"

    @property
    def capture(self) -> str:
        return f"capture#{self.order_id}"

    @property
    def void(self) -> str:
        return f"void#{self.order_id}"

    def refund(self, refund_id: str) -> str:
        return f"refund#{self.order_id}#{refund_id}"


class PaymentProvider(Protocol):
    """A card processor. Every call is idempotent by its key; each may raise
    ProviderUnavailableError, after which nothing is known and the same call may be repeated.
    """

    def authorize(self, key: str, *, order_id: str, amount: Money, method: str) -> str:
        """Set the amount aside; return the provider's reference.

        Raises PaymentDeclinedError or InsufficientFundsError: a definite no.
        """

    def capture(self, key: str, *, reference: str, amount: Money) -> None:
        """Take the amount, at most what was authorized; the rest is left.

        Raises CaptureRefusedError: a definite no.
        """

    def void(self, key: str, *, authorize_key: str) -> None:
        """Free what was authorized under `authorize_key`, if anything was; bar it from then on.

        Raises AlreadyCapturedError: nothing was freed.
        """

    def refund(self, key: str, *, reference: str, amount: Money) -> None:
        """Send money back. Raises RefundRefusedError: a definite no."""


class PaymentRepository(Protocol):
    def get(self, order_id: str) -> Payment | None:
        """Read a payment as it is now."""

    def add(self, payment: Payment) -> Payment:
        """Store a new payment, once per order; return what is stored."""

    def void(self, payment: Payment) -> None:
        """Move AUTHORIZED to VOIDED. Raises StaleError if it is not as read."""

    def record_capture(self, payment: Payment, entry: Entry, event: Event) -> None:
        """Move AUTHORIZED to `payment`, CAPTURED. Raises StaleError if it is not as read."""

    def promise_refund(self, refund: Refund) -> Refund:
        """Set the amount aside for the refund, once per id; return what is stored.

        Raises RefundTooLargeError, PaymentNotFoundError.
        """

    def settle_refund(self, refund: Refund, entry: Entry, event: Event) -> None:
        """Record that the provider sent the money. Safe to repeat.

        Raises StaleError if the payment is not at the version before the event's.
        """

    def withdraw_refund(self, refund: Refund) -> None:
        """Take the promise back: the provider refused. Safe to repeat."""

    def entries(self, order_id: str) -> list[Entry]:
        """Read an order's ledger entries."""

    def refunds(self, order_id: str) -> list[Refund]:
        """Read an order's refunds."""

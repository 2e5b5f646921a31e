"""
A payment, its refunds and the ledger's entries. All amounts in one payment have one currency.

    (nothing) ──▶ AUTHORIZED ──▶ CAPTURED ──▶ REFUNDED (in full; parts leave it CAPTURED)
        │             │
        └──▶ VOIDED ◀─┘        VOIDED without an authorization is a tombstone: the void came first
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from tradepost.kernel.money import Money


class PaymentStatus(StrEnum):
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


class RefundStatus(StrEnum):
    PENDING = "PENDING"  # promised in our books; the provider has not answered yet
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"  # the provider refused; the promise was taken back


class PaymentDeclinedError(ConflictError):
    """The customer's bank said no. Another means of payment may work."""

    code = "payment_declined"

    def __init__(self) -> None:
        super().__init__("the payment was declined")


class InsufficientFundsError(PaymentDeclinedError):
    code = "insufficient_funds"


class CaptureRefusedError(ConflictError):
    """The provider definitely did not take the money, and will not."""

    code = "capture_refused"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the money of {order_id} cannot be captured")
        self.order_id = order_id


class PaymentVoidedError(ConflictError):
    """The payment was voided first: this call was overtaken by its undo."""

    code = "payment_voided"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"the payment of {order_id} was voided")
        self.order_id = order_id


class CaptureTooLargeError(ConflictError):
    """More would be captured than was authorized."""

    code = "capture_too_large"

    def __init__(self, order_id: str, authorized_minor: int) -> None:
        super().__init__(f"{order_id} has {authorized_minor} minor units authorized")
        self.order_id = order_id
        self.authorized_minor = authorized_minor


class AlreadyCapturedError(ConflictError):
    """The provider took money, whatever we knew: it can be refunded, not voided."""

    code = "already_captured"

    def __init__(self, reference: str, captured_minor: int) -> None:
        super().__init__(f"{captured_minor} minor units of {reference} are captured")
        self.reference = reference
        self.captured_minor = captured_minor


class RefundRefusedError(ConflictError):
    """The provider refused the refund. The money stays captured."""

    code = "refund_refused"


class RefundTooLargeError(ConflictError):
    """More would be refunded than was captured and not refunded yet."""

    code = "refund_too_large"

    def __init__(self, order_id: str, refundable_minor: int) -> None:
        super().__init__(f"{order_id} has {refundable_minor} minor units left to refund")
        self.order_id = order_id
        self.refundable_minor = refundable_minor


class CurrencyMismatchError(InvalidError):
    code = "currency_mismatch"


class PaymentNotFoundError(NotFoundError):
    code = "payment_not_found"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"{order_id} has no payment")
        self.order_id = order_id


class ProviderUnavailableError(UnavailableError):
    """The provider did not answer: whether it acted is unknown. The same key may be sent again."""

    code = "provider_unavailable"


@dataclass(frozen=True, slots=True)
class Payment:
    """What one order owes and paid. `refundable` is captured and not refunded or promised back."""

    order_id: str
    status: PaymentStatus
    authorized: Money
    captured: Money
    refundable: Money
    provider_reference: str
    correlation_id: str
    version: int

    @property
    def refunded(self) -> Money:
        return self.captured - self.refundable


@dataclass(frozen=True, slots=True)
class Refund:
    refund_id: str
    order_id: str
    amount: Money
    reason: str
    status: RefundStatus


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry: positive is owed to the shop, negative is what it was owed for."""

    account: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A movement of money, in two legs that sum to nothing. Never changed once written."""

    entry_id: str
    order_id: str
    kind: str
    currency: str
    legs: tuple[Leg, ...]

    def __post_init__(self) -> None:
        if sum(leg.amount_minor for leg in self.legs) != 0:
            raise ValueError("an entry's legs sum to zero")


def capture_entry(order_id: str, amount: Money) -> Entry:
    return Entry("CAPTURE", order_id, "CAPTURE", amount.currency, _legs(amount.amount_minor))


def refund_entry(refund: Refund) -> Entry:
    return Entry(
        f"REFUND#{refund.refund_id}",
        refund.order_id,
        "REFUND",
        refund.amount.currency,
        _legs(-refund.amount.amount_minor),
    )


def _legs(amount_minor: int) -> tuple[Leg, ...]:
    return (Leg("provider_receivable", amount_minor), Leg("sales", -amount_minor))

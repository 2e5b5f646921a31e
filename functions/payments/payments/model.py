"""
A payment, its refunds and the ledger's entries. All amounts in one payment have one currency.

    (nothing) ──▶ OPENED ──▶ REQUIRES_ACTION ──▶ AUTHORIZED ──▶ CAPTURED ──▶ REFUNDED (in full;
        │         ▲  └──────────────────────────▲  │                     parts leave it CAPTURED)
        │         └──── authorized anew ───────────┘
        └──▶ VOIDED: a tombstone, the void came first

The first three are open: each may become VOIDED, and CAPTURED if the provider turns out to have
taken the money; the first two may become DECLINED.

Money that is captured part by part leaves the payment AUTHORIZED until the last part: a part is
asked for in our book before it is asked for at the provider, one at a time, so whoever comes after
a crash asks for the same.

OPENED is the intent: the provider has a charge under `provider_reference` on which no money has
moved. Our book knows that reference before money is asked for, so whoever undoes or reads back
later always knows what to ask about.

An order has a payment of its own, and one more for each edit that adds to what it costs: its
supplements. Each has a charge and an end for itself; what can go back is the sum of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from tradepost.kernel.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    StaleError,
    UnavailableError,
)
from tradepost.kernel.money import Money, total_of


class PaymentStatus(StrEnum):
    OPENED = "OPENED"
    REQUIRES_ACTION = "REQUIRES_ACTION"  # the customer's bank wants to hear from the customer
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    REFUNDED = "REFUNDED"  # never stored: CAPTURED, and all of it has gone back
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"


_STILL_OPEN = frozenset(
    {PaymentStatus.OPENED, PaymentStatus.REQUIRES_ACTION, PaymentStatus.AUTHORIZED}
)
_NEXT: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.OPENED: frozenset(
        {
            PaymentStatus.REQUIRES_ACTION,
            PaymentStatus.AUTHORIZED,
            PaymentStatus.CAPTURED,
            PaymentStatus.DECLINED,
            PaymentStatus.VOIDED,
        }
    ),
    PaymentStatus.REQUIRES_ACTION: frozenset(
        {
            PaymentStatus.AUTHORIZED,
            PaymentStatus.CAPTURED,
            PaymentStatus.DECLINED,
            PaymentStatus.VOIDED,
        }
    ),
    # OPENED again: what lapses is authorized anew, under another charge.
    PaymentStatus.AUTHORIZED: frozenset(
        {PaymentStatus.OPENED, PaymentStatus.CAPTURED, PaymentStatus.VOIDED}
    ),
    PaymentStatus.CAPTURED: frozenset({PaymentStatus.REFUNDED}),
    PaymentStatus.REFUNDED: frozenset(),
    PaymentStatus.DECLINED: frozenset(),
    PaymentStatus.VOIDED: frozenset(),
}
assert set(_NEXT) == set(PaymentStatus)


class RefundStatus(StrEnum):
    PENDING = "PENDING"  # promised in our books; the provider has not answered yet
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"  # the provider refused; the promise was taken back


class DeclineReason(StrEnum):
    """Why a payment is DECLINED, in the words its event tells."""

    PAYMENT_DECLINED = "payment_declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    CONFIRMATION_EXPIRED = "confirmation_expired"  # the customer did not confirm in time
    CONFIRMATION_REQUIRED = "confirmation_required"  # of a supplement, which nobody waits for
    AUTHORIZATION_EXPIRED = "authorization_expired"  # it lapsed, and could not be had again


class PaymentDeclinedError(ConflictError):
    """The customer's bank said no. Another means of payment may work."""

    code = "payment_declined"
    reason = DeclineReason.PAYMENT_DECLINED

    def __init__(self) -> None:
        super().__init__("the payment was declined")


class InsufficientFundsError(PaymentDeclinedError):
    code = "insufficient_funds"
    reason = DeclineReason.INSUFFICIENT_FUNDS


class ConfirmationExpiredError(PaymentDeclinedError):
    """The bank wanted to hear from the customer, and did not in time."""

    code = "payment_expired"
    reason = DeclineReason.CONFIRMATION_EXPIRED


class ConfirmationRequiredError(PaymentDeclinedError):
    """The bank wants to hear from the customer, and nobody can wait for that."""

    code = "confirmation_required"
    reason = DeclineReason.CONFIRMATION_REQUIRED


class PaymentMethodNeededError(PaymentDeclinedError):
    """The provider charges a means of payment once: the customer has to name another."""

    code = "payment_method_needed"


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


class ChargeMismatchError(ConflictError):
    """The provider's charge is not what our book says it is: nobody but a person decides which."""

    code = "charge_mismatch"

    def __init__(self, order_id: str, reference: str) -> None:
        super().__init__(f"charge {reference} does not fit the payment of {order_id}")
        self.order_id = order_id
        self.reference = reference


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


class ChargeInUseError(ConflictError):
    """A payment of ours stands behind the charge, which was taken for a stray one."""

    code = "charge_in_use"

    def __init__(self, order_id: str, reference: str) -> None:
        super().__init__(f"charge {reference} belongs to the payment of {order_id}")
        self.order_id = order_id
        self.reference = reference


class UnknownChargeError(NotFoundError):
    """The provider knows no charge under this reference."""

    code = "unknown_charge"

    def __init__(self, reference: str) -> None:
        super().__init__(f"the provider has no charge {reference}")
        self.reference = reference


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what is authorized, to be captured once per id; the last one frees the rest."""

    part_id: str
    amount: Money
    is_last: bool


@dataclass(frozen=True, slots=True)
class Payment:
    """What one order owes and paid. `refundable` is captured and not refunded or promised back.

    `edit` is the number of the order's edit that it pays for, 0 for the order's own. `attempt`
    counts the charges opened with the provider, from 1; `replaces` is the reference of the one
    before, for as long as it may still hold money. `parts` are the ids of what was captured part
    by part, `asked_for` the part whose capture was begun. `expires_at` is when the customer's
    confirmation is late, or the authorization lapses, by status; None if nobody told.
    """

    order_id: str
    customer_id: str
    status: PaymentStatus
    amount: Money
    method: str
    authorized: Money
    captured: Money
    refundable: Money
    refunded: Money
    provider_reference: str
    correlation_id: str
    version: int
    edit: int = 0
    attempt: int = 1
    replaces: str | None = None
    action_url: str | None = None
    expires_at: datetime | None = None
    watch_at: datetime | None = None  # when to look at it unasked, while it is open
    declined: DeclineReason | None = None
    parts: tuple[str, ...] = ()
    asked_for: Part | None = None

    @property
    def left(self) -> Money:
        """Tell what is not captured of what was asked of the customer."""
        return self.amount - self.captured

    @property
    def can_wait(self) -> bool:
        """Tell whether somebody stands by for its customer's confirmation."""
        return self.attempt == 1 and self.edit == 0

    @property
    def is_open(self) -> bool:
        """Tell whether the provider may hold or come to hold money that is not captured."""
        return self.status in _STILL_OPEN

    @property
    def promised(self) -> Money:
        """Tell what is on its way back: promised, and not known to be sent."""
        return self.captured - self.refundable - self.refunded

    def is_overdue(self, now: datetime) -> bool:
        """Tell whether the time for the customer's confirmation, or the authorization, is over."""
        return self.expires_at is not None and self.expires_at <= now

    def requiring_action(self, action_url: str | None, expires_at: datetime) -> Payment:
        return self._moved_to(
            PaymentStatus.REQUIRES_ACTION,
            action_url=action_url,
            expires_at=expires_at,
            watch_at=expires_at,
        )

    def authorized_until(self, expires_at: datetime | None, watch_at: datetime | None) -> Payment:
        return self._moved_to(
            PaymentStatus.AUTHORIZED,
            authorized=self.amount,
            expires_at=expires_at,
            watch_at=watch_at,
            replaces=None,
        )

    def declined_because(self, reason: DeclineReason) -> Payment:
        return self._moved_to(PaymentStatus.DECLINED, declined=reason, replaces=None)

    def voided(self) -> Payment:
        return self._moved_to(PaymentStatus.VOIDED, replaces=None)

    def asking_for(self, part: Part | None) -> Payment:
        """Return the payment with a part whose capture begins, or with none."""
        return replace(self, asked_for=part, version=self.version + 1)

    def capturing(self, captured: Money, reference: str, *, is_last: bool) -> Payment:
        """Return the payment with `captured` in all, on the charge `reference`.

        It is CAPTURED if that is the last of it.
        """
        more = captured - self.captured
        parts = self.parts
        if self.asked_for is not None and self.asked_for.amount == more:
            parts = (*parts, self.asked_for.part_id)
        taken: dict[str, Any] = {
            "captured": captured,
            "refundable": self.refundable + more,
            "parts": parts,
            "asked_for": None,
        }
        if is_last:
            return self._moved_to(
                PaymentStatus.CAPTURED,
                authorized=self.amount,
                provider_reference=reference,
                replaces=None,
                **taken,
            )
        # The rest cannot be authorized anew on this charge: look again when it has lapsed.
        return replace(self, version=self.version + 1, watch_at=self.expires_at, **taken)

    def opened_anew(self, reference: str, watch_at: datetime) -> Payment:
        """Return the payment with another charge in place of the one that is about to lapse."""
        return self._moved_to(
            PaymentStatus.OPENED,
            attempt=self.attempt + 1,
            authorized=Money(0, self.amount.currency),
            provider_reference=reference,
            replaces=self.provider_reference,
            watch_at=watch_at,
        )

    def _moved_to(self, status: PaymentStatus, **changes: Any) -> Payment:
        if status not in _NEXT[self.status]:
            # Whoever decided this had not read what the payment has become meanwhile.
            raise StaleError(f"the payment of {self.order_id} is {self.status}, not to be {status}")
        fresh = {"action_url": None, "expires_at": None, "watch_at": None, **changes}
        return replace(self, status=status, version=self.version + 1, **fresh)


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back, of one of the order's payments: that of the order, or of an `edit`.

    `besides` are the refunds that were promised with it, because one payment was not enough.
    """

    refund_id: str
    order_id: str
    amount: Money
    reason: str
    status: RefundStatus
    promised_at: datetime
    edit: int = 0
    besides: tuple[str, ...] = ()


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


def capture_entry(payment: Payment, amount: Money, part_id: str | None = None) -> Entry:
    """Make the entry of a capture; one of a part or of a supplement has an id of its own."""
    entry_id = f"CAPTURE+{payment.edit}" if payment.edit else "CAPTURE"
    if part_id is not None:
        entry_id += f"#{part_id}"
    legs = _legs(amount.amount_minor)
    return Entry(entry_id, payment.order_id, "CAPTURE", amount.currency, legs)


def status_of(payments: Sequence[Payment]) -> PaymentStatus:
    """Tell the status of an order's payments: that of its own, but REFUNDED only if all are."""
    own = payments[0].status
    is_kept = any(payment.status is PaymentStatus.CAPTURED for payment in payments)
    return PaymentStatus.CAPTURED if own is PaymentStatus.REFUNDED and is_kept else own


def refundable_of(payments: Sequence[Payment]) -> Money:
    """Sum what can go back of an order's payments, of which there is one at least."""
    return total_of([payment.refundable for payment in payments], payments[0].amount.currency)


def spread(amount: Money, payments: Sequence[Payment]) -> list[tuple[Payment, Money]]:
    """Divide what goes back among an order's payments, the oldest first.

    What they have not enough for is asked of the first alone, whose condition refuses it.
    """
    missing, parts = amount, []
    for payment in payments:
        part = min(missing, payment.refundable)
        if part.amount_minor > 0:
            parts.append((payment, part))
            missing = missing - part
    return parts if parts and missing.amount_minor == 0 else [(payments[0], amount)]


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

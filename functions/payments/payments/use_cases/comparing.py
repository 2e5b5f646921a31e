"""For the reconciliation: our book and the provider's side by side, and repairs that do no harm."""

from __future__ import annotations

from dataclasses import dataclass

from payments.model import (
    AlreadyCapturedError,
    ChargeInUseError,
    Entry,
    Payment,
    Refund,
    RefundRefusedError,
    RefundStatus,
    UnknownChargeError,
)
from payments.ports import Charge, PaymentProvider, PaymentRepository
from payments.use_cases.refunding import sent_refund
from payments.use_cases.settling import settle_payment
from tradepost.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one order's money, each book apart; None where a book has nothing."""

    payment: Payment | None
    entries: list[Entry]
    refunds: list[Refund]
    charge: Charge | None


def payment_facts(
    order_id: str, *, payments: PaymentRepository, provider: PaymentProvider
) -> Facts:
    """Read an order's payment, its ledger and refunds, and the provider's charge behind it.

    Raises ProviderUnavailableError.
    """
    payment = payments.get(order_id)
    if payment is None:
        return Facts(None, [], [], None)
    return Facts(
        payment, payments.entries(order_id), payments.refunds(order_id), _charge(payment, provider)
    )


def _charge(payment: Payment, provider: PaymentProvider) -> Charge | None:
    if not payment.provider_reference:
        return None
    try:
        return provider.charge(payment.provider_reference)
    except UnknownChargeError:
        return None


def repair_payment(
    order_id: str, *, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> Payment:
    """Enter what the provider has and our book does not, and finish what was promised.

    Raises
    ------
    PaymentNotFoundError, ChargeMismatchError, UnknownChargeError
        Only a person can tell what is right. Nothing was changed.
    ProviderUnavailableError
        Nothing is known: repeat it.
    """
    payment = settle_payment(order_id, payments=payments, provider=provider, now=now)
    for refund in payments.refunds(order_id):
        if refund.status is RefundStatus.PENDING:
            try:
                sent_refund(refund, payment, payments, provider, now)
            except RefundRefusedError:
                continue
    return payments.get(order_id) or payment


def is_accounted_for(charge: Charge, *, payments: PaymentRepository) -> bool:
    """Tell whether a payment of ours stands behind a charge of the provider's."""
    payment = payments.get(charge.order_id)
    return payment is not None and charge.reference in (
        payment.provider_reference,
        payment.replaces,
    )


def free_stray_charge(
    reference: str, *, payments: PaymentRepository, provider: PaymentProvider
) -> None:
    """Give back what the provider holds under a charge that no payment of ours stands behind.

    Safe to repeat.

    Raises
    ------
    ChargeInUseError
        A payment has this charge: it is not stray.
    UnknownChargeError
        The provider has no such charge.
    RefundRefusedError, ProviderUnavailableError
    """
    charge = provider.charge(reference)
    if is_accounted_for(charge, payments=payments):
        raise ChargeInUseError(charge.order_id, reference)
    try:
        provider.void(f"stray#{reference}", reference=reference)
    except AlreadyCapturedError:
        kept = charge.captured - charge.refunded
        if kept.amount_minor > 0:
            provider.refund(f"stray#{reference}", reference=reference, amount=kept)

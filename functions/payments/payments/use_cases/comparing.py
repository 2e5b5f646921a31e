"""For the reconciliation: our book and the provider's side by side, and repairs that do no harm."""

from __future__ import annotations

from dataclasses import dataclass

from payments.model import (
    AlreadyCapturedError,
    ChargeInUseError,
    Entry,
    Payment,
    PaymentNotFoundError,
    Refund,
    RefundRefusedError,
    RefundStatus,
    UnknownChargeError,
)
from payments.ports import Charge, PaymentProvider, PaymentRepository
from payments.use_cases.refunding import sent_refund
from payments.use_cases.settling import payment_behind, settle_payment
from tradepost.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one order's money, each book apart.

    `payments` are the order's own and its supplements, each with the provider's charge behind it,
    None where the provider has none.
    """

    payments: list[tuple[Payment, Charge | None]]
    entries: list[Entry]
    refunds: list[Refund]


def payment_facts(
    order_id: str, *, payments: PaymentRepository, provider: PaymentProvider
) -> Facts:
    """Read an order's payments, their ledger and refunds, and the provider's charges behind them.

    Raises ProviderUnavailableError.
    """
    paid = payments.of_order(order_id)
    if not paid:
        return Facts([], [], [])
    return Facts(
        [(payment, _charge(payment, provider)) for payment in paid],
        payments.entries(order_id),
        payments.refunds(order_id),
    )


def _charge(payment: Payment, provider: PaymentProvider) -> Charge | None:
    if not payment.provider_reference:
        return None
    try:
        return provider.charge(payment.provider_reference)
    except UnknownChargeError:
        return None


def repair_payments(
    order_id: str, *, payments: PaymentRepository, provider: PaymentProvider, now: Clock
) -> list[Payment]:
    """Enter what the provider has and our book does not, and finish what was promised.

    Raises
    ------
    PaymentNotFoundError, ChargeMismatchError, UnknownChargeError
        Only a person can tell what is right. Nothing was changed of that payment.
    ProviderUnavailableError
        Nothing is known: repeat it.
    """
    paid = payments.of_order(order_id)
    if not paid:
        raise PaymentNotFoundError(order_id)
    settled = {
        payment.edit: settle_payment(
            order_id, edit=payment.edit, payments=payments, provider=provider, now=now
        )
        for payment in paid
    }
    for refund in payments.refunds(order_id):
        if refund.status is RefundStatus.PENDING:
            try:
                sent_refund(refund, settled[refund.edit], payments, provider, now)
            except RefundRefusedError:
                continue
    return payments.of_order(order_id)


def is_accounted_for(charge: Charge, *, payments: PaymentRepository) -> bool:
    """Tell whether a payment of ours stands behind a charge of the provider's."""
    return payment_behind(charge.order_id, charge.reference, payments) is not None


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

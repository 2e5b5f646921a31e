"""What payments tells the reconciliation: plain figures, each book's apart."""

from __future__ import annotations

from typing import Any

from payments.model import Entry, Payment
from payments.ports import Charge
from payments.use_cases import Facts
from tradepost.kernel.clock import to_text


def told(order_id: str, facts: Facts) -> dict[str, Any]:
    """Write an order's facts; a book that has nothing is None.

    `payment` and `charge` are the order's own; `supplements` are those of its edits.
    """
    told = [
        {
            "edit": payment.edit,
            "payment": of_payment(payment),
            "charge": of_charge(charge) if charge else None,
        }
        for payment, charge in facts.payments
    ]
    own = next(iter(told), {"payment": None, "charge": None})
    return {
        "order_id": order_id,
        "payment": own["payment"],
        "charge": own["charge"],
        "supplements": told[1:],
        "ledger": _sums(facts.entries),
        "refunds": [
            {
                "refund_id": refund.refund_id,
                "amount_minor": refund.amount.amount_minor,
                "status": refund.status,
            }
            for refund in facts.refunds
        ],
    }


def of_payment(payment: Payment) -> dict[str, Any]:
    return {
        "status": payment.status,
        "reference": payment.provider_reference or None,
        "attempt": payment.attempt,
        "currency": payment.amount.currency,
        "amount_minor": payment.amount.amount_minor,
        "authorized_minor": payment.authorized.amount_minor,
        "captured_minor": payment.captured.amount_minor,
        "refunded_minor": payment.refunded.amount_minor,
        "promised_minor": payment.promised.amount_minor,
        "version": payment.version,
    }


def of_charge(charge: Charge) -> dict[str, Any]:
    return {
        "reference": charge.reference,
        "order_id": charge.order_id,
        "status": charge.status,
        "currency": charge.authorized.currency,
        "authorized_minor": charge.authorized.amount_minor,
        "captured_minor": charge.captured.amount_minor,
        "refunded_minor": charge.refunded.amount_minor,
        "expires_at": to_text(charge.expires_at) if charge.expires_at else None,
    }


def _sums(entries: list[Entry]) -> dict[str, Any]:
    """Sum a ledger: what came in, and what went back. Its entries are balanced."""
    moved = {"CAPTURE": 0, "REFUND": 0}
    for entry in entries:
        receivable = sum(
            leg.amount_minor for leg in entry.legs if leg.account == "provider_receivable"
        )
        moved[entry.kind] += abs(receivable)
    return {"captured_minor": moved["CAPTURE"], "refunded_minor": moved["REFUND"]}

"""Why an order or an edit of it came to nothing, in the words a customer is told."""

from __future__ import annotations

from enum import StrEnum

# What a customer is told of a refusal that Step Functions names by its exception's class.
_REASONS = {
    "OutOfStockError": "out_of_stock",
    "PaymentDeclinedError": "payment_declined",
    "InsufficientFundsError": "insufficient_funds",
    "ConfirmationExpiredError": "payment_expired",
    "CaptureRefusedError": "capture_refused",
    "CarrierRefusedError": "carrier_refused",
}
_REASON_OF_A_FAULT = "checkout_failed"

# Why an edit is refused, where a checkout is not, or not in the same words.
PARCEL_PACKED = "parcel_packed"
_REASONS_OF_EDITS = {
    "ConfirmationRequiredError": "confirmation_required",
    "PaymentMethodNeededError": "payment_method_needed",
}
_FAULT_OF_AN_EDIT = "edit_failed"


class Cancelled(StrEnum):
    """Why an order is cancelled that no step refused."""

    BY_CUSTOMER = "cancelled_by_customer"
    BY_STAFF = "cancelled_by_staff"
    BY_CARRIER = "carrier_failed"
    TOO_LATE = "payment_expired"


def reason_of(error_name: str) -> str:
    """Name the reason behind an exception's class; a fault of ours has no name outside."""
    return _REASONS.get(error_name, _REASON_OF_A_FAULT)


def edit_reason_of(error_name: str) -> str:
    """Name the reason for which an edit is refused, as `reason_of` does for a checkout."""
    return (_REASONS | _REASONS_OF_EDITS).get(error_name, _FAULT_OF_AN_EDIT)

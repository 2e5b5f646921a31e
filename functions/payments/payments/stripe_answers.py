"""What Stripe's answers mean in the port's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import stripe

from payments.model import (
    InsufficientFundsError,
    PaymentDeclinedError,
    ProviderUnavailableError,
    UnknownChargeError,
)
from payments.ports import Charge, ChargeStatus
from payments.stripe_amounts import from_stripe

if TYPE_CHECKING:
    from stripe import PaymentIntent

_STATUSES = {
    "requires_payment_method": ChargeStatus.OPENED,
    "requires_confirmation": ChargeStatus.OPENED,
    "requires_action": ChargeStatus.REQUIRES_ACTION,
    "requires_capture": ChargeStatus.AUTHORIZED,
    "succeeded": ChargeStatus.CAPTURED,
    "canceled": ChargeStatus.VOIDED,
}


@contextmanager
def outcome_unknown(operation: str, reference: str | None = None) -> Iterator[None]:
    """Translate what says nothing of the outcome, and that there is no such intent."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise ProviderUnavailableError(f"{operation}: {type(error).__name__}") from error
    except stripe.APIError as error:
        # 409: the same request is being worked on (docs.stripe.com/api/errors).
        if not is_failure(error) and error.http_status != 409:
            raise
        raise ProviderUnavailableError(f"{operation}: {error.http_status}") from error
    except stripe.InvalidRequestError as error:
        if error.http_status != 404 or reference is None:
            raise
        raise UnknownChargeError(reference) from error


def is_failure(error: stripe.APIError) -> bool:
    return error.http_status is not None and error.http_status >= 500


def was_answered_before(intent: PaymentIntent) -> bool:
    """Tell whether this is a stored answer, which says how things were when it was first given."""
    answer = intent.last_response
    return answer is not None and answer.headers.get("Idempotent-Replayed") == "true"


def set_aside(intent: PaymentIntent) -> Charge:
    match status_of(intent):
        case ChargeStatus.DECLINED:
            raise decline_of(intent.last_payment_error)
        case ChargeStatus.VOIDED:
            raise PaymentDeclinedError
        case ChargeStatus.OPENED:
            raise ProviderUnavailableError("the confirmation failed, or goes on")
        case _:
            return charge_of(intent)


def decline_of(told: stripe.StripeObject | None) -> PaymentDeclinedError:
    # docs.stripe.com/declines/codes; whatever else the bank says is a no as well.
    if told is not None and told.to_dict().get("decline_code") == "insufficient_funds":
        return InsufficientFundsError()
    return PaymentDeclinedError()


def status_of(intent: PaymentIntent) -> ChargeStatus:
    status = status_told(intent.status, intent.last_payment_error)
    if status is None:
        raise ProviderUnavailableError(f"the intent is {intent.status}: nothing is decided yet")
    return status


def is_decided(intent: PaymentIntent) -> bool:
    return intent.status in _STATUSES


def status_told(status: str, last_payment_error: object) -> ChargeStatus | None:
    """Translate a status; None while nothing is decided."""
    if status == "requires_payment_method" and last_payment_error:
        return ChargeStatus.DECLINED
    return _STATUSES.get(status)


def order_of(told: Mapping[str, Any]) -> str | None:
    """Read which order something is about; None if it was not we who made it."""
    order_id: str | None = (told.get("metadata") or {}).get("order_id")
    return order_id


def charge_of(intent: PaymentIntent) -> Charge:
    """Translate an intent that was asked for with its latest charge in it."""
    status = status_of(intent)
    told = intent.to_dict()
    latest = told.get("latest_charge") or {}
    currency = told["currency"].upper()
    was_authorized = latest.get("status") == "succeeded"
    captured_minor = latest.get("amount_captured", 0)
    redirect = (told.get("next_action") or {}).get("redirect_to_url") or {}
    details = latest.get("payment_method_details") or {}
    lapses_at = (details.get("card") or {}).get("capture_before")
    return Charge(
        reference=intent.id,
        order_id=order_of(told) or "",
        status=status,
        authorized=from_stripe(told["amount"] if was_authorized else 0, currency),
        captured=from_stripe(captured_minor, currency),
        # Until 2025-03-31 what a capture left was released as a refund, and counted here.
        refunded=from_stripe(latest.get("amount_refunded", 0), currency),
        action_url=redirect.get("url"),
        expires_at=datetime.fromtimestamp(lapses_at, UTC)
        if lapses_at and status is ChargeStatus.AUTHORIZED
        else None,
    )

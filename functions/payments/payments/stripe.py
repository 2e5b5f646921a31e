"""
Stripe behind the provider's port: a charge of ours is a PaymentIntent of theirs.

    ours                 theirs
    open                 create, to be captured by hand, unconfirmed
    authorize            confirm with the means of payment
    capture              capture; what is not captured is released
    void                 cancel
    refund               create a Refund

What was asked is unknown when no answer came, or one that says "not now" or "we failed". Where
the answer is "not in this state", and where a failure may be the stored answer of an earlier
request (Stripe repeats even those, for as long as it keeps the key), the intent is read and its
state decides. Only a refund could be sent twice once its key is forgotten, which Stripe may do
after a day: it carries its key as metadata, and is looked for before it is sent.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import stripe

from payments.model import (
    AlreadyCapturedError,
    CaptureRefusedError,
    InsufficientFundsError,
    PaymentDeclinedError,
    ProviderUnavailableError,
    RefundRefusedError,
    UnknownChargeError,
)
from payments.ports import Charge, ChargeStatus, ProviderEvent, RawMessage
from payments.stripe_amounts import from_stripe, to_stripe
from tradepost.kernel.money import Money
from tradepost.platform.webhooks import WebhookSignatureError

if TYPE_CHECKING:
    from stripe import PaymentIntent
    from stripe.params import PaymentIntentListParams

# One layer retries (rule R22): the step's Retry in the state machine, or whoever sent the request.
# A function has ten seconds, and the longest it asks for is an opening and a confirmation.
_CONNECT_SECONDS = 1
_READ_SECONDS = 3

# docs.stripe.com/webhooks, "Preventing replay attacks": five minutes, here in both directions.
_TOLERANCE = timedelta(minutes=5)
_SIGNATURE_HEADER = "stripe-signature"

# docs.stripe.com/api/pagination: 1 to 100.
_PAGE_MAX = 100

_STATUSES = {
    "requires_payment_method": ChargeStatus.OPENED,
    "requires_confirmation": ChargeStatus.OPENED,
    "requires_action": ChargeStatus.REQUIRES_ACTION,
    "requires_capture": ChargeStatus.AUTHORIZED,
    "succeeded": ChargeStatus.CAPTURED,
    "canceled": ChargeStatus.VOIDED,
}


def client_of(api_key: str, api_base: str) -> stripe.StripeClient:
    """Make the client; `api_base` is https://api.stripe.com, or where an emulator listens."""
    # Telemetry keeps an id in a file under the home directory. There is no setting per client.
    stripe.enable_telemetry = False
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base},
        http_client=stripe.RequestsClient(timeout=(_CONNECT_SECONDS, _READ_SECONDS)),
        max_network_retries=0,
    )


class StripeProvider:
    """Satisfies `ports.PaymentProvider`.

    `secrets` gives the keys that may have signed a webhook, the current one first. `return_url` is
    the page of the shop that a bank sends the customer back to.
    """

    name = "stripe"

    def __init__(
        self,
        client: stripe.StripeClient,
        *,
        secrets: Callable[[], Sequence[str]],
        return_url: str,
    ) -> None:
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._secrets = secrets
        self._return_url = return_url

    def open(self, key: str, *, order_id: str, amount: Money) -> str:
        """Make a charge known. Raises AmountNotChargeableError.

        Where the key is forgotten, a repetition opens another intent. No money moves on it, and
        nobody confirms an intent that our book does not name.
        """
        with _outcome_unknown("open"):
            intent = self._intents.create(
                {
                    "amount": to_stripe(amount),
                    "currency": amount.currency.lower(),
                    "capture_method": "manual",
                    # Others do not set money aside, or send the customer away to pay.
                    "allowed_payment_method_types": ["card"],
                    "metadata": {"order_id": order_id},
                },
                {"idempotency_key": key},
            )
        return intent.id

    def authorize(self, key: str, *, reference: str, method: str) -> Charge:
        def confirm() -> PaymentIntent:
            return self._intents.confirm(
                reference,
                {
                    "payment_method": method,
                    "return_url": self._return_url,
                    "expand": ["latest_charge"],
                },
                {"idempotency_key": key},
            )

        try:
            intent = self._decided("authorize", reference, confirm)
        except stripe.CardError as error:
            raise _decline(error.error) from error
        except stripe.InvalidRequestError as error:
            intent = self._read(reference)
            if _status(intent) is ChargeStatus.OPENED:
                # A means of payment that is unknown, or that was used before: without a customer at
                # Stripe it serves once, and the error names no parameter. Others are our mistake.
                if error.param in (None, "payment_method"):
                    raise PaymentDeclinedError from error
                raise
        if _was_answered_before(intent):
            intent = self._read(reference)
        return _set_aside(intent)

    def capture(self, key: str, *, reference: str, amount: Money) -> None:
        def capture() -> PaymentIntent:
            return self._intents.capture(
                reference, {"amount_to_capture": to_stripe(amount)}, {"idempotency_key": key}
            )

        try:
            intent = self._decided("capture", reference, capture)
        except stripe.CardError as error:
            raise CaptureRefusedError(reference) from error
        except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
            # The first capture stands, whatever part a repetition names.
            charge = self.charge(reference)
            if charge.status is ChargeStatus.CAPTURED:
                return
            can_be_captured = (
                charge.status is ChargeStatus.AUTHORIZED
                and amount <= charge.authorized
                and error.code != "charge_expired_for_capture"
            )
            if can_be_captured:
                raise
            raise CaptureRefusedError(reference) from error
        if _status(intent) is not ChargeStatus.CAPTURED:
            raise ProviderUnavailableError("the capture failed, or goes on")

    def void(self, key: str, *, reference: str) -> None:
        def cancel() -> PaymentIntent:
            return self._intents.cancel(reference, None, {"idempotency_key": key})

        try:
            intent = self._decided("void", reference, cancel)
        except stripe.InvalidRequestError:
            charge = self.charge(reference)
            if charge.status is ChargeStatus.CAPTURED:
                raise AlreadyCapturedError(reference, charge.captured.amount_minor) from None
            if charge.status is not ChargeStatus.VOIDED:
                raise
            return
        if _status(intent) is not ChargeStatus.VOIDED:
            raise ProviderUnavailableError("the void failed, or goes on")

    def refund(self, key: str, *, reference: str, amount: Money) -> None:
        refund = self._refund_sent(key, reference)
        if refund is None:
            try:
                with _outcome_unknown("refund", reference):
                    refund = self._refunds.create(
                        {
                            "payment_intent": reference,
                            "amount": to_stripe(amount),
                            "metadata": {"key": key},
                        },
                        {"idempotency_key": key},
                    )
            except (stripe.CardError, stripe.InvalidRequestError) as error:
                raise RefundRefusedError(f"Stripe: {error.code or error.user_message}") from error
        # A refund that is pending will go through, or fail days later: reconciliation tells.
        if refund.status in ("failed", "canceled"):
            raise RefundRefusedError(f"Stripe: the refund {refund.id} is {refund.status}")

    def _refund_sent(self, key: str, reference: str) -> stripe.Refund | None:
        with _outcome_unknown("refund", reference):
            page = self._refunds.list({"payment_intent": reference, "limit": _PAGE_MAX})
            for refund in page.auto_paging_iter():
                if refund.metadata is not None and refund.metadata.to_dict().get("key") == key:
                    return refund
        return None

    def charge(self, reference: str) -> Charge:
        """Read a charge. Raises UnknownChargeError, ProviderUnavailableError."""
        return _charge(self._read(reference))

    def charges_between(
        self, start: datetime, end: datetime, after: str | None
    ) -> tuple[list[Charge], str | None]:
        """Page through the charges opened from `start` to before `end`, newest first.

        Stripe's lists have no other order.
        """
        wanted: PaymentIntentListParams = {
            # Stripe counts whole seconds.
            "created": {"gte": math.ceil(start.timestamp()), "lt": math.ceil(end.timestamp())},
            "limit": _PAGE_MAX,
            "expand": ["data.latest_charge"],
        }
        if after is not None:
            wanted["starting_after"] = after
        with _outcome_unknown("list"):
            listed = self._intents.list(wanted)
        # What is still being decided belongs to a later listing.
        told = [intent for intent in listed.data if intent.status in _STATUSES]
        ours = [_charge(intent) for intent in told if _order_of(intent.to_dict())]
        return ours, listed.data[-1].id if listed.has_more else None

    def event(self, raw: RawMessage, *, now: datetime) -> ProviderEvent | None:
        """Tell what a webhook is about. Raises WebhookSignatureError."""
        self._verify(raw, now)
        event = json.loads(raw.body)
        about = event["data"]["object"]
        order_id = _order_of(about)
        if order_id is None:
            return None
        match about["object"]:
            case "payment_intent":
                status = _status_told(about["status"], about.get("last_payment_error"))
                return ProviderEvent(event["id"], about["id"], order_id, status)
            case "charge" if about.get("payment_intent"):
                return ProviderEvent(event["id"], about["payment_intent"], order_id)
            case _:
                return None

    def _verify(self, raw: RawMessage, now: datetime) -> None:
        header = raw.headers.get(_SIGNATURE_HEADER, "")
        if not header.isascii() or not any(
            self._is_signed(raw.body, header, secret) for secret in self._secrets()
        ):
            raise WebhookSignatureError
        # Signed, so well-formed. The library's own look at the time reads the machine's clock,
        # and believes whatever comes from the future.
        signed_at = next(part for part in header.split(",") if part.startswith("t="))
        if abs(now.timestamp() - int(signed_at.removeprefix("t="))) > _TOLERANCE.total_seconds():
            raise WebhookSignatureError

    @staticmethod
    def _is_signed(body: bytes, header: str, secret: str) -> bool:
        try:
            stripe.WebhookSignature.verify_header(body, header, secret, tolerance=None)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            return False
        return True

    def _read(self, reference: str) -> PaymentIntent:
        with _outcome_unknown("read", reference):
            return self._intents.retrieve(reference, {"expand": ["latest_charge"]})

    def _decided(
        self, operation: str, reference: str, ask: Callable[[], PaymentIntent]
    ) -> PaymentIntent:
        """Ask; where Stripe answers that it failed, return the intent as it is by now."""
        with _outcome_unknown(operation, reference):
            try:
                return ask()
            except stripe.APIError as error:
                if not _is_failure(error):
                    raise
        return self._read(reference)


@contextmanager
def _outcome_unknown(operation: str, reference: str | None = None) -> Iterator[None]:
    """Translate what says nothing of the outcome, and that there is no such intent."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        raise ProviderUnavailableError(f"{operation}: {type(error).__name__}") from error
    except stripe.APIError as error:
        # 409: the same request is being worked on (docs.stripe.com/api/errors).
        if not _is_failure(error) and error.http_status != 409:
            raise
        raise ProviderUnavailableError(f"{operation}: {error.http_status}") from error
    except stripe.InvalidRequestError as error:
        if error.http_status != 404 or reference is None:
            raise
        raise UnknownChargeError(reference) from error


def _is_failure(error: stripe.APIError) -> bool:
    return error.http_status is not None and error.http_status >= 500


def _was_answered_before(intent: PaymentIntent) -> bool:
    """Tell whether this is a stored answer, which says how things were when it was first given."""
    answer = intent.last_response
    return answer is not None and answer.headers.get("Idempotent-Replayed") == "true"


def _set_aside(intent: PaymentIntent) -> Charge:
    match _status(intent):
        case ChargeStatus.DECLINED:
            raise _decline(intent.last_payment_error)
        case ChargeStatus.VOIDED:
            raise PaymentDeclinedError
        case ChargeStatus.OPENED:
            raise ProviderUnavailableError("the confirmation failed, or goes on")
        case _:
            return _charge(intent)


def _decline(told: stripe.StripeObject | None) -> PaymentDeclinedError:
    # docs.stripe.com/declines/codes; whatever else the bank says is a no as well.
    if told is not None and told.to_dict().get("decline_code") == "insufficient_funds":
        return InsufficientFundsError()
    return PaymentDeclinedError()


def _status(intent: PaymentIntent) -> ChargeStatus:
    status = _status_told(intent.status, intent.last_payment_error)
    if status is None:
        raise ProviderUnavailableError(f"the intent is {intent.status}: nothing is decided yet")
    return status


def _status_told(status: str, last_payment_error: object) -> ChargeStatus | None:
    """Translate a status; None while nothing is decided."""
    if status == "requires_payment_method" and last_payment_error:
        return ChargeStatus.DECLINED
    return _STATUSES.get(status)


def _order_of(told: Mapping[str, Any]) -> str | None:
    """Read which order something is about; None if it was not we who made it."""
    order_id: str | None = (told.get("metadata") or {}).get("order_id")
    return order_id


def _charge(intent: PaymentIntent) -> Charge:
    """Translate an intent that was asked for with its latest charge in it."""
    status = _status(intent)
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
        order_id=_order_of(told) or "",
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

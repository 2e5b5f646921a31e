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
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import stripe

from payments.model import (
    AlreadyCapturedError,
    CaptureRefusedError,
    PaymentDeclinedError,
    ProviderUnavailableError,
    RefundRefusedError,
)
from payments.ports import Charge, ChargeStatus, ProviderEvent
from payments.stripe_amounts import to_stripe
from payments.stripe_answers import (
    charge_of,
    decline_of,
    is_decided,
    is_failure,
    order_of,
    outcome_unknown,
    set_aside,
    status_of,
    status_told,
    was_answered_before,
)
from tradepost.contracts.webhook import RawMessage
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
    charges_again = False  # without a customer at Stripe a means of payment serves once

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
        with outcome_unknown("open"):
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
            raise decline_of(error.error) from error
        except stripe.InvalidRequestError as error:
            intent = self._read(reference)
            if status_of(intent) is ChargeStatus.OPENED:
                # A means of payment that is unknown, or that was used before: without a customer at
                # Stripe it serves once, and the error names no parameter. Others are our mistake.
                if error.param in (None, "payment_method"):
                    raise PaymentDeclinedError from error
                raise
        if was_answered_before(intent):
            intent = self._read(reference)
        return set_aside(intent)

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
        if status_of(intent) is not ChargeStatus.CAPTURED:
            raise ProviderUnavailableError("the capture failed, or goes on")

    def capture_part(self, key: str, *, reference: str, amount: Money, is_last: bool) -> None:  # noqa: ARG002
        # More than one capture of an intent is "multicapture", which Stripe allows some accounts:
        # the shop is not to be set up so (docs/payments.md).
        raise CaptureRefusedError(reference)

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
        if status_of(intent) is not ChargeStatus.VOIDED:
            raise ProviderUnavailableError("the void failed, or goes on")

    def refund(self, key: str, *, reference: str, amount: Money) -> None:
        refund = self._refund_sent(key, reference)
        if refund is None:
            try:
                with outcome_unknown("refund", reference):
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
        with outcome_unknown("refund", reference):
            page = self._refunds.list({"payment_intent": reference, "limit": _PAGE_MAX})
            for refund in page.auto_paging_iter():
                if refund.metadata is not None and refund.metadata.to_dict().get("key") == key:
                    return refund
        return None

    def charge(self, reference: str) -> Charge:
        """Read a charge. Raises UnknownChargeError, ProviderUnavailableError."""
        return charge_of(self._read(reference))

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
        with outcome_unknown("list"):
            listed = self._intents.list(wanted)
        # What is still being decided belongs to a later listing.
        told = [intent for intent in listed.data if is_decided(intent)]
        ours = [charge_of(intent) for intent in told if order_of(intent.to_dict())]
        return ours, listed.data[-1].id if listed.has_more else None

    def event(self, raw: RawMessage, *, now: datetime) -> ProviderEvent | None:
        """Tell what a webhook is about. Raises WebhookSignatureError."""
        self._verify(raw, now)
        event = json.loads(raw.body)
        about = event["data"]["object"]
        order_id = order_of(about)
        if order_id is None:
            return None
        match about["object"]:
            case "payment_intent":
                status = status_told(about["status"], about.get("last_payment_error"))
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
        with outcome_unknown("read", reference):
            return self._intents.retrieve(reference, {"expand": ["latest_charge"]})

    def _decided(
        self, operation: str, reference: str, ask: Callable[[], PaymentIntent]
    ) -> PaymentIntent:
        """Ask; where Stripe answers that it failed, return the intent as it is by now."""
        with outcome_unknown(operation, reference):
            try:
                return ask()
            except stripe.APIError as error:
                if not is_failure(error):
                    raise
        return self._read(reference)

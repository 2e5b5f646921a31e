"""What localstripe 1.15.10 does otherwise than Stripe, put right one cause at a time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from localstripe import resources, webhooks
from localstripe.errors import UserError
from localstripe.resources import Charge, Event, List, PaymentIntent, PaymentMethod, Refund

_AUTHORIZATION_SECONDS = 7 * 24 * 3600

# docs.stripe.com/testing. localstripe knows the first, and two that decline at other moments.
_CARDS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_threeDSecure2Required": "4000000000003220",
    "pm_card_threeDSecureRequiredChargeDeclined": "4000008400001629",
}
_DECLINES = {
    "4000000000000002": "generic_decline",
    "4000000000009995": "insufficient_funds",
    "4000008400001629": "generic_decline",
}

# Where the customer of the emulator is sent to confirm; set when it listens.
site = SimpleNamespace(url="")


class StripeError(UserError):
    """localstripe calls every error an `invalid_request_error`."""

    def __init__(self, status: int, kind: str, code: str, message: str, **more: Any) -> None:
        super().__init__(status, message, {"code": code, **more})
        self.body["error"]["type"] = kind


def install() -> None:
    """Put everything right. To be called before `localstripe.server` is imported."""
    _keep_the_store_in_memory()
    _deliver_webhooks_at_once()
    _know_the_test_cards()
    _tell_amounts()
    _tell_events()
    _decline_as_a_card_does()
    _limit_the_means_of_payment()
    _confirm_with_a_payment_method()
    _refuse_in_the_wrong_state()
    _refund_no_more_than_captured()
    _list_by_creation()


def _keep_the_store_in_memory() -> None:
    # It is written to one file in /tmp at every change, and shared by all that run.
    resources.Store.dump_to_disk = lambda self: None


def _deliver_webhooks_at_once() -> None:
    # They are held back for a second, so that tests wait for each.
    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    webhooks.asyncio = SimpleNamespace(sleep=at_once, ensure_future=asyncio.ensure_future)


def _know_the_test_cards() -> None:
    def test_card(cls: type, name: str) -> PaymentMethod | None:
        if name not in _CARDS:
            return None
        card = {"number": _CARDS[name], "exp_month": "12", "exp_year": "2034", "cvc": "123"}
        return PaymentMethod(type="card", card=card)

    PaymentMethod._try_get_canonical_test_article = classmethod(test_card)
    PaymentMethod._charging_is_declined = lambda self: self._card_number in _DECLINES


def _tell_amounts() -> None:
    """Stripe tells what was captured and until when; what a capture leaves is no refund.

    docs.stripe.com/changelog/basil/2025-03-31, "Partially capturing or canceling payments no
    longer creates a Refund".
    """
    make = Charge.__init__

    def init(self: Charge, **details: Any) -> None:
        make(self, **details)
        lapses_at = self.created + _AUTHORIZATION_SECONDS
        self.amount_captured = self.amount if self.captured else 0
        self.payment_method_details = {"type": "card", "card": {"capture_before": lapses_at}}

    def capture(self: Charge, amount: Any, on_success: Any = None) -> None:
        part = int(amount or self.amount)
        if not 0 < part <= self.amount:
            raise StripeError(
                400, "invalid_request_error", "amount_too_large", "This is not what was authorized."
            )
        self.captured, self.amount_captured = True, part
        self._trigger_payment(on_success=on_success)

    Charge.__init__ = init
    Charge._capture = capture
    PaymentIntent.amount_received = property(
        lambda self: self.latest_charge.amount_captured if self.latest_charge else 0
    )
    PaymentIntent.amount_capturable = property(
        lambda self: self.amount if self.status == "requires_capture" else 0
    )


def _tell_events() -> None:
    """localstripe tells of successes and failures alone (docs.stripe.com/api/events/types)."""
    make_charge, cancel, make_refund = (
        PaymentIntent._create_charge,
        PaymentIntent._api_cancel.__func__,
        Refund.__init__,
    )

    def create_charge(self: PaymentIntent, on_failure_now: Any) -> None:
        make_charge(self, on_failure_now)
        self.latest_charge.metadata = dict(self.metadata)
        if self.status == "requires_capture":
            webhooks.schedule_webhook(Event("payment_intent.amount_capturable_updated", self))

    def cancel_and_tell(cls: type, **details: Any) -> PaymentIntent:
        intent = cancel(cls, **details)
        webhooks.schedule_webhook(Event("payment_intent.canceled", intent))
        return intent

    def refund_and_tell(self: Refund, **details: Any) -> None:
        make_refund(self, **details)
        webhooks.schedule_webhook(Event("charge.refunded", Charge._api_retrieve(self.charge)))

    PaymentIntent._create_charge = create_charge
    PaymentIntent._api_cancel = classmethod(cancel_and_tell)
    Refund.__init__ = refund_and_tell


def _decline_as_a_card_does() -> None:
    """docs.stripe.com/error-handling, "Payment errors"."""

    def raise_failure(self: Charge) -> None:
        raise StripeError(
            402,
            "card_error",
            "card_declined",
            "Your card was declined.",
            decline_code=_decline_code(self),
            charge=self.id,
        )

    def last_payment_error(self: PaymentIntent) -> dict[str, Any] | None:
        if self._authentication_failed:
            return {"type": "card_error", "code": "payment_intent_authentication_failure"}
        if self.latest_charge is None or self.latest_charge.status != "failed":
            return None
        return {
            "type": "card_error",
            "code": "card_declined",
            "decline_code": _decline_code(self.latest_charge),
            "charge": self.latest_charge.id,
        }

    Charge._raise_failure = raise_failure
    PaymentIntent.last_payment_error = property(last_payment_error)


def _decline_code(charge: Charge) -> str:
    return _DECLINES[PaymentMethod._api_retrieve(charge.payment_method)._card_number]


def _limit_the_means_of_payment() -> None:
    """docs.stripe.com/changelog/endive, "Removes the payment method types parameter"."""
    create = PaymentIntent._api_create.__func__

    def create_for_some(
        cls: type,
        allowed_payment_method_types: list[str] | None = None,
        payment_method_types: list[str] | None = None,
        **details: Any,
    ) -> PaymentIntent:
        if payment_method_types is not None:
            raise StripeError(
                400,
                "invalid_request_error",
                "payment_method_types_no_longer_supported",
                "payment_method_types is no longer supported",
            )
        intent = create(cls, **details)
        intent.payment_method_types = allowed_payment_method_types or ["card", "link"]
        return intent

    PaymentIntent._api_create = classmethod(create_for_some)


def _confirm_with_a_payment_method() -> None:
    """localstripe takes the means of payment at creation only, and no address to return to."""

    def confirm(
        cls: type,
        payment_method: str | None = None,
        return_url: str | None = None,
        **details: Any,
    ) -> PaymentIntent:
        intent = PaymentIntent._api_retrieve(details.pop("id"))
        _expect_nothing(details)
        _require(intent, "confirm", "requires_payment_method", "requires_confirmation")
        if payment_method is not None:
            _require_usable(payment_method)
            intent.payment_method, intent.latest_charge = payment_method, None
        intent._confirm(on_failure_now=intent._report_failure)
        if intent.status == "requires_action" and return_url is not None:
            # docs.stripe.com/payments/3d-secure, "Use a redirect".
            intent._return_url = return_url
            intent.next_action = {
                "type": "redirect_to_url",
                "redirect_to_url": {
                    "url": f"{site.url}/_config/bank/{intent.id}",
                    "return_url": return_url,
                },
            }
            webhooks.schedule_webhook(Event("payment_intent.requires_action", intent))
        return intent

    _replace_route("/v1/payment_intents/{id}/confirm", classmethod(confirm))


def authenticate(intent: PaymentIntent, success: bool) -> None:
    """Do what the customer's bank does; a failure is told as one."""
    try:
        PaymentIntent._api_authenticate(intent.id, intent.client_secret, success)
    except UserError:
        # It was declined after all, as the webhook tells, or cancelled meanwhile.
        return
    if not success:
        webhooks.schedule_webhook(Event("payment_intent.payment_failed", intent))


def _refuse_in_the_wrong_state() -> None:
    """localstripe captures what was cancelled, and names no code."""
    cancel, capture = PaymentIntent._api_cancel.__func__, PaymentIntent._api_capture.__func__

    def cancel_if_possible(cls: type, **details: Any) -> PaymentIntent:
        _require(
            PaymentIntent._api_retrieve(details["id"]),
            "cancel",
            "requires_payment_method",
            "requires_capture",
            "requires_confirmation",
            "requires_action",
        )
        return cancel(cls, **details)

    def capture_if_possible(cls: type, **details: Any) -> PaymentIntent:
        _require(PaymentIntent._api_retrieve(details["id"]), "capture", "requires_capture")
        return capture(cls, **details)

    _replace_route("/v1/payment_intents/{id}/cancel", classmethod(cancel_if_possible))
    _replace_route("/v1/payment_intents/{id}/capture", classmethod(capture_if_possible))


def _refund_no_more_than_captured() -> None:
    make = Refund.__init__

    def init(
        self: Refund,
        charge: str | None = None,
        payment_intent: str | None = None,
        amount: Any = None,
        **details: Any,
    ) -> None:
        if payment_intent is not None:
            latest = PaymentIntent._api_retrieve(payment_intent).latest_charge
            if latest is None or not latest.captured:
                raise StripeError(
                    400,
                    "invalid_request_error",
                    "payment_intent_unexpected_state",
                    "This PaymentIntent does not have a successful charge to refund.",
                )
            left = latest.amount_captured - latest.amount_refunded
            if int(amount or left) > left:
                raise StripeError(
                    400,
                    "invalid_request_error",
                    "charge_already_refunded" if left == 0 else "amount_too_large",
                    "Refund amount is greater than unrefunded amount on charge",
                )
        make(self, charge=charge, payment_intent=payment_intent, amount=amount, **details)

    Refund.__init__ = init


def _list_by_creation() -> None:
    """localstripe lists intents in any order, and not by when they were made."""

    def list_all(
        _cls: type,
        url: str,
        limit: Any = None,
        starting_after: str | None = None,
        created: dict[str, str] | None = None,
    ) -> List:
        listed = List(url, limit=limit, starting_after=starting_after)
        holds = {
            "gt": int.__gt__,
            "gte": int.__ge__,
            "lt": int.__lt__,
            "lte": int.__le__,
        }
        listed._list = [
            intent
            for key, intent in reversed(resources.store.items())
            if key.startswith("payment_intent:")
            and all(holds[name](intent.created, int(at)) for name, at in (created or {}).items())
        ]
        return listed

    PaymentIntent._api_list_all = classmethod(list_all)


def _require(intent: PaymentIntent, verb: str, *statuses: str) -> None:
    # docs.stripe.com/error-codes#payment-intent-unexpected-state
    if intent.status not in statuses:
        raise StripeError(
            400,
            "invalid_request_error",
            "payment_intent_unexpected_state",
            f"You cannot {verb} this PaymentIntent because it has a status of {intent.status}.",
        )


def _require_usable(payment_method: str) -> None:
    """A means of payment without a customer serves once; test cards are made anew each time."""
    try:
        method = PaymentMethod._api_retrieve(payment_method)
    except UserError as error:
        raise StripeError(
            400,
            "invalid_request_error",
            "resource_missing",
            f"No such PaymentMethod: '{payment_method}'",
            param="payment_method",
        ) from error
    if getattr(method, "_was_used", False):
        raise UserError(400, "The provided PaymentMethod was previously used with a PaymentIntent.")
    method._was_used = True


def _expect_nothing(parameters: dict[str, Any]) -> None:
    if parameters:
        raise UserError(400, f"Received unknown parameters: {', '.join(parameters)}")


def _replace_route(url: str, function: Any) -> None:
    """The routes hold the methods as they were when `resources` was imported."""
    bound = function.__get__(None, PaymentIntent)
    resources.extra_apis[:] = [
        (method, path, bound if path == url else handler)
        for method, path, handler in resources.extra_apis
    ]

"""Stripe under the providers' contract: the adapter, and the emulator over the wire."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import stripe

from payments.ports import Charge, PaymentProvider
from payments.stripe import StripeProvider, client_of
from tests.stripe_emulator.running import API_KEY, Emulator, running
from tradepost.platform.arguments import RawRequest

_numbers = itertools.count(1)


class StripeDesk:
    """Satisfies `desks.Desk`. The means of payment are Stripe's own for tests."""

    approved = "pm_card_visa"
    declined = "pm_card_visa_chargeDeclined"
    without_funds = "pm_card_visa_chargeDeclinedInsufficientFunds"
    to_be_confirmed = "pm_card_threeDSecure2Required"
    never_confirmed = "pm_card_threeDSecureRequiredChargeDeclined"

    def __init__(self, emulator: Emulator, secrets: list[str]) -> None:
        self.secrets = secrets
        self._emulator = emulator
        self.provider: PaymentProvider = StripeProvider(
            client_of(API_KEY, emulator.url),
            secrets=lambda: secrets,
            return_url="https://shop.example/paid",
        )

    def one_card(self) -> str:
        card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
        made = self._emulator.http.post("/v1/payment_methods", json={"type": "card", "card": card})
        return str(made.json()["id"])

    def confirms(self, charge: Charge, *, approves: bool) -> None:
        assert charge.action_url is not None
        self._emulator.customer_answers(charge.action_url, success=approves)

    def webhook(self, charge: Charge, secret: str, at: datetime) -> RawRequest:
        intent = self._emulator.http.get(f"/v1/payment_intents/{charge.reference}").json()
        event = {"id": f"evt_{next(_numbers)}", "object": "event", "data": {"object": intent}}
        body = json.dumps(event)
        signature = stripe.WebhookSignature.generate_signature_header(
            body, secret, timestamp=int(at.timestamp())
        )
        return RawRequest(body.encode(), {"stripe-signature": signature})


@contextmanager
def emulated(secrets: list[str]) -> Iterator[StripeDesk]:
    with running() as emulator:
        yield StripeDesk(emulator, secrets)

"""The providers under contract: each with what a test needs to stand on the other side of it.

Another provider joins by a class with these members and a line in `DESKS`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Protocol

from payments.ports import Charge, ChargeStatus, PaymentProvider
from payments.simulator import SimulatedProvider, WebhookBody
from tests.integration.payments import stripe_desk
from tests.integration.tables import tables
from tradepost.kernel.money import Money
from tradepost.platform.arguments import RawRequest
from tradepost.platform.webhooks import signed_headers

# Base64, as standardwebhooks.com wants a secret.
SECRET, NEXT_SECRET, STRANGERS_SECRET = ("x" * 64, "y" * 64, "z" * 64)

_numbers = itertools.count(1)


class Desk(Protocol):
    """A provider, and the hands of those it deals with besides us."""

    provider: PaymentProvider
    secrets: list[str]  # believed in a webhook's signature; a test may change them

    # Means of payment, by how the bank treats them.
    approved: str
    declined: str
    without_funds: str
    to_be_confirmed: str
    never_confirmed: str  # asks for the confirmation, and refuses whatever it is

    def one_card(self) -> str:
        """Make a means of payment as a customer's browser does, which its bank approves."""

    def confirms(self, charge: Charge, *, approves: bool) -> None:
        """Answer the bank as the customer."""

    def webhook(self, charge: Charge, secret: str, at: datetime) -> RawRequest:
        """Make the request by which the provider would tell of a charge as it is."""


class SimulatedDesk:
    approved = "pm_card_ok"
    declined = "pm_card_declined"
    without_funds = "pm_card_insufficient_funds"
    to_be_confirmed = "pm_3ds"
    never_confirmed = "pm_3ds_refused"

    def __init__(self, provider: SimulatedProvider, secrets: list[str]) -> None:
        self.provider: PaymentProvider = provider
        self.secrets = secrets
        self._simulator = provider

    def one_card(self) -> str:
        return self.approved

    def confirms(self, charge: Charge, *, approves: bool) -> None:
        self._simulator.confirm(charge.reference, approves=approves)

    def webhook(self, charge: Charge, secret: str, at: datetime) -> RawRequest:
        body = WebhookBody(
            type="charge.changed",
            reference=charge.reference,
            order_id=charge.order_id,
            status=charge.status,
            refunded_minor=charge.refunded.amount_minor,
        ).model_dump_json()
        return RawRequest(
            body.encode(), signed_headers(secret, f"msg_{next(_numbers)}", body, at=at)
        )


@contextmanager
def simulated() -> Iterator[Desk]:
    secrets = [SECRET]
    with tables("simulators") as client:
        provider = SimulatedProvider(client, "simulators", secrets=lambda: secrets)
        yield SimulatedDesk(provider, secrets)


@contextmanager
def stripe_emulated() -> Iterator[Desk]:
    with stripe_desk.emulated([SECRET]) as desk:
        yield desk


DESKS: dict[str, Callable[[], AbstractContextManager[Desk]]] = {
    "simulator": simulated,
    "stripe": stripe_emulated,
}


def an_order() -> str:
    """Make the id of an order that no provider has seen."""
    return f"ord_{next(_numbers):026d}"


def gbp(amount_minor: int) -> Money:
    return Money(amount_minor, "GBP")


__all__ = ["DESKS", "ChargeStatus", "Desk", "an_order", "gbp"]

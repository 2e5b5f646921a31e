"""Orders of 100.00 GBP, paid with some card at the simulated provider, at a chosen time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from infra.local.corrections import dynamodb_indexes
from payments import use_cases
from payments.dynamodb import DynamoDBPayments
from payments.model import Payment, Refund
from payments.ports import Charge, ProviderEvent
from payments.simulator import SimulatedProvider
from payments.use_cases import Heard
from payments.use_cases.watching import look_after
from tests.integration.tables import tables
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import from_item

PRICE = Money(10_000, "GBP")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Orders:
    """Satisfies `ports.Orders`."""

    unwanted: set[str] = field(default_factory=set)

    def want_money(self, order_id: str) -> bool:
        return order_id not in self.unwanted


@dataclass
class Till:
    """What payments does for one order, and both books about it."""

    client: Any
    payments: Any  # the repository and the provider, or what stands before them
    provider: Any
    moment: list[datetime]
    orders: Orders = field(default_factory=Orders)
    order_id: str = "ord_1"

    def is_emptied(self) -> None:
        """Forget all orders, and begin the day anew."""
        self.moment[0] = NOON
        self.orders.unwanted.clear()
        for table in dynamodb_backends[ACCOUNT_ID]["eu-west-1"].tables.values():
            table.items.clear()
            dynamodb_indexes.forget(table)

    def of(self, order_id: str) -> Till:
        """Turn to another order."""
        return replace(self, order_id=order_id)

    def now(self) -> datetime:
        return self.moment[0]

    def passes(self, **time: float) -> None:
        self.moment[0] += timedelta(**time)

    def authorizes(self, method: str = "pm_card_ok") -> Payment:
        return use_cases.authorize_payment(
            self.order_id,
            PRICE,
            method,
            customer_id="gst_1",
            correlation_id="cor_1",
            payments=self.payments,
            provider=self.provider,
            now=self.now,
        )

    def authorizes_supplement(
        self, edit: int, amount_minor: int = 4_000, method: str | None = None
    ) -> Payment:
        return use_cases.authorize_supplement(
            self.order_id, edit, Money(amount_minor, "GBP"), method, **self._means()
        )

    def captures_supplement(self, edit: int) -> Payment:
        return use_cases.capture_payment(self.order_id, edit=edit, **self._means())

    def takes_supplement(self, edit: int, amount_minor: int = 4_000) -> None:
        self.authorizes_supplement(edit, amount_minor)
        self.captures_supplement(edit)

    def voids_supplement(self, edit: int) -> None:
        use_cases.void_payment(
            self.order_id, edit=edit, currency="GBP", correlation_id="cor_1", **self._means()
        )

    def voids_all(self, edit: int = 0) -> None:
        use_cases.void_payments(
            self.order_id, edit=edit, currency="GBP", correlation_id="cor_1", **self._means()
        )

    def captures(self, amount_minor: int | None = None) -> Payment:
        return use_cases.capture_payment(self.order_id, amount_minor=amount_minor, **self._means())

    def captures_part(self, part_id: str, amount_minor: int | None = None) -> Payment:
        return use_cases.capture_part(
            self.order_id, part_id, amount_minor=amount_minor, **self._means()
        )

    def leaves_authorized(self) -> Payment:
        return use_cases.leave_authorized(self.order_id, **self._means())

    def takes_payment(self, method: str = "pm_card_ok", amount_minor: int | None = None) -> None:
        self.authorizes(method)
        self.captures(amount_minor)

    def voids(self) -> None:
        use_cases.void_payment(
            self.order_id, currency="GBP", correlation_id="cor_1", **self._means()
        )

    def refunds(self, amount_minor: int, reference: str, currency: str = "GBP") -> Refund:
        return use_cases.refund_payment(
            self.order_id,
            Money(amount_minor, currency),
            reason="test",
            reference=reference,
            **self._means(),
        )

    def hears(self, charge: Charge | None = None) -> Heard:
        """Take in the webhook that told of a charge as it was, or tells of it as it is."""
        return use_cases.hear_provider(event_of(charge or self.charge()), **self._means())

    def settles(self) -> Payment:
        return use_cases.settle_payment(self.order_id, **self._means())

    def completes_confirmation(self, customer_id: str = "gst_1") -> Payment:
        return use_cases.complete_confirmation(
            self.order_id, customer_id=customer_id, **self._means()
        )

    def is_looked_after(self, edit: int = 0) -> None:
        look_after(self.order_id, edit=edit, orders=self.orders, **self._means())

    def watches(self) -> dict[str, str]:
        return use_cases.watch_authorizations(orders=self.orders, **self._means())

    def settles_refunds(self) -> dict[str, str]:
        return use_cases.settle_refunds(**self._means())

    def customer_confirms(self, *, approves: bool = True) -> Charge:
        charge: Charge = self.provider.confirm(self.payment().provider_reference, approves=approves)
        return charge

    def payment(self, edit: int = 0) -> Payment:
        payment: Payment | None = self.payments.get(self.order_id, edit)
        assert payment is not None
        return payment

    def charge(self, reference: str | None = None, *, edit: int = 0) -> Charge:
        charge: Charge = self.provider.charge(reference or self.payment(edit).provider_reference)
        return charge

    def ledger_minor(self) -> int:
        """Sum what the ledger says the provider owes us."""
        return sum(
            leg.amount_minor
            for entry in self.payments.entries(self.order_id)
            for leg in entry.legs
            if leg.account == "provider_receivable"
        )

    def told(self) -> list[str]:
        """List the types of the events that wait to be published, as they happened."""
        answer = self.client.query(
            TableName="payments",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :outbox)",
            ExpressionAttributeValues={
                ":pk": {"S": f"PAYMENT#{self.order_id}"},
                ":outbox": {"S": "OUTBOX#"},
            },
        )
        events = [json.loads(from_item(item)["body"]) for item in answer["Items"]]
        return [event["type"] for event in sorted(events, key=lambda event: event["version"])]

    def _means(self) -> dict[str, Any]:
        return {"payments": self.payments, "provider": self.provider, "now": self.now}


def event_of(charge: Charge) -> ProviderEvent:
    """Make what the provider's webhook about a charge comes to."""
    refunded_minor = charge.refunded.amount_minor
    event_id = f"{charge.reference}:{charge.status}:{refunded_minor}"
    return ProviderEvent(event_id, charge.reference, charge.order_id, charge.status, refunded_minor)


@contextmanager
def opened_till() -> Iterator[Till]:
    moment = [NOON]
    with tables("payments", "simulators") as client:
        yield Till(
            client,
            DynamoDBPayments(client, "payments"),
            SimulatedProvider(
                client, "simulators", now=lambda: moment[0], pause=lambda _seconds: None
            ),
            moment,
        )

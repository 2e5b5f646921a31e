"""The undo of a payment: whatever became of the money, it goes back, and all books say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from payments import use_cases
from payments.dynamodb import DynamoDBPayments
from payments.model import CaptureRefusedError, PaymentStatus
from payments.ports import ProviderKeys
from payments.simulator import SimulatedProvider
from tests.integration.tables import tables
from tradepost.kernel.clock import utc_now
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import from_item

KEYS = ProviderKeys("ord_1")
PRICE = Money(2500, "GBP")


@pytest.fixture
def client() -> Iterator[Any]:
    with tables("payments", "simulators") as dynamodb:
        yield dynamodb


@pytest.fixture
def payments(client: Any) -> DynamoDBPayments:
    return DynamoDBPayments(client, "payments")


@pytest.fixture
def provider(client: Any) -> SimulatedProvider:
    return SimulatedProvider(client, "simulators")


@pytest.fixture
def authorized(payments: DynamoDBPayments, provider: SimulatedProvider) -> None:
    use_cases.authorize_payment(
        "ord_1",
        PRICE,
        "pm_card_ok",
        correlation_id="cor_1",
        payments=payments,
        provider=provider,
    )


def captures(payments: DynamoDBPayments, provider: SimulatedProvider) -> None:
    use_cases.capture_payment("ord_1", payments=payments, provider=provider, now=utc_now)


def captures_and_is_not_heard(provider: SimulatedProvider) -> None:
    reference = derived_id("sim", KEYS.authorize)
    provider.capture(KEYS.capture, reference=reference, amount=PRICE)


def undo(payments: DynamoDBPayments, provider: SimulatedProvider) -> None:
    use_cases.void_payment(
        "ord_1",
        currency="GBP",
        correlation_id="cor_1",
        payments=payments,
        provider=provider,
        now=utc_now,
    )


def charge(client: Any) -> tuple[str, int, int]:
    """Tell the provider's status of the charge, what it captured and what it refunded."""
    key = {"pk": {"S": f"CHARGE#{derived_id('sim', KEYS.authorize)}"}, "sk": {"S": "CHARGE"}}
    item = from_item(client.get_item(TableName="simulators", Key=key)["Item"])
    return item["status"], item["captured_minor"], item["refunded_minor"]


def receivable(payments: DynamoDBPayments) -> int:
    legs = [leg for entry in payments.entries("ord_1") for leg in entry.legs]
    return sum(leg.amount_minor for leg in legs if leg.account == "provider_receivable")


@pytest.mark.usefixtures("authorized")
def test_a_capture_that_only_the_provider_knows_of_is_refunded(
    client: Any, payments: DynamoDBPayments, provider: SimulatedProvider
) -> None:
    captures_and_is_not_heard(provider)

    for _ in range(2):
        undo(payments, provider)

    payment = payments.get("ord_1")
    assert payment is not None
    assert (payment.status, payment.refunded) == (PaymentStatus.REFUNDED, PRICE)
    assert charge(client) == ("CAPTURED", 2500, 2500)
    assert receivable(payments) == 0


@pytest.mark.usefixtures("authorized")
def test_a_capture_overtaken_by_its_undo_is_refused(
    client: Any, payments: DynamoDBPayments, provider: SimulatedProvider
) -> None:
    undo(payments, provider)

    with pytest.raises(CaptureRefusedError):
        captures(payments, provider)
    with pytest.raises(CaptureRefusedError):
        captures_and_is_not_heard(provider)

    assert charge(client) == ("VOIDED", 0, 0)

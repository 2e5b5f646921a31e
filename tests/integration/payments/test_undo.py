"""The undo of a payment: whatever became of the money, it goes back, and all books say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from payments import use_cases
from payments.dynamodb import DynamoDBPayments
from payments.model import (
    CaptureRefusedError,
    PaymentStatus,
    Refund,
    RefundRefusedError,
    RefundStatus,
)
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
        customer_id="gst_1",
        correlation_id="cor_1",
        payments=payments,
        provider=provider,
        now=utc_now,
    )


def captures(payments: DynamoDBPayments, provider: SimulatedProvider) -> None:
    use_cases.capture_payment("ord_1", payments=payments, provider=provider, now=utc_now)


def captures_and_is_not_heard(provider: SimulatedProvider) -> None:
    reference = derived_id("sim", KEYS.open)
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
    key = {"pk": {"S": f"CHARGE#{derived_id('sim', KEYS.open)}"}, "sk": {"S": "CHARGE"}}
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


def promises(payments: DynamoDBPayments, reference: str, amount_minor: int) -> Refund:
    """Leave a refund as a crash between its promise and its sending does."""
    refund_id = derived_id("rfd", "ord_1", reference)
    amount = Money(amount_minor, "GBP")
    (refund,) = payments.promise_refunds(
        [Refund(refund_id, "ord_1", amount, "broken", RefundStatus.PENDING, utc_now())]
    )
    return refund


@pytest.mark.usefixtures("authorized")
def test_a_refund_that_a_crash_left_pending_is_finished_by_the_undo(
    client: Any, payments: DynamoDBPayments, provider: SimulatedProvider
) -> None:
    captures(payments, provider)
    promises(payments, "staff:key-1", 500)

    for _ in range(2):
        undo(payments, provider)

    sent = [(refund.amount.amount_minor, refund.status) for refund in payments.refunds("ord_1")]
    assert sorted(sent) == [(500, RefundStatus.SUCCEEDED), (2000, RefundStatus.SUCCEEDED)]
    assert charge(client) == ("CAPTURED", 2500, 2500)
    assert receivable(payments) == 0


@pytest.mark.usefixtures("authorized")
def test_an_undo_that_broke_off_is_finished_with_the_refund_it_began(
    client: Any, payments: DynamoDBPayments, provider: SimulatedProvider
) -> None:
    captures(payments, provider)
    promises(payments, "undo#0", 2500)

    undo(payments, provider)

    assert [refund.status for refund in payments.refunds("ord_1")] == [RefundStatus.SUCCEEDED]
    assert charge(client) == ("CAPTURED", 2500, 2500)


@pytest.mark.usefixtures("authorized")
def test_what_a_refusal_put_back_after_the_undo_goes_back_with_the_next(
    client: Any, payments: DynamoDBPayments, provider: SimulatedProvider
) -> None:
    captures(payments, provider)
    of_staff = promises(payments, "staff:key-1", 500)
    refunded(payments, provider, 2000, "undo#0")
    payments.withdraw_refund(of_staff)

    undo(payments, provider)

    assert charge(client) == ("CAPTURED", 2500, 2500)
    assert receivable(payments) == 0


def refunded(
    payments: DynamoDBPayments, provider: SimulatedProvider, amount_minor: int, reference: str
) -> Refund:
    return use_cases.refund_payment(
        "ord_1",
        Money(amount_minor, "GBP"),
        reason="asked",
        reference=reference,
        payments=payments,
        provider=provider,
        now=utc_now,
    )


@pytest.mark.usefixtures("authorized")
def test_each_event_of_a_payment_has_a_version_of_its_own(
    client: Any, payments: DynamoDBPayments, provider: SimulatedProvider
) -> None:
    captures(payments, provider)
    for number in range(3):
        refunded(payments, provider, 500, f"staff:key-{number}")

    answer = client.query(
        TableName="payments",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :outbox)",
        ExpressionAttributeValues={":pk": {"S": "PAYMENT#ord_1"}, ":outbox": {"S": "OUTBOX#"}},
    )
    events = [json.loads(from_item(item)["body"]) for item in answer["Items"]]
    assert sorted((event["version"], event.get("refunded_minor", 0)) for event in events) == [
        (3, 0),
        (4, 500),
        (5, 1000),
        (6, 1500),
    ]


def test_a_refused_refund_of_the_undo_is_said_each_time_and_keeps_the_books(
    client: Any, payments: DynamoDBPayments, provider: SimulatedProvider
) -> None:
    use_cases.authorize_payment(
        "ord_1",
        PRICE,
        "pm_refund_refused",
        customer_id="gst_1",
        correlation_id="cor_1",
        payments=payments,
        provider=provider,
        now=utc_now,
    )
    captures(payments, provider)

    for _ in range(2):
        with pytest.raises(RefundRefusedError):
            undo(payments, provider)

    assert charge(client) == ("CAPTURED", 2500, 0)
    assert receivable(payments) == 2500

"""What the reconciliation reads and mends: each fault is planted, and healed without harm."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from payments import facts, use_cases
from payments.model import ChargeInUseError, ChargeMismatchError, PaymentStatus, UnknownChargeError
from payments.ports import ChargeStatus
from tests.integration.payments.test_watching import promises
from tests.integration.payments.till import PRICE, Till
from tradepost.kernel.money import Money


def told(till: Till) -> dict[str, Any]:
    return facts.told(
        till.order_id,
        use_cases.payment_facts(till.order_id, payments=till.payments, provider=till.provider),
    )


def repairs(till: Till) -> None:
    use_cases.repair_payments(
        till.order_id, payments=till.payments, provider=till.provider, now=till.now
    )


def frees(till: Till, reference: str) -> None:
    use_cases.free_stray_charge(reference, payments=till.payments, provider=till.provider)


def test_the_facts_of_a_payment_are_each_books_own(till: Till) -> None:
    till.takes_payment()
    till.refunds(2_500, "r1")
    promises(till, "rfd_2", 1_000)

    found = told(till)

    assert found["payment"] == {
        "status": "CAPTURED",
        "reference": till.payment().provider_reference,
        "attempt": 1,
        "currency": "GBP",
        "amount_minor": 10_000,
        "authorized_minor": 10_000,
        "captured_minor": 10_000,
        "refunded_minor": 2_500,
        "promised_minor": 1_000,
        "version": 4,
    }
    assert found["ledger"] == {"captured_minor": 10_000, "refunded_minor": 2_500}
    assert sorted(refund["status"] for refund in found["refunds"]) == ["PENDING", "SUCCEEDED"]
    assert found["charge"]["captured_minor"] == 10_000
    assert found["charge"]["refunded_minor"] == 2_500


def test_an_order_without_a_payment_has_no_facts(till: Till) -> None:
    assert told(till) == {
        "order_id": "ord_1",
        "payment": None,
        "ledger": {"captured_minor": 0, "refunded_minor": 0},
        "refunds": [],
        "charge": None,
        "supplements": [],
    }


def test_a_payment_whose_charge_the_provider_does_not_know_says_so(till: Till) -> None:
    till.authorizes()
    till.client.delete_item(
        TableName="simulators",
        Key={
            "pk": {"S": f"CHARGE#{till.payment().provider_reference}"},
            "sk": {"S": "CHARGE"},
        },
    )

    assert told(till)["charge"] is None
    with pytest.raises(UnknownChargeError):
        repairs(till)


def test_the_charges_of_a_day_are_told_page_by_page_each_once(till: Till) -> None:
    day = till.now()
    orders = [f"ord_{number}" for number in range(230)]
    for order_id in orders:
        till.provider.open(f"open#{order_id}", order_id=order_id, amount=PRICE)
        till.passes(minutes=10)

    listed, after = [], None
    while True:
        page, after = till.provider.charges_between(day, day + timedelta(days=2), after)
        listed += page
        assert len(page) <= 100
        if after is None:
            break

    assert [charge.order_id for charge in listed] == orders


def test_a_payment_captured_and_unknown_to_our_book_is_entered(till: Till) -> None:
    till.authorizes()
    reference = till.payment().provider_reference
    till.provider.capture("unheard", reference=reference, amount=PRICE)
    before = told(till)

    for _ in range(2):
        repairs(till)

    assert (before["payment"]["captured_minor"], before["charge"]["captured_minor"]) == (0, 10_000)
    assert till.payment().status is PaymentStatus.CAPTURED
    assert till.ledger_minor() == 10_000
    assert till.told() == ["payment.captured.v1"]


def test_a_confirmation_whose_webhook_was_dropped_is_entered(till: Till) -> None:
    till.authorizes("pm_3ds_webhook_lost")
    till.customer_confirms()

    for _ in range(2):
        repairs(till)

    assert till.payment().status is PaymentStatus.AUTHORIZED
    assert till.told() == ["payment.authorized.v1"]


def test_a_promised_refund_is_sent(till: Till) -> None:
    till.takes_payment()
    promises(till, "rfd_1", 2_500)

    for _ in range(2):
        repairs(till)

    assert till.charge().refunded == Money(2_500, "GBP")
    assert till.payment().refunded == Money(2_500, "GBP")


def test_books_that_agree_are_left_alone(till: Till) -> None:
    till.takes_payment()
    till.refunds(2_500, "r1")
    before = told(till)

    repairs(till)

    assert told(till) == before


def test_what_only_a_person_can_tell_is_left_alone(till: Till) -> None:
    till.takes_payment()
    key = {"pk": {"S": f"CHARGE#{till.payment().provider_reference}"}, "sk": {"S": "CHARGE"}}
    till.client.update_item(
        TableName="simulators",
        Key=key,
        UpdateExpression="SET order_id = :other",
        ExpressionAttributeValues={":other": {"S": "ord_2"}},
    )
    before = told(till)

    with pytest.raises(ChargeMismatchError):
        repairs(till)

    assert told(till) == before


@pytest.mark.parametrize("captured", [False, True])
def test_a_charge_without_a_payment_is_given_back(till: Till, captured: bool) -> None:
    reference = till.provider.open("stray", order_id="ord_gone", amount=PRICE)
    till.provider.authorize("stray-a", reference=reference, method="pm_card_ok")
    if captured:
        till.provider.capture("stray-c", reference=reference, amount=PRICE)

    for _ in range(2):
        frees(till, reference)

    charge = till.charge(reference)
    assert charge.captured == charge.refunded
    assert charge.status is (ChargeStatus.CAPTURED if captured else ChargeStatus.VOIDED)


def test_a_charge_that_is_a_payments_is_not_given_back_as_a_stray_one(till: Till) -> None:
    till.takes_payment()

    with pytest.raises(ChargeInUseError):
        frees(till, till.payment().provider_reference)

    assert till.charge().refunded == Money(0, "GBP")

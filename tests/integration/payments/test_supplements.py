"""Supplements: what edits add to an order is charged beside it, and all of it can go back once."""

from __future__ import annotations

import contextlib
import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from payments import facts, use_cases
from payments.model import (
    CaptureRefusedError,
    ConfirmationRequiredError,
    DeclineReason,
    InsufficientFundsError,
    PaymentDeclinedError,
    PaymentMethodNeededError,
    PaymentNotFoundError,
    PaymentStatus,
    PaymentVoidedError,
    ProviderUnavailableError,
    RefundRefusedError,
    RefundStatus,
    RefundTooLargeError,
)
from payments.ports import ChargeStatus
from tests.integration.payments.calls import (
    DeadError,
    Fault,
    at_each_call,
    dies_after,
    dies_before,
)
from tests.integration.payments.till import Till
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import from_item

DEATHS = pytest.mark.parametrize("death", [dies_before, dies_after])


def events(till: Till) -> list[dict[str, Any]]:
    """Read what waits to be published about an order, in the order of its versions."""
    answer = till.client.query(
        TableName="payments",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :outbox)",
        ExpressionAttributeValues={
            ":pk": {"S": f"PAYMENT#{till.order_id}"},
            ":outbox": {"S": "OUTBOX#"},
        },
    )
    told = [json.loads(from_item(item)["body"]) for item in answer["Items"]]
    return sorted(told, key=lambda event: event["version"])


def kept(till: Till) -> tuple[int, int, int]:
    """Tell what the ledger, our payments and the provider say is kept, in minor units."""
    paid = till.payments.of_order(till.order_id)
    ours = sum(one.captured.amount_minor - one.refunded.amount_minor for one in paid)
    charges = [till.charge(one.provider_reference) for one in paid if one.provider_reference]
    theirs = sum(one.captured.amount_minor - one.refunded.amount_minor for one in charges)
    return till.ledger_minor(), ours, theirs


@pytest.fixture
def paid(till: Till) -> Till:
    """An order of 100.00 with a supplement of 40.00, both captured."""
    till.takes_payment()
    till.takes_supplement(2)
    return till


class TestCharging:
    def test_what_an_edit_adds_is_charged_once_beside_the_order(self, till: Till) -> None:
        till.takes_payment()

        for _ in range(2):
            till.takes_supplement(2)

        assert kept(till) == (14_000, 14_000, 14_000)
        assert till.payment().captured == Money(10_000, "GBP")
        assert till.payment(2).captured == Money(4_000, "GBP")
        assert till.charge(edit=2).order_id == till.order_id

    def test_each_event_of_an_orders_payments_has_a_version_of_its_own(self, paid: Till) -> None:
        paid.takes_supplement(3, 1_000)
        paid.refunds(12_000, "r1")

        told = events(paid)

        versions = [event["version"] for event in told]
        assert [event["type"].split(".")[1] for event in told] == [
            "captured",
            "captured",
            "captured",
            "refunded",
            "refunded",
        ]
        assert len(set(versions)) == len(versions)

    def test_a_means_of_payment_named_for_the_edit_is_the_one_asked(self, till: Till) -> None:
        till.takes_payment()

        with pytest.raises(InsufficientFundsError):
            till.authorizes_supplement(2, method="pm_card_insufficient_funds")

        assert till.payment(2).status is PaymentStatus.DECLINED
        assert kept(till) == (10_000, 10_000, 10_000)

    def test_a_declined_supplement_stays_declined_and_holds_nothing(self, till: Till) -> None:
        till.takes_payment()
        for _ in range(2):
            with pytest.raises(PaymentDeclinedError):
                till.authorizes_supplement(2, method="pm_card_declined")

        with pytest.raises(CaptureRefusedError):
            till.captures_supplement(2)

        assert kept(till) == (10_000, 10_000, 10_000)

    def test_a_supplement_its_customer_would_have_to_confirm_is_declined(self, till: Till) -> None:
        till.takes_payment()
        for _ in range(2):
            with pytest.raises(ConfirmationRequiredError):
                till.authorizes_supplement(2, method="pm_3ds")

        assert till.payment(2).declined is DeclineReason.CONFIRMATION_REQUIRED
        assert till.charge(edit=2).status is ChargeStatus.VOIDED

    def test_a_webhook_that_is_faster_than_that_refusal_changes_nothing_of_it(
        self, till: Till
    ) -> None:
        till.takes_payment()

        class Quick:
            """A provider whose webhook arrives before its answer."""

            def __getattr__(self, name: str) -> Any:
                return getattr(till.provider, name)

            def authorize(self, key: str, *, reference: str, method: str) -> Any:
                charge = till.provider.authorize(key, reference=reference, method=method)
                till.hears(charge)
                return charge

        with pytest.raises(ConfirmationRequiredError):
            replace(till, provider=Quick()).authorizes_supplement(2, method="pm_3ds")

        assert till.payment(2).declined is DeclineReason.CONFIRMATION_REQUIRED
        assert till.charge(edit=2).status is ChargeStatus.VOIDED

    def test_where_a_means_of_payment_serves_once_another_has_to_be_named(self, till: Till) -> None:
        till.takes_payment()

        class ServesOnce:
            charges_again = False

            def __getattr__(self, name: str) -> Any:
                return getattr(till.provider, name)

        once = replace(till, provider=ServesOnce())
        with pytest.raises(PaymentMethodNeededError):
            once.authorizes_supplement(2)
        once.authorizes_supplement(2, method="pm_card_ok")

        assert till.payment(2).status is PaymentStatus.AUTHORIZED

    def test_an_order_that_paid_nothing_has_no_supplement(self, till: Till) -> None:
        with pytest.raises(PaymentNotFoundError):
            till.authorizes_supplement(2)

    def test_a_webhook_about_a_supplement_finds_it(self, till: Till) -> None:
        till.takes_payment()
        till.authorizes_supplement(2)
        reference = till.payment(2).provider_reference
        till.provider.capture("elsewhere", reference=reference, amount=Money(4_000, "GBP"))

        till.hears(till.charge(edit=2))

        assert till.payment(2).status is PaymentStatus.CAPTURED
        assert kept(till) == (14_000, 14_000, 14_000)

    def test_a_supplement_about_to_lapse_is_made_anew_or_freed(self, till: Till) -> None:
        till.takes_payment()
        till.authorizes_supplement(2, method="pm_expires_soon")
        first = till.payment(2).provider_reference
        till.passes(minutes=45)

        assert till.watches() == {}
        assert (till.payment(2).attempt, till.charge(first).status) == (2, ChargeStatus.VOIDED)

        till.orders.unwanted.add(till.order_id)
        till.passes(minutes=45)
        till.watches()

        assert till.payment(2).status is PaymentStatus.VOIDED
        assert till.payment().status is PaymentStatus.CAPTURED


class TestGivingBack:
    def test_a_refund_larger_than_one_charge_is_spread_over_them_once(self, paid: Till) -> None:
        answers = [paid.refunds(12_500, "r1") for _ in range(2)]

        assert {(one.amount.amount_minor, one.status) for one in answers} == {
            (12_500, RefundStatus.SUCCEEDED)
        }
        assert kept(paid) == (1_500, 1_500, 1_500)
        assert [one.refundable.amount_minor for one in paid.payments.of_order("ord_1")] == [
            0,
            1_500,
        ]

    def test_what_went_back_in_all_is_told_with_each_refund(self, paid: Till) -> None:
        paid.refunds(9_000, "r1")
        paid.refunds(4_000, "r2")

        told = [event for event in events(paid) if event["type"] == "payment.refunded.v1"]

        assert [event["refunded_minor"] for event in told] == [9_000, 10_000, 13_000]

    def test_a_penny_more_than_both_have_is_refused_and_changes_nothing(self, paid: Till) -> None:
        paid.refunds(500, "r1")

        with pytest.raises(RefundTooLargeError) as refused:
            paid.refunds(13_501, "r2")

        assert refused.value.refundable_minor == 13_500
        assert kept(paid) == (13_500, 13_500, 13_500)

    def test_a_spread_refund_asked_for_again_when_nothing_is_left_is_found(
        self, paid: Till
    ) -> None:
        first = paid.refunds(14_000, "r1")

        again = paid.refunds(14_000, "r1")

        assert (first.refund_id, first.amount) == (again.refund_id, again.amount)
        with pytest.raises(IdempotencyMismatchError):
            paid.refunds(13_999, "r1")
        assert kept(paid) == (0, 0, 0)

    def test_fifty_refunds_at_once_over_two_charges_never_exceed_their_sum(
        self, paid: Till
    ) -> None:
        def refund(number: int) -> bool:
            for _ in range(3):
                try:
                    paid.refunds(700, f"r{number}")
                except RefundTooLargeError:
                    return False
                else:
                    return True
            raise AssertionError("it stayed stale")

        with ThreadPoolExecutor(16) as cashiers:
            granted = sum(cashiers.map(refund, range(50)))

        assert granted == 20
        assert kept(paid) == (0, 0, 0)
        told = [event for event in events(paid) if event["type"] == "payment.refunded.v1"]
        assert told[-1]["refunded_minor"] == 14_000
        assert len({event["version"] for event in told}) == len(told)

    @DEATHS
    def test_a_spread_refund_that_broke_off_anywhere_goes_back_once_by_itself(
        self, lasting_till: Till, death: Fault
    ) -> None:
        for harmed, till, _ in at_each_call(lasting_till.of(f"spread_{death.__name__}"), death):
            till.takes_payment()
            till.takes_supplement(2)
            with contextlib.suppress(DeadError):
                harmed.refunds(12_500, "r1")
            promised = bool(till.payments.refunds(till.order_id))
            till.passes(minutes=2)
            till.settles_refunds()

            left = 1_500 if promised else 14_000
            assert kept(till) == (left, left, left)
            till.refunds(12_500, "r1")
            assert kept(till) == (1_500, 1_500, 1_500)

    def test_a_part_that_the_provider_refuses_is_left_and_the_refund_says_so(
        self, till: Till
    ) -> None:
        till.takes_payment()
        till.authorizes_supplement(2, method="pm_refund_refused")
        till.captures_supplement(2)

        for _ in range(2):
            with pytest.raises(RefundRefusedError):
                till.refunds(12_500, "r1")

        assert kept(till) == (4_000, 4_000, 4_000)
        assert till.payment(2).refundable == Money(4_000, "GBP")

    def test_a_refund_made_at_the_provider_is_entered_with_its_supplement(self, paid: Till) -> None:
        paid.refunds(1_000, "r1")
        reference = paid.payment(2).provider_reference
        paid.provider.refund("by hand", reference=reference, amount=Money(300, "GBP"))

        paid.hears(paid.charge(edit=2))

        assert kept(paid) == (12_700, 12_700, 12_700)
        assert events(paid)[-1]["refunded_minor"] == 1_300


class TestUndone:
    @pytest.mark.parametrize("captured", [False, True], ids=["authorized", "captured"])
    def test_an_edit_undone_gives_back_its_own_and_nothing_of_the_order(
        self, till: Till, captured: bool
    ) -> None:
        till.takes_payment()
        till.authorizes_supplement(2)
        if captured:
            till.captures_supplement(2)

        for _ in range(2):
            till.voids_supplement(2)

        assert kept(till) == (10_000, 10_000, 10_000)
        assert till.charge(edit=2).status is (
            ChargeStatus.CAPTURED if captured else ChargeStatus.VOIDED
        )

    def test_a_supplement_that_comes_after_its_undo_takes_nothing(self, till: Till) -> None:
        till.takes_payment()
        till.voids_supplement(2)

        with pytest.raises(PaymentVoidedError):
            till.authorizes_supplement(2)
        till.takes_supplement(3)

        assert kept(till) == (14_000, 14_000, 14_000)

    def test_an_order_undone_gives_back_all_and_bars_the_edit_under_way(self, paid: Till) -> None:
        paid.refunds(1_000, "r1")

        for _ in range(2):
            paid.voids_all(edit=3)

        assert kept(paid) == (0, 0, 0)
        assert events(paid)[-1]["refunded_minor"] == 14_000
        with pytest.raises(PaymentVoidedError):
            paid.authorizes_supplement(3)

    @DEATHS
    @pytest.mark.parametrize("died_in", ["authorizes_supplement", "captures_supplement"])
    def test_whatever_broke_off_of_a_supplement_the_undo_frees(
        self, lasting_till: Till, died_in: str, death: Fault
    ) -> None:
        prefix = f"{died_in}_{death.__name__}"
        for harmed, till, _ in at_each_call(lasting_till.of(prefix), death):
            till.takes_payment()
            if died_in == "captures_supplement":
                till.authorizes_supplement(2)
            with contextlib.suppress(DeadError):
                getattr(harmed, died_in)(2)

            till.voids_all(edit=2)

            assert kept(till) == (0, 0, 0)
            paid = till.payments.of_order(till.order_id)
            assert not any(one.is_open for one in paid)

    @DEATHS
    def test_a_supplement_that_broke_off_anywhere_is_taken_once(
        self, lasting_till: Till, death: Fault
    ) -> None:
        for harmed, till, _ in at_each_call(lasting_till.of(f"taken_{death.__name__}"), death):
            till.takes_payment()
            with contextlib.suppress(DeadError):
                harmed.takes_supplement(2)

            till.takes_supplement(2)

            assert kept(till) == (14_000, 14_000, 14_000)

    @DEATHS
    def test_an_undo_of_all_that_broke_off_anywhere_is_finished_by_repeating_it(
        self, lasting_till: Till, death: Fault
    ) -> None:
        for harmed, till, _ in at_each_call(lasting_till.of(f"all_{death.__name__}"), death):
            till.takes_payment()
            till.takes_supplement(2)
            with contextlib.suppress(DeadError):
                harmed.voids_all()

            till.voids_all()

            assert kept(till) == (0, 0, 0)

    def test_an_answer_lost_by_the_provider_charges_a_supplement_once(self, till: Till) -> None:
        till.takes_payment()
        for _ in itertools.count():
            try:
                till.authorizes_supplement(2, method="pm_timeout_after")
                till.captures_supplement(2)
            except ProviderUnavailableError:
                continue
            break

        assert kept(till) == (14_000, 14_000, 14_000)


class TestTold:
    def test_the_facts_name_each_supplement_with_its_charge(self, paid: Till) -> None:
        found = facts.told(
            "ord_1",
            use_cases.payment_facts("ord_1", payments=paid.payments, provider=paid.provider),
        )

        (supplement,) = found["supplements"]
        assert supplement["edit"] == 2
        assert supplement["payment"]["captured_minor"] == 4_000
        assert supplement["charge"]["captured_minor"] == 4_000
        assert found["ledger"]["captured_minor"] == 14_000

    def test_a_supplement_captured_and_unknown_to_our_book_is_entered(self, till: Till) -> None:
        till.takes_payment()
        till.authorizes_supplement(2)
        reference = till.payment(2).provider_reference
        till.provider.capture("lost", reference=reference, amount=Money(4_000, "GBP"))

        use_cases.repair_payments(
            "ord_1", payments=till.payments, provider=till.provider, now=till.now
        )

        assert kept(till) == (14_000, 14_000, 14_000)

    def test_a_supplements_charge_is_no_stray_one(self, paid: Till) -> None:
        assert use_cases.is_accounted_for(paid.charge(edit=2), payments=paid.payments)

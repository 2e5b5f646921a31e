"""Refunds on DynamoDB: never above what was captured, once per request, and in the ledger."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from payments import use_cases
from payments.model import (
    CaptureTooLargeError,
    CurrencyMismatchError,
    PaymentNotFoundError,
    PaymentStatus,
    ProviderUnavailableError,
    RefundRefusedError,
    RefundStatus,
    RefundTooLargeError,
)
from tests.integration.payments.till import Till
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.kernel.money import Money


def test_part_of_a_payment_goes_back_and_the_ledger_says_so(till: Till) -> None:
    till.takes_payment()

    refund = till.refunds(2_500, "r1")

    assert refund.status is RefundStatus.SUCCEEDED
    assert (till.payment().refunded.amount_minor, till.ledger_minor()) == (2_500, 7_500)


def test_a_refund_asked_for_twice_goes_back_once(till: Till) -> None:
    till.takes_payment()

    first, second = till.refunds(2_500, "r1"), till.refunds(2_500, "r1")

    assert (first.refund_id, first.status) == (second.refund_id, second.status)
    assert till.ledger_minor() == 7_500


def test_a_reference_of_another_amount_is_refused(till: Till) -> None:
    till.takes_payment()
    till.refunds(2_500, "r1")

    with pytest.raises(IdempotencyMismatchError):
        till.refunds(2_600, "r1")


def test_fifty_refunds_at_once_never_exceed_what_was_captured(till: Till) -> None:
    till.takes_payment()

    def refund(number: int) -> bool:
        try:
            till.refunds(700, f"r{number}")
        except RefundTooLargeError:
            return False
        return True

    with ThreadPoolExecutor(16) as cashiers:
        granted = sum(cashiers.map(refund, range(50)))

    assert granted == 14
    assert till.payment().refunded.amount_minor == 9_800
    assert till.ledger_minor() == 200


def test_all_of_it_can_go_back_and_no_penny_more(till: Till) -> None:
    till.takes_payment()
    till.refunds(10_000, "r1")

    with pytest.raises(RefundTooLargeError) as refused:
        till.refunds(1, "r2")

    payment = till.payment()
    assert payment.status is PaymentStatus.REFUNDED
    assert refused.value.refundable_minor == 0
    assert till.ledger_minor() == 0


def test_a_refund_whose_answer_was_lost_goes_back_once(till: Till) -> None:
    with pytest.raises(ProviderUnavailableError):
        till.takes_payment("pm_timeout_after")
    with pytest.raises(ProviderUnavailableError):
        till.takes_payment("pm_timeout_after")
    till.takes_payment("pm_timeout_after")

    with pytest.raises(ProviderUnavailableError):
        till.refunds(2_500, "r1")
    refund = till.refunds(2_500, "r1")

    assert refund.status is RefundStatus.SUCCEEDED
    assert till.ledger_minor() == 7_500


def test_a_refund_that_the_provider_refuses_leaves_the_money_captured(till: Till) -> None:
    till.takes_payment("pm_refund_refused")

    for _ in range(2):
        with pytest.raises(RefundRefusedError):
            till.refunds(2_500, "r1")

    payment = till.payment()
    assert payment.refundable == Money(10_000, "GBP")
    assert till.ledger_minor() == 10_000


def test_a_refund_needs_the_payments_currency(till: Till) -> None:
    till.takes_payment()

    with pytest.raises(CurrencyMismatchError):
        till.refunds(100, "r1", currency="EUR")


def test_nothing_paid_is_nothing_to_refund(till: Till) -> None:
    with pytest.raises(PaymentNotFoundError):
        till.refunds(100, "r1")


def test_part_of_what_was_authorized_can_be_captured_and_no_more_refunded(till: Till) -> None:
    till.takes_payment(amount_minor=6_000)

    with pytest.raises(RefundTooLargeError):
        till.refunds(6_001, "r1")
    till.refunds(6_000, "r2")

    payment = till.payment()
    assert (payment.authorized, payment.captured) == (Money(10_000, "GBP"), Money(6_000, "GBP"))
    assert till.ledger_minor() == 0


def test_the_first_capture_stands_whatever_part_a_repetition_names(till: Till) -> None:
    till.takes_payment(amount_minor=6_000)
    till.takes_payment(amount_minor=9_000)

    assert till.ledger_minor() == 6_000


def test_more_than_was_authorized_cannot_be_captured(till: Till) -> None:
    with pytest.raises(CaptureTooLargeError):
        till.takes_payment(amount_minor=10_001)

    assert till.ledger_minor() == 0


class TestUpToWhatIsLeft:
    def pays(self, till: Till, amount_minor: int, reference: str = "claim") -> int:
        return use_cases.refund_up_to(
            till.order_id,
            Money(amount_minor, "GBP"),
            reason="test",
            reference=reference,
            payments=till.payments,
            provider=till.provider,
            now=till.now,
        ).amount_minor

    def test_what_was_promised_goes_back_where_it_is_left(self, till: Till) -> None:
        till.takes_payment()

        assert [self.pays(till, 2_500) for _ in range(2)] == [2_500, 2_500]
        assert till.ledger_minor() == 7_500

    def test_otherwise_what_is_left_goes_back_once_of_all_charges(self, till: Till) -> None:
        till.takes_payment()
        till.takes_supplement(1, 4_000)
        till.refunds(5_000, "r1")

        assert [self.pays(till, 14_000) for _ in range(2)] == [9_000, 9_000]
        assert till.ledger_minor() == 0

    def test_where_nothing_is_left_nothing_goes_back(self, till: Till) -> None:
        till.takes_payment()
        till.refunds(10_000, "r1")

        assert self.pays(till, 14_000) == 0
        with pytest.raises(PaymentNotFoundError):
            self.pays(till.of("ord_unknown"), 100)

    def test_one_that_broke_off_is_finished_with_the_same_amount(self, till: Till) -> None:
        with contextlib.suppress(ProviderUnavailableError):
            till.takes_payment("pm_timeout_after")
        with contextlib.suppress(ProviderUnavailableError):
            till.takes_payment("pm_timeout_after")
        till.takes_payment("pm_timeout_after")

        with pytest.raises(ProviderUnavailableError):
            self.pays(till, 12_000)

        assert self.pays(till, 12_000) == 10_000
        assert till.ledger_minor() == 0

"""What a schedule looks after: authorizations that lapse, confirmations, forgotten refunds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from payments.model import (
    CaptureRefusedError,
    DeclineReason,
    PaymentDeclinedError,
    PaymentStatus,
    ProviderUnavailableError,
    Refund,
    RefundStatus,
)
from payments.ports import ChargeStatus
from tests.integration.payments.till import PRICE, Till
from tradepost.kernel.errors import UnavailableError
from tradepost.kernel.money import Money


def promises(till: Till, reference: str, amount_minor: int) -> Refund:
    """Leave a refund as a crash between its promise and its sending does."""
    (refund,) = till.payments.promise_refunds(
        [
            Refund(
                reference,
                till.order_id,
                Money(amount_minor, "GBP"),
                "broken",
                RefundStatus.PENDING,
                till.now(),
            )
        ]
    )
    assert isinstance(refund, Refund)
    return refund


def test_an_authorization_with_a_quarter_of_its_life_left_is_made_anew(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    first = till.payment()
    till.passes(minutes=44)
    assert till.watches() == {}
    assert till.payment() == first
    till.passes(minutes=1)

    assert till.watches() == {}

    payment = till.payment()
    assert (payment.status, payment.attempt, payment.replaces) == (
        PaymentStatus.AUTHORIZED,
        2,
        None,
    )
    assert till.charge(first.provider_reference).status is ChargeStatus.VOIDED
    assert till.charge().authorized == PRICE
    assert till.told() == []


def test_an_order_of_a_week_ago_can_still_be_captured(till: Till) -> None:
    till.authorizes()
    for _ in range(8 * 24):
        till.passes(hours=1)
        assert till.watches() == {}

    till.captures()

    assert till.ledger_minor() == 10_000
    assert till.payment().attempt == 2


def test_without_the_watch_a_lapsed_authorization_cannot_be_captured(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    till.passes(minutes=60)

    with pytest.raises(CaptureRefusedError):
        till.captures()


def test_an_authorization_that_lapsed_unwatched_is_made_anew_all_the_same(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    till.passes(hours=5)

    till.watches()
    till.captures()

    assert till.ledger_minor() == 10_000


def test_what_nobody_wants_any_more_is_freed(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    till.orders.unwanted.add(till.order_id)
    till.passes(minutes=45)

    till.watches()

    assert till.payment().status is PaymentStatus.VOIDED
    assert till.charge().status is ChargeStatus.VOIDED


def test_a_second_authorization_that_is_declined_is_told_to_the_world_once(till: Till) -> None:
    till.authorizes("pm_expires_soon_then_declined")
    till.passes(minutes=45)

    for _ in range(3):
        assert till.watches() == {}
        till.passes(minutes=5)

    assert till.payment().status is PaymentStatus.DECLINED
    assert till.payment().declined is DeclineReason.AUTHORIZATION_EXPIRED
    assert till.told() == ["payment.declined.v1"]
    with pytest.raises(PaymentDeclinedError):
        till.authorizes()
    with pytest.raises(CaptureRefusedError):
        till.captures()


def test_a_second_decline_that_a_webhook_tells_first_is_told_to_the_world_all_the_same(
    till: Till,
) -> None:
    till.authorizes("pm_expires_soon_then_declined")
    hurried = replace(till, provider=Telling(till))
    till.passes(minutes=45)

    hurried.watches()

    assert till.payment().declined is DeclineReason.AUTHORIZATION_EXPIRED
    assert till.told() == ["payment.declined.v1"]


class Telling:
    """A provider whose webhook about a decline arrives before its answer."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def authorize(self, key: str, **named: Any) -> Any:
        try:
            return self._till.provider.authorize(key, **named)
        except PaymentDeclinedError:
            self._till.hears()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._till.provider, name)


def test_a_second_authorization_that_wants_a_confirmation_is_none(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    asking = replace(till, provider=Asking(till.provider))
    till.passes(minutes=45)

    asking.watches()

    assert till.payment().declined is DeclineReason.AUTHORIZATION_EXPIRED
    assert till.charge().status is ChargeStatus.VOIDED
    assert till.told() == ["payment.declined.v1"]


class Asking:
    """A provider that has come to want a confirmation."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def authorize(self, key: str, *, reference: str, method: str) -> Any:
        return self._provider.authorize(key, reference=reference, method="pm_3ds")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


def test_a_capture_that_nobody_wrote_down_is_found_before_the_authorization_is_renewed(
    till: Till,
) -> None:
    till.authorizes("pm_expires_soon")
    reference = till.payment().provider_reference
    till.provider.capture("unheard", reference=reference, amount=PRICE)
    till.passes(minutes=45)

    till.watches()

    assert till.payment().status is PaymentStatus.CAPTURED
    assert till.payment().attempt == 1
    assert till.ledger_minor() == 10_000


def test_a_capture_finishes_the_renewal_that_broke_off(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    payment = till.payment()
    reference = till.provider.open("open#2", order_id=till.order_id, amount=PRICE)
    till.payments.move(payment.opened_anew(reference, watch_at=till.now()))

    till.captures()

    assert till.payment().provider_reference == reference
    assert till.charge(payment.provider_reference).status is ChargeStatus.VOIDED
    assert till.ledger_minor() == 10_000


def test_a_confirmation_that_never_came_is_given_up_by_the_watch(till: Till) -> None:
    till.authorizes("pm_3ds")
    till.passes(minutes=20)

    till.watches()

    assert till.payment().declined is DeclineReason.CONFIRMATION_EXPIRED
    assert till.told() == ["payment.declined.v1"]
    assert till.charge().status is ChargeStatus.VOIDED


def test_a_captured_or_ended_payment_is_not_watched(till: Till) -> None:
    till.of("taken").takes_payment("pm_expires_soon")
    till.of("freed").authorizes("pm_expires_soon")
    till.of("freed").voids()
    till.passes(hours=2)

    assert till.payments.due_payments(till.now()) == []


def test_one_payment_that_cannot_be_looked_after_keeps_no_other_waiting(till: Till) -> None:
    class Silent:
        def want_money(self, order_id: str) -> bool:
            if order_id == "one":
                raise UnavailableError("no answer")
            return True

    for order_id in ("one", "two"):
        till.of(order_id).authorizes("pm_expires_soon")
    till.passes(minutes=45)

    left = replace(till, orders=Silent()).watches()  # type: ignore[arg-type]

    assert left == {"one": "unavailable"}
    assert till.of("two").payment().attempt == 2
    assert till.of("one").payment().attempt == 1


def test_a_promised_refund_is_sent_by_itself_once_its_request_is_over(till: Till) -> None:
    till.takes_payment()
    promises(till, "rfd_1", 2_500)
    assert till.settles_refunds() == {}
    assert till.payment().refunded == Money(0, "GBP")
    assert till.payment().promised == Money(2_500, "GBP")
    till.passes(minutes=1)

    for _ in range(2):
        assert till.settles_refunds() == {}

    assert till.payment().refunded == Money(2_500, "GBP")
    assert till.payment().promised == Money(0, "GBP")
    assert till.charge().refunded == Money(2_500, "GBP")
    assert till.ledger_minor() == 7_500


def test_a_promised_refund_that_the_provider_refuses_is_taken_back(till: Till) -> None:
    till.takes_payment("pm_refund_refused")
    promises(till, "rfd_1", 2_500)
    till.passes(minutes=1)

    assert till.settles_refunds() == {}

    assert [refund.status for refund in till.payments.refunds("ord_1")] == [RefundStatus.FAILED]
    assert till.payment().refundable == PRICE


def test_a_refund_that_the_provider_does_not_answer_stays_promised_and_is_tried_again(
    till: Till,
) -> None:
    for _ in range(3):
        try:
            till.takes_payment("pm_timeout_after")
        except ProviderUnavailableError:
            continue
    promises(till, "rfd_1", 2_500)
    till.passes(minutes=1)

    assert till.settles_refunds() == {"rfd_1": "provider_unavailable"}
    assert till.payment().promised == Money(2_500, "GBP")
    assert till.settles_refunds() == {}

    assert till.charge().refunded == Money(2_500, "GBP")
    assert till.payment().promised == Money(0, "GBP")


def test_an_undo_sends_what_was_promised_and_the_rest(till: Till) -> None:
    till.takes_payment()
    promises(till, "rfd_1", 2_500)

    till.voids()

    assert till.payment().status is PaymentStatus.REFUNDED
    assert till.charge().refunded == PRICE

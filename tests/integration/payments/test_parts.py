"""Money captured part by part: each once, never more than was authorized, to the penny."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from payments.model import (
    CaptureRefusedError,
    CaptureTooLargeError,
    Payment,
    PaymentDeclinedError,
    PaymentStatus,
    ProviderUnavailableError,
)
from payments.ports import ChargeStatus
from payments.use_cases.refunding import refund_the_rest
from tests.integration.payments.calls import DeadError, at_each_call, dies_after, dies_before
from tests.integration.payments.till import PRICE, Till
from tradepost.kernel.errors import ConflictError, StaleError


def books(till: Till) -> tuple[str, int, int, int]:
    """Tell the charge's status, and what payment, provider and ledger have as captured."""
    payment, charge = till.payment(), till.charge()
    captured = payment.captured.amount_minor
    return charge.status, captured, charge.captured.amount_minor, till.ledger_minor()


def entries(till: Till) -> list[str]:
    return [entry.entry_id for entry in till.payments.entries(till.order_id)]


def test_parts_and_the_rest_sum_to_the_total_to_the_penny(till: Till) -> None:
    till.authorizes()

    assert till.captures_part("2", 3_333).status is PaymentStatus.AUTHORIZED
    assert books(till) == ("AUTHORIZED", 3_333, 3_333, 3_333)
    till.captures_part("3", 1)
    assert till.captures_part("1").status is PaymentStatus.CAPTURED

    assert books(till) == ("CAPTURED", 10_000, 10_000, 10_000)
    assert entries(till) == ["CAPTURE#1", "CAPTURE#2", "CAPTURE#3"]
    assert till.told() == ["payment.captured.v1"] * 3


def test_a_part_is_captured_once_however_often_it_is_asked_for(till: Till) -> None:
    till.authorizes()
    for _ in range(3):
        till.captures_part("2", 4_000)
    for _ in range(3):
        till.captures_part("1")
    till.captures_part("2", 4_000)

    assert books(till) == ("CAPTURED", 10_000, 10_000, 10_000)
    assert till.told() == ["payment.captured.v1"] * 2


def test_more_than_is_left_is_not_captured(till: Till) -> None:
    till.authorizes()
    till.captures_part("2", 6_000)

    with pytest.raises(CaptureTooLargeError) as refusal:
        till.captures_part("3", 4_001)

    assert refusal.value.authorized_minor == 4_000
    assert books(till) == ("AUTHORIZED", 6_000, 6_000, 6_000)


def test_a_part_that_leaves_nothing_is_the_last(till: Till) -> None:
    till.authorizes()
    till.captures_part("2", 10_000)

    assert till.payment().status is PaymentStatus.CAPTURED
    assert till.captures_part("1").captured == PRICE
    assert till.told() == ["payment.captured.v1"]


def test_what_was_captured_at_the_checkout_is_not_captured_again(till: Till) -> None:
    till.takes_payment()

    till.captures_part("2", 4_000)
    till.captures_part("1")

    assert books(till) == ("CAPTURED", 10_000, 10_000, 10_000)


def test_a_parcel_that_costs_nothing_captures_nothing(till: Till) -> None:
    till.authorizes()

    till.captures_part("2", 0)

    assert books(till) == ("AUTHORIZED", 0, 0, 0)


@pytest.mark.parametrize("wanted", [4_000, None])
def test_a_refused_part_takes_nothing_and_may_be_asked_for_again(
    till: Till, wanted: int | None
) -> None:
    till.authorizes("pm_capture_refused")

    for _ in range(2):
        with pytest.raises(CaptureRefusedError):
            till.captures_part("2", wanted)

    assert books(till) == ("AUTHORIZED", 0, 0, 0)
    assert till.payment().asked_for is None
    assert till.told() == []


@pytest.mark.parametrize("fault", [dies_before, dies_after])
def test_whoever_dies_while_capturing_a_part_leaves_it_to_be_captured_once(
    till: Till, fault: object
) -> None:
    for harmed, unharmed, _ in at_each_call(till, fault):  # type: ignore[arg-type]
        unharmed.authorizes()
        with contextlib.suppress(DeadError):
            harmed.captures_part("2", 4_000)

        unharmed.captures_part("1")
        unharmed.captures_part("2", 4_000)

        assert books(unharmed) == ("CAPTURED", 10_000, 10_000, 10_000)


@pytest.mark.parametrize("fault", [dies_before, dies_after])
def test_a_part_of_which_only_the_provider_knows_is_entered_when_it_is_read_back(
    till: Till, fault: object
) -> None:
    for harmed, unharmed, _ in at_each_call(till, fault):  # type: ignore[arg-type]
        unharmed.authorizes()
        with contextlib.suppress(DeadError):
            harmed.captures_part("2", 4_000)

        unharmed.settles()

        _, ours, theirs, ledger = books(unharmed)
        assert ours == theirs == ledger
        unharmed.captures_part("2", 4_000)
        assert books(unharmed) == ("AUTHORIZED", 4_000, 4_000, 4_000)


@pytest.mark.parametrize("fault", [dies_before, dies_after])
def test_whoever_dies_while_capturing_a_part_leaves_it_to_be_undone(
    till: Till, fault: object
) -> None:
    for harmed, unharmed, _ in at_each_call(till, fault):  # type: ignore[arg-type]
        unharmed.authorizes()
        with contextlib.suppress(DeadError):
            harmed.captures_part("2", 4_000)

        unharmed.voids()

        charge = unharmed.charge()
        assert charge.status in (ChargeStatus.VOIDED, ChargeStatus.CAPTURED)
        assert charge.captured == charge.refunded
        assert unharmed.ledger_minor() == 0
        with pytest.raises(CaptureRefusedError):
            unharmed.captures_part("1")


def test_a_part_whose_answer_was_lost_is_one(till: Till) -> None:
    with pytest.raises(ProviderUnavailableError):
        till.authorizes("pm_timeout_after")
    till.authorizes("pm_timeout_after")
    for part_id, amount_minor in (("2", 4_000), ("1", None)):
        with pytest.raises(ProviderUnavailableError):
            till.captures_part(part_id, amount_minor)
        till.captures_part(part_id, amount_minor)

    assert books(till) == ("CAPTURED", 10_000, 10_000, 10_000)
    assert till.told() == ["payment.captured.v1"] * 2


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as crowd:
        yield crowd


def test_parts_asked_for_at_once_never_exceed_what_was_authorized(
    till: Till, crowd: ThreadPoolExecutor
) -> None:
    till.authorizes()

    def capture(number: int) -> Payment | None:
        for _ in range(20):
            try:
                return till.captures_part(str(number % 4), 3_000)
            except StaleError:
                continue
            except ConflictError:
                return None
        raise AssertionError("it kept changing")

    taken = list(crowd.map(capture, range(8)))

    assert sum(payment is not None for payment in taken) == 6
    assert books(till) == ("AUTHORIZED", 9_000, 9_000, 9_000)


def test_an_order_undone_after_a_part_is_paid_back_and_nothing_stays_set_aside(
    till: Till,
) -> None:
    till.authorizes()
    till.captures_part("2", 4_000)

    till.voids()
    till.voids()

    charge = till.charge()
    assert (charge.status, charge.captured, charge.refunded) == (
        ChargeStatus.CAPTURED,
        charge.captured,
        charge.captured,
    )
    assert till.payment().status is PaymentStatus.REFUNDED
    assert till.ledger_minor() == 0
    with pytest.raises(CaptureRefusedError):
        till.captures_part("1")


def test_an_order_undone_before_any_part_is_freed(till: Till) -> None:
    till.authorizes()

    till.voids()

    assert till.charge().status is ChargeStatus.VOIDED
    with pytest.raises(CaptureRefusedError):
        till.captures_part("2", 4_000)


def test_a_part_may_be_refunded_while_the_rest_is_set_aside(till: Till) -> None:
    till.authorizes()
    till.captures_part("2", 4_000)

    till.refunds(1_500, "broken")
    till.captures_part("1")

    payment = till.payment()
    assert (payment.captured.amount_minor, payment.refunded.amount_minor) == (10_000, 1_500)
    assert payment.refundable.amount_minor == 8_500
    assert till.charge().refunded.amount_minor == 1_500
    refund_the_rest(payment, till.payments, till.provider, till.now)
    assert till.ledger_minor() == 0


def test_an_authorization_is_made_anew_before_the_first_part_and_captured_after(
    till: Till,
) -> None:
    till.authorizes("pm_expires_soon")
    till.passes(minutes=50)
    till.watches()
    till.passes(minutes=30)

    till.captures_part("2", 4_000)

    assert till.payment().attempt == 2
    assert books(till) == ("AUTHORIZED", 4_000, 4_000, 4_000)


def test_what_lapses_after_a_part_is_not_captured_and_not_made_anew(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    till.captures_part("2", 4_000)
    till.passes(minutes=50)
    till.watches()
    assert till.payment().attempt == 1
    till.passes(minutes=11)

    with pytest.raises(CaptureRefusedError):
        till.captures_part("1")
    till.watches()

    assert till.payment().status is PaymentStatus.CAPTURED
    assert till.payment().watch_at is None
    assert books(till) == ("CAPTURED", 4_000, 4_000, 4_000)
    with pytest.raises(CaptureRefusedError):
        till.captures_part("1")


def test_a_part_that_was_begun_is_finished_before_its_charge_is_replaced(till: Till) -> None:
    till.authorizes("pm_expires_soon")
    for harmed, unharmed, calls in at_each_call(till, dies_before):
        unharmed.authorizes("pm_expires_soon")
        with contextlib.suppress(DeadError):
            harmed.captures_part("2", 4_000)
        was_asked_for = unharmed.payment().asked_for is not None
        till.passes(minutes=50)
        unharmed.is_looked_after()

        payment = unharmed.payment()
        if was_asked_for or not calls.hit:
            assert (payment.attempt, payment.captured.amount_minor) == (1, 4_000)
        else:
            assert (payment.attempt, payment.captured.amount_minor) == (2, 0)
        unharmed.captures_part("2", 4_000)
        assert books(unharmed) == ("AUTHORIZED", 4_000, 4_000, 4_000)


def test_money_that_is_left_set_aside_has_to_be(till: Till) -> None:
    with pytest.raises(CaptureRefusedError):
        till.leaves_authorized()

    till.authorizes("pm_3ds")
    with pytest.raises(StaleError):
        till.leaves_authorized()

    till.customer_confirms()
    till.settles()
    assert till.leaves_authorized().status is PaymentStatus.AUTHORIZED
    assert books(till) == ("AUTHORIZED", 0, 0, 0)

    till.voids()
    with pytest.raises(CaptureRefusedError):
        till.leaves_authorized()

    declined = till.of("ord_2")
    with pytest.raises(PaymentDeclinedError):
        declined.authorizes("pm_card_declined")
    with pytest.raises(CaptureRefusedError):
        declined.leaves_authorized()

"""Every use case, dying at each of its calls and begun again, or overtaken there: one end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from payments.model import (
    CaptureRefusedError,
    PaymentDeclinedError,
    PaymentStatus,
    PaymentVoidedError,
    RefundStatus,
)
from payments.ports import ChargeStatus
from tests.integration.payments.calls import (
    DeadError,
    Fault,
    at_each_call,
    dies_after,
    dies_before,
)
from tests.integration.payments.till import PRICE, Till
from tradepost.kernel.errors import StaleError

DEATHS = pytest.mark.parametrize("death", [dies_before, dies_after])

# Refusals that are the right answer to one who comes too late.
REFUSALS = (CaptureRefusedError, PaymentDeclinedError, PaymentVoidedError)


def dies_in(use_case: Callable[[], Any]) -> None:
    with contextlib.suppress(DeadError):
        use_case()


def comes_to_its_end(use_case: Callable[[], Any]) -> None:
    """Run as the saga does: a refusal is an answer, and what was stale is repeated."""
    for _ in range(3):
        try:
            with contextlib.suppress(*REFUSALS):
                use_case()
        except StaleError:
            continue
        return
    raise AssertionError("it stayed stale")


def books(till: Till) -> tuple[PaymentStatus, int, ChargeStatus, int]:
    """Tell our status and ledger, the provider's status and what it kept."""
    if not till.payment().provider_reference:
        return till.payment().status, till.ledger_minor(), ChargeStatus.OPENED, 0
    charge = till.charge()
    kept = charge.captured.amount_minor - charge.refunded.amount_minor
    return till.payment().status, till.ledger_minor(), charge.status, kept


@DEATHS
def test_an_authorization_that_broke_off_anywhere_is_made_once(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(death.__name__), death):
        dies_in(harmed.authorizes)
        till.authorizes()

        assert books(till) == (PaymentStatus.AUTHORIZED, 0, ChargeStatus.AUTHORIZED, 0)


@DEATHS
def test_whatever_broke_off_while_authorizing_the_undo_frees(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(f"undone_{death.__name__}"), death):
        dies_in(harmed.authorizes)
        till.voids()

        payment = till.payment()
        assert payment.status is PaymentStatus.VOIDED
        if payment.provider_reference:
            assert till.charge().status is ChargeStatus.VOIDED
        with pytest.raises(PaymentVoidedError):
            till.authorizes()


@DEATHS
def test_a_decline_that_broke_off_anywhere_stays_a_decline(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(f"no_{death.__name__}"), death):
        dies_in(
            lambda harmed=harmed: comes_to_its_end(  # type: ignore[misc]
                lambda: harmed.authorizes("pm_card_declined")
            )
        )
        for _ in range(2):
            with pytest.raises(PaymentDeclinedError):
                till.authorizes("pm_card_declined")

        assert books(till) == (PaymentStatus.DECLINED, 0, ChargeStatus.DECLINED, 0)


@DEATHS
def test_a_capture_that_broke_off_anywhere_takes_the_money_once(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(f"taken_{death.__name__}"), death):
        till.authorizes()
        dies_in(harmed.captures)
        till.captures()

        assert books(till) == (PaymentStatus.CAPTURED, 10_000, ChargeStatus.CAPTURED, 10_000)
        assert till.told() == ["payment.captured.v1"]


@DEATHS
def test_a_capture_that_broke_off_anywhere_is_given_back_by_the_undo(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(f"back_{death.__name__}"), death):
        till.authorizes()
        dies_in(harmed.captures)
        till.voids()

        _, ledger, _, kept = books(till)
        assert (ledger, kept) == (0, 0)


@DEATHS
@pytest.mark.parametrize("captured", [False, True])
def test_an_undo_that_broke_off_anywhere_is_finished_by_repeating_it(
    lasting_till: Till, death: Fault, captured: bool
) -> None:
    name = f"undo_{captured}_{death.__name__}"
    for harmed, till, _ in at_each_call(lasting_till.of(name), death):
        till.authorizes()
        if captured:
            till.captures()
        dies_in(harmed.voids)
        till.voids()

        status, ledger, _, kept = books(till)
        assert status is (PaymentStatus.REFUNDED if captured else PaymentStatus.VOIDED)
        assert (ledger, kept) == (0, 0)


@DEATHS
def test_a_refund_that_broke_off_anywhere_goes_back_once_by_itself(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(f"refund_{death.__name__}"), death):
        till.takes_payment()
        dies_in(lambda harmed=harmed: harmed.refunds(2_500, "r1"))  # type: ignore[misc]
        promised = till.payments.refunds(till.order_id)
        till.passes(minutes=2)
        assert till.settles_refunds() == {}

        sent = 2_500 if promised else 0
        assert [refund.status for refund in till.payments.refunds(till.order_id)] == [
            RefundStatus.SUCCEEDED for _ in promised
        ]
        assert books(till)[1::2] == (10_000 - sent, 10_000 - sent)


@DEATHS
def test_a_look_at_the_provider_that_broke_off_anywhere_is_finished_by_the_next(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(f"settle_{death.__name__}"), death):
        till.authorizes("pm_3ds")
        till.customer_confirms()
        dies_in(harmed.settles)
        till.settles()

        assert books(till) == (PaymentStatus.AUTHORIZED, 0, ChargeStatus.AUTHORIZED, 0)
        assert till.told() == ["payment.authorized.v1"]


@DEATHS
def test_an_authorization_made_anew_that_broke_off_anywhere_leaves_one(
    lasting_till: Till, death: Fault
) -> None:
    for harmed, till, _ in at_each_call(lasting_till.of(f"anew_{death.__name__}"), death):
        till.authorizes("pm_expires_soon")
        first = till.payment().provider_reference
        till.passes(minutes=50)
        dies_in(harmed.is_looked_after)
        till.passes(minutes=2)
        till.is_looked_after()

        assert till.payment().attempt == 2
        assert till.payment().replaces is None
        assert till.charge(first).status is ChargeStatus.VOIDED
        assert books(till) == (PaymentStatus.AUTHORIZED, 0, ChargeStatus.AUTHORIZED, 0)


PAIRS: dict[str, tuple[str, str]] = {
    "authorize, undo": ("authorizes", "voids"),
    "authorize, authorize": ("authorizes", "authorizes"),
    "authorize, webhook": ("authorizes", "settles"),
    "capture, undo": ("captures", "voids"),
    "capture, capture": ("captures", "captures"),
    "capture, webhook": ("captures", "settles"),
    "capture, authorized anew": ("captures", "is_looked_after"),
    "undo, capture": ("voids", "captures"),
    "undo, undo": ("voids", "voids"),
    "undo, webhook": ("voids", "settles"),
    "undo, authorized anew": ("voids", "is_looked_after"),
    "webhook, capture": ("settles", "captures"),
    "webhook, undo": ("settles", "voids"),
    "authorized anew, capture": ("is_looked_after", "captures"),
    "authorized anew, undo": ("is_looked_after", "voids"),
    "authorized anew, authorized anew": ("is_looked_after", "is_looked_after"),
    "authorized anew, webhook": ("is_looked_after", "settles"),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_use_case_overtaken_at_any_call_by_another_keeps_the_books_in_step(
    lasting_till: Till, pair: str
) -> None:
    overtaken, overtaking = PAIRS[pair]

    def comes_between(call: Callable[[], Any]) -> Any:
        # What is not there yet is nothing to look at.
        if (
            overtaken != "authorizes"
            or overtaking != "settles"
            or beside.payments.get(beside.order_id)
        ):
            comes_to_its_end(getattr(beside, overtaking))
        return call()

    prefix = pair.replace(", ", "_").replace(" ", "_")
    for harmed, till, calls in at_each_call(lasting_till.of(prefix), comes_between):
        beside = till
        if overtaken != "authorizes":
            till.authorizes("pm_expires_soon")
            till.passes(minutes=50)
        comes_to_its_end(getattr(harmed, overtaken))
        comes_to_its_end(till.settles)

        status, ledger, charge, kept = books(till)
        assert ledger == kept
        assert (
            charge
            in {
                PaymentStatus.AUTHORIZED: {ChargeStatus.AUTHORIZED},
                PaymentStatus.CAPTURED: {ChargeStatus.CAPTURED},
                PaymentStatus.REFUNDED: {ChargeStatus.CAPTURED},
                PaymentStatus.VOIDED: {ChargeStatus.VOIDED, ChargeStatus.OPENED},
                PaymentStatus.DECLINED: {ChargeStatus.DECLINED, ChargeStatus.VOIDED},
            }[status]
        )
        if "undo" in pair and calls.hit:
            assert kept == 0
            assert status in (PaymentStatus.VOIDED, PaymentStatus.REFUNDED, PaymentStatus.DECLINED)
        for reference in filter(None, {till.payment().replaces}):
            assert till.charge(reference).status is not ChargeStatus.AUTHORIZED


@pytest.mark.parametrize(
    ("overtaken", "overtaking"),
    [("completes_confirmation", "hears"), ("hears", "completes_confirmation"), ("hears", "hears")],
)
@pytest.mark.parametrize("approves", [True, False])
def test_a_browser_and_a_webhook_that_meet_at_any_call_are_told_the_same_and_tell_it_once(
    lasting_till: Till, overtaken: str, overtaking: str, approves: bool
) -> None:
    def comes_between(call: Callable[[], Any]) -> Any:
        getattr(beside, overtaking)()
        return call()

    prefix = f"{overtaken}_{overtaking}_{approves}"
    for harmed, till, _ in at_each_call(lasting_till.of(prefix), comes_between):
        beside = till
        till.authorizes("pm_3ds")
        till.customer_confirms(approves=approves)

        getattr(harmed, overtaken)()

        status = PaymentStatus.AUTHORIZED if approves else PaymentStatus.DECLINED
        assert till.completes_confirmation().status is status
        assert till.told() == [
            "payment.authorized.v1" if approves else "payment.declined.v1",
        ]


def test_an_undo_that_comes_first_bars_the_authorization(lasting_till: Till) -> None:
    till = lasting_till.of("undone_first")
    till.voids()

    for _ in range(2):
        with pytest.raises(PaymentVoidedError):
            till.authorizes()

    assert till.payment().authorized.amount_minor == 0


def test_what_our_book_knows_is_answered_without_the_provider(lasting_till: Till) -> None:
    till = lasting_till.of("known")
    till.authorizes()
    before = till.charge()

    again = till.authorizes("pm_card_declined")

    assert (again.status, again.authorized) == (PaymentStatus.AUTHORIZED, PRICE)
    assert till.charge() == before

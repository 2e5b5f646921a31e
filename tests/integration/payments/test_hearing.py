"""What the provider tells of a payment, in any order, twice, late, early and wrong: one end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from payments.model import (
    ChargeMismatchError,
    ConfirmationExpiredError,
    DeclineReason,
    PaymentDeclinedError,
    PaymentNotFoundError,
    PaymentStatus,
    ProviderUnavailableError,
)
from payments.ports import Charge, ChargeStatus, ProviderEvent
from payments.use_cases import Heard, hear_provider
from tests.integration.payments.till import PRICE, Till
from tradepost.kernel.money import Money


def lives_on_alone(till: Till) -> Iterator[Charge]:
    """Do at the provider all that happens to a payment, while our own book sleeps."""
    keys, reference = "alone", till.payment().provider_reference
    provider = till.provider
    yield provider.authorize(f"{keys}a", reference=reference, method="pm_3ds")
    yield provider.confirm(reference, approves=True)
    provider.capture(f"{keys}c", reference=reference, amount=PRICE)
    yield till.charge()
    provider.refund(f"{keys}r1#{till.order_id}", reference=reference, amount=Money(700, "GBP"))
    yield till.charge()


EFFECTS = 4


def schedules() -> list[tuple[int, ...]]:
    """List every way in which four effects, in their order, and the webhook of each, which can
    come no sooner than its effect, may follow each other: 0 to 3 are effects, 4 to 7 webhooks."""
    return [
        order
        for order in itertools.permutations(range(2 * EFFECTS))
        if all(order.index(n) < order.index(n + 1) for n in range(EFFECTS - 1))
        and all(order.index(n) < order.index(n + EFFECTS) for n in range(EFFECTS))
    ]


def is_opened(till: Till) -> None:
    """Bring a payment as far as our book has it when the function died before its first answer."""
    with pytest.raises(ProviderUnavailableError):
        till.authorizes("pm_timeout_before")


def end_of(till: Till) -> tuple[Any, ...]:
    """Tell all that an end consists of."""
    payment = till.payment()
    entries = till.payments.entries(till.order_id)
    refunds = till.payments.refunds(till.order_id)
    return (
        payment.status,
        payment.captured,
        payment.refunded,
        payment.refundable,
        payment.promised,
        sorted((entry.kind, entry.legs[0].amount_minor) for entry in entries),
        sorted((refund.amount.amount_minor, refund.status) for refund in refunds),
    )


def test_every_permutation_of_a_payments_webhooks_ends_the_same(lasting_till: Till) -> None:
    ends = set()
    for number, schedule in enumerate(schedules()):
        till = lasting_till.of(f"permuted_{number}")
        is_opened(till)
        life = lives_on_alone(till)
        told: list[Charge] = []
        for place in schedule:
            if place < EFFECTS:
                told.append(next(life))
            else:
                till.hears(told[place - EFFECTS])
        # And every one of them again, the last first.
        for charge in reversed(told):
            till.hears(charge)
        ends.add(repr(end_of(till)))

    assert len(schedules()) == 105
    assert len(ends) == 1
    assert "CAPTURED" in ends.pop()


def test_every_order_of_webhooks_that_all_come_after_the_end_comes_to_it(
    lasting_till: Till,
) -> None:
    ends = set()
    for number, order in enumerate(itertools.permutations(range(EFFECTS))):
        till = lasting_till.of(f"late_{number}")
        is_opened(till)
        told = list(lives_on_alone(till))
        for place in order:
            till.hears(told[place])
            till.hears(told[place])
        ends.add(repr(end_of(till)))

    assert len(ends) == 1


def test_a_webhook_that_says_nothing_new_costs_one_read(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    till.authorizes()
    authorized = till.charge()
    till.captures()
    asked: list[str] = []
    call = till.client._make_api_call

    def counted(operation: str, request: Any) -> Any:
        asked.append(operation)
        return call(operation, request)

    monkeypatch.setattr(till.client, "_make_api_call", counted)

    assert till.hears(authorized) is Heard.NOTHING_NEW
    assert asked == ["GetItem"]


@pytest.mark.parametrize("method", ["pm_card_ok", "pm_3ds"])
def test_a_webhook_that_overtakes_the_answer_to_our_own_request_changes_nothing(
    till: Till, method: str
) -> None:
    hurried = replace(till, provider=Hurried(till))

    hurried.authorizes(method)
    if method == "pm_3ds":
        till.customer_confirms()
        till.hears()
    hurried.captures()
    hurried.refunds(700, "r1")

    assert till.payment().status is PaymentStatus.CAPTURED
    assert till.ledger_minor() == 9_300
    assert [kind for kind in till.told() if kind != "payment.authorized.v1"] == [
        "payment.captured.v1",
        "payment.refunded.v1",
    ]


class Hurried:
    """A provider whose webhook about everything it does arrives before its answer."""

    def __init__(self, till: Till) -> None:
        self._till = till

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._till.provider, name)
        if name not in ("authorize", "capture", "refund", "void"):
            return method

        def hurried(*given: Any, **named: Any) -> Any:
            answer = method(*given, **named)
            self._till.hears()
            return answer

        return hurried


def test_a_webhook_is_a_hint_and_its_content_is_not_believed(till: Till) -> None:
    till.authorizes()
    claim = replace(till.charge(), status=ChargeStatus.CAPTURED, refunded=PRICE)

    assert till.hears(claim) is Heard.LOOKED_INTO

    assert till.payment().status is PaymentStatus.AUTHORIZED
    assert till.ledger_minor() == 0


@pytest.mark.parametrize(
    "event",
    [
        ProviderEvent("e1", "sim_other", "ord_1", ChargeStatus.CAPTURED),
        ProviderEvent("e1", "sim_other", "ord_unknown", ChargeStatus.CAPTURED),
        ProviderEvent("e1", "", "ord_1", ChargeStatus.CAPTURED),
    ],
    ids=["another charge", "another order", "no charge"],
)
def test_a_webhook_of_a_charge_we_do_not_know_changes_nothing(
    till: Till, event: ProviderEvent
) -> None:
    till.authorizes()

    heard = hear_provider(event, payments=till.payments, provider=till.provider, now=till.now)

    assert heard is Heard.NOT_OURS
    assert till.payment().status is PaymentStatus.AUTHORIZED


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_id": "ord_2"},
        {"authorized": Money(9_999, "GBP")},
        dict.fromkeys(("authorized", "captured", "refunded"), Money(10_000, "EUR")),
        {"captured": Money(10_001, "GBP")},
        {"refunded": Money(1, "GBP"), "captured": Money(0, "GBP")},
    ],
    ids=["order", "amount", "currency", "captured too much", "refunded too much"],
)
def test_a_charge_that_is_not_the_one_our_book_describes_is_told_and_changes_nothing(
    till: Till, wrong: dict[str, Any]
) -> None:
    till.authorizes()
    before = till.payment()
    charge = replace(till.charge(), status=ChargeStatus.CAPTURED, captured=PRICE)
    lying = replace(till, provider=Lying(till.provider, replace(charge, **wrong)))

    with pytest.raises(ChargeMismatchError):
        lying.settles()

    assert lying.hears(charge) is Heard.DOES_NOT_FIT
    assert till.payment() == before
    assert till.ledger_minor() == 0


class Lying:
    """A provider whose charge is not what it was."""

    def __init__(self, provider: Any, charge: Charge) -> None:
        self._provider = provider
        self._charge = charge

    def charge(self, _reference: str) -> Charge:
        return self._charge

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)


def test_money_taken_for_a_payment_that_had_ended_is_told_to_a_person(till: Till) -> None:
    with pytest.raises(PaymentDeclinedError):
        till.authorizes("pm_card_declined")
    taken = Charge(
        reference=till.payment().provider_reference,
        order_id="ord_1",
        status=ChargeStatus.CAPTURED,
        authorized=PRICE,
        captured=PRICE,
        refunded=Money(0, "GBP"),
    )
    lying = replace(till, provider=Lying(till.provider, taken))

    assert lying.hears(taken) is Heard.DOES_NOT_FIT
    assert till.payment().status is PaymentStatus.DECLINED


def test_a_refund_made_by_hand_at_the_provider_is_entered_once(till: Till) -> None:
    till.takes_payment()
    till.refunds(1_000, "ours")
    reference = till.payment().provider_reference
    till.provider.refund("by hand", reference=reference, amount=Money(500, "GBP"))

    for _ in range(3):
        till.hears()

    assert till.payment().refunded == Money(1_500, "GBP")
    assert till.payment().refundable == Money(8_500, "GBP")
    assert till.ledger_minor() == 8_500
    assert till.charge().refunded == Money(1_500, "GBP")


def test_a_customer_who_comes_back_before_the_webhook_finds_the_payment_authorized(
    till: Till,
) -> None:
    till.authorizes("pm_3ds")
    till.customer_confirms()

    payment = till.completes_confirmation()

    assert payment.status is PaymentStatus.AUTHORIZED
    assert till.told() == ["payment.authorized.v1"]
    assert till.hears() is Heard.NOTHING_NEW


def test_a_customer_who_comes_back_without_confirming_goes_on_waiting(till: Till) -> None:
    till.authorizes("pm_3ds")

    payment = till.completes_confirmation()

    assert payment.status is PaymentStatus.REQUIRES_ACTION
    assert payment.action_url
    assert till.told() == []


def test_somebody_elses_payment_is_not_there(till: Till) -> None:
    till.authorizes("pm_3ds")

    with pytest.raises(PaymentNotFoundError):
        till.completes_confirmation(customer_id="gst_2")


def test_a_customer_who_refuses_is_told_of_to_the_world_once(till: Till) -> None:
    till.authorizes("pm_3ds")
    till.customer_confirms(approves=False)

    for _ in range(3):
        till.hears()

    assert till.payment().declined is DeclineReason.PAYMENT_DECLINED
    assert till.told() == ["payment.declined.v1"]
    with pytest.raises(PaymentDeclinedError) as refused:
        till.authorizes("pm_3ds")
    assert type(refused.value) is PaymentDeclinedError


def test_a_confirmation_that_never_came_is_given_up_when_its_time_is_over(till: Till) -> None:
    till.authorizes("pm_3ds")
    till.passes(minutes=19)
    assert till.authorizes("pm_3ds").status is PaymentStatus.REQUIRES_ACTION
    till.passes(minutes=1)

    for _ in range(2):
        with pytest.raises(ConfirmationExpiredError):
            till.authorizes("pm_3ds")

    assert till.payment().declined is DeclineReason.CONFIRMATION_EXPIRED
    assert till.charge().status is ChargeStatus.VOIDED
    assert till.told() == ["payment.declined.v1"]


def test_a_confirmation_that_came_late_and_was_not_told_of_is_found_before_it_is_given_up(
    till: Till,
) -> None:
    till.authorizes("pm_3ds_webhook_lost")
    till.passes(minutes=25)
    till.customer_confirms()

    assert till.authorizes().status is PaymentStatus.AUTHORIZED
    assert till.told() == ["payment.authorized.v1"]


def test_a_confirmation_after_it_was_given_up_authorizes_nothing(till: Till) -> None:
    till.authorizes("pm_3ds")
    till.passes(minutes=21)
    with pytest.raises(PaymentDeclinedError):
        till.authorizes("pm_3ds")

    assert till.customer_confirms().status is ChargeStatus.VOIDED
    till.hears()

    assert till.payment().status is PaymentStatus.DECLINED


def test_a_confirmation_after_the_order_was_cancelled_authorizes_nothing(till: Till) -> None:
    till.authorizes("pm_3ds")
    till.voids()

    assert till.customer_confirms().status is ChargeStatus.VOIDED
    till.hears()

    assert till.payment().status is PaymentStatus.VOIDED
    assert till.told() == []


def test_a_payment_ended_in_our_book_holds_no_money_at_the_provider(till: Till) -> None:
    till.authorizes("pm_3ds")
    ended = till.payment().declined_because(DeclineReason.CONFIRMATION_EXPIRED)
    till.payments.move(ended)
    till.provider.confirm(ended.provider_reference, approves=True)

    till.settles()

    assert till.charge().status is ChargeStatus.VOIDED

"""Days pass in a moment: authorizations outlive their week, waits end by themselves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl

from infra.local.stack import LocalStack
from tests.system.books import items, provider_charge
from tests.system.conftest import ROOT, opened
from tests.system.faults import Faults, fails_before
from tests.system.shopper import Person, Town
from tradepost.kernel.clock import set_clock
from tradepost.platform import aws

# More often than any step is tried.
ALWAYS = 20


class VirtualClock:
    """Stands still until it is told to go on. Satisfies `infra.local.clock.Clock`."""

    def __init__(self) -> None:
        # The tokens of the local stack are signed by this clock, too, so any day will do.
        self.moment = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def now(self) -> float:
        return self.moment.timestamp()

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        condition.wait(seconds)


@pytest.fixture(scope="module")
def clock() -> Iterator[VirtualClock]:
    clock = VirtualClock()
    set_clock(lambda: clock.moment)
    yield clock
    set_clock(None)


@pytest.fixture(scope="module")
def stack(clock: VirtualClock) -> Iterator[LocalStack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda _seconds: None))
        with LocalStack(ROOT, clock=clock) as started:
            yield started
    aws.forget_clients()


@pytest.fixture
def town(stack: LocalStack) -> Iterator[Town]:
    with opened(stack) as empty:
        yield empty


class Days:
    """Lets time pass, a step at a time, and everything that comes of it."""

    def __init__(self, town: Town, clock: VirtualClock) -> None:
        self._town = town
        self._clock = clock

    def pass_by(self, *, steps: int, **step: float) -> None:
        for _ in range(steps):
            self._clock.moment += timedelta(**step)
            self._town.settles()


@pytest.fixture
def days(town: Town, clock: VirtualClock) -> Days:
    return Days(town, clock)


def bought(town: Town, method: str) -> tuple[Person, str]:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(MUG=2), method=method).json()["order_id"]
    town.settles()
    return guest, order_id


def payment_of(order_id: str) -> dict[str, Any]:
    return items("payments", f"PAYMENT#{order_id}")["PAYMENT"]


def status_of(order_id: str) -> str:
    return str(items("orders", f"ORDER#{order_id}")["ORDER"]["status"])


def test_a_parked_order_of_nine_days_ago_still_has_its_money_set_aside(
    town: Town, days: Days, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(stack, monkeypatch)
    faults.at_step("payments-capture_payment", fails_before, times=ALWAYS)
    _, order_id = bought(town, "pm_card_ok")
    parked = status_of(order_id)

    days.pass_by(steps=9 * 8, hours=3)

    payment = payment_of(order_id)
    assert parked == status_of(order_id) == "NEEDS_ATTENTION"
    assert (payment["status"], payment["attempt"]) == ("AUTHORIZED", 2)
    assert (provider_charge(order_id) or {})["status"] == "VOIDED"


def test_an_authorization_that_cannot_be_had_again_ends_its_payment(
    town: Town, days: Days, stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(stack, monkeypatch)
    faults.at_step("payments-capture_payment", fails_before, times=ALWAYS)
    _, order_id = bought(town, "pm_expires_soon_then_declined")

    days.pass_by(steps=6, minutes=10)

    payment = payment_of(order_id)
    assert (payment["status"], payment["declined"]) == ("DECLINED", "authorization_expired")


def test_a_wait_that_nobody_ends_is_ended_by_time_alone(town: Town, days: Days) -> None:
    _, order_id = bought(town, "pm_3ds")
    waiting = status_of(order_id)

    days.pass_by(steps=25, minutes=1)

    assert (waiting, status_of(order_id)) == ("AWAITING_PAYMENT", "CANCELLED")
    assert payment_of(order_id)["declined"] == "confirmation_expired"
    level = items("inventory", "SKU#MUG")["STOCK#main"]
    assert (level["available"], level["held"]) == (10, 0)


def test_a_confirmation_in_the_last_minute_is_in_time(town: Town, days: Days) -> None:
    guest, order_id = bought(town, "pm_3ds")
    days.pass_by(steps=19, minutes=1)
    bank = guest.get(f"/v1/payments/{order_id}/confirmation").json()["action_url"]

    town.http.post(bank, data={"answer": "confirm"})
    town.settles()

    assert status_of(order_id) == "CONFIRMED"
    assert payment_of(order_id)["captured_minor"] == 2500

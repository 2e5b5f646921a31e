"""Returns on the stack: whatever fails, stock and money are right in the end, once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from infra.local import boundaries
from infra.local.boundaries import Boundary, Place
from tests.system.books import items, provider_charge
from tests.system.faults import (
    Answer,
    Fault,
    Killed,
    answers_twice,
    dies_after,
    dies_before,
    fails_after,
    fails_before,
    failure,
    is_throttled,
    loses_its_answer,
)
from tests.system.parcels import Bought, bought
from tests.system.shopper import Town

STEPS = [
    "shipping-read_return",
    "orders-price_return",
    "inventory-restock",
    "payments-refund_return",
    "shipping-close_return",
]
SWEEP = "tradepost-local-shipping-sweep_returns"

# More often than any step is tried.
ALWAYS = 20

_numbers = itertools.count(1)


class StepFaults:
    """Lets a step of returns fail, or one of the calls that it makes of AWS, counted from 0.

    Satisfies `infra.local.boundaries.Interceptor`.
    """

    def __init__(self) -> None:
        self._steps: dict[str, list[Fault]] = {}
        self._call: tuple[str, int, Fault] | None = None
        self._inside: list[int] = []
        self.fired = 0

    def at_step(self, step: str, fault: Fault, *, times: int = 1) -> None:
        self._steps[step] = [fault] * times

    def at_call(self, step: str, number: int, fault: Fault) -> None:
        self._call = (step, number, fault)
        self.fired = 0

    def clear(self) -> None:
        self._steps.clear()
        self._call = None

    def at(self, place: Place, go_on: Callable[[], Any]) -> Any:
        match place.boundary:
            case Boundary.FUNCTION:
                return self._function(place.function, go_on)
            case Boundary.AWS | Boundary.WEBHOOK:
                return self._aws(go_on)
        return go_on()

    def _function(self, step: str, go_on: Callable[[], Answer]) -> Answer:
        def call() -> Answer:
            watched = self._call is not None and self._call[0] == step
            if watched:
                self._inside.append(0)
            try:
                return go_on()
            except Killed:
                return failure("Lambda.Unknown")
            finally:
                if watched:
                    self._inside.pop()

        planned = self._steps.get(step)
        if not planned:
            return call()
        self.fired += 1
        answer: Answer = planned.pop()(call)
        return answer

    def _aws(self, call: Callable[[], Any]) -> Any:
        if not self._inside or self._call is None:
            return call()
        number, self._inside[-1] = self._inside[-1], self._inside[-1] + 1
        _, wanted, fault = self._call
        if number != wanted:
            return call()
        self._call = None
        self.fired += 1
        return fault(call)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> StepFaults:
    faults = StepFaults()
    monkeypatch.setattr(boundaries, "_interceptor", faults)
    return faults


class Returned:
    """Three mugs at 1250 were bought and delivered; the customer sends some of them back."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.sku = f"MUG-{next(_numbers)}"
        town.sells(self.sku, on_hand=10)
        self.parcel: Bought = bought(town, self.sku.replace("-", "_"), 3)
        self.parcel.befalls("collected", "delivered")
        self.return_id = ""

    def asks(self, quantity: int = 2, key: str = "key-1") -> Any:
        return self.parcel.customer(
            "returns",
            {"lines": [{"sku": self.sku, "quantity": quantity}], "reason": "too many"},
            Idempotency_Key=key,
        )

    def is_approved(self, quantity: int = 2) -> None:
        asked = self.asks(quantity)
        assert asked.status_code == 201, asked.text
        self.return_id = asked.json()["return_id"]
        assert self.decided("approval").status_code == 200

    def decided(self, how: str, body: Any = None) -> Any:
        return self.parcel.staff(f"returns/{self.return_id}/{how}", body)

    def arrives(self, *, resellable: int = 1, damaged: int = 1) -> Any:
        came = {"resellable": resellable, "damaged": damaged}
        lines = [
            {"sku": self.sku, "quantity": quantity, "condition": condition}
            for condition, quantity in came.items()
            if quantity
        ]
        answer = self.decided("receipt", {"lines": lines})
        self.town.settles()
        return answer

    @property
    def shown(self) -> dict[str, Any]:
        answer = self.parcel.buyer.get(f"/v1/shipments/{self.parcel.order_id}/returns")
        (shown,) = answer.json()["returns"]
        return dict(shown)

    def is_right(self, *, resellable: int = 1, damaged: int = 1) -> None:
        """Check the return's end in everybody's books."""
        refund = 1250 * (resellable + damaged)
        payment = self.town.payment(self.parcel.order_id)
        charge = provider_charge(self.parcel.order_id)
        assert charge is not None
        entry = items("inventory", f"RETURN#{self.return_id}")["ENTRY#RESTOCKED"]

        assert self.shown["status"] == "REFUNDED"
        assert self.shown["refund"] == {"amount_minor": refund, "currency": "GBP"}
        assert payment["refunded"]["amount_minor"] == charge["refunded_minor"] == refund
        assert [one["status"] for one in payment["refunds"]] == ["SUCCEEDED"]
        assert self.town.level(self.sku) == (7 + resellable, 0)
        assert sum(movement["available"] for movement in entry["movements"]) == resellable
        assert sum(line["quantity"] for line in entry["scrapped"]) == damaged


@pytest.fixture
def returned(lasting_town: Town) -> Returned:
    return Returned(lasting_town)


def test_what_comes_back_is_restocked_or_scrapped_and_refunded(returned: Returned) -> None:
    returned.is_approved()

    returned.arrives()

    returned.is_right()


def test_what_arrives_may_be_less_than_was_announced(returned: Returned) -> None:
    returned.is_approved(3)

    returned.arrives(resellable=1, damaged=0)

    returned.is_right(resellable=1, damaged=0)
    assert returned.asks(2, key="key-2").status_code == 201
    assert returned.asks(1, key="key-3").json()["code"] == "return_too_large"


def test_more_than_was_announced_is_not_received(returned: Returned) -> None:
    returned.is_approved(2)

    refused = returned.arrives(resellable=2, damaged=1)

    assert (refused.status_code, refused.json()["code"]) == (409, "receipt_too_large")
    assert returned.town.level(returned.sku) == (7, 0)
    assert returned.town.payment(returned.parcel.order_id)["refunds"] == []


def test_the_mail_says_that_it_arrived(returned: Returned) -> None:
    returned.is_approved()
    returned.arrives()

    subjects = [
        mail["subject"]
        for mail in returned.town.stack.mailbox.list("grace@example.com")
        if returned.parcel.order_id in mail["subject"]
    ]
    assert [subject for subject in subjects if "return" in subject.lower()] != []


def test_a_rejected_return_moves_nothing(returned: Returned) -> None:
    returned.return_id = returned.asks().json()["return_id"]

    returned.decided("rejection")
    refused = returned.arrives()

    assert (refused.status_code, refused.json()["code"]) == (409, "return_transition")
    assert returned.shown["status"] == "REJECTED"
    assert returned.town.level(returned.sku) == (7, 0)


def test_only_what_was_delivered_is_returned(lasting_town: Town) -> None:
    lasting_town.sells("LAMP", on_hand=10)
    parcel = bought(lasting_town, "LAMP", 1)

    refused = parcel.customer(
        "returns",
        {"lines": [{"sku": "LAMP", "quantity": 1}], "reason": "too late"},
        Idempotency_Key="key-1",
    )

    assert (refused.status_code, refused.json()["code"]) == (409, "return_not_possible")


def test_what_was_refunded_before_is_not_refunded_again(returned: Returned) -> None:
    body = {"amount": {"amount_minor": 3 * 1250, "currency": "GBP"}, "reason": "kindness"}
    path = f"/v1/payments/{returned.parcel.order_id}/refunds"
    returned.town.admin.post(path, body, Idempotency_Key="all")
    returned.is_approved()

    returned.arrives()

    assert returned.shown["status"] == "NEEDS_ATTENTION"
    payment = returned.town.payment(returned.parcel.order_id)
    assert payment["refunded"]["amount_minor"] == 3 * 1250


@pytest.mark.parametrize("fault", [fails_before, fails_after, answers_twice])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_once_or_answers_twice_changes_no_end(
    returned: Returned, faults: StepFaults, step: str, fault: Fault
) -> None:
    returned.is_approved()
    faults.at_step(step, fault)

    returned.arrives()

    assert faults.fired == 1
    returned.is_right()


@pytest.mark.parametrize("fault", [dies_before, dies_after, is_throttled, loses_its_answer])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_at_any_call_of_aws_changes_no_end(
    lasting_town: Town, faults: StepFaults, step: str, fault: Fault
) -> None:
    for number in itertools.count():
        returned = Returned(lasting_town)
        returned.is_approved()
        faults.at_call(step, number, fault)

        returned.arrives()

        returned.is_right()
        faults.clear()
        if not faults.fired:
            break


@pytest.mark.parametrize("fault", [fails_before, fails_after])
@pytest.mark.parametrize("step", STEPS[1:])
def test_a_return_that_keeps_failing_waits_for_a_person_who_resumes_it(
    returned: Returned, faults: StepFaults, step: str, fault: Fault
) -> None:
    returned.is_approved()
    faults.at_step(step, fault, times=ALWAYS)
    returned.arrives()
    faults.clear()
    stopped = returned.shown["status"]
    waiting = returned.town.admin.get("/v1/staff/returns?status=NEEDS_ATTENTION").json()

    resumed = returned.decided("resumption")
    returned.town.settles()

    # One whose closing got through, and lost its answer alone, has ended.
    ended = (step, fault) == (STEPS[-1], fails_after)
    assert stopped == ("REFUNDED" if ended else "NEEDS_ATTENTION")
    assert (returned.return_id in json.dumps(waiting)) is not ended
    assert resumed.status_code == (409 if ended else 202)
    returned.is_right()


@pytest.mark.parametrize("fault", [fails_before, fails_after])
def test_a_return_that_could_not_even_be_read_is_run_again_by_the_sweep(
    returned: Returned,
    faults: StepFaults,
    later: Callable[[timedelta], None],
    fault: Fault,
) -> None:
    returned.is_approved()
    faults.at_step("shipping-read_return", fault, times=ALWAYS)
    returned.arrives()
    faults.clear()
    assert returned.shown["status"] == "RECEIVED"

    later(timedelta(minutes=7))
    returned.town.stack.pump.fire(SWEEP)
    returned.town.settles()

    returned.is_right()


def test_a_return_whose_start_was_lost_is_run_by_the_sweep(
    returned: Returned,
    monkeypatch: pytest.MonkeyPatch,
    later: Callable[[timedelta], None],
) -> None:
    returned.is_approved()
    call_aws = BaseClient._make_api_call

    def starts_nothing(client: Any, operation: str, request: Any) -> Any:
        if operation == "StartExecution":
            return is_throttled(lambda: None)
        return call_aws(client, operation, request)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", starts_nothing)
        lost = returned.arrives()

    later(timedelta(minutes=7))
    returned.town.stack.pump.fire(SWEEP)
    returned.town.settles()

    assert (lost.status_code, lost.json()["code"]) == (503, "unavailable")
    returned.is_right()


def test_a_return_received_twice_at_once_is_refunded_once(returned: Returned) -> None:
    returned.is_approved()

    returned.decided(
        "receipt",
        {"lines": [{"sku": returned.sku, "quantity": 1, "condition": "resellable"}]},
    )
    returned.decided(
        "receipt",
        {"lines": [{"sku": returned.sku, "quantity": 1, "condition": "resellable"}]},
    )
    returned.town.settles()

    returned.is_right(resellable=1, damaged=0)


def test_what_was_given_away_comes_back_for_nothing(lasting_town: Town) -> None:
    sku = f"GIFT-{next(_numbers)}"
    lasting_town.sells(sku, on_hand=10, amount_minor=0)
    lasting_town.sells("BOX", on_hand=1_000, amount_minor=500)
    guest = lasting_town.guest()
    total = guest.fills_cart(**{sku.replace("-", "_"): 2, "BOX": 1})
    order_id = guest.checks_out(total).json()["order_id"]
    lasting_town.settles()
    number = guest.get(f"/v1/shipments/{order_id}").json()["tracking_number"]
    parcel = Bought(lasting_town, guest, order_id, number)
    parcel.befalls("collected", "delivered")
    asked = parcel.customer(
        "returns",
        {"lines": [{"sku": sku, "quantity": 2}], "reason": "one gift too many"},
        Idempotency_Key="key-1",
    ).json()

    parcel.staff(f"returns/{asked['return_id']}/approval")
    came = {"lines": [{"sku": sku, "quantity": 2, "condition": "resellable"}]}
    parcel.staff(f"returns/{asked['return_id']}/receipt", came)
    lasting_town.settles()

    (ended,) = guest.get(f"/v1/shipments/{order_id}/returns").json()["returns"]
    assert (ended["status"], ended["refund"]["amount_minor"]) == ("REFUNDED", 0)
    assert lasting_town.level(sku) == (10, 0)
    assert lasting_town.payment(order_id)["refunds"] == []

"""Faults where a checkout meets the world, as a test scripts them: what befalls which call."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra.local import boundaries
from infra.local.boundaries import Boundary, Place
from infra.local.boundaries import KilledError as Killed
from infra.local.corrections.stepfunctions import REGISTER
from infra.local.faults import effects
from infra.local.functions import HTTP_HANDLER
from infra.local.stack import LocalStack
from tests.system.shopper import Town
from tradepost.platform import aws

Answer = tuple[str, bool]  # JSON, and whether it is an error
Fault = Callable[[Callable[[], Any]], Any]  # takes what it stands before, and answers instead

# Executions that a test starts bear this; the customer's own bears its request's id.
AGAIN = "again"


def failure(error: str) -> Answer:
    return json.dumps({"errorType": error, "errorMessage": "on purpose"}), True


def fails_before(call: Callable[[], Answer]) -> Answer:
    return failure("UnavailableError")


def fails_after(call: Callable[[], Answer]) -> Answer:
    call()
    return failure("UnavailableError")


def times_out_after(call: Callable[[], Answer]) -> Answer:
    call()
    return failure("Sandbox.Timedout")


def answers_twice(call: Callable[[], Answer]) -> Answer:
    call()
    return call()


def is_lost_before(call: Callable[[], Answer]) -> Answer:
    """Nothing remains of the execution: no retry, no catch, and the step is not done."""
    _stop_executions()
    return failure("Lambda.Unknown")


def is_lost_after(call: Callable[[], Answer]) -> Answer:
    """Nothing remains of the execution, but the step is done."""
    call()
    _stop_executions()
    return failure("Lambda.Unknown")


def _stop_executions() -> None:
    for arn, execution in list(REGISTER.by_arn.items()):
        if execution.status == "RUNNING":
            aws.step_functions().stop_execution(executionArn=arn)


# What may befall a call of AWS is what a plan of faults for the running shop may say, too.
dies_before, dies_after = effects.dies_before, effects.dies_after
is_throttled, loses_its_answer = effects.is_throttled, effects.loses_its_answer


@dataclass
class _Plan:
    fault: Fault
    times: int


class Faults:
    """Lets chosen calls of the customer's own execution fail, and chosen steps of others.

    Satisfies `infra.local.boundaries.Interceptor`.
    """

    def __init__(self, stack: LocalStack, patch: pytest.MonkeyPatch) -> None:
        self._stack = stack
        self._plans: dict[str, _Plan] = {}
        self._calls: dict[str, tuple[int, Fault]] = {}
        self._refusals: dict[str, str] = {}
        self._at = threading.local()
        self.fired = 0
        self.hit = False
        self.order_id = ""  # of the customer's own execution
        patch.setattr(boundaries, "_interceptor", self)

    def at_step(self, step: str, fault: Fault, *, times: int = 1) -> None:
        """Have the next calls of a step's function fail."""
        self._plans[step] = _Plan(fault, times)

    def at_call(self, step: str, number: int, fault: Fault) -> None:
        """Have one of the calls that a step, or a request, makes of AWS fail: from 0, once."""
        self._calls[step] = (number, fault)

    def each_call(self) -> Iterator[int]:
        """Number the calls to fail at one after the other, until one is not made any more."""
        for number in itertools.count():
            self.clear()
            yield number
            if not self.hit:
                break

    def turn_round(self, step: str, refusal: str) -> None:
        """Have a step refuse whatever other execution than the customer's own comes to it."""
        self._refusals[step] = refusal

    def clear(self) -> None:
        self._plans.clear()
        self._calls.clear()
        self.fired = 0
        self.hit = False

    def at(self, place: Place, go_on: Callable[[], Any]) -> Any:
        match place.boundary:
            case Boundary.FUNCTION if place.function.endswith(HTTP_HANDLER):
                return self._request(place.function, go_on)
            case Boundary.FUNCTION:
                return self._function(place.function, json.loads(place.call), go_on)
            case Boundary.AWS | Boundary.WEBHOOK:
                return self._aws(go_on)
        return go_on()

    def _function(self, step: str, given: Any, go_on: Callable[[], Answer]) -> Answer:
        own = "order_id" in given and given.get("correlation_id") != AGAIN
        if own:
            self.order_id = given["order_id"]

        def call() -> Answer:
            self._at.step, self._at.count = (step, 0) if own else (None, 0)
            try:
                return go_on()
            except Killed:
                return failure("Lambda.Unknown")
            finally:
                self._at.step = None

        if not own and step in self._refusals:
            return failure(self._refusals[step])
        plan = self._plans.get(step)
        if plan is None or plan.times == 0 or not own:
            return call()
        plan.times -= 1
        self.fired += 1
        answer: Answer = plan.fault(call)
        return answer

    def _request(self, step: str, go_on: Callable[[], Any]) -> Any:
        """Answer a request of the API, whose calls of AWS count as those of a step."""
        before = vars(self._at).copy()
        self._at.step, self._at.count = step, 0
        try:
            return go_on()
        finally:
            vars(self._at).update({"step": None, **before})

    def _aws(self, call: Callable[[], Any]) -> Any:
        step = getattr(self._at, "step", None)
        number, fault = self._calls.get(step, (-1, None)) if step else (-1, None)
        if fault is None:
            return call()
        count, self._at.count = self._at.count, self._at.count + 1
        if count != number:
            return call()
        del self._calls[step]
        self.hit = True
        self._at.step = None
        try:
            return fault(call)
        finally:
            self._at.step = step


def others_have_ended() -> None:
    """Wait, within an execution, until it is the only one that runs."""
    with REGISTER.changed:
        assert REGISTER.changed.wait_for(lambda: REGISTER.running == 1, timeout=30)


def run_whole(town: Town, order_id: str) -> None:
    """Run an order's checkout again, to its end."""
    client = aws.step_functions()
    machine = town.stack.outputs["CheckoutStateMachineArn"]
    begun = client.start_execution(
        stateMachineArn=machine,
        input=json.dumps({"order_id": order_id, "correlation_id": AGAIN}),
    )
    while client.describe_execution(executionArn=begun["executionArn"])["status"] == "RUNNING":
        time.sleep(0.001)

"""Faults, brought about where a checkout meets the world: its functions, and their calls of AWS."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.local.corrections.stepfunctions import REGISTER
from infra.local.functions import HTTP_HANDLER, LocalFunction
from infra.local.stack import LocalStack
from tests.system.shopper import Town
from tradepost.platform import aws

Answer = tuple[str, bool]  # JSON, and whether it is an error
Fault = Callable[[Callable[[], Any]], Any]  # takes what it stands before, and answers instead

# Executions that a test starts bear this; the customer's own bears its request's id.
AGAIN = "again"


class Killed(BaseException):
    """The function's process ended: nothing of ours can catch it."""


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


def dies_before(call: Callable[[], Any]) -> Any:
    raise Killed


def dies_after(call: Callable[[], Any]) -> Any:
    call()
    raise Killed


def is_throttled(call: Callable[[], Any]) -> Any:
    raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "on purpose"}}, "Any")


def loses_its_answer(call: Callable[[], Any]) -> Any:
    call()
    raise ReadTimeoutError(endpoint_url="https://on.purpose")


@dataclass
class _Plan:
    fault: Fault
    times: int


class Faults:
    """Lets chosen calls of the customer's own execution fail, and chosen steps of others."""

    def __init__(self, stack: LocalStack, patch: pytest.MonkeyPatch) -> None:
        self._stack = stack
        self._run = stack.functions.run
        self._plans: dict[str, _Plan] = {}
        self._calls: dict[str, tuple[int, Fault]] = {}
        self._refusals: dict[str, str] = {}
        self._at = threading.local()
        self.fired = 0
        self.hit = False
        self.order_id = ""  # of the customer's own execution
        call_aws = BaseClient._make_api_call

        def make_api_call(client: Any, operation: str, request: Any) -> Any:
            return self._aws(lambda: call_aws(client, operation, request))

        patch.setattr(stack.functions, "run", self._function)
        for name, function in stack.functions.by_name.items():
            if name.endswith(HTTP_HANDLER):
                step = name.partition("tradepost-local-")[2]
                answers = replace(
                    function, handler=functools.partial(self._request, step, function)
                )
                patch.setitem(stack.functions.by_name, name, answers)
        patch.setattr(BaseClient, "_make_api_call", make_api_call)

    def at_step(self, step: str, fault: Fault, *, times: int = 1) -> None:
        """Have the next calls of a step's function fail."""
        self._plans[step] = _Plan(fault, times)

    def at_call(self, step: str, number: int, fault: Fault) -> None:
        """Have one of the calls that a step, or a request, makes of AWS fail: from 0, once."""
        self._calls[step] = (number, fault)

    def turn_round(self, step: str, refusal: str) -> None:
        """Have a step refuse whatever other execution than the customer's own comes to it."""
        self._refusals[step] = refusal

    def clear(self) -> None:
        self._plans.clear()
        self._calls.clear()
        self.fired = 0
        self.hit = False

    def _function(self, name: str, payload: str) -> Answer:
        step = name.partition("tradepost-local-")[2]
        given = json.loads(payload)
        own = "order_id" in given and given.get("correlation_id") != AGAIN
        if own:
            self.order_id = given["order_id"]

        def call() -> Answer:
            self._at.step, self._at.count = (step, 0) if own else (None, 0)
            try:
                return self._run(name, payload)
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

    def _request(self, step: str, function: LocalFunction, event: Any, context: Any) -> Any:
        """Answer a request of the API, whose calls of AWS count as those of a step."""
        before = vars(self._at).copy()
        self._at.step, self._at.count = step, 0
        try:
            return function.handler(event, context)
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

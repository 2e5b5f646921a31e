"""A checkout is started as often as it takes, on a machine that runs a name once, too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tradepost.kernel.errors import UnavailableError
from tradepost.platform.runner import StepFunctionsRunner


class StandardMachine:
    """Answers as Step Functions does for a STANDARD machine."""

    def __init__(self, *, busy: bool = False) -> None:
        self.executions: dict[str, str] = {}
        self.over: set[str] = set()
        self._busy = busy

    def start_execution(self, **request: Any) -> dict[str, Any]:
        name, given = request["name"], request["input"]
        if self._busy:
            raise _said("ThrottlingException")
        if name in self.over or self.executions.get(name, given) != given:
            raise _said("ExecutionAlreadyExists")
        self.executions[name] = given
        return {}


def _said(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "StartExecution")


def start(machine: StandardMachine) -> None:
    StepFunctionsRunner(machine, "arn").start("ord_1", "cor_1")  # type: ignore[arg-type]


def test_a_second_click_meets_the_execution_that_runs() -> None:
    machine = StandardMachine()

    start(machine)
    start(machine)

    assert list(machine.executions) == ["ord_1"]


def test_a_checkout_whose_execution_is_over_gets_another() -> None:
    machine = StandardMachine()
    start(machine)
    machine.over.add("ord_1")

    start(machine)

    first, second = machine.executions
    assert second.startswith(f"{first}_")
    assert len(second) <= 80  # Step Functions: the length of an execution's name
    assert json.loads(machine.executions[second])["order_id"] == "ord_1"


def test_a_machine_that_is_busy_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        start(StandardMachine(busy=True))

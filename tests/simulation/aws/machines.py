"""Step Functions: an interpreter of the Amazon States Language, as far as our machines use it.

States: Task with Parameters, ResultSelector, ResultPath, TimeoutSeconds, Retry and Catch; Choice by
StringEquals, NumericEquals and BooleanEquals; Succeed; Fail. Paths are plain references such as
`$.order.id`. What a machine uses besides is refused when it is read, not when it is run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.simulation.aws.refusals import NotModelledError, refusal

State = Any
# Step Functions' name for all errors, in Retry and in Catch.
ALL_ERRORS = "States.ALL"
_LAMBDA_INVOKE = "arn:aws:states:::lambda:invoke"

_MEMBERS = {
    "Task": {
        "Comment", "Type", "Resource", "Parameters", "ResultSelector", "ResultPath",
        "TimeoutSeconds", "Retry", "Catch", "Next", "End",
    },
    "Choice": {"Comment", "Type", "Choices", "Default"},
    "Succeed": {"Comment", "Type"},
    "Fail": {"Comment", "Type", "Error", "Cause"},
}  # fmt: skip
_RETRY_MEMBERS = {
    "ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds",
    "JitterStrategy",
}  # fmt: skip
_COMPARISONS = {"BooleanEquals", "NumericEquals", "StringEquals"}


class TaskFailedError(Exception):
    """A task ended with an error; `error` is its name, as Retry and Catch know it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error)
        self.error = error
        self.cause = cause


class Surroundings(Protocol):
    """What an execution needs of the world it runs in."""

    def run_task(self, function: str, payload: Any, timeout_seconds: float) -> Any:
        """Invoke a function and return its answer. Raises TaskFailedError."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def now(self) -> float:
        """Tell seconds since the epoch."""

    def jitter(self) -> float:
        """Draw from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Machine:
    arn: str
    definition: Mapping[str, Any]
    is_standard: bool

    @classmethod
    def read(cls, arn: str, text: str, *, is_standard: bool) -> Machine:
        """Read a definition. Raises NotModelledError for what this interpreter does not know."""
        definition = json.loads(text)
        for name, state in definition["States"].items():
            unknown = state.keys() - _MEMBERS.get(state["Type"], set())
            for retrier in state.get("Retry", ()):
                unknown |= retrier.keys() - _RETRY_MEMBERS
            for choice in state.get("Choices", ()):
                unknown |= choice.keys() - {"Variable", "Next", "Comment"} - _COMPARISONS
            if unknown:
                raise NotModelledError(f"{arn}: {name}: {', '.join(sorted(unknown))}")
        return cls(arn, definition, is_standard)


@dataclass(slots=True)
class Execution:
    """One run of a machine. `path` lists the states it entered."""

    arn: str
    machine: Machine
    given: State
    status: str = "RUNNING"
    path: list[str] = field(default_factory=list)

    def run(self, surroundings: Surroundings) -> None:
        """Run to the end, whatever end it is."""
        definition = self.machine.definition
        ends_at = surroundings.now() + definition.get("TimeoutSeconds", 10**9)
        state_name: str | None = definition["StartAt"]
        data = self.given
        while state_name is not None:
            if surroundings.now() > ends_at:
                self.status = "TIMED_OUT"
                return
            self.path.append(state_name)
            state = definition["States"][state_name]
            match state["Type"]:
                case "Choice":
                    state_name = _chosen(state, data)
                case "Succeed":
                    break
                case "Fail":
                    self.status = "FAILED"
                    return
                case _:
                    try:
                        state_name, data = _task(state, data, surroundings)
                    except TaskFailedError:
                        self.status = "FAILED"
                        return
        self.status = "SUCCEEDED"


class StepFunctions:
    """The machines of an account. `begin` is called with each execution that is started."""

    def __init__(self, begin: Callable[[Execution], None]) -> None:
        self.machines: dict[str, Machine] = {}
        self.executions: dict[str, Execution] = {}
        self._begin = begin

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "StartExecution":
            raise NotModelledError(f"stepfunctions.{operation}")
        machine = self.machines.get(parameters["stateMachineArn"])
        if machine is None:
            raise refusal("StateMachineDoesNotExist", "State Machine Does Not Exist")
        given = json.loads(parameters.get("input", "{}"))
        arn = f"{machine.arn}:{parameters['name']}"
        if machine.is_standard and arn in self.executions:
            known = self.executions[arn]
            # API reference: idempotent for as long as it runs with the same input.
            if known.status == "RUNNING" and known.given == given:
                return {"executionArn": arn}
            raise refusal("ExecutionAlreadyExists", "Execution Already Exists")
        arn = arn if machine.is_standard else f"{arn}:{len(self.executions)}"
        execution = Execution(arn, machine, given)
        self.executions[arn] = execution
        self._begin(execution)
        return {"executionArn": arn}


def _task(
    state: Mapping[str, Any], data: State, surroundings: Surroundings
) -> tuple[str | None, State]:
    """Run a task with its retries; return the next state's name and the data it gets."""
    if state["Resource"] != _LAMBDA_INVOKE:
        raise NotModelledError(state["Resource"])
    retries: dict[int, int] = {}
    while True:
        try:
            parameters = _filled(state["Parameters"], data)
            answer = surroundings.run_task(
                parameters["FunctionName"],
                parameters["Payload"],
                state.get("TimeoutSeconds", 10**9),
            )
            result: Any = {"Payload": answer, "StatusCode": 200, "ExecutedVersion": "$LATEST"}
            if "ResultSelector" in state:
                result = _filled(state["ResultSelector"], result)
            return _next(state), _placed(data, state.get("ResultPath", "$"), result)
        except TaskFailedError as failure:
            pause = _pause(state, failure, retries, surroundings)
            if pause is not None:
                surroundings.sleep(pause)
                continue
            catcher = _matching(state.get("Catch", ()), failure.error)
            if catcher is None:
                raise
            told = {"Error": failure.error, "Cause": failure.cause}
            return catcher["Next"], _placed(data, catcher.get("ResultPath", "$"), told)


def _next(state: Mapping[str, Any]) -> str | None:
    return None if state.get("End") else str(state["Next"])


def _pause(
    state: Mapping[str, Any],
    failure: TaskFailedError,
    retries: dict[int, int],
    surroundings: Surroundings,
) -> float | None:
    """Tell for how long to wait before a retry; None if there is none left."""
    retrier = _matching(state.get("Retry", ()), failure.error)
    if retrier is None:
        return None
    attempt = retries.get(id(retrier), 0)
    if attempt >= retrier.get("MaxAttempts", 3):
        return None
    retries[id(retrier)] = attempt + 1
    interval = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** attempt
    pause = float(min(interval, retrier.get("MaxDelaySeconds", interval)))
    return pause * surroundings.jitter() if retrier.get("JitterStrategy") == "FULL" else pause


def _matching(candidates: Any, error: str) -> Any:
    for candidate in candidates:
        if error in candidate["ErrorEquals"] or ALL_ERRORS in candidate["ErrorEquals"]:
            return candidate
    return None


_KINDS: dict[str, Callable[[Any], bool]] = {
    "BooleanEquals": lambda value: isinstance(value, bool),
    "NumericEquals": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "StringEquals": lambda value: isinstance(value, str),
}
assert _KINDS.keys() == _COMPARISONS


def _chosen(state: Mapping[str, Any], data: State) -> str:
    for choice in state["Choices"]:
        value = _read(choice["Variable"], data)
        ((comparison, wanted),) = (one for one in choice.items() if one[0] in _COMPARISONS)
        # A value of another kind equals nothing; in Python, True would equal 1.
        if _KINDS[comparison](value) and value == wanted:
            return str(choice["Next"])
    return str(state["Default"])


def _filled(template: Any, data: State) -> Any:
    """Fill a template in: a member whose name ends in `.$` is read from the data."""
    if isinstance(template, Mapping):
        return {
            name.removesuffix(".$"): (_read if name.endswith(".$") else _filled)(value, data)
            for name, value in template.items()
        }
    if isinstance(template, list):
        return [_filled(member, data) for member in template]
    return template


def _read(path: str, data: State) -> Any:
    """Read a reference path. Raises TaskFailedError where it leads nowhere."""
    if not path.startswith("$") or any(mark in path for mark in "[*?(@"):
        raise NotModelledError(path)
    here = data
    for step in path.split(".")[1:]:
        if not isinstance(here, Mapping) or step not in here:
            raise TaskFailedError("States.ParameterPathFailure", path)
        here = here[step]
    return here


def _placed(data: State, path: str | None, result: Any) -> State:
    """Put a result into the data; the data itself is left as it is."""
    if path is None:
        return data
    if path == "$":
        return result
    steps = path.split(".")[1:]
    copy = dict(data)
    here = copy
    for step in steps[:-1]:
        here[step] = dict(here.get(step, {}))
        here = here[step]
    here[steps[-1]] = result
    return copy

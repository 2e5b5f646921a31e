"""The state machines name errors and functions that exist, and let no step hang or fail unseen."""

from __future__ import annotations

import ast
import json
import re

import pytest

from infra.package.chalice_project import functions_of
from tests.contract.project import CONTEXTS, ROOT, app_of, application_modules, parsed

MACHINES = sorted((ROOT / "infra" / "state_machines").glob("*.asl.json"))

# What Step Functions and Lambda themselves say; ours have no dot.
FOREIGN_ERROR = re.compile(r"(States|Lambda|Runtime|Sandbox)\..+")

# How Step Functions tells that a function, or the service that runs it, broke off: it may have had
# its effect or not. See "Handle Lambda service exceptions" in AWS's guide.
BROKEN_OFF = {
    "Lambda.AWSLambdaException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
}

# A task that repeats what it does for ever keeps its execution from ending.
ATTEMPTS_MAX = 12


def by_name(path):
    return path.name


def states_of(machine):
    """Every state by name, those inside Map and Parallel too."""
    found = dict(machine["States"])
    for state in machine["States"].values():
        inner = [*state.get("Branches", ()), state.get("ItemProcessor"), state.get("Iterator")]
        for one in filter(None, inner):
            found |= states_of(one)
    return found


def tasks_of(machine):
    return {name: state for name, state in states_of(machine).items() if state["Type"] == "Task"}


def error_classes():
    return {
        node.name
        for path in application_modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
    }


@pytest.fixture(params=MACHINES, ids=by_name)
def machine(request):
    return json.loads(request.param.read_text())


def test_every_error_named_is_one_that_a_step_can_raise(machine):
    named = {
        error
        for state in states_of(machine).values()
        for rule in (*state.get("Retry", ()), *state.get("Catch", ()))
        for error in rule["ErrorEquals"]
        if not FOREIGN_ERROR.fullmatch(error)
    }

    assert named - error_classes() == set()


def test_every_task_ends_within_a_time(machine):
    without = [name for name, task in tasks_of(machine).items() if "TimeoutSeconds" not in task]

    assert without == []


def test_every_task_is_tried_again_a_limited_number_of_times_and_not_all_at_once(machine):
    for name, task in tasks_of(machine).items():
        assert task["Retry"], name
        for rule in task["Retry"]:
            assert rule["JitterStrategy"] == "FULL", name
            assert rule["MaxAttempts"] <= ATTEMPTS_MAX, name
            assert "MaxDelaySeconds" in rule, name


def test_every_task_is_tried_again_when_its_function_broke_off(machine):
    for name, task in tasks_of(machine).items():
        repeated = {error for rule in task["Retry"] for error in rule["ErrorEquals"]}

        assert "States.ALL" in repeated or repeated >= BROKEN_OFF, name


def test_every_task_says_what_follows_its_failure(machine):
    for name, task in tasks_of(machine).items():
        caught = [error for rule in task["Catch"] for error in rule["ErrorEquals"]]

        assert "States.ALL" in caught, name


def test_every_task_calls_a_function_that_a_context_declares(machine):
    declared = {
        f"{context}-{function.name}"
        for context in CONTEXTS
        for function in functions_of(app_of(context))
    }
    called = {
        task["Parameters"]["FunctionName"].removeprefix("${FunctionPrefix}-")
        for task in tasks_of(machine).values()
    }

    assert {name for name in called if name.partition("-")[0] in CONTEXTS} <= declared


def test_every_state_named_exists_and_can_be_reached(machine):
    states = states_of(machine)
    named = set(re.findall(r'"(?:Next|Default|StartAt)": "(\w+)"', json.dumps(machine)))

    assert named == states.keys()

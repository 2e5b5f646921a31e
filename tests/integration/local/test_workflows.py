"""State machines do what we rely on, and executions share nothing although programs are reused."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading

import boto3
import pytest
from botocore.exceptions import ClientError

COUNT = "tradepost-local-counter-count"
COUNT_ARN = f"arn:aws:lambda:eu-west-1:123456789012:function:{COUNT}"
ROLE = "arn:aws:iam::123456789012:role/any"
numbers = itertools.count()


class FlakyError(Exception):
    """Passes when tried again."""


@pytest.fixture
def step(stack, monkeypatch):
    """Replace the function behind every task."""

    def replace(handler):
        function = dataclasses.replace(stack.functions.by_name[COUNT], handler=handler)
        monkeypatch.setitem(stack.functions.by_name, COUNT, function)

    return replace


@pytest.fixture
def machine():
    client = boto3.client("stepfunctions")

    def create(states, kind="STANDARD", **top):
        definition = json.dumps({"StartAt": next(iter(states)), "States": states, **top})
        return client.create_state_machine(
            name=f"m{next(numbers)}", definition=definition, roleArn=ROLE, type=kind
        )["stateMachineArn"]

    return create


@pytest.fixture
def run(stack):
    client = boto3.client("stepfunctions")

    def run(arn, given=None, **rest):
        started = client.start_execution(
            stateMachineArn=arn, input=json.dumps(given or {}), **rest
        )["executionArn"]
        stack.drain()
        return client.describe_execution(executionArn=started)

    return run


def task(**rest):
    return {
        "Type": "Task",
        "Resource": COUNT_ARN,
        **({"End": True} if "Next" not in rest else {}),
        **rest,
    }


def test_an_error_is_caught_by_its_class_name_and_told_in_the_state(machine, run, step):
    def refuse(event, context):
        raise FlakyError("not now")

    step(refuse)
    caught = {"ErrorEquals": ["FlakyError"], "ResultPath": "$.error", "Next": "Caught"}
    arn = machine({"Try": task(Catch=[caught]), "Caught": {"Type": "Pass", "End": True}})

    output = json.loads(run(arn, {"id": 7})["output"])

    assert output["id"] == 7
    assert output["error"]["Error"] == "FlakyError"
    assert json.loads(output["error"]["Cause"])["errorMessage"] == "not now"


def test_a_failed_task_is_tried_again(machine, run, step):
    calls = []

    def fail_once(event, context):
        calls.append(event)
        if len(calls) < 2:
            raise FlakyError("again")
        return {"calls": len(calls)}

    step(fail_once)
    retry = {
        "ErrorEquals": ["FlakyError"],
        "IntervalSeconds": 1,
        "MaxAttempts": 1,
        "JitterStrategy": "FULL",
    }
    arn = machine({"Try": task(Retry=[retry], ResultPath="$.result", TimeoutSeconds=5)})

    assert json.loads(run(arn, {"id": 1})["output"]) == {"id": 1, "result": {"calls": 2}}


def test_parameters_and_context_reach_the_function(machine, run, step):
    step(lambda event, context: event)
    arn = machine(
        {
            "Try": task(
                Parameters={
                    "order_id.$": "$.order.id",
                    "execution.$": "$$.Execution.Name",
                    "started.$": "$$.Execution.StartTime",
                    "fixed": True,
                }
            )
        }
    )

    output = json.loads(run(arn, {"order": {"id": "o1"}}, name="n1")["output"])

    assert output.pop("started").endswith("Z")
    assert output == {"order_id": "o1", "execution": "n1", "fixed": True}


def test_a_task_that_takes_too_long_fails_with_a_timeout(machine, run, step):
    release = threading.Event()
    step(lambda event, context: release.wait(5))
    caught = {"ErrorEquals": ["States.Timeout"], "Next": "Late"}
    arn = machine({"Try": task(TimeoutSeconds=1, Catch=[caught]), "Late": {"Type": "Succeed"}})

    try:
        assert run(arn)["status"] == "SUCCEEDED"
    finally:
        release.set()


def test_a_choice_that_matches_nothing_says_so(machine, run):
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.x", "NumericEquals": 1, "Next": "Ok"}]}
    arn = machine({"Pick": choice, "Ok": {"Type": "Succeed"}})

    assert run(arn, {"x": 2})["error"] == "States.NoChoiceMatched"
    assert run(arn, {"x": 1})["status"] == "SUCCEEDED"


def test_an_output_that_is_a_bare_string_is_json(machine, run, step):
    step(lambda event, context: "ok")

    assert run(machine({"Try": task()}))["output"] == '"ok"'


def test_a_function_that_does_not_exist_is_a_named_error(machine, run):
    resource = COUNT_ARN.replace("count", "nobody")
    arn = machine({"Try": {"Type": "Task", "Resource": resource, "End": True}})

    assert run(arn)["status"] == "FAILED"


def test_a_name_starts_one_standard_execution_and_any_number_of_express_ones(machine, run):
    states = {"Ok": {"Type": "Succeed"}}
    standard, express = machine(states), machine(states, kind="EXPRESS")
    run(standard, name="once")

    with pytest.raises(ClientError) as refused:
        run(standard, {"other": True}, name="once")
    first, second = run(express, name="often"), run(express, name="often")

    assert refused.value.response["Error"]["Code"] == "ExecutionAlreadyExists"
    assert first["executionArn"] != second["executionArn"]


def test_an_input_over_the_quota_is_refused(machine, run):
    arn = machine({"Ok": {"Type": "Succeed"}})

    with pytest.raises(ClientError, match="InvalidExecutionInput"):
        run(arn, {"text": "x" * 300_000})


def test_twenty_executions_at_once_keep_their_states_apart(stack, machine, step):
    step(lambda event, context: {"twice": event["n"] * 2})
    states = {
        "First": task(ResultPath="$.first", TimeoutSeconds=10, Next="Second"),
        "Second": task(Parameters={"n.$": "$.first.twice"}, ResultPath="$.second", Next="Pick"),
        "Pick": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "NumericLessThan": 10, "Next": "Low"}],
            "Default": "High",
        },
        "Low": {"Type": "Pass", "Result": "low", "ResultPath": "$.kind", "End": True},
        "High": {"Type": "Pass", "Result": "high", "ResultPath": "$.kind", "End": True},
    }
    arn = machine(states)
    client = boto3.client("stepfunctions")

    # Three rounds, so that the later ones run on programs that were used before.
    for _ in range(3):
        started = [
            client.start_execution(stateMachineArn=arn, input=json.dumps({"n": n}))["executionArn"]
            for n in range(20)
        ]
        stack.drain()

        for n, one in enumerate(started):
            output = json.loads(client.describe_execution(executionArn=one)["output"])
            assert output == {
                "n": n,
                "first": {"twice": 2 * n},
                "second": {"twice": 4 * n},
                "kind": "low" if n < 10 else "high",
            }


def test_the_history_can_be_read_backwards_and_by_page(stack, machine, run):
    client = boto3.client("stepfunctions")
    arn = run(machine({"Ok": {"Type": "Succeed"}}))["executionArn"]

    pages = client.get_paginator("get_execution_history").paginate(
        executionArn=arn, reverseOrder=True, PaginationConfig={"PageSize": 2}
    )

    types = [event["type"] for page in pages for event in page["events"]]
    assert types[0] == "ExecutionSucceeded"
    assert types[-1] == "ExecutionStarted"

"""Executions that behave at the API as Step Functions' do.

Mended: an execution without a name; a name used twice at once; the 256 KiB limit of the input;
Express machines, whose names may repeat; output that is a bare string; a time in the context
object that cannot be serialised; the error of a Choice nobody matched; the cause of a failed
callback and of a stopped execution; the end of an execution that timed out; the order and the
paging of the history; and the case of parameters to nested executions.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

from moto.core import utils
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions.exceptions import (
    ExecutionAlreadyExists,
    ExecutionDoesNotExist,
    InvalidExecutionInput,
)
from moto.stepfunctions.parser.api import (
    ExecutionFailedEventDetails,
    ExecutionStatus,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import (
    StatesErrorName,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_sfn,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

from infra.local.clock import in_use

# Step Functions: the input of an execution and the output of a state, as UTF-8.
INPUT_BYTES_MAX = 256 * 1024
# AWS keeps ended executions for 90 days; here the newest are kept.
EXECUTIONS_KEPT = 10_000
EXECUTIONS_FORGOTTEN_AT_ONCE = 1_000
# A function that an execution waits for cannot be stopped.
STOPPED_WITHIN_SECONDS = 5.0

_moto_reflect = BaseExecutionWorkerCommunication._reflect_execution_status
_moto_details = Execution.get_start_execution_details
_moto_choice = StateChoice._eval_state


class ExecutionRegister:
    """Every execution by ARN and by name, and how many run."""

    def __init__(self) -> None:
        self.by_arn: dict[str, Any] = {}
        self.by_name: dict[tuple[str, str], Any] = {}
        self.running = 0
        self.changed = threading.Condition()
        self.listeners: list[Callable[[], None]] = []

    def ended(self) -> None:
        """Note that an execution has ended."""
        with self.changed:
            self.running -= 1
            self.changed.notify_all()
        for wake in self.listeners:
            wake()

    def stop_all(self) -> None:
        """End what runs, and wait until it has ended."""
        for execution in list(self.by_arn.values()):
            if execution.status == "RUNNING":
                execution.stop(stop_date=utils.utcnow(), error="", cause="")
        with self.changed:
            self.changed.wait_for(lambda: self.running == 0, timeout=STOPPED_WITHIN_SECONDS)

    def clear(self) -> None:
        self.by_arn.clear()
        self.by_name.clear()


REGISTER = ExecutionRegister()


def install() -> None:
    """Replace the API's part of the executing backend."""
    StepFunctionsParserBackend.start_execution = _start_execution
    StepFunctionsParserBackend.describe_execution = _describe_execution
    BaseExecutionWorkerCommunication._reflect_execution_status = _reflect
    Execution.get_start_execution_details = _start_details
    StateChoice._eval_state = _eval_choice
    service = state_task_service_sfn.StateTaskServiceSfn
    service._normalise_parameters = _camel_case
    service._normalise_response = _pascal_case
    StepFunctionResponse.send_task_failure = _send_task_failure
    StepFunctionResponse.stop_execution = _stop_execution
    StepFunctionResponse.get_execution_history = _get_execution_history


def _start_execution(
    self: Any,
    state_machine_arn: str,
    name: str | None = None,
    execution_input: str | None = None,
    trace_header: Any = None,
) -> Any:
    machine = self.describe_state_machine(state_machine_arn)
    text = "{}" if execution_input is None else execution_input
    _check_input(text)
    name = name or str(uuid.uuid4())
    express = machine.type == "EXPRESS"
    with REGISTER.changed:
        existing = None if express else REGISTER.by_name.get((machine.arn, name))
        if existing is not None:
            if existing.execution_input == text and existing.status == "RUNNING":
                return existing
            raise ExecutionAlreadyExists(f"Execution Already Exists: '{existing.execution_arn}'")
        execution = _new_execution(self, machine, name, express, text, trace_header)
        REGISTER.by_arn[execution.exec_arn] = execution
        REGISTER.by_name[machine.arn, name] = execution
        REGISTER.running += 1
        _forget_ended(machine)
        machine.executions.append(execution)
        execution.exec_status = ExecutionStatus.RUNNING
    execution.start()
    return execution


def _check_input(text: str) -> None:
    if len(text.encode()) > INPUT_BYTES_MAX:
        raise InvalidExecutionInput("The input exceeds the maximum number of bytes service limit.")
    try:
        json.loads(text)
    except ValueError as error:
        raise InvalidExecutionInput(str(error)) from error


def _new_execution(
    backend: Any, machine: Any, name: str, express: bool, text: str, trace_header: Any
) -> Execution:
    prefix = f"arn:{backend.partition}:states:{backend.region_name}:{backend.account_id}"
    if express:
        arn = f"{prefix}:express:{machine.name}:{name}:{uuid.uuid4()}"
    else:
        arn = f"{prefix}:execution:{machine.name}:{name}"
    # A later update of the machine must not change a running execution; the attributes themselves
    # are immutable.
    snapshot = copy.copy(machine)
    snapshot.executions = []
    return Execution(
        name=name,
        sm_type=machine.type,
        role_arn=machine.roleArn,
        exec_arn=arn,
        account_id=backend.account_id,
        region_name=backend.region_name,
        state_machine=snapshot,
        start_date=in_use().utc_now(),
        cloud_watch_logging_session=None,
        input_data=text,
        trace_header=trace_header,
        activity_store={},
    )


def _forget_ended(machine: Any) -> None:
    executions = machine.executions
    if len(executions) < EXECUTIONS_KEPT + EXECUTIONS_FORGOTTEN_AT_ONCE:
        return
    ended = [execution for execution in executions if execution.status != "RUNNING"]
    for execution in ended[:EXECUTIONS_FORGOTTEN_AT_ONCE]:
        REGISTER.by_arn.pop(execution.exec_arn, None)
        if REGISTER.by_name.get((machine.arn, execution.name)) is execution:
            del REGISTER.by_name[machine.arn, execution.name]
    machine.executions = [one for one in executions if one.exec_arn in REGISTER.by_arn]


def _describe_execution(_: Any, execution_arn: str) -> Any:
    execution = REGISTER.by_arn.get(execution_arn)
    if execution is None:
        raise ExecutionDoesNotExist(f"Execution Does Not Exist: '{execution_arn}'")
    return execution


def _reflect(self: Any) -> None:
    execution = self.execution
    try:
        _moto_reflect(self)
        execution.stop_date = in_use().utc_now()
        stopped = execution.__dict__.get("_stopped_with")
        if stopped is not None:
            execution.error, execution.cause = stopped
        if execution.exec_status == ExecutionStatus.SUCCEEDED:
            execution.output = json.dumps(execution.output)
    finally:
        REGISTER.ended()


def _start_details(self: Any) -> Any:
    details = _moto_details(self)
    details.start_time = self.start_date.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return details


def _eval_choice(self: Any, env: Any) -> None:
    try:
        _moto_choice(self, env)
    except RuntimeError as error:
        if "No branching option" not in str(error):
            raise
        details = ExecutionFailedEventDetails(error="States.NoChoiceMatched", cause=str(error))
        raise FailureEventException(
            FailureEvent(
                env=env,
                error_name=StatesErrorName(typ=StatesErrorNameType.StatesNoChoiceMatched),
                event_type=HistoryEventType.ExecutionFailed,
                event_details=EventDetails(executionFailedEventDetails=details),
            )
        ) from error


def _camel_case(_: Any, parameters: dict[str, Any], *__: Any, **___: Any) -> None:
    for name in list(parameters):
        value = parameters.pop(name)
        name = name[0].lower() + name[1:]
        parameters[name] = (
            json.dumps(value) if name == "input" and not isinstance(value, str) else value
        )


def _pascal_case(_: Any, response: Any, *__: Any, **___: Any) -> None:
    if isinstance(response, dict):
        for name in list(response):
            value = response.pop(name)
            response[name[0].upper() + name[1:]] = (
                value.isoformat() if hasattr(value, "isoformat") else value
            )


def _send_task_failure(self: Any) -> Any:
    self.stepfunction_backend.send_task_failure(
        self._get_param("taskToken"), error=self._get_param("error"), cause=self._get_param("cause")
    )
    return EmptyResult()


def _stop_execution(self: Any) -> Any:
    execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
    error, cause = self._get_param("error"), self._get_param("cause")
    execution._stopped_with = (error, cause)
    stopped_at = utils.utcnow()
    execution.stop(stop_date=stopped_at, error=error or "", cause=cause or "")
    return ActionResult({"stopDate": stopped_at})


def _get_execution_history(self: Any) -> Any:
    history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))
    events = list(history["events"])
    if self._get_param("reverseOrder") in (True, "true"):
        events.reverse()
    start = int(self._get_param("nextToken") or 0)
    end = start + (int(self._get_param("maxResults") or 0) or len(events))
    answer: dict[str, Any] = {"events": events[start:end]}
    if end < len(events):
        answer["nextToken"] = str(end)
    return ActionResult(answer)

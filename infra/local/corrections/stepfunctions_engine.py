"""The interpreter of state machines, without the work it does again and again.

moto parses the definition with ANTLR for every execution and every JSONPath for every state,
starts three threads per execution and one more per task, makes a boto3 client per task, and
writes out a whole state to log its failure. What is parsed holds the state of the execution that
runs it, so each execution has one of its own.
"""

from __future__ import annotations

import functools
import json
import pickle
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import boto_client, json_path
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from infra.local.clock import ClockEvent
from infra.local.corrections import lambda_functions
from infra.local.threads import RESERVE

IDLE_PROGRAMS_MAX = 64
PATHS_MAX = 5_000

_DEFINITION = "local_definition"
_parsed: dict[str, bytes] = {}
_idle: defaultdict[str, list[Any]] = defaultdict(list)
_programs_lock = threading.Lock()
_moto_invoke = lambda_eval_utils._invoke_lambda_function
_moto_validate = StepFunctionsParserBackend._validate_definition


def install() -> None:
    """Replace how programs, threads and clients are had."""
    ExecutionWorker.start = _start
    ExecutionWorker._get_evaluation_entrypoint = _own_program
    StepFunctionsParserBackend._validate_definition = staticmethod(_validate)
    Program.eval = _eval_program
    EvalComponent._log_failure_event_exception = _no_log
    EvalComponent._log_exception = _no_log
    lambda_eval_utils._invoke_lambda_function = _invoke_directly
    # moto starts a thread per task, and keeps each with the whole state it was given, for ever.
    execute_state.Thread = _BorrowedThread  # type: ignore[misc, assignment]
    execute_state.TMP_THREADS = deque(maxlen=0)  # type: ignore[assignment]
    for module in (json_path, result_path):
        module.parse = functools.lru_cache(maxsize=PATHS_MAX)(module.parse)
    client_for = _one_client_per_service(boto_client.boto_client_for)
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.parser") and hasattr(module, "boto_client_for"):
            vars(module)["boto_client_for"] = client_for


class _BorrowedThread:
    """As much of a thread as a task needs: it is started, and never joined."""

    def __init__(self, target: Callable[[], None], daemon: bool) -> None:  # noqa: ARG002
        self._target = target

    def start(self) -> None:
        RESERVE.run(self._target)


def _start(self: Any) -> None:
    RESERVE.run(self._execution_logic)


def _own_program(self: Any) -> Any:
    """Return the parsed definition for one execution alone.

    A copy costs a ninetieth of parsing, and one that an ended execution gave back nothing.
    """
    definition = self._evaluation_details.state_machine_details.definition
    with _programs_lock:
        if _idle[definition]:
            return _idle[definition].pop()
        _parse(definition)
    return pickle.loads(_parsed[definition])  # noqa: S301 - bytes of our own making


def _parse(definition: str) -> None:
    if definition not in _parsed:
        program = AmazonStateLanguageParser.parse(definition)[0]
        program.__dict__[_DEFINITION] = definition
        _parsed[definition] = pickle.dumps(program)


def _validate(definition: str) -> None:
    """Parse a definition when its machine is created, as its first execution would."""
    try:
        with _programs_lock:
            _parse(definition)
    except Exception:  # noqa: BLE001 - moto finds the same fault, and says it as AWS does
        _moto_validate(definition)


def _run_program(program: Any, env: Any) -> None:
    try:
        EvalComponent.eval(program, env)
    finally:
        definition = program.__dict__.get(_DEFINITION)
        with _programs_lock:
            if definition is not None and len(_idle[definition]) < IDLE_PROGRAMS_MAX:
                _idle[definition].append(program)


def _eval_program(self: Any, env: Any) -> None:
    env.next_state_name = self.start_at.start_at_name
    if self.timeout_seconds is None:
        _run_program(self, env)
        return
    ended = ClockEvent()

    def run() -> None:
        try:
            _run_program(self, env)
        finally:
            ended.set()

    def time_out() -> None:
        if env.is_running():
            env.set_timed_out()

    RESERVE.run(run)
    ended.wait(self.timeout_seconds.timeout_seconds, on_time=time_out)


def _no_log(self: Any, *_args: Any, **_kwargs: Any) -> None:
    """Leave the failure to the execution's history."""


def _invoke_directly(parameters: dict[str, Any], region: str, state_credentials: Any) -> Any:
    arn = parameters["FunctionName"]
    account = arn.split(":")[4] if arn.startswith("arn:") else None
    if account is None or parameters.keys() - {"FunctionName", "Payload"}:
        return _moto_invoke(parameters, region, state_credentials)
    called = lambda_functions.call(arn, parameters.get("Payload"), account=account, region=region)
    if called is None:
        return _moto_invoke(parameters, region, state_credentials)
    payload, error = called
    response = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": json.loads(payload)}
    if error is not None:
        response["FunctionError"] = error
    return response


def _one_client_per_service(make: Any) -> Any:
    @functools.cache
    def client(region: str, service: str) -> Any:
        return make(region=region, service=service)

    def client_for(region: str, service: str, **_: Any) -> Any:
        return client(region, service)

    return client_for

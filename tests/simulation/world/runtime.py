"""Lambda: the application's functions, invoked with the faults that an invocation can meet."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from infra.local.functions import Functions, LocalFunction
from tests.simulation.world.boundary import Boundary
from tests.simulation.world.faults import ExecutionLost, Fault, Killed

# As the Lambda runtime names them to whoever invoked.
_EXITED = "Runtime.ExitError"
_TIMED_OUT = "Sandbox.Timedout"
_NOT_REACHED = "Lambda.ServiceException"


class InvocationFailedError(Exception):
    """The invocation ended without the handler's word; `error` is what Lambda calls it."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, or the name of an error."""

    answer: Any
    error: str | None = None
    cause: str = ""


class Runtime:
    """Invokes functions by their deployed name, with or without the stage's prefix."""

    def __init__(
        self,
        functions: Functions,
        boundary: Boundary,
        begin: Callable[[str, Callable[[], Any]], None],
        prefix: str,
    ) -> None:
        self._begin = begin
        self._functions = functions
        self._boundary = boundary
        self._prefix = prefix
        self._steps = _Steps()
        for name, function in list(functions.by_name.items()):
            handler = functools.partial(self._run, name.removeprefix(prefix), function)
            functions.by_name[name] = replace(function, handler=handler)

    def invoke(self, name: str, event: Any, *, is_step: bool = False) -> Outcome:
        """Invoke a function and wait for it; events and answers travel as JSON."""
        deployed = name.rsplit(":", 1)[-1]
        if not deployed.startswith(self._prefix):
            deployed = self._prefix + deployed
        function = self._functions.by_name[deployed]
        self._steps.next_is_step = is_step
        try:
            answer = function.call(json.loads(json.dumps(event)), function.new_context())
        except InvocationFailedError as failure:
            return Outcome(None, failure.error)
        except Exception as error:  # noqa: BLE001 - the runtime reports whatever a handler raises
            return Outcome(None, type(error).__name__, str(error))
        return Outcome(json.loads(json.dumps(answer)))

    def _run(self, name: str, function: LocalFunction, event: Any, context: Any) -> Any:
        """Run a handler once, twice or not at all, as the plan has it."""
        is_step = self._steps.take()
        frame = self._boundary.enter(name)
        try:
            fault = self._boundary.fault_of(frame, is_step=is_step)
            match fault:
                case Fault.IS_LOST:
                    raise InvocationFailedError(_NOT_REACHED)
                case Fault.RUNS_LATE:
                    self._begin(f"late {name}", lambda: self._run_late(function, event))
                    raise InvocationFailedError(_TIMED_OUT)
                case Fault.EXECUTION_DIES_BEFORE:
                    raise ExecutionLost
            answer = _to_its_end(function.handler, event, context)
            match fault:
                case Fault.IS_DONE_TWICE:
                    answer = _to_its_end(function.handler, event, context)
                case Fault.LOSES_ITS_ANSWER:
                    raise InvocationFailedError(_TIMED_OUT)
                case Fault.EXECUTION_DIES_AFTER:
                    raise ExecutionLost
            return answer
        finally:
            self._boundary.leave()

    def _run_late(self, function: LocalFunction, event: Any) -> None:
        """Run what was given up; nobody hears its answer."""
        try:
            self._functions.by_name[function.name].call(event, function.new_context())
        except Exception:  # noqa: BLE001 - nobody hears that, either
            return


class _Steps:
    """Tells a handler's wrapper how it was invoked, which the event does not say."""

    next_is_step = False

    def take(self) -> bool:
        taken, self.next_is_step = self.next_is_step, False
        return taken


def _to_its_end(handler: Callable[[Any, Any], Any], event: Any, context: Any) -> Any:
    try:
        return handler(event, context)
    except Killed:
        raise InvocationFailedError(_EXITED) from None

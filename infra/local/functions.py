"""The Lambda runtime: Chalice apps loaded, their functions invoked in this process."""

from __future__ import annotations

import contextvars
import importlib.util
import json
import os
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from infra.local import boundaries
from infra.local.boundaries import Boundary, KilledError, Place
from infra.local.concurrent_chalice import make_concurrent
from infra.local.function_settings import FunctionSettings
from infra.local.threads import RESERVE

# Lambda's quota for a synchronous payload, either way.
PAYLOAD_BYTES_MAX = 6_291_556
# Lambda tries an asynchronous invocation three times in all.
ASYNCHRONOUS_ATTEMPTS = 3
HTTP_HANDLER = "api_handler"


@dataclass(slots=True)
class LambdaContext:
    """What a function is told about its invocation."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int
    timeout_seconds: float
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def log_group_name(self) -> str:
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        remaining = self.timeout_seconds - (time.monotonic() - self.started)
        return max(0, int(remaining * 1000))


@dataclass(frozen=True, slots=True)
class LocalFunction:
    """A function as deployed: `name` is the deployed name, `handler` what it runs."""

    name: str
    arn: str
    handler: Callable[[Any, Any], Any]
    timeout_seconds: float
    memory_mb: int

    def new_context(self) -> LambdaContext:
        return LambdaContext(self.name, self.arn, self.memory_mb, self.timeout_seconds)

    def call(self, event: Any, context: LambdaContext) -> Any:
        """Call the handler apart from whatever the caller keeps in context variables."""
        if not boundaries.is_watched():
            return contextvars.Context().run(self.handler, event, context)
        with boundaries.inside(boundaries.short_name(self.name), event):
            return contextvars.Context().run(self.handler, event, context)


class Functions:
    """Every function of the project, by deployed name."""

    def __init__(self, root: Path, *, project: str, stage: str, arn_prefix: str) -> None:
        self.apps: dict[str, Any] = {}
        self.settings: dict[str, FunctionSettings] = {}
        self.by_name: dict[str, LocalFunction] = {}
        self._root = root
        self._name_prefix = f"{project}-{stage}"
        self._stage = stage
        self._arn_prefix = arn_prefix
        self._pending = 0
        self._lock = threading.Lock()

    def load(self) -> None:
        """Import every `functions/*/app.py` and register what it declares."""
        for path in sorted(self._root.glob("functions/*/app.py")):
            self._load_app(path.parent.name, path)

    def deployed_name(self, app: str, function: str) -> str:
        return f"{self._name_prefix}-{app}-{function}"

    def create_in_lambda(self, role_arn: str) -> None:
        """Create the functions in moto's Lambda, so that its API and Step Functions know them."""
        client = boto3.client("lambda")
        for function in self.by_name.values():
            client.create_function(
                FunctionName=function.name,
                Runtime="python3.11",
                Role=role_arn,
                Handler="app.app",
                Code={"S3Bucket": "local", "S3Key": "local"},
                Timeout=int(function.timeout_seconds),
                MemorySize=function.memory_mb,
            )

    def run(self, function_name: str, payload: str) -> tuple[str, bool]:
        """Invoke a function and wait; return its answer or error as JSON, and whether it failed.

        A function that runs longer than its timeout is reported as timed out when it ends; a
        thread cannot be stopped from outside.
        """
        name = function_name.rsplit(":", 1)[-1]
        if not boundaries.is_watched():
            return self._run(name, payload)
        place = Place(
            boundary=Boundary.FUNCTION, function=boundaries.short_name(name), call=payload
        )
        try:
            answer: tuple[str, bool] = boundaries.pass_by(place, lambda: self._run(name, payload))
        except KilledError:
            return _error("Lambda.Unknown", "the process of the function ended"), True
        return answer

    def _run(self, name: str, payload: str) -> tuple[str, bool]:
        function = self.by_name.get(name)
        if function is None:
            return _error("Runtime.ImportModuleError", f"no local handler for {name}"), True
        if len(payload) > PAYLOAD_BYTES_MAX:
            return _error("RequestEntityTooLarge", "the payload is larger than 6 MB"), True
        context = function.new_context()
        try:
            answer = function.call(json.loads(payload), context)
        except Exception as error:  # noqa: BLE001 - the runtime reports whatever a handler raises
            return _failure(error, context.aws_request_id), True
        if time.monotonic() - context.started > function.timeout_seconds:
            told = f"Task timed out after {function.timeout_seconds:.2f} seconds"
            return _error(
                "Sandbox.Timedout", f"RequestId: {context.aws_request_id} Error: {told}"
            ), True
        try:
            text = json.dumps(answer)
        except (TypeError, ValueError) as error:
            return _error("Runtime.MarshalError", f"Unable to marshal response: {error}"), True
        if len(text) > PAYLOAD_BYTES_MAX:
            return _error("Function.ResponseSizeTooLarge", "Response payload size exceeded"), True
        return text, False

    def run_later(self, function_name: str, payload: str) -> None:
        """Invoke a function without waiting: up to three times, then it is given up."""
        with self._lock:
            self._pending += 1

        def attempt() -> None:
            try:
                for _ in range(ASYNCHRONOUS_ATTEMPTS):
                    if not self.run(function_name, payload)[1]:
                        return
            finally:
                with self._lock:
                    self._pending -= 1

        RESERVE.run(attempt)

    @property
    def pending(self) -> int:
        """The number of asynchronous invocations that have not ended."""
        return self._pending

    def _load_app(self, name: str, path: Path) -> None:
        settings = self.settings[name] = FunctionSettings(
            self._root / "chalice-config", name, self._stage
        )
        for variable, value in settings.environment().items():
            os.environ.setdefault(variable, value)
        app = make_concurrent(_import(f"functions_{name}_app", path).app)
        self.apps[name] = app
        if app.routes:
            self._register(name, HTTP_HANDLER, app)
        # `handler_map` has the views of routes too, which are no functions of their own.
        declarations: tuple[Any, ...] = (
            *app.pure_lambda_functions,
            *app.event_sources,
            *app.builtin_auth_handlers,
        )
        for declared in declarations:
            self._register(name, declared.name, app.handler_map[declared.name])

    def _register(self, app: str, function: str, handler: Callable[[Any, Any], Any]) -> None:
        name = self.deployed_name(app, function)
        settings = self.settings[app]
        self.by_name[name] = LocalFunction(
            name=name,
            arn=f"{self._arn_prefix}:{name}",
            handler=handler,
            timeout_seconds=settings.timeout_seconds(function),
            memory_mb=settings.memory_mb(function),
        )


def _import(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _error(error_type: str, message: str) -> str:
    return json.dumps({"errorType": error_type, "errorMessage": message})


def _failure(error: Exception, request_id: str) -> str:
    return json.dumps(
        {
            "errorMessage": str(error),
            "errorType": type(error).__name__,
            "requestId": request_id,
            "stackTrace": traceback.format_tb(error.__traceback__),
        }
    )

"""Functions run in this process, because moto wants a Docker container for each.

Lambda's API, Step Functions and SNS all end at `LambdaFunction.invoke`, so that is the one place.
"""

from __future__ import annotations

from typing import Any, Protocol

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import LambdaFunction, lambda_backends


class Runtime(Protocol):
    """Whoever runs the functions."""

    def run(self, function_name: str, payload: str) -> tuple[str, bool]:
        """Return the answer as JSON and whether it is an error."""

    def run_later(self, function_name: str, payload: str) -> None:
        """Take an asynchronous invocation."""


_runtime: Runtime | None = None


def install() -> None:
    """Send every invocation to the runtime in use."""
    LambdaFunction.invoke = _invoke


def use(runtime: Runtime | None) -> None:
    """Have `runtime` run the functions from now on."""
    global _runtime
    _runtime = runtime


def call(name: str, payload: Any, *, account: str, region: str) -> tuple[bytes, str | None] | None:
    """Invoke by name or ARN without Lambda's API; return the answer and its kind of error.

    None if there is no such function: the API's own refusal has the name that callers look for.
    """
    try:
        function = lambda_backends[account][
            region
        ]._lambdas.get_function_by_name_or_arn_with_qualifier(name)
    except UnknownFunctionException:
        return None
    headers: dict[str, str] = {}
    answer = function.invoke(payload or b"{}", {}, headers)
    return answer, headers.get("x-amz-function-error")


def _invoke(self: Any, body: Any, request_headers: Any, response_headers: Any) -> bytes:
    if _runtime is None:
        raise LookupError("no runtime for local functions")
    payload = body.decode() if isinstance(body, bytes) else body or "{}"
    kind = (request_headers or {}).get("x-amz-invocation-type", "RequestResponse")
    if kind == "DryRun":
        return b""
    if kind == "Event":
        _runtime.run_later(self.function_name, payload)
        return b""
    answer, failed = _runtime.run(self.function_name, payload)
    if failed:
        response_headers["x-amz-function-error"] = "Unhandled"
    response_headers["x-amz-executed-version"] = str(self.version)
    response_headers["x-amz-log-result"] = ""
    return answer.encode()

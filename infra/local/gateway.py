"""API Gateway's REST front over the Chalice apps, as a WSGI application."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from infra.gateway_responses import GatewayResponse
from infra.local import boundaries
from infra.local.authorizers import Authorizers, RefusedError
from infra.local.clock import Clock
from infra.local.functions import PAYLOAD_BYTES_MAX, Functions, LocalFunction
from infra.local.routes import Resource, RouteTable

# API Gateway's quota for a request's body.
BODY_BYTES_MAX = 10 * 1024 * 1024
API_ID = "local"

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; `path` is raw, header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Gateway:
    """One API over all apps, mounted at one root.

    Parameters
    ----------
    responses
        What is answered when a request reaches no function, by API Gateway's names.
    """

    def __init__(
        self,
        functions: Functions,
        *,
        stage: str,
        region: str,
        account_id: str,
        responses: Mapping[str, GatewayResponse],
        clock: Clock,
    ) -> None:
        self.routes = RouteTable(functions.apps)
        self.authorizers = Authorizers(functions, clock)
        self._functions = functions
        self._stage = stage
        self._account_id = account_id
        self._arn_prefix = f"arn:aws:execute-api:{region}:{account_id}:{API_ID}/{stage}"
        self._responses = responses
        self._clock = clock

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        answer = self.handle(_request_of(environ))
        phrase = _PHRASES.get(answer.status, "Unknown")
        body = b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body
        headers = list(answer.headers)
        if answer.status != HTTPStatus.NOT_MODIFIED:
            headers.append(("Content-Length", str(len(body))))
        start_response(f"{answer.status} {phrase}", headers)
        return [body]

    def handle(self, request: Request) -> Answer:
        """Answer a request as API Gateway and the function behind it would."""
        request_id = str(uuid.uuid4())
        try:
            if len(request.body) > BODY_BYTES_MAX:
                raise RefusedError("REQUEST_TOO_LARGE")
            return self._handle(request, request_id)
        except RefusedError as refusal:
            return self._refusal(refusal.response, request_id)

    def _handle(self, request: Request, request_id: str) -> Answer:
        path = request.path.rstrip("/") or "/"
        resource, parameters = self.routes.find(path)
        if resource is None:
            raise RefusedError("MISSING_AUTHENTICATION_TOKEN")
        if request.method not in resource.methods:
            if request.method == "OPTIONS" and resource.cors() is not None:
                return _preflight(resource, request_id)
            raise RefusedError("MISSING_AUTHENTICATION_TOKEN")
        app_name, app, route = resource.methods[request.method]
        method_arn = f"{self._arn_prefix}/{request.method}{path}"
        authorizer = self.authorizers.authorize(app_name, route, method_arn, request.headers)
        event = self._event(request, resource, parameters, app, request_id)
        if authorizer is not None:
            event["requestContext"]["authorizer"] = authorizer
        function = self._functions.by_name[self._functions.deployed_name(app_name, "api_handler")]
        try:
            return _answer(self._invoke(function, event), request_id)
        except Exception as error:
            # Lambda reports the handler's error to API Gateway, which does not show it.
            raise RefusedError("INTEGRATION_FAILURE") from error

    def _invoke(self, function: LocalFunction, event: dict[str, Any]) -> Any:
        if not boundaries.is_watched():
            return function.call(event, function.new_context())
        text, failed = self._functions.run(function.name, json.dumps(event))
        if failed:
            raise RuntimeError(text)
        return json.loads(text)

    def _event(
        self,
        request: Request,
        resource: Resource,
        parameters: dict[str, str] | None,
        app: Any,
        request_id: str,
    ) -> dict[str, Any]:
        query = _query(request.query)
        binary = _media_type(request.headers) in app.api.binary_types
        now = self._clock.now()
        return {
            "resource": resource.path,
            "path": unquote(request.path, errors="replace"),
            "httpMethod": request.method,
            "headers": request.headers,
            "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": parameters,
            "stageVariables": None,
            "requestContext": {
                "accountId": self._account_id,
                "apiId": API_ID,
                "httpMethod": request.method,
                "identity": {
                    "sourceIp": request.peer,
                    "userAgent": request.headers.get("user-agent"),
                },
                "path": f"/{self._stage}{request.path}",
                "protocol": "HTTP/1.1",
                "requestId": request_id,
                "requestTime": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": int(now * 1000),
                "resourcePath": resource.path,
                "stage": self._stage,
            },
            "body": _event_body(request.body, binary),
            "isBase64Encoded": binary and bool(request.body),
        }

    def _refusal(self, name: str, request_id: str) -> Answer:
        response = self._responses[name]
        headers = {
            **response.headers(),
            "Content-Type": "application/problem+json",
            "X-Request-Id": request_id,
            "x-amzn-RequestId": request_id,
        }
        return Answer(response.status, list(headers.items()), response.body(request_id).encode())


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _request_of(environ: dict[str, Any]) -> Request:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    raw = environ.get("REQUEST_URI")
    path = raw.partition("?")[0] if raw else quote(environ["PATH_INFO"].encode("latin-1"))
    length = environ.get("CONTENT_LENGTH") or "0"
    size = int(length) if length.isdecimal() else 0
    # One byte more than is allowed is enough to refuse it.
    body = environ["wsgi.input"].read(min(size, BODY_BYTES_MAX + 1)) if size else b""
    return Request(
        method=environ["REQUEST_METHOD"],
        path=path,
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=body,
        peer=environ.get("REMOTE_ADDR", ""),
    )


def _query(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True, errors="replace") if query else {}


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _event_body(body: bytes, binary: bool) -> str | None:
    if not body:
        return None
    return base64.b64encode(body).decode() if binary else body.decode(errors="replace")


def _answer(result: Any, request_id: str) -> Answer:
    """Read the proxy integration's answer; raise whatever is wrong with it."""
    text = result.get("body") or ""
    if len(text) > PAYLOAD_BYTES_MAX:
        raise ValueError("the answer is larger than Lambda allows")
    try:
        encoded = bool(result.get("isBase64Encoded"))
        body = base64.b64decode(text) if encoded else text.encode()
    except binascii.Error as error:
        raise ValueError("the answer is not the base64 it says it is") from error
    headers = [(name, str(value)) for name, value in (result.get("headers") or {}).items()]
    for name, values in (result.get("multiValueHeaders") or {}).items():
        headers += [(name, str(value)) for value in values]
    names = {name.lower() for name, _ in headers}
    if "content-type" not in names and result["statusCode"] != HTTPStatus.NOT_MODIFIED:
        headers.append(("Content-Type", "application/json"))
    if "x-request-id" not in names:
        headers.append(("X-Request-Id", request_id))
    headers.append(("x-amzn-RequestId", request_id))
    return Answer(int(result["statusCode"]), headers, body)


def _preflight(resource: Resource, request_id: str) -> Answer:
    allowed = [name for name, (_, _, route) in resource.methods.items() if route.cors is not None]
    headers = {
        **resource.cors().get_access_control_headers(),
        "Access-Control-Allow-Methods": ",".join([*sorted(allowed), "OPTIONS"]),
        "X-Request-Id": request_id,
    }
    return Answer(HTTPStatus.OK, [(name, str(value)) for name, value in headers.items()], b"")

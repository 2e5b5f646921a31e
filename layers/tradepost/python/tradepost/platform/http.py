"""Problem documents (RFC 9457): the only module that knows a status code.

Every refusal a client can meet has this one shape, whichever layer refused it:
`type`, `title`, `status`, `detail`, `code` (what a program compares), `request_id`, and the
refusal's own facts. `docs/problems.md` lists the codes.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from chalice import Response

from tradepost.kernel.errors import (
    ConflictError,
    DomainError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)

PROBLEM_CONTENT_TYPE = "application/problem+json"

_STATUS_OF_KIND: dict[type[Exception], HTTPStatus] = {
    InvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}

# Refusals of the border itself, whose status is not their kind's.
_STATUS_OF_CODE: dict[str, HTTPStatus] = {
    "malformed_json": HTTPStatus.BAD_REQUEST,
    "invalid_header": HTTPStatus.BAD_REQUEST,
    "idempotency_key_missing": HTTPStatus.BAD_REQUEST,
    "invalid_cursor": HTTPStatus.BAD_REQUEST,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "version_mismatch": HTTPStatus.PRECONDITION_FAILED,
    "too_many_requests": HTTPStatus.TOO_MANY_REQUESTS,
}

# The API is called with a bearer token and never with a cookie, so nothing a browser does on
# its own can act for a person. Answers are private to the caller unless a route says otherwise.
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}

_RETRY_AFTER_SECONDS = 1


def status_of(error: DomainError | UnavailableError) -> HTTPStatus:
    """Tell the status of a refusal: by its code if the code has one, otherwise by its kind."""
    by_code = _STATUS_OF_CODE.get(error.code)
    if by_code is not None:
        return by_code
    for kind in type(error).__mro__:
        if kind in _STATUS_OF_KIND:
            return _STATUS_OF_KIND[kind]
    return HTTPStatus.CONFLICT


def problem(
    status: HTTPStatus, code: str, detail: str, request_id: str, /, **facts: Any
) -> Response:
    """Build a problem document with the status, the code and the facts of one refusal."""
    document = {
        **facts,
        "type": f"urn:tradepost:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    headers: dict[str, str | list[str]] = {
        **SECURITY_HEADERS,
        "Content-Type": PROBLEM_CONTENT_TYPE,
        "X-Request-Id": request_id,
    }
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status is HTTPStatus.TOO_MANY_REQUESTS and "retry_after_seconds" in facts:
        headers["Retry-After"] = str(facts["retry_after_seconds"])
    return Response(json.dumps(document), headers=headers, status_code=status.value)

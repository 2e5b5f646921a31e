"""Problem documents (RFC 9457): the only module that knows a status code.

Every refusal a client can meet has this one shape, whichever layer refused it:
`type`, `title`, `status`, `detail`, `code` (what a program compares), `request_id`, and the
refusal's own facts. `docs/problems.md` lists the codes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
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
    "password_reset_needed": HTTPStatus.TOO_MANY_REQUESTS,
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

# What stays of an answer's headers when the client has its body already (RFC 9110, 15.4.5).
_NOT_OF_THE_BODY = {"Content-Type"}
_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


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


def shareable(
    body: str, headers: Mapping[str, str], *, fresh_seconds: int, known: str | None
) -> Response:
    """Answer what anybody may be given and keep, or 304 to who has exactly that already.

    Parameters
    ----------
    fresh_seconds
        For how long it may be kept without asking again: by a browser, a CDN, whoever is between.
    known
        The request's `If-None-Match`. One that is not of its form names nothing.
    """
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    told: dict[str, str | list[str]] = {
        **headers,
        "Cache-Control": f"public, max-age={fresh_seconds}",
        "ETag": tag,
        # The gateway compresses for those who can read it.
        "Vary": "Accept-Encoding",
    }
    if known is not None and (known.strip() == "*" or tag in _ENTITY_TAG.findall(known)):
        kept = {name: value for name, value in told.items() if name not in _NOT_OF_THE_BODY}
        return Response("", headers=kept, status_code=HTTPStatus.NOT_MODIFIED.value)
    return Response(body, headers=told, status_code=HTTPStatus.OK.value)

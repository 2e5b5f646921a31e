"""What lies around every request to Stripe: idempotency keys, and the failures a test asks for."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler

# Failures a test asks for. `lost` is done and not answered, `down` is neither; `failed` is Stripe's
# own 500, which it stores under the key as it does any answer.
LOST, DOWN, SLOW, FAILED, LIMITED, IN_USE = "lost", "down", "slow", "failed", "limited", "in_use"

_ERRORS = {
    LIMITED: (429, {"type": "invalid_request_error", "code": "lock_timeout"}),
    IN_USE: (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}),
    FAILED: (500, {"type": "api_error"}),
}
_SLOW_SECONDS = 5.0


@dataclass
class Books:
    """Answers by idempotency key, failures to come, and what was asked."""

    answers: dict[str, tuple[bytes, int, bytes]] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


BOOKS = Books()


@web.middleware
async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.path.startswith("/v1/"):
        return await handler(request)
    BOOKS.asked.append(f"{request.method} {request.path}")
    failure = _failure_for(request)
    if failure == DOWN:
        return _hung_up(request)
    if failure in (LIMITED, IN_USE):
        return _error(failure)
    answer = await _answered_once(request, handler, failure)
    if failure == SLOW:
        await asyncio.sleep(_SLOW_SECONDS)
    return _hung_up(request) if failure == LOST else answer


async def _answered_once(
    request: web.Request, handler: Handler, failure: str | None
) -> web.StreamResponse:
    """docs.stripe.com/api/idempotent_requests"""
    key = request.headers.get("Idempotency-Key")
    asked = request.path.encode() + b"?" + await request.read()
    if key is None or request.method != "POST":
        return _error(FAILED) if failure == FAILED else await handler(request)
    if key in BOOKS.answers:
        asked_before, status, body = BOOKS.answers[key]
        if asked_before != asked:
            return web.json_response({"error": {"type": "idempotency_error"}}, status=400)
        headers = {"Idempotent-Replayed": "true"}
        return web.Response(
            body=body, status=status, headers=headers, content_type="application/json"
        )
    answer = _error(FAILED) if failure == FAILED else await handler(request)
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    # What was refused before anything was begun is not stored.
    if answer.status not in (400, 401, 404):
        BOOKS.answers[key] = (asked, answer.status, answer.body)
    return answer


def _failure_for(request: web.Request) -> str | None:
    for failure in BOOKS.failures:
        operation, kind = failure
        if f"{request.method} {request.path}".endswith(operation):
            BOOKS.failures.remove(failure)
            return kind
    return None


def _error(kind: str) -> web.Response:
    status, error = _ERRORS[kind]
    return web.json_response({"error": error}, status=status)


def _hung_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def ask_for_failure(request: web.Request) -> web.Response:
    """Take {"operation": the end of "POST /v1/...", "kind": ...}, for one request each."""
    asked = json.loads(await request.read())
    BOOKS.failures.append((asked["operation"], asked["kind"]))
    return web.json_response({})


async def tell_asked(_request: web.Request) -> web.Response:
    return web.json_response(BOOKS.asked)


async def forget_keys(_request: web.Request) -> web.Response:
    """Do as Stripe may a day later."""
    BOOKS.answers.clear()
    return web.json_response({})


async def forget_everything(_request: web.Request) -> web.Response:
    BOOKS.answers.clear()
    BOOKS.failures.clear()
    BOOKS.asked.clear()
    return web.json_response({})

"""Which problem documents an operation may answer with, by status."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from infra.gateway_responses import RESPONSES
from tradepost.kernel.errors import (
    DomainError,
    IdempotencyMismatchError,
    UnauthenticatedError,
    UnavailableError,
)
from tradepost.platform.arguments import (
    BodyTooLargeError,
    IdempotencyKeyMissingError,
    InvalidBodyError,
    InvalidHeaderError,
    MalformedJSONError,
)
from tradepost.platform.auth import PUBLIC
from tradepost.platform.http import PROBLEM_CONTENT_TYPE, status_of
from tradepost.platform.limiter import TooManyRequestsError
from tradepost.platform.service import RoleError, RouteSpec, ScopeError

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "ProblemDocument",
    "description": "A problem document (RFC 9457), with the facts of the refusal beside these.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "description": "urn:tradepost:problem: and the code"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "for a person; may be reworded"},
        "code": {"type": "string", "description": "for a program; never changes"},
        "request_id": {"type": "string", "description": "quote it to support"},
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One code that an operation may answer with."""

    status: int
    code: str
    meaning: str


def responses(spec: RouteSpec) -> dict[str, Any]:
    """Describe the refusals of a route, its own and those of the border."""
    problems = {*map(_of_error, _refusals(spec)), *_of_the_gateway(spec)}
    by_status: dict[int, dict[str, Problem]] = {}
    for problem in sorted(problems):
        by_status.setdefault(problem.status, {}).setdefault(problem.code, problem)
    return {str(status): _response(list(codes.values())) for status, codes in by_status.items()}


def _refusals(spec: RouteSpec) -> set[type[DomainError | UnavailableError]]:
    refusals: set[type[DomainError | UnavailableError]] = {*spec.refusals, UnavailableError}
    if spec.body is not None:
        refusals |= {MalformedJSONError, BodyTooLargeError}
    if spec.body is not None or spec.query is not None or "{" in spec.path:
        refusals.add(InvalidBodyError)
    if spec.needs_idempotency_key:
        refusals |= {IdempotencyKeyMissingError, IdempotencyMismatchError}
    if spec.needs_idempotency_key or spec.takes_if_match:
        refusals.add(InvalidHeaderError)
    if spec.roles != PUBLIC:
        refusals |= {RoleError, UnauthenticatedError, ScopeError}
    if spec.scope is not None:
        refusals |= {TooManyRequestsError}
    return refusals


def _of_the_gateway(spec: RouteSpec) -> set[Problem]:
    own = {"THROTTLED", "DEFAULT_5XX"} | ({"UNSUPPORTED_MEDIA_TYPE"} if spec.body else set())
    return {
        Problem(response.status.value, response.code, response.detail)
        for response in map(RESPONSES.__getitem__, own)
    }


def _of_error(refusal: type[DomainError | UnavailableError]) -> Problem:
    # The status depends on the class alone, and a refusal's own arguments are its facts.
    status = status_of(refusal.__new__(refusal))
    meaning = (inspect.getdoc(refusal) or "").partition("\n")[0]
    if "__doc__" not in vars(refusal) or vars(refusal)["__doc__"] is None:
        meaning = refusal.code.replace("_", " ")
    return Problem(status.value, refusal.code, meaning)


def _response(problems: list[Problem]) -> dict[str, Any]:
    status = HTTPStatus(problems[0].status)
    return {
        "description": "\n".join(f"- `{one.code}`: {one.meaning}" for one in problems),
        "content": {
            PROBLEM_CONTENT_TYPE: {
                "schema": {"$ref": "#/components/schemas/ProblemDocument"},
                "examples": {one.code: {"value": _example(one, status)} for one in problems},
            }
        },
    }


def _example(problem: Problem, status: HTTPStatus) -> dict[str, Any]:
    return {
        "type": f"urn:tradepost:problem:{problem.code}",
        "title": status.phrase,
        "status": status.value,
        "detail": problem.meaning,
        "code": problem.code,
        "request_id": "0f0c5d1e-7d6b-4f0e-9c2a-3b8f5a1e2d47",
    }

"""A view's arguments, made from the request and checked on the way in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NewType, cast

from chalice.app import Request
from pydantic import BaseModel, ValidationError

from tradepost.kernel.errors import InvalidError
from tradepost.platform.auth import Caller, Role

IdempotencyKey = NewType("IdempotencyKey", str)
IfMatch = NewType("IfMatch", int)
ClientAddress = NewType("ClientAddress", str)

# Stripe takes keys of up to 255 characters; so do we, and no control characters.
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PATH_PARAMETER_LENGTH_MAX = 256
_ENTITY_TAG = re.compile(r'(?:W/)?"([0-9]{1,15})"')
_ERRORS_TOLD_MAX = 20
_POINTER_LENGTH_MAX = 200

BODY_BYTES_MAX = 64 * 1024


class MalformedJSONError(InvalidError):
    code = "malformed_json"


class InvalidBodyError(InvalidError):
    """`errors` lists up to twenty places, each a JSON pointer and what is wrong there."""

    def __init__(self, what: str, errors: list[dict[str, str]]) -> None:
        super().__init__(f"the {what} does not fit its schema")
        self.errors = errors


class InvalidHeaderError(InvalidError):
    code = "invalid_header"

    def __init__(self, header: str, rule: str) -> None:
        super().__init__(f"{header}: {rule}")
        self.header = header


class IdempotencyKeyMissingError(InvalidError):
    code = "idempotency_key_missing"

    def __init__(self) -> None:
        super().__init__("send an Idempotency-Key header; repeat a request with the same key")


class BodyTooLargeError(InvalidError):
    code = "body_too_large"

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"the body is larger than {bytes_max} bytes")
        self.bytes_max = bytes_max


@dataclass(frozen=True, slots=True)
class RawRequest:
    """The request as it came in, for those who verify a signature over its bytes."""

    body: bytes
    headers: Mapping[str, str]  # names in any case


def path_parameter(value: str) -> str:
    """Take an identifier out of the path. Raises InvalidBodyError."""
    if not value or len(value) > _PATH_PARAMETER_LENGTH_MAX or not value.isprintable():
        raise InvalidBodyError("path", [{"at": "", "problem": "not a usable identifier"}])
    return value


def caller(request: Request) -> Caller:
    """Tell whom the authorizer let in."""
    context = request.context.get("authorizer", {})
    return Caller(
        principal_id=context["principalId"],
        role=Role(context["role"]),
        scopes=frozenset(context.get("scopes", "").split()),
    )


def client_address(request: Request) -> ClientAddress:
    """Tell the address the request came from, as the gateway saw it and no header may say."""
    return ClientAddress(request.context.get("identity", {}).get("sourceIp") or "")


def correlation_id(request: Request) -> str:
    """Name the request for everything that follows from it."""
    request_id: str = request.context.get("requestId", "")
    return request_id


def _raw_body(request: Request, bytes_max: int) -> bytes:
    sent = cast(bytes, request.raw_body)
    if len(sent) > bytes_max:
        raise BodyTooLargeError(bytes_max)
    return sent


def raw(bytes_max: int, request: Request) -> RawRequest:
    """Take the request as it came. Raises BodyTooLargeError."""
    return RawRequest(body=_raw_body(request, bytes_max), headers=request.headers)


def body(model: type[BaseModel], bytes_max: int, request: Request) -> BaseModel:
    """Parse the body. Raises MalformedJSONError, InvalidBodyError, BodyTooLargeError."""
    text = _raw_body(request, bytes_max) or b"{}"
    try:
        parsed = model.model_validate_json(text, strict=True)
        json.loads(text, object_pairs_hook=_named_once)
        return parsed
    except ValidationError as error:
        if any(mistake["type"] == "json_invalid" for mistake in error.errors(include_input=False)):
            raise MalformedJSONError("the body is not JSON") from error
        raise InvalidBodyError("body", mistakes(error)) from error


def _named_once(pairs: list[tuple[str, Any]]) -> None:
    # Parsers differ in which of two values counts (RFC 8259, section 4): none is to be misread.
    if len({name for name, _ in pairs}) < len(pairs):
        raise MalformedJSONError("an object of the body gives one name twice")


def query(model: type[BaseModel], request: Request) -> BaseModel:
    """Parse the query, each name given once. Raises InvalidBodyError."""
    try:
        return model.model_validate(_given_once(request))
    except ValidationError as error:
        raise InvalidBodyError("query", mistakes(error)) from error


def _given_once(request: Request) -> dict[str, str]:
    given = request.query_params
    if given is None:
        return {}
    # Of two values, whoever stands between us and the client may have looked at the other one.
    repeated = [name for name in given if len(given.getlist(name)) > 1]
    if repeated:
        told = [{"at": _pointer([name]), "problem": "given more than once"} for name in repeated]
        raise InvalidBodyError("query", told[:_ERRORS_TOLD_MAX])
    return {name: given[name] for name in given}


def mistakes(error: ValidationError) -> list[dict[str, str]]:
    """List what pydantic found wrong as a refusal tells it."""
    # The input itself stays out: it may hold a password.
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        {"at": _pointer(mistake["loc"]), "problem": mistake["msg"]}
        for mistake in mistakes[:_ERRORS_TOLD_MAX]
    ]


def _pointer(steps: Iterable[int | str]) -> str:
    """Write a JSON pointer (RFC 6901), cut where a client made up a name without end."""
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join(f"/{step}" for step in escaped)[:_POINTER_LENGTH_MAX]


def idempotency_key(request: Request) -> IdempotencyKey:
    """Read the key. Raises IdempotencyKeyMissingError, InvalidHeaderError."""
    key = request.headers.get("idempotency-key")
    if key is None:
        raise IdempotencyKeyMissingError
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidHeaderError("Idempotency-Key", "1 to 255 printable characters, no spaces")
    return IdempotencyKey(key)


def if_match(request: Request) -> IfMatch | None:
    """Read the version the caller saw; None for any. Raises InvalidHeaderError."""
    tag = request.headers.get("if-match")
    if tag is None or tag == "*":
        return None
    found = _ENTITY_TAG.fullmatch(tag.strip())
    if found is None:
        raise InvalidHeaderError("If-Match", 'the ETag you were given, such as "7"')
    return IfMatch(int(found.group(1)))

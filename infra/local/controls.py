"""What a person may do to the local shop that no shop on AWS lets anybody do: time, and faults."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import jwt
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, model_validator

from infra.gateway_responses import GatewayResponse
from infra.local.clock import as_datetime
from infra.local.faults.plan import PLAN_BYTES_MAX, PlanError, read_plan
from infra.local.stack import LocalStack
from tradepost.kernel.ids import new_id
from tradepost.platform.auth import Role, verify_access_token

# A clock is not set forward further at once: the shop would work for minutes.
ADVANCE_MAX = timedelta(days=366)
# So long the shop may work, by the machine's clock, before it is given up.
REST_SECONDS_MAX = 540.0

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class _Advance(BaseModel):
    """How far, or until when. A duration is a number of seconds or ISO 8601's `P8D`, `PT90M`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: timedelta | None = None
    to: AwareDatetime | None = None

    @model_validator(mode="after")
    def _says_one(self) -> _Advance:
        if (self.by is None) == (self.to is None):
            raise ValueError("say either by or to")
        return self

    def distance(self, now: datetime) -> timedelta:
        return self.by if self.by is not None else (self.to or now) - now


class _RefusedError(Exception):
    """The answer is a problem document."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.response = GatewayResponse("", status, code, detail)


class Controls:
    """The WSGI application of `/_local/clock` and `/_local/faults`.

    Parameters
    ----------
    administrator
        Whose e-mail and password are taken without asking the shop, in which a plan of faults may
        let nobody log in; None: nobody's.
    """

    def __init__(self, stack: LocalStack, administrator: tuple[str, str] | None) -> None:
        self._stack = stack
        self._administrator = administrator
        self._advancing = threading.Lock()
        self._actions: dict[tuple[str, str], Callable[[Environ], Any]] = {
            ("GET", "/_local/clock"): self._tell_time,
            ("POST", "/_local/clock"): self._advance,
            ("GET", "/_local/faults"): self._tell_faults,
            ("PUT", "/_local/faults"): self._switch_on,
            ("DELETE", "/_local/faults"): self._switch_off,
        }

    def knows(self, path: str) -> bool:
        """Tell whether a path is one of these."""
        return any(path.rstrip("/") == known for _, known in self._actions)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"].replace("HEAD", "GET")
        action = self._actions.get((method, environ["PATH_INFO"].rstrip("/")))
        try:
            if action is None:
                raise _RefusedError(HTTPStatus.NOT_FOUND, "not_found", "there is no such route")
            answer, status = action(environ), HTTPStatus.OK
            body, kind = json.dumps(answer), "application/json"
        except _RefusedError as refused:
            status, kind = refused.response.status, "application/problem+json"
            body = refused.response.body(new_id("req"))
        sent = [("Content-Type", kind), ("Content-Length", str(len(body.encode())))]
        start_response(f"{status.value} {status.phrase}", sent)
        return [body.encode() if environ["REQUEST_METHOD"] != "HEAD" else b""]

    def _tell_time(self, _: Environ) -> dict[str, Any]:
        now, due = self._stack.clock.now(), self._stack.pump.next_due()
        return {
            "now": _written(now),
            "next_due": None if due is None else _written(max(due, now)),
        }

    def _advance(self, environ: Environ) -> dict[str, Any]:
        try:
            asked = _Advance.model_validate_json(_body(environ))
        except ValidationError as error:
            raise _RefusedError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", _mistakes(error)
            ) from error
        with self._advancing:
            distance = asked.distance(self._stack.clock.utc_now())
            if not timedelta(0) <= distance <= ADVANCE_MAX:
                raise _RefusedError(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "invalid_advance",
                    f"the clock goes forward, by at most {ADVANCE_MAX.days} days at once",
                )
            began = time.monotonic()
            try:
                self._stack.advance(distance, REST_SECONDS_MAX)
            except TimeoutError as error:
                raise _RefusedError(
                    HTTPStatus.SERVICE_UNAVAILABLE, "not_at_rest", str(error)
                ) from error
        spent = round(time.monotonic() - began, 3)
        return {**self._tell_time(environ), "took_seconds": spent}

    def _tell_faults(self, environ: Environ) -> dict[str, Any]:
        self._require_administrator(environ)
        return self._stack.faults.told()

    def _switch_on(self, environ: Environ) -> dict[str, Any]:
        self._require_administrator(environ)
        try:
            plan = read_plan(_body(environ))
        except PlanError as error:
            raise _RefusedError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_plan", str(error)
            ) from error
        self._stack.faults.switch_on(plan)
        return self._stack.faults.told()

    def _switch_off(self, environ: Environ) -> dict[str, Any]:
        self._require_administrator(environ)
        self._stack.faults.switch_off()
        return self._stack.faults.told()

    def _require_administrator(self, environ: Environ) -> None:
        scheme, _, given = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "basic" and self._administrator is not None:
            expected = ":".join(self._administrator).encode()
            if hmac.compare_digest(_decoded(given), expected):
                return
        if scheme.lower() == "bearer":
            try:
                role = verify_access_token(given.strip()).role
            except jwt.InvalidTokenError:
                pass
            else:
                if role is Role.ADMIN:
                    return
                raise _RefusedError(
                    HTTPStatus.FORBIDDEN, "role_forbidden", "only an administrator may"
                )
        raise _RefusedError(
            HTTPStatus.UNAUTHORIZED, "unauthorized", "say who you are: an administrator"
        )


def _body(environ: Environ) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    size = int(length) if length.isdecimal() else 0
    if size > PLAN_BYTES_MAX:
        raise _RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"a body has at most {PLAN_BYTES_MAX:,} bytes here",
        )
    body: bytes = environ["wsgi.input"].read(size)
    return body


def _mistakes(error: ValidationError) -> str:
    return "; ".join(
        ": ".join(
            [*(str(part) for part in mistake["loc"]), mistake["msg"].removeprefix("Value error, ")]
        )
        for mistake in error.errors()
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _written(seconds: float) -> str:
    return as_datetime(seconds).astimezone(UTC).isoformat(timespec="milliseconds")

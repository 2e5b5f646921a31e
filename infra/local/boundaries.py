"""Where the functions meet the world: each call passes here on its way out and its answer back.

The boundaries are the invocation of a function, a call of AWS that a function makes, an operation
of an adapter to somebody outside (`watch_adapter`), a request that a function posts to our own
API as somebody outside would (a webhook), and a batch of messages brought to a function.

Nothing happens here unless an interceptor is in use: it is asked at each and may do otherwise.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from botocore.client import BaseClient

GoOn = Callable[[], Any]

_ORDER_ID = re.compile(r"\bord_[0-9a-z]{26}\b")


class Boundary(StrEnum):
    """The kinds of boundary."""

    FUNCTION = "function"
    AWS = "aws"
    ADAPTER = "adapter"
    WEBHOOK = "webhook"
    QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One crossing of a boundary, told to the interceptor before it happens.

    `function` is the function that runs, as `<app>-<function>`; `call` holds what is given along:
    an event, a request to AWS, an adapter's arguments, a delivery of messages.
    """

    boundary: Boundary
    function: str
    service: str = ""  # AWS's name for it; of an adapter, the name it is watched under
    operation: str = ""  # of AWS or of an adapter; of a webhook its path
    table: str = ""  # as in the template, without project and stage; of a queue its name
    call: Any = None
    event: Any = None  # what the function was invoked with

    @property
    def order_id(self) -> str | None:
        """The first order that what is given along names."""
        found = _ORDER_ID.search(json.dumps([self.call, self.event], default=_written_out))
        return found[0] if found else None


class Interceptor(Protocol):
    """Whoever may do otherwise at a boundary."""

    def at(self, place: Place, go_on: GoOn) -> Any:
        """Answer in the place of what stands behind the boundary, which `go_on` calls.

        What this calls itself passes no boundary, but what `go_on` calls does.
        """


class KilledError(BaseException):
    """The function's process ended: nothing of the function's can catch it."""


@dataclass(frozen=True, slots=True)
class _Invocation:
    function: str
    event: Any


_here = threading.local()
_interceptor: Interceptor | None = None
_call_aws = BaseClient._make_api_call


@functools.cache
def install() -> None:
    """Let every call that botocore's clients make pass here, once per process."""
    BaseClient._make_api_call = _make_api_call


def use(interceptor: Interceptor | None) -> Interceptor | None:
    """Have this interceptor asked from now on; return the one before."""
    global _interceptor
    before, _interceptor = _interceptor, interceptor
    return before


def is_watched() -> bool:
    """Tell whether anybody is asked."""
    return _interceptor is not None


def pass_by(place: Place, go_on: GoOn) -> Any:
    """Cross a boundary."""
    interceptor = _interceptor
    if interceptor is None:
        return go_on()
    inside = _invocation()

    def really() -> Any:
        with _as(inside):
            return go_on()

    with _as(None):
        return interceptor.at(place, really)


@contextmanager
def inside(function: str, event: Any) -> Iterator[None]:
    """Say that a function runs on this thread, within the block."""
    with _as(_Invocation(function, event)):
        yield


def _invocation() -> _Invocation | None:
    found: _Invocation | None = getattr(_here, "invocation", None)
    return found


@contextmanager
def _as(invocation: _Invocation | None) -> Iterator[None]:
    before = _invocation()
    _here.invocation = invocation
    try:
        yield
    finally:
        _here.invocation = before


def _make_api_call(self: Any, operation: str, request: Any) -> Any:
    invocation = _invocation()
    if _interceptor is None or invocation is None:
        return _call_aws(self, operation, request)
    place = Place(
        boundary=Boundary.AWS,
        function=invocation.function,
        service=self.meta.service_model.service_name,
        operation=operation,
        table=_table_of(request),
        call=request,
        event=invocation.event,
    )
    posted = _posted(place)
    if posted is not None:
        place = Place(
            boundary=Boundary.WEBHOOK,
            function=place.function,
            operation=posted,
            call=request,
            event=place.event,
        )
    return pass_by(place, lambda: _call_aws(self, operation, request))


def _table_of(request: Any) -> str:
    """Name the table that a request to DynamoDB is about first, without project and stage."""
    name = request.get("TableName")
    if name is None and request.get("RequestItems"):
        name = next(iter(request["RequestItems"]))
    if name is None and request.get("TransactItems"):
        operation = next(iter(request["TransactItems"][0].values()))
        name = operation["TableName"]
    return short_name(name or "")


def short_name(deployed: str) -> str:
    """Cut project and stage off a deployed name: `tradepost-local-orders` is `orders`."""
    parts = deployed.split("-", 2)
    return parts[2] if len(parts) == 3 else deployed


def _posted(place: Place) -> str | None:
    """Return the path of a request to our API that a function hands over; None if it is none."""
    if (place.service, place.operation) != ("lambda", "Invoke"):
        return None
    try:
        payload = json.loads(place.call.get("Payload") or "{}")
    except ValueError:
        return None
    return payload.get("path") if isinstance(payload, dict) and "httpMethod" in payload else None


def watch_adapter(name: str, adapter: type, operations: tuple[str, ...]) -> None:
    """Let these methods of an adapter pass here, under the name of who stands behind it."""
    for operation in operations:
        method = getattr(adapter, operation)
        if not hasattr(method, "unwatched"):
            setattr(adapter, operation, _watched(name, operation, method))


def _watched(name: str, operation: str, method: Any) -> Any:
    @functools.wraps(method)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        invocation = _invocation()
        if _interceptor is None or invocation is None:
            return method(self, *args, **kwargs)
        given = {"args": list(args), "kwargs": dict(kwargs)}
        place = Place(
            boundary=Boundary.ADAPTER,
            function=invocation.function,
            service=name,
            operation=operation,
            call=given,
            event=invocation.event,
        )
        # An interceptor may change what is given.
        return pass_by(place, lambda: method(self, *given["args"], **given["kwargs"]))

    watched.unwatched = method  # type: ignore[attr-defined]
    return watched


def _written_out(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

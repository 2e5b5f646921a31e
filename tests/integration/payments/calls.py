"""Standing between a use case and its ports, at every single call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.integration.payments.till import Till

Fault = Callable[[Callable[[], Any]], Any]  # takes the call it stands before, and answers instead


class DeadError(Exception):
    """The function's process ended here."""


def dies_before(call: Callable[[], Any]) -> Any:
    raise DeadError


def dies_after(call: Callable[[], Any]) -> Any:
    call()
    raise DeadError


class Calls:
    """Counts the calls of both ports, and lets one of them go wrong."""

    def __init__(self, at: int, fault: Fault) -> None:
        self._at = at
        self._fault = fault
        self._count = 0
        self.hit = False

    def watch(self, port: Any) -> Any:
        return _Watched(port, self)

    def make(self, call: Callable[[], Any]) -> Any:
        self._count += 1
        if self._count - 1 != self._at:
            return call()
        self.hit = True
        return self._fault(call)


class _Watched:
    def __init__(self, port: Any, calls: Calls) -> None:
        self._port = port
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not callable(method):
            return method
        return lambda *given, **named: self._calls.make(lambda: method(*given, **named))


def at_each_call(till: Till, fault: Fault) -> Iterator[tuple[Till, Till, Calls]]:
    """Give an order and its till for each call that its user makes; end where there is none.

    Yields the till whose one call goes wrong, and beside it the same order's unharmed one.
    """
    number = 0
    while True:
        unharmed = till.of(f"{till.order_id}_{number}")
        calls = Calls(number, fault)
        harmed = replace(
            unharmed,
            payments=calls.watch(unharmed.payments),
            provider=calls.watch(unharmed.provider),
        )
        yield harmed, unharmed, calls
        if not calls.hit:
            return
        number += 1

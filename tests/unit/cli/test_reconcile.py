"""Reconciling by hand waits for its turn, and not for ever."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.cli.reconcile import _WAITS_MAX, _page
from infra.cli.shop import ShopRefusedError


class Busy:
    """A session at a shop that refuses the first so many pages."""

    def __init__(self, times: int, code: str) -> None:
        self.asked = 0
        self.pauses: list[float] = []
        self.shop = SimpleNamespace(pause=self.pauses.append)
        self._times = times
        self._code = code

    def call(self, method: str, path: str, body: Any) -> Any:
        self.asked += 1
        if self.asked <= self._times:
            raise ShopRefusedError(f"{method} {path}", 409, self._code, "not now")
        return {"after": None}


def test_a_page_that_another_is_at_is_asked_for_again() -> None:
    session: Any = Busy(3, "work_in_progress")

    assert _page(session, {}) == {"after": None}
    assert len(session.pauses) == 3


def test_a_turn_that_never_comes_is_given_up() -> None:
    session: Any = Busy(1_000, "work_in_progress")

    with pytest.raises(ShopRefusedError):
        _page(session, {})
    assert session.asked == _WAITS_MAX + 1


def test_another_refusal_is_told_at_once() -> None:
    session: Any = Busy(1, "stale")

    with pytest.raises(ShopRefusedError):
        _page(session, {})
    assert session.pauses == []

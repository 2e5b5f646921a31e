"""What several contexts' tests ask for."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def often_switching() -> Iterator[None]:
    """Let threads interrupt one another a thousand times more often, to lay races bare."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)

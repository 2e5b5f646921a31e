"""One simulated world per module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.world.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.opened() as opened:
        yield opened

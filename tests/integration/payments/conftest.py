"""One till per test, over tables of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.payments.till import Till, opened_till


@pytest.fixture(scope="module")
def lasting_till() -> Iterator[Till]:
    """A till that a module's tests share, each with orders of its own."""
    with opened_till() as opened:
        yield opened


@pytest.fixture
def till(lasting_till: Till) -> Till:
    """A till with empty books, at noon."""
    lasting_till.is_emptied()
    return lasting_till

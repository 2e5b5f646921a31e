"""A webhook as those see it who verify its signature and read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class RawMessage(Protocol):
    """A webhook's request as it came in."""

    @property
    def body(self) -> bytes: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

"""What every published fact has."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict

from tradepost.kernel.ids import derived_id


class Event(BaseModel):
    """One fact, stated once. Published at least once: consumers deduplicate on `event_id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    TYPE: ClassVar[str]

    event_id: str
    occurred_at: AwareDatetime  # UTC
    correlation_id: str  # the request or checkout this fact follows from
    version: int  # of the aggregate, counting up: a consumer ignores what is older than it knows


def event_id(event_type: str, aggregate_id: str, version: int) -> str:
    """Derive the id of a fact, so that stating it again states the same fact."""
    return derived_id("evt", event_type, aggregate_id, str(version))

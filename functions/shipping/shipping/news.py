"""A carrier's webhook, as the simulated one writes it: one scan of one parcel."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shipping.model.shipment import Scan, ScanEvent
from shipping.ports import ParcelNews
from tradepost.platform.arguments import InvalidBodyError, mistakes

NEWS_BYTES_MAX = 16 * 1024


class _News(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    tracking_number: str = Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")
    event: ScanEvent
    occurred_at: AwareDatetime
    reason: str = Field(default="", pattern=r"^[a-z_]{0,50}$")


def read_news(body: bytes) -> ParcelNews:
    """Read the body of a webhook whose signature holds. Raises InvalidBodyError."""
    try:
        told = _News.model_validate_json(body)
    except ValidationError as error:
        raise InvalidBodyError("webhook", mistakes(error)) from error
    scan = Scan(told.event, told.occurred_at, reason=told.reason)
    return ParcelNews(told.tracking_number, scan)

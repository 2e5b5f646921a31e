"""Webhook endpoints as the merchant's staff ask for them and see them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, HttpUrl, StringConstraints, UrlConstraints

from notifications.deliveries import Attempt, Delivery, DeliveryStatus, DeliverySummary
from notifications.endpoints import (
    DESCRIPTION_LENGTH_MAX,
    EVENT_TYPES_MAX,
    EVERY_TYPE,
    URL_LENGTH_MAX,
    DisabledReason,
    Endpoint,
    EndpointChange,
    EndpointStatus,
)
from tradepost.platform.bodies import RequestModel, View, shown_as
from tradepost.platform.cursor import Page

EVENT_TYPE_LENGTH_MAX = 100


# Read as browsers read it, so that what we check is what we call.
_Address = Annotated[HttpUrl, UrlConstraints(max_length=URL_LENGTH_MAX)]
_EventType = Annotated[str, StringConstraints(max_length=EVENT_TYPE_LENGTH_MAX)]
_EventTypes = Annotated[list[_EventType], Field(min_length=1, max_length=EVENT_TYPES_MAX)]
_Description = Annotated[str, Field(max_length=DESCRIPTION_LENGTH_MAX)]


class NewEndpoint(RequestModel):
    """`event_types` are those of events/README.md; `*` stands for all, today's and to come."""

    model_config = shown_as(
        url="https://example.com/webhooks/tradepost",
        event_types=["order.confirmed.v1", "order.cancelled.v1"],
        description="Accounting",
    )

    url: _Address
    event_types: _EventTypes = [EVERY_TYPE]
    description: _Description = ""

    def change(self) -> EndpointChange:
        return EndpointChange(
            url=str(self.url),
            event_types=tuple(dict.fromkeys(self.event_types)),
            description=self.description,
        )


class ChangedEndpoint(RequestModel):
    """What is left out stays as it is. `enabled` starts and stops the sending."""

    model_config = shown_as(enabled=False)

    url: _Address | None = None
    event_types: _EventTypes | None = None
    description: _Description | None = None
    enabled: bool | None = None

    def change(self) -> EndpointChange:
        return EndpointChange(
            url=None if self.url is None else str(self.url),
            event_types=(
                None if self.event_types is None else tuple(dict.fromkeys(self.event_types))
            ),
            description=self.description,
            enabled=self.enabled,
        )


class DeliveryPage(Page):
    status: DeliveryStatus | None = None


class EndpointView(View):
    """`failing_since` is the first attempt after which none got through."""

    endpoint_id: str
    url: str
    event_types: list[str]
    description: str
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    failing_since: AwareDatetime | None
    previous_secret_until: AwareDatetime | None
    version: int
    created_at: AwareDatetime

    @classmethod
    def of(cls, endpoint: Endpoint) -> EndpointView:
        return cls(**_shown(endpoint))


class NewEndpointView(EndpointView):
    """`secret` is shown here and after a rotation, and nowhere else."""

    secret: str = Field(repr=False)

    @classmethod
    def with_secret(cls, endpoint: Endpoint, secret: str) -> NewEndpointView:
        return cls(**_shown(endpoint), secret=secret)


class EndpointList(View):
    endpoints: list[EndpointView]


class RotatedSecret(View):
    """Messages are signed with both secrets until `previous_secret_until`."""

    endpoint_id: str
    secret: str = Field(repr=False)
    previous_secret_until: AwareDatetime | None


class DeliverySummaryView(View):
    event_id: str
    event_type: str
    status: DeliveryStatus
    attempt_count: int
    next_attempt_at: AwareDatetime | None
    created_at: AwareDatetime
    delivered_at: AwareDatetime | None

    @classmethod
    def of(cls, delivery: DeliverySummary) -> DeliverySummaryView:
        return cls(**_summed_up(delivery))


class DeliveryList(View):
    deliveries: list[DeliverySummaryView]
    next_cursor: str | None


class AttemptView(View):
    """`failure` says why there is no `status_code`; `answer` is the answer's beginning."""

    number: int
    at: AwareDatetime
    by_hand: bool
    duration_milliseconds: int
    status_code: int | None
    failure: str | None
    answer: str

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        return cls(
            number=attempt.number,
            at=attempt.at,
            by_hand=attempt.by_hand,
            duration_milliseconds=attempt.answer.duration_milliseconds,
            status_code=attempt.answer.status_code,
            failure=attempt.answer.failure,
            answer=attempt.answer.text,
        )


class DeliveryView(DeliverySummaryView):
    """`payload` is what is sent, byte for byte."""

    payload: str
    attempts: list[AttemptView]

    @classmethod
    def with_attempts(cls, delivery: Delivery, attempts: list[Attempt]) -> DeliveryView:
        return cls(
            **_summed_up(delivery.summary),
            payload=delivery.event.body,
            attempts=[AttemptView.of(attempt) for attempt in attempts],
        )


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint.endpoint_id,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "description": endpoint.description,
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": endpoint.failing_since,
        "previous_secret_until": endpoint.previous_until,
        "version": endpoint.version,
        "created_at": endpoint.created_at,
    }


def _summed_up(delivery: DeliverySummary) -> dict[str, Any]:
    return {
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "status": delivery.status,
        "attempt_count": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at,
        "created_at": delivery.created_at,
        "delivered_at": delivery.delivered_at,
    }

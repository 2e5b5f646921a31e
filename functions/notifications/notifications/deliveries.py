"""An event on its way to one endpoint: its attempts, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from tradepost.kernel.errors import ConflictError, NotFoundError

# After the first attempt, which is made at once: 75 hours and 36 minutes in all, as
# standardwebhooks.com advises, but for its second attempt after five seconds: the clock that
# brings attempts back strikes once a minute.
RETRY_AFTER = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# An attempt comes up to a fifth of its wait later, so that what failed together does not come
# back together.
_JITTER_PARTS = 5

ANSWER_LENGTH_MAX = 500


class DeliveryStatus(StrEnum):
    WAITING = "WAITING"  # for its next attempt
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"  # every attempt was made; somebody may still resend it


class DeliveryNotFoundError(NotFoundError):
    code = "webhook_delivery_not_found"

    def __init__(self) -> None:
        super().__init__("this event was not kept for this endpoint, or not any more")


class DeliveryInHandError(ConflictError):
    code = "webhook_delivery_in_hand"

    def __init__(self) -> None:
        super().__init__("this event is being sent just now; look at it again in a moment")


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event as it was published: the body is sent on as it is, byte for byte."""

    event_id: str
    event_type: str
    body: str  # JSON


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back of an attempt: a status code and the beginning of the body, or a failure."""

    duration_milliseconds: int
    status_code: int | None = None
    text: str = ""  # at most ANSWER_LENGTH_MAX characters
    failure: str | None = None  # address_refused | unknown_host | connection | tls | timeout

    @property
    def is_accepted(self) -> bool:
        return self.status_code is not None and self.status_code // 100 == 2

    @property
    def is_gone(self) -> bool:
        return self.status_code == HTTPStatus.GONE


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int  # from 1, over the scheduled ones and those by hand
    at: datetime
    by_hand: bool
    answer: Answer


@dataclass(frozen=True, slots=True)
class DeliverySummary:
    """A delivery as a listing tells of it: without the event's body."""

    event_id: str
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. `attempts` is also what a claim is recognised by."""

    endpoint_id: str
    event: PublishedEvent
    status: DeliveryStatus
    attempts: int  # begun, of both kinds
    tries: int  # begun, of the scheduled ones
    next_attempt_at: datetime | None  # None: only somebody's hand sends it
    created_at: datetime
    delivered_at: datetime | None = None

    @property
    def summary(self) -> DeliverySummary:
        return DeliverySummary(
            event_id=self.event.event_id,
            event_type=self.event.event_type,
            status=self.status,
            attempts=self.attempts,
            next_attempt_at=self.next_attempt_at,
            created_at=self.created_at,
            delivered_at=self.delivered_at,
        )

    def after(self, attempt: Attempt, *, chance: int) -> Delivery:
        """Tell how it stands after an attempt. `chance` is any whole number, from 0 on."""
        if attempt.answer.is_accepted:
            return replace(
                self,
                status=DeliveryStatus.DELIVERED,
                next_attempt_at=None,
                delivered_at=self.delivered_at or attempt.at,
            )
        if self.status is not DeliveryStatus.WAITING:
            return self
        if not attempt.by_hand:
            return self._waiting_until(next_attempt_at(self.tries, attempt.at, chance))
        return self._waiting_until(self.next_attempt_at)

    def _waiting_until(self, moment: datetime | None) -> Delivery:
        status = DeliveryStatus.FAILED if moment is None else DeliveryStatus.WAITING
        return replace(self, status=status, next_attempt_at=moment)


def next_attempt_at(tries: int, now: datetime, chance: int) -> datetime | None:
    """Tell when to try again after so many tries; None when they were all."""
    if tries > len(RETRY_AFTER):
        return None
    wait = RETRY_AFTER[tries - 1]
    seconds = int(wait.total_seconds())
    return now + wait + timedelta(seconds=chance % (seconds // _JITTER_PARTS))


assert all(wait.total_seconds() >= _JITTER_PARTS for wait in RETRY_AFTER)

"""What the use cases need, of mails and of webhooks: memory, addresses, and a way to send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from notifications.deliveries import (
    Answer,
    Attempt,
    Delivery,
    DeliveryStatus,
    DeliverySummary,
    PublishedEvent,
)
from notifications.endpoints import DisabledReason, Endpoint
from notifications.letters import Mail
from notifications.model import Contact, MessageStatus


class MessageLog(Protocol):
    def claim(self, event_id: str, event_type: str) -> bool:
        """Claim the message for a while; False if it was sent. Raises MessageInHandError."""

    def settle(self, event_id: str, status: MessageStatus) -> None:
        """Record how the message ended."""


class Contacts(Protocol):
    def of_order(self, order_id: str) -> Contact | None:
        """Ask orders whom to write to; None if there is nobody any more."""

    def of_order_with_lines(self, order_id: str) -> Contact | None:
        """Ask orders whom to write to, and what was ordered; None if there is nobody any more."""

    def of_letter(self, user_id: str, letter_id: str) -> Contact | None:
        """Ask users what a letter says and to whom; None if there is nobody any more.

        The code in it is drawn now: whoever asks again is told another one.
        """


class Mailer(Protocol):
    def send(self, to: str, mail: Mail) -> None:
        """Send a mail. Raises UnavailableError if it may be tried again."""


class EndpointBook(Protocol):
    def add(self, endpoint: Endpoint, fingerprint: str) -> Endpoint:
        """Keep a new endpoint, once per id, and return it as it stands.

        Raises IdempotencyMismatchError if the id was registered with another fingerprint,
        EndpointNotFoundError if it was deleted since, EndpointLimitError if there are too many.
        """

    def get(self, endpoint_id: str) -> Endpoint:
        """Read one. Raises EndpointNotFoundError."""

    def all(self) -> list[Endpoint]:
        """Read them all, the oldest first; the deleted ones are left out."""

    def save(self, endpoint: Endpoint) -> None:
        """Write what people change, over the version before. Raises StaleError."""

    def rotation(self, endpoint_id: str, reference: str) -> int | None:
        """Tell which generation a request for a new secret was given; None if it is new."""

    def rotate(self, endpoint: Endpoint, reference: str) -> None:
        """Write an endpoint with its new generation, once per reference. Raises StaleError."""

    def delete(self, endpoint_id: str) -> None:
        """Take an endpoint away. Raises EndpointNotFoundError."""

    def note_failing(self, endpoint_id: str, since: datetime) -> None:
        """Remember since when nothing gets through, unless that is known."""

    def note_working(self, endpoint_id: str) -> None:
        """Forget that nothing got through."""

    def disable(self, endpoint: Endpoint, reason: DisabledReason) -> bool:
        """Disable it, unless something changed or got through; tell whether it was done."""


class DeliveryBook(Protocol):
    def add(self, delivery: Delivery) -> bool:
        """Keep a new delivery, once per endpoint and event; False if it was kept before."""

    def get(self, endpoint_id: str, event_id: str) -> tuple[Delivery, list[Attempt]]:
        """Read one with its attempts, in order. Raises DeliveryNotFoundError."""

    def of_endpoint(
        self,
        endpoint_id: str,
        status: DeliveryStatus | None,
        limit: int,
        after: dict[str, str] | None,
    ) -> tuple[list[DeliverySummary], dict[str, str] | None]:
        """List an endpoint's deliveries, newest first, and the position after them."""

    def due(self, endpoint_id: str, now: datetime, limit: int) -> list[str]:
        """List the ids of events due for an endpoint, the longest overdue first."""

    def claim(self, endpoint_id: str, event_id: str, now: datetime) -> Delivery | None:
        """Begin a scheduled attempt; None if it is not due or in somebody's hand.

        A claim lapses, and then the attempt is due again.
        """

    def claim_by_hand(self, endpoint_id: str, event_id: str, now: datetime) -> Delivery:
        """Begin an attempt whatever the schedule says.

        Raises DeliveryNotFoundError, DeliveryInHandError.
        """

    def settle(self, delivery: Delivery, attempt: Attempt) -> None:
        """Log an attempt, and let go of a claim unless it lapsed and was taken over."""


class Secrets(Protocol):
    def of(self, endpoint_id: str, generation: int) -> str:
        """Derive a secret: the same every time, and nobody else's."""


class Post(Protocol):
    def sign_and_send(self, url: str, event: PublishedEvent, secrets: Sequence[str]) -> Answer:
        """Send an event to an address, signed now with each secret.

        Whatever the other side does is an answer, never an error.
        """

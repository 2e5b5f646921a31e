"""What the use cases need: a memory of what was sent, the owners of addresses, a mailer."""

from __future__ import annotations

from typing import Protocol

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

    def of_user(self, user_id: str) -> Contact | None:
        """Ask users whom to write to; None if there is nobody any more."""


class Mailer(Protocol):
    def send(self, to: str, mail: Mail) -> None:
        """Send a mail. Raises UnavailableError if it may be tried again."""

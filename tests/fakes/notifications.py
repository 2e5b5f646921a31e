"""Notifications' ports in memory."""

from __future__ import annotations

from dataclasses import replace

from notifications.letters import Mail
from notifications.model import Contact, MessageInHandError, MessageStatus


class InMemoryMessages:
    """Claims never lapse here; that they do is the table's suite."""

    def __init__(self) -> None:
        self.statuses: dict[str, MessageStatus] = {}

    def claim(self, event_id: str, event_type: str) -> bool:
        status = self.statuses.get(event_id)
        if status is MessageStatus.CLAIMED:
            raise MessageInHandError(event_id)
        if status is None:
            self.statuses[event_id] = MessageStatus.CLAIMED
        return status is None

    def settle(self, event_id: str, status: MessageStatus) -> None:
        self.statuses[event_id] = status


class KnownContacts:
    """One contact for every order and account, or nobody."""

    def __init__(self, contact: Contact | None) -> None:
        self.contact = contact

    def of_order(self, order_id: str) -> Contact | None:
        return self.contact

    def of_order_with_lines(self, order_id: str) -> Contact | None:
        return self.contact

    def of_letter(self, user_id: str, letter_id: str) -> Contact | None:
        return replace(self.contact, letter="welcome", code="c0de") if self.contact else None


class Postbag:
    """A mailer that keeps what it was given: pairs of address and mail."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Mail]] = []

    def send(self, to: str, mail: Mail) -> None:
        self.sent.append((to, mail))

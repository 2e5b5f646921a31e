"""Asking the owners of addresses, at the moment of writing: events carry none."""

from __future__ import annotations

from notifications.model import Contact, amount_in_words
from tradepost.platform.questions import Questions


class AskedContacts:
    """Contacts by invoking the owners' functions. Satisfies `ports.Contacts`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def of_order(self, order_id: str) -> Contact | None:
        answer = self._questions.ask("orders-order_contact", {"order_id": order_id})
        if answer["email"] is None:
            return None
        facts = {
            "order_id": order_id,
            "lines": "one line" if answer["line_count"] == 1 else f"{answer['line_count']} lines",
            "total": amount_in_words(answer["total_minor"], answer["currency"]),
        }
        return Contact(answer["email"], answer["name"], facts)

    def of_user(self, user_id: str) -> Contact | None:
        answer = self._questions.ask("users-contact", {"user_id": user_id})
        if answer["email"] is None:
            return None
        return Contact(answer["email"], answer["name"], {})

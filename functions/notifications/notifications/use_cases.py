"""Telling customers what happened to their order, once per fact."""

from __future__ import annotations

from dataclasses import replace

from notifications.model import Contact, MessageStatus, composed
from notifications.ports import Contacts, Mailer, MessageLog


def tell_customer(
    event_type: str,
    event_id: str,
    subject_id: str,
    facts: dict[str, str],
    *,
    messages: MessageLog,
    contacts: Contacts,
    mailer: Mailer,
) -> None:
    """Send the mail that an event asks for, once per event.

    The claim keeps two deliveries of one event from sending twice. A crash between sending and
    settling sends a second mail when the claim has lapsed: better twice than never.

    Raises
    ------
    MessageInHandError
        Another delivery of the event is at work.
    UnavailableError
        The mail could not be sent now.
    """
    if not messages.claim(event_id, event_type):
        return
    contact = (
        contacts.of_user(subject_id)
        if event_type == "user.registered.v1"
        else contacts.of_order(subject_id)
    )
    if contact is None:
        messages.settle(event_id, MessageStatus.SKIPPED)
        return
    mailer.send(contact.email, composed(event_type, _knowing(contact, facts)))
    messages.settle(event_id, MessageStatus.SENT)


def _knowing(contact: Contact, facts: dict[str, str]) -> Contact:
    return replace(contact, facts={**contact.facts, **facts})

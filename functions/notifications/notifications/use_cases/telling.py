"""Telling customers what happened to their order, once per fact."""

from __future__ import annotations

from notifications.model import Contact, Happening, MessageStatus
from notifications.ports import Contacts, Mailer, MessageLog
from notifications.words import LISTING_TYPES, written


def tell_customer(
    happening: Happening,
    *,
    messages: MessageLog,
    contacts: Contacts,
    mailer: Mailer,
    shop_url: str = "",
) -> None:
    """Send the mail that an event asks for, once per event.

    `shop_url` is where the pages are that letters with a code lead to.

    The claim keeps two deliveries of one event from sending twice. A crash between sending and
    settling sends a second mail when the claim has lapsed: better twice than never.

    Raises
    ------
    MessageInHandError
        Another delivery of the event is at work.
    UnavailableError
        The mail could not be sent now.
    """
    if not messages.claim(happening.event_id, happening.event_type):
        return
    contact = _concerned(happening, contacts)
    if contact is None:
        messages.settle(happening.event_id, MessageStatus.SKIPPED)
        return
    mailer.send(contact.email, written(happening, contact, shop_url=shop_url))
    messages.settle(happening.event_id, MessageStatus.SENT)


def _concerned(happening: Happening, contacts: Contacts) -> Contact | None:
    if happening.letter_id is not None:
        return contacts.of_letter(happening.subject_id, happening.letter_id)
    if happening.event_type in LISTING_TYPES:
        return contacts.of_order_with_lines(happening.subject_id)
    return contacts.of_order(happening.subject_id)

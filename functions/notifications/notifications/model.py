"""What a customer is told, and when."""

from __future__ import annotations

import html
from dataclasses import dataclass
from enum import StrEnum

from tradepost.kernel.errors import UnavailableError


class MessageStatus(StrEnum):
    CLAIMED = "CLAIMED"  # somebody is sending it, until the claim lapses
    SENT = "SENT"
    SKIPPED = "SKIPPED"  # there was nobody to write to


class MessageInHandError(UnavailableError):
    """Another delivery of the same fact is being worked on; this one comes again later."""

    code = "message_in_hand"


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to write to, as the owner of the address knew it at the moment of writing."""

    email: str
    name: str
    facts: dict[str, str]  # what the mail says about the order, ready to read


@dataclass(frozen=True, slots=True)
class Mail:
    subject: str
    text: str

    @property
    def html(self) -> str:
        """The same words as a plain, escaped page: names come from customers."""
        paragraphs = [
            f"<p>{html.escape(paragraph).replace(chr(10), '<br>')}</p>"
            for paragraph in self.text.split("\n\n")
        ]
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            f"<title>{html.escape(self.subject)}</title>"
            f"<body style='font-family:sans-serif;max-width:36rem'>{''.join(paragraphs)}</body>"
            "</html>"
        )


# Subject and text per event type; `{…}` are the contact's name and facts.
_WORDS = {
    "user.registered.v1": (
        "Welcome to Tradepost",
        "Hello {name},\n\nyour account is open. You can log in and shop whenever you like.",
    ),
    "order.confirmed.v1": (
        "Your order {order_id} is confirmed",
        "Hello {name},\n\nthank you for your order {order_id}: {lines}, {total}.\n\n"
        "We have taken the payment and booked your parcel. We write again when it is on its way.",
    ),
    "order.cancelled.v1": (
        "Your order {order_id} did not go through",
        "Hello {name},\n\nyour order {order_id} could not be completed: {reason}.\n\n"
        "Nothing was charged, or it has been returned. Your cart is as you left it.",
    ),
    "shipment.dispatched.v1": (
        "Your order {order_id} is on its way",
        "Hello {name},\n\nyour parcel is with {carrier}; its tracking number is {tracking_number}.",
    ),
    "shipment.delivered.v1": (
        "Your order {order_id} was delivered",
        "Hello {name},\n\nyour parcel {tracking_number} has been delivered. Enjoy it.",
    ),
    "payment.refunded.v1": (
        "A refund for your order {order_id}",
        "Hello {name},\n\nwe have sent {amount} back to you. Your bank may take some days to "
        "show it.",
    ),
}

TYPES = frozenset(_WORDS)

# A customer reads why in words; a code that has none is a fault of ours.
_REASONS = {
    "out_of_stock": "something in it sold out at the last moment",
    "payment_declined": "your bank declined the payment",
    "insufficient_funds": "your card did not have enough funds",
    "capture_refused": "the payment could not be taken",
    "carrier_refused": "our carrier does not deliver to that address",
}
_REASON_OF_A_FAULT = "something went wrong on our side"


def in_words(reason: str) -> str:
    """Say a reason code as a customer would read it."""
    return _REASONS.get(reason, _REASON_OF_A_FAULT)


def amount_in_words(amount_minor: int, currency: str) -> str:
    """Write an amount such as 12.50 GBP; currencies without a minor unit have no point."""
    if currency in {"JPY", "KRW"}:  # ISO 4217: exponent 0
        return f"{amount_minor} {currency}"
    return f"{amount_minor // 100}.{amount_minor % 100:02d} {currency}"


def composed(event_type: str, contact: Contact) -> Mail:
    """Write the mail that an event asks for."""
    subject, text = _WORDS[event_type]
    facts = {"name": contact.name or "there", **contact.facts}
    return Mail(subject.format(**facts), text.format(**facts))

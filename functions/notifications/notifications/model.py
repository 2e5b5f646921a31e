"""What a customer is told about: a happening, and whom it concerns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tradepost.kernel.errors import UnavailableError
from tradepost.kernel.money import Money


class MessageStatus(StrEnum):
    CLAIMED = "CLAIMED"  # somebody is sending it, until the claim lapses
    SENT = "SENT"
    SKIPPED = "SKIPPED"  # there was nobody to write to


class MessageInHandError(UnavailableError):
    """Another delivery of the same fact is being worked on; this one comes again later."""

    code = "message_in_hand"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of ours, as far as a mail tells of it."""

    event_type: str
    event_id: str
    subject_id: str  # the order's id, or the account's where it is about no order
    reason: str | None = None  # a problem code
    carrier: str | None = None
    tracking_number: str | None = None
    amount: Money | None = None
    letter_id: str | None = None  # of a letter that only its owner can tell


@dataclass(frozen=True, slots=True)
class OrderedLine:
    title: str
    quantity: int  # units
    unit_price: Money

    @property
    def line_total(self) -> Money:
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order as it stands at the moment of writing, which may be after what the mail is about."""

    status: str  # of the order, as orders names it
    line_count: int
    total: Money
    shipping: Money  # contained in the total
    discount: Money  # of the lines that were asked for, and so the tax
    tax: Money
    prices_include_tax: bool
    lines: tuple[OrderedLine, ...] = ()  # none unless they were asked for


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to write to, as the owner of the address knew it at the moment of writing."""

    email: str
    name: str
    order: Ordered | None = None  # None for an account
    letter: str | None = None  # which of an account's letters, as users names them
    code: str | None = field(default=None, repr=False)

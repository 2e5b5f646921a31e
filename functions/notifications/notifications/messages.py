"""What notifications reads of the events it tells customers and merchants about."""

from __future__ import annotations

from notifications.deliveries import PublishedEvent
from notifications.model import Happening
from tradepost.kernel.money import Money
from tradepost.platform.consumer import Fact


class News(Fact):
    """Any event of ours, as far as a mail needs it."""

    order_id: str | None = None
    user_id: str | None = None
    letter_id: str | None = None
    reason: str | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    amount_minor: int | None = None
    currency: str | None = None

    def happening(self) -> Happening:
        """Tell what happened. Raises ValueError if it happened to nobody."""
        subject_id = self.order_id or self.user_id
        if subject_id is None:
            raise ValueError("an event about nobody")
        return Happening(
            event_type=self.type,
            event_id=self.event_id,
            subject_id=subject_id,
            reason=self.reason,
            letter_id=self.letter_id,
            carrier=self.carrier,
            tracking_number=self.tracking_number,
            amount=(
                Money(self.amount_minor, self.currency)
                if self.amount_minor is not None and self.currency is not None
                else None
            ),
        )


def published_event(message: str) -> PublishedEvent:
    """Read of an event what it takes to send it on; the message itself stays as it is."""
    fact = Fact.model_validate_json(message)
    return PublishedEvent(fact.event_id, fact.type, message)

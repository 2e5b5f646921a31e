"""What notifications reads of the events it tells customers about."""

from __future__ import annotations

from notifications.model import amount_in_words, in_words
from tradepost.platform.consumer import Fact


class News(Fact):
    """Any event of ours, as far as a mail needs it."""

    order_id: str | None = None
    user_id: str | None = None
    reason: str | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    amount_minor: int | None = None
    currency: str | None = None

    @property
    def subject_id(self) -> str:
        subject = self.order_id or self.user_id
        if subject is None:
            raise ValueError("an event about nobody")
        return subject

    @property
    def facts(self) -> dict[str, str]:
        """What the mail's text may name, in words."""
        facts = {
            "reason": in_words(self.reason) if self.reason else None,
            "carrier": self.carrier,
            "tracking_number": self.tracking_number,
            "amount": (
                amount_in_words(self.amount_minor, self.currency)
                if self.amount_minor is not None and self.currency
                else None
            ),
        }
        return {name: text for name, text in facts.items() if text is not None}

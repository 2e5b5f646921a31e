"""How SKUs are kept, as an instance remembers it: what a reservation is first planned on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from inventory.model import ROOT, Card, Shelf, Units
from inventory.model.stock import QUANTITY_MAX
from tradepost.kernel.clock import utc_now

# A card that is remembered wrongly costs a refused write and a read, and sells nothing that is
# not there.
CARDS_MAX = 5_000
_REMEMBERED_FOR = timedelta(minutes=1)

# What is supposed to lie in a bucket that was not read: the write's condition knows better.
_PLENTY = Units(available=QUANTITY_MAX * 100)


class Cards:
    """The cards that were met lately. A SKU without one is supposed to have none."""

    def __init__(self) -> None:
        self._cards: dict[str, tuple[Card, datetime]] = {}

    def remember(self, sku: str, card: Card | None) -> None:
        self._cards.pop(sku, None)
        if card is None:
            return
        if len(self._cards) >= CARDS_MAX:
            # Many threads share them on the local stack: whoever is second finds it gone.
            self._cards.pop(next(iter(self._cards.copy())), None)
        self._cards[sku] = (card, utc_now() + _REMEMBERED_FOR)

    def presumed(self, skus: Sequence[str]) -> dict[str, Shelf] | None:
        """Suppose how shelves are kept, with plenty on them; None where more must be known."""
        shelves = {}
        for sku in skus:
            card = self._card(sku)
            if card is not None and (len(card.warehouses) > 1 or card.backorders_max is not None):
                return None
            buckets = card.buckets if card else (ROOT,)
            shelves[sku] = Shelf(sku, card, dict.fromkeys(buckets, _PLENTY))
        return shelves

    def _card(self, sku: str) -> Card | None:
        card, until = self._cards.get(sku, (None, None))
        if until is not None and until < utc_now():
            self._cards.pop(sku, None)
            return None
        return card

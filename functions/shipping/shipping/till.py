"""Having payments take a parcel's money: shipping keeps parcels, not money."""

from __future__ import annotations

from shipping.model.shipment import ParcelNotPaidError
from tradepost.kernel.money import Money
from tradepost.platform.questions import Questions


class AskedPayments:
    """Satisfies `ports.Till`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def capture(self, order_id: str, number: int, amount: Money | None) -> None:
        asked = {
            "order_id": order_id,
            "capture_id": str(number),
            "amount_minor": amount.amount_minor if amount else None,
        }
        answer = self._questions.ask("payments-capture_part", asked)
        if answer["refused"] is not None:
            raise ParcelNotPaidError(order_id, number, answer["refused"])

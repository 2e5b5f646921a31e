"""Asking inventory what is still to come in: shipping keeps parcels, not stock."""

from __future__ import annotations

from shipping.model.goods import BackOrdered
from tradepost.platform.questions import Questions


class AskedStock:
    """Satisfies `ports.Stockroom`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def back_ordered(self, order_id: str) -> list[BackOrdered]:
        answer = self._questions.ask("inventory-units_waiting", {"order_id": order_id})
        return [
            BackOrdered(line["sku"], line["bought"], line["waiting"]) for line in answer["waiting"]
        ]

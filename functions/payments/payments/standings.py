"""Where orders stand, asked of their owner."""

from __future__ import annotations

from tradepost.platform.questions import Questions

# An order that was cancelled, or is about to be, is not to be paid; nor is one that is not there.
_UNWANTED = {None, "CANCELLING", "CANCELLED"}


class AskedOrders:
    """Orders by invoking their owner's function. Satisfies `ports.Orders`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def want_money(self, order_id: str) -> bool:
        answer = self._questions.ask("orders-order_standing", {"order_id": order_id})
        return answer["status"] not in _UNWANTED

"""Asking orders how an order stands, which a hold must not outlive, and where it goes."""

from __future__ import annotations

from tradepost.platform.questions import Questions


class AskedOrders:
    """Satisfies `ports.Orders`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def status_of(self, order_id: str) -> str | None:
        answer = self._questions.ask("orders-order_standing", {"order_id": order_id})
        status: str | None = answer["status"]
        return status

    def country_of(self, order_id: str) -> str:
        answer = self._questions.ask("orders-order_address", {"order_id": order_id})
        country: str = answer["address"].get("country", "")
        return country

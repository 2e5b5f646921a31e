"""What units cost today, asked of carts: orders keeps what was paid, and no prices."""

from __future__ import annotations

from collections.abc import Mapping

from orders.model import EditNotPossibleError, NotOnSaleError, Order, OrderLine
from tradepost.platform.questions import Questions


class AskedPrices:
    """Carts' projection of what is on sale. Satisfies `ports.Prices`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def of(self, quantities: Mapping[str, int], order: Order) -> list[OrderLine]:
        answer = self._questions.ask("carts-offers_of", {"skus": sorted(quantities)})
        offers = {offer["sku"]: offer for offer in answer["offers"]}
        lines = []
        for sku, quantity in quantities.items():
            if sku not in offers:
                raise NotOnSaleError(sku)
            offer = offers[sku]
            if offer["currency"] != order.total.currency:
                raise EditNotPossibleError(order.order_id, f"{sku} is sold in {offer['currency']}")
            lines.append(OrderLine(sku, offer["title"], quantity, offer["unit_price_minor"]))
        return lines

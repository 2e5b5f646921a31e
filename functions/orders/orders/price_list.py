"""What units cost today, asked of carts: orders keeps what was paid, and no prices."""

from __future__ import annotations

from collections.abc import Mapping

from orders.model import EditNotPossibleError, NotOnSaleError, Order, OrderLine
from tradepost.platform.questions import Questions


class AskedPrices:
    """Carts, who price what is bought. Satisfies `ports.Prices`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def of(self, quantities: Mapping[str, int], order: Order) -> list[OrderLine]:
        address = order.shipping_address
        answer = self._questions.ask(
            "carts-price_units",
            {
                "quantities": dict(quantities),
                "country": address["country"],
                "region": address.get("region"),
            },
        )
        if answer["prices_include_tax"] is not order.prices_include_tax:
            raise EditNotPossibleError(order.order_id, "it would be taxed in another way by now")
        told = {line["sku"]: line for line in answer["lines"]}
        lines = []
        for sku, quantity in quantities.items():
            if sku not in told:
                raise NotOnSaleError(sku)
            line = told[sku]
            if line["currency"] != order.total.currency:
                raise EditNotPossibleError(order.order_id, f"{sku} is sold in {line['currency']}")
            lines.append(
                OrderLine(
                    sku,
                    line["title"],
                    quantity,
                    line["unit_price_minor"],
                    tax_minor=line.get("tax_minor", 0),
                )
            )
        return lines

"""Asking orders what was bought: shipping keeps parcels, not orders."""

from __future__ import annotations

from collections.abc import Sequence

from shipping.model.goods import Goods, ParcelLine, summed
from shipping.model.returns import ReturnLine, quantities
from tradepost.kernel.money import Money
from tradepost.platform.questions import Questions


class AskedOrders:
    """Satisfies `ports.OrderBook`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def bought(self, order_id: str) -> dict[str, int]:
        answer = self._questions.ask("orders-order_lines", {"order_id": order_id})
        return quantities([ReturnLine(line["sku"], line["quantity"]) for line in answer["lines"]])

    def total_of(self, order_id: str) -> Money | None:
        answer = self._questions.ask("orders-order_standing", {"order_id": order_id})
        if answer["status"] is None:
            return None
        return Money(answer["total_minor"], answer["currency"])

    def goods_of(self, order_id: str) -> Goods:
        answer = self._questions.ask("orders-order_lines", {"order_id": order_id})
        return Goods(
            status=answer["status"],
            quantities=quantities(
                [ReturnLine(line["sku"], line["quantity"]) for line in answer["lines"]]
            ),
        )

    def price_of(
        self,
        order_id: str,
        lines: Sequence[ParcelLine],
        *,
        before: Sequence[ParcelLine],
        with_shipping: bool,
    ) -> Money:
        asked = {
            "order_id": order_id,
            "units": summed(lines),
            "before": summed(before),
            "with_shipping": with_shipping,
        }
        answer = self._questions.ask("orders-price_parcel", asked)
        return Money(answer["amount_minor"], answer["currency"])

    def address_of(self, order_id: str) -> dict[str, str]:
        answer = self._questions.ask("orders-order_address", {"order_id": order_id})
        return dict(answer["address"])

"""
Asking the other contexts what they hold of a person.

* ExportTooLargeError   it does not fit into one answer
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tradepost.kernel.errors import ConflictError
from tradepost.platform.dynamodb import chunks
from tradepost.platform.questions import Questions

# Lambda answers with at most 6 MB, and JSON within JSON grows.
EXPORT_BYTES_MAX = 4 * 1024 * 1024

_ORDERS_PER_QUESTION = 50


class ExportTooLargeError(ConflictError):
    """Somebody with thousands of orders: a person of ours puts the export together."""

    code = "export_too_large"

    def __init__(self) -> None:
        super().__init__("there is more than fits into one answer; please write to us")


class AskedContexts:
    """Satisfies `ports.HeldElsewhere`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def of(self, user_id: str) -> Mapping[str, Any]:
        person = {"user_id": user_id}
        orders = self._orders(person)
        order_ids = [order["order_id"] for order in orders]
        held = {
            "carts": self._questions.ask("carts-personal_data", person),
            "orders": {"orders": orders},
            "shipping": {
                "shipments": [
                    shipment
                    for part in chunks(order_ids, _ORDERS_PER_QUESTION)
                    for shipment in self._questions.ask(
                        "shipping-personal_data", {**person, "order_ids": list(part)}
                    )["shipments"]
                ]
            },
        }
        if len(json.dumps(held)) > EXPORT_BYTES_MAX:
            raise ExportTooLargeError
        return held

    def _orders(self, person: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after: Any = None
        size = 0
        while True:
            page = self._questions.ask("orders-personal_data", {**person, "after": after})
            found += page["orders"]
            size += len(json.dumps(page))
            after = page["after"]
            if size > EXPORT_BYTES_MAX:
                raise ExportTooLargeError
            if after is None:
                return found

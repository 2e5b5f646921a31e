"""A bought order that its buyer edits, for the tests of edits that take out and that add."""

from __future__ import annotations

import itertools
from typing import Any

import httpx

from tests.system.books import agree
from tests.system.kinds import Shop
from tests.system.shopper import Person

PRICE = 1250
# How many units it has, what it comes to, and what went back.
UNCHANGED = (2, 2 * PRICE, 0)

_keys = itertools.count(1)


class Bought:
    """Two of a product are bought and confirmed; their buyer `wants` another number of it."""

    def __init__(self, shop: Shop, *, wants: int) -> None:
        self.town = shop.town
        self.wants = wants
        self.buyer, self.order_id, self.sku = shop.sells("approved")

    def edited(
        self,
        quantity: int | None = None,
        *,
        by: Person | None = None,
        key: str | None = None,
        total: int | None = None,
        method: str | None = None,
        **quantities: int,
    ) -> httpx.Response:
        """Ask for new quantities (`_` stands for `-`), or for another one of what was bought."""
        of_it = self.wants if quantity is None else quantity
        wanted = {sku.replace("_", "-"): units for sku, units in quantities.items()}
        body: dict[str, Any] = {
            "lines": [
                {"sku": sku, "quantity": units}
                for sku, units in (wanted or {self.sku: of_it}).items()
            ],
            "expected_total": {
                "amount_minor": PRICE * of_it if total is None else total,
                "currency": "GBP",
            },
        }
        if method is not None:
            body["payment_method"] = method
        path = f"/v1/orders/{self.order_id}/edits"
        return (by or self.buyer).post(path, body, Idempotency_Key=key or f"edit-{next(_keys)}")

    def cancelled(self) -> httpx.Response:
        return self.buyer.post(f"/v1/orders/{self.order_id}/cancellation", {})

    def picked(self) -> httpx.Response:
        return self.town.admin.post(f"/v1/shipments/{self.order_id}/pick")

    def dispatched(self) -> httpx.Response:
        return self.town.admin.post(f"/v1/shipments/{self.order_id}/dispatch")

    @property
    def order(self) -> dict[str, Any]:
        order: dict[str, Any] = self.buyer.get(f"/v1/orders/{self.order_id}").json()
        return order

    @property
    def edit(self) -> tuple[str, str | None]:
        """Tell how the latest edit ended, and why."""
        edit = self.order["edit"]
        return edit["status"], edit["reason"]

    def ends(self, *, added: str | None = None, set_aside: bool = False) -> str:
        self.town.settles()
        return agree(
            self.town, self.buyer, self.order_id, sku=self.sku, added=added, set_aside=set_aside
        )

    @property
    def stands(self) -> tuple[int, int, int]:
        """Tell how many units it has, what it comes to, and what went back."""
        order = self.order
        units = sum(line["quantity"] for line in order["lines"])
        return units, order["total"]["amount_minor"], order["refunded"]["amount_minor"]

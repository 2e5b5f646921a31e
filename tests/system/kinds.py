"""The kinds of order a checkout can meet, the steps each passes through, and how it ends."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from tests.system.books import agree
from tests.system.faults import AGAIN, Answer, Faults
from tests.system.shopper import Person, Town

FORWARD = [
    "carts-read_checkout",
    "orders-place_order",
    "inventory-reserve_stock",
    "payments-authorize_payment",
    "shipping-book_shipment",
    "orders-begin_capture",
    "payments-capture_payment",
    "inventory-commit_stock",
    "orders-confirm_order",
    "carts-consume_cart",
]
UNDO = [
    "orders-abandon_order",
    "shipping-cancel_booking",
    "payments-void_payment",
    "inventory-release_stock",
    "orders-cancel_order",
    "carts-thaw_cart",
]

# The steps each kind of order passes through, and how it ends.
PATHS = {
    "approved": (FORWARD, "CONFIRMED"),
    "declined": ([*FORWARD[:4], *UNDO], "CANCELLED"),
    "sold out": ([*FORWARD[:3], *UNDO], "CANCELLED"),
    "capture refused": ([*FORWARD[:7], *UNDO], "CANCELLED"),
    "hold lost": ([*FORWARD[:8], *UNDO], "CANCELLED"),
}
METHODS = {"declined": "pm_card_declined", "capture refused": "pm_capture_refused"}
# Faults at a step: the fault that makes the hold be lost is itself at CommitStock.
EVERY_STEP = [
    (kind, step)
    for kind, (steps, _) in PATHS.items()
    for step in steps
    if (kind, step) != ("hold lost", FORWARD[7])
]

# Steps whose calls of AWS differ from one kind of order to another, each once.
EVERY_CALL = [
    *[("approved", step) for step in FORWARD],
    *[("hold lost", step) for step in UNDO],
    ("declined", "payments-authorize_payment"),
    ("declined", "payments-void_payment"),
    ("sold out", "inventory-reserve_stock"),
    ("sold out", "inventory-release_stock"),
    ("capture refused", "payments-capture_payment"),
    ("capture refused", "payments-void_payment"),
]

# More often than any step is tried.
ALWAYS = 20

_numbers = itertools.count(1)


class Shop:
    """Sells one thing at a time, in the way that a kind of order asks for."""

    buyer: Person  # whose checkout is running

    def __init__(self, town: Town, faults: Faults) -> None:
        self.town = town
        self.faults = faults

    def sells(self, kind: str) -> tuple[Person, str, str]:
        """Have a guest check out two of a product; return them, the order's id and the SKU."""
        accepted, sku = self.begins(kind)
        self.town.settles()
        return self.buyer, accepted.json()["order_id"], sku

    def begins(self, kind: str) -> tuple[Any, str]:
        """Have a guest check out, and do not wait; return the answer and the SKU."""
        sku = f"MUG-{next(_numbers)}"
        self.town.sells(sku, on_hand=1 if kind == "sold out" else 10)
        if kind == "hold lost":
            self.faults.at_step("inventory-commit_stock", self._after_a_release)
        self.buyer = self.town.guest()
        total = self.buyer.fills_cart(**{sku.replace("-", "_"): 2})
        return self.buyer.checks_out(total, method=METHODS.get(kind, "pm_card_ok")), sku

    def ends(self, kind: str) -> str:
        guest, order_id, sku = self.sells(kind)
        return agree(self.town, guest, order_id, sku=sku)

    def _after_a_release(self, call: Callable[[], Answer]) -> Answer:
        asked = json.dumps({"order_id": self.faults.order_id, "correlation_id": AGAIN})
        self.town.stack.functions.run("tradepost-local-inventory-release_stock", asked)
        return call()

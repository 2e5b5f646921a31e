"""Commands that may meet: what people and timers ask for at one time, of one order or one product.

A beginning has the commands that make sense there; every pair of them is played side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

from tests.simulation.flows import FLOWS, SKU, Flow, Scene
from tests.simulation.invariants import REFUSED

Command = Callable[[Scene], None]


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two commands side by side, from the beginning of a flow."""

    flow: Flow
    names: tuple[str, str]
    commands: tuple[Command, Command]

    @property
    def name(self) -> str:
        return f"{self.flow.name}: {self.names[0]} and {self.names[1]}"


def timer(function: str) -> Command:
    return lambda scene: scene.world.deliveries.fire(function)


def _second_buyer(scene: Scene) -> None:
    """Have somebody else want the same units: their order is theirs to look after."""
    other = replace(scene, buyer=scene.others[0], order_id="")
    other.checks_out(quantity=1)


def _cancels_what_is_placed(scene: Scene) -> None:
    """Cancel the order, whose id its buyer can know as soon as the checkout is begun."""
    known = replace(scene, order_id=scene.known_order_id)
    known.cancels()
    scene.asked_to_cancel |= known.asked_to_cancel


def _changes_cart(scene: Scene) -> None:
    scene.tries(scene.buyer, "PUT", f"/v1/cart/lines/{SKU}", {"quantity": 1})


def _counts_stock(scene: Scene) -> None:
    body = {"on_hand": scene.on_hand, "reason": "stocktaking"}
    scene.tries(scene.town.admin, "PUT", f"/v1/stock/{SKU}/count", body)


_BEFORE: dict[str, Command] = {
    "checkout": lambda scene: scene.checks_out(),
    "second buyer": _second_buyer,
    "cancel": _cancels_what_is_placed,
    "change the cart": _changes_cart,
    "count the stock": _counts_stock,
    "sweep checkouts": timer("carts-sweep_checkouts"),
    "sweep orders": timer("orders-sweep_orders"),
}
_AFTER: dict[str, Command] = {
    "cancel": lambda scene: scene.cancels(),
    "edit": lambda scene: scene.edits(1),
    "refund": lambda scene: scene.is_refunded(500),
    "refund all": lambda scene: scene.is_refunded(2_500, key="all"),
    "pick": lambda scene: scene.parcel_is("pick"),
    "dispatch": lambda scene: scene.parcel_is("dispatch"),
    "deliver": lambda scene: scene.parcel_is("delivery"),
    "sweep orders": timer("orders-sweep_orders"),
    "sweep holds": timer("inventory-sweep_holds"),
    "settle refunds": timer("payments-settle_refunds"),
    "watch authorizations": timer("payments-watch_authorizations"),
}

_ANY_END = frozenset({"CONFIRMED", "CANCELLED", "SHIPPED", "DELIVERED", REFUSED})


def meetings() -> dict[str, Meeting]:
    """List every pair: of checkouts with what may come between, and of what befalls an order."""
    before = replace(FLOWS["checkout"], name="checking out", ends=_ANY_END, on_hand=2)
    after = replace(FLOWS["cancel"], name="bought", ends=_ANY_END)
    found = [
        Meeting(before, ("checkout", name), (_BEFORE["checkout"], _BEFORE[name]))
        for name in _BEFORE
    ]
    # What an edit takes out and a refund has given back already, an operator has to judge.
    contested = replace(after, ends=_ANY_END | {"NEEDS_ATTENTION"})
    for one, other in combinations_with_replacement(_AFTER, 2):
        flow = contested if (one, other) == ("edit", "refund all") else after
        found.append(Meeting(flow, (one, other), (_AFTER[one], _AFTER[other])))
    return {meeting.name: meeting for meeting in found}

"""What people do at the shop: each flow is a beginning, and the commands that are watched.

What comes before is played once, without faults. Then every history of the flow begins there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.simulation.people import ADDRESS, EMAIL, Person, Reply, Town
from tests.simulation.world.world import World

SKU = "MUG"
PRICE_MINOR = 1250
ON_HAND = 10

# Somebody who waits for their bank looks each two minutes, for as long as a token lives.
_LOOKS_AT_BANK_MAX = 6
_LOOKS_AT_BANK_SECONDS = 120


@dataclass(slots=True)
class Scene:
    """A buyer of mugs, and what became known of their order."""

    town: Town
    buyer: Person
    on_hand: int
    order_id: str = ""
    known_order_id: str = ""  # the one that the checkout will have
    others: list[Person] = field(default_factory=list)  # who want the same
    asked_to_cancel: bool = False  # and was told that it will be
    replies: list[Reply] = field(default_factory=list)

    def again(self) -> Scene:
        """Give the scene as it was, for another history."""
        return replace(self, replies=[], asked_to_cancel=False)

    @property
    def world(self) -> World:
        return self.town.world

    def checks_out(self, *, method: str = "pm_card_ok", quantity: int = 2) -> None:
        """Send the checkout until it is answered."""
        body = {
            "email": EMAIL,
            "shipping_address": ADDRESS,
            "payment_method": method,
            "expected_total": _money(quantity * PRICE_MINOR),
        }
        reply = self._asks(self.buyer, "/v1/checkouts", body, key="checkout")
        if reply.status == 202:
            self.order_id = reply.told["order_id"]

    def cancels(self) -> None:
        path = f"/v1/orders/{self.order_id}/cancellation"
        reply = self._asks(self.buyer, path, {"reason": "too many"})
        self.asked_to_cancel |= reply.status == 202

    def edits(self, quantity: int) -> None:
        body = {
            "lines": [{"sku": SKU, "quantity": quantity}],
            "expected_total": _money(quantity * PRICE_MINOR),
        }
        self._asks(self.buyer, f"/v1/orders/{self.order_id}/edits", body, key=f"edit-{quantity}")

    def answers_bank(self, answer: str) -> None:
        """Confirm the payment at the simulated bank, or refuse to, as soon as it asks."""
        reference = ""
        for _ in range(_LOOKS_AT_BANK_MAX):
            reply = self.buyer.insists("GET", f"/v1/payments/{self.order_id}/confirmation")
            if reply.status == 200 and reply.told["action_url"]:
                reference = reply.told["action_url"].rsplit("/", 1)[-1]
                break
            self.world.tick(_LOOKS_AT_BANK_SECONDS)
        if reference:
            form = {"content_type": "application/x-www-form-urlencoded"}
            self.town.nobody.insists(
                "POST", f"/v1/simulator/bank/{reference}", text=f"answer={answer}", **form
            )

    def is_refunded(self, amount_minor: int, key: str = "refund") -> None:
        body = {"amount": _money(amount_minor), "reason": "broken"}
        self._asks(self.town.admin, f"/v1/payments/{self.order_id}/refunds", body, key=key)

    def parcel_is(self, *steps: str) -> None:
        """Let staff pick, dispatch or deliver the parcel."""
        for step in steps:
            self._asks(self.town.admin, f"/v1/shipments/{self.order_id}/{step}")

    def sends_back(self, quantity: int) -> str:
        """Ask to return units; return the id of the return."""
        body = {"lines": [{"sku": SKU, "quantity": quantity}], "reason": "does not fit"}
        reply = self._asks(self.buyer, f"/v1/shipments/{self.order_id}/returns", body, key="return")
        return str(reply.told["return_id"]) if reply.status == 201 else ""

    def return_is_approved(self, return_id: str) -> None:
        path = f"/v1/shipments/{self.order_id}/returns/{return_id}/approval"
        self._asks(self.town.admin, path)

    def return_arrives(self, return_id: str, quantity: int) -> None:
        body = {"lines": [{"sku": SKU, "quantity": quantity, "condition": "resellable"}]}
        path = f"/v1/shipments/{self.order_id}/returns/{return_id}/receipt"
        self._asks(self.town.admin, path, body)

    def tries(self, who: Person, method: str, path: str, body: Any) -> None:
        """Do what may well be refused: only that it is answered counts."""
        reply = who.insists(method, path, body)
        if reply.status >= 500:
            self.replies.append(reply)

    def settles(self) -> None:
        """Let what was begun come to its end."""
        self.world.drain()

    def _asks(self, who: Person, path: str, body: Any = None, *, key: str = "") -> Reply:
        headers = {"idempotency_key": key} if key else {}
        reply = who.insists("POST", path, body, **headers)
        self.replies.append(reply)
        return reply


def _money(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "GBP"}


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow. `ends` has how its order may end, of which a fault may choose another."""

    name: str
    play: Callable[[Scene], None]
    ends: frozenset[str]
    before: Callable[[Scene], None] = lambda _scene: None
    on_hand: int = ON_HAND

    def begin(self, town: Town) -> Scene:
        """Play what comes before; the world has to be new."""
        scene = Scene(town, town.guest(), self.on_hand, others=[town.guest()])
        town.sells(SKU, on_hand=self.on_hand, amount_minor=PRICE_MINOR)
        for buyer, quantity in ((scene.buyer, 2), (scene.others[0], 1)):
            lines = {"lines": [{"sku": SKU, "quantity": quantity}]}
            cart = buyer.send("PUT", "/v1/cart", lines)
            assert cart.status == 200, cart
        self.before(scene)
        scene.settles()
        return scene


def _bought(scene: Scene) -> None:
    scene.checks_out()
    scene.settles()


def _delivered(scene: Scene) -> None:
    _bought(scene)
    for step in ("pick", "dispatch", "delivery"):
        scene.parcel_is(step)
        scene.settles()


def _three_d_secure(answer: str) -> Callable[[Scene], None]:
    def play(scene: Scene) -> None:
        scene.checks_out(method="pm_3ds")
        scene.settles()
        if scene.order_id:
            scene.answers_bank(answer)

    return play


def _returned(scene: Scene) -> None:
    return_id = scene.sends_back(2)
    if return_id:
        scene.return_is_approved(return_id)
        scene.return_arrives(return_id, 2)


_SOLD = frozenset({"CONFIRMED"})
_GIVEN_UP = frozenset({"CANCELLED"})
_EITHER = _SOLD | _GIVEN_UP

FLOWS = {
    flow.name: flow
    for flow in (
        Flow("checkout", lambda scene: scene.checks_out(), _EITHER),
        Flow("declined", lambda scene: scene.checks_out(method="pm_card_declined"), _GIVEN_UP),
        Flow("sold out", lambda scene: scene.checks_out(), _GIVEN_UP, on_hand=1),
        Flow(
            "capture refused",
            lambda scene: scene.checks_out(method="pm_capture_refused"),
            _GIVEN_UP,
        ),
        Flow("3-D Secure", _three_d_secure("confirm"), _EITHER),
        Flow("3-D Secure refused", _three_d_secure("refuse"), _GIVEN_UP),
        Flow("cancel", lambda scene: scene.cancels(), _GIVEN_UP, before=_bought),
        Flow("edit", lambda scene: scene.edits(1), _EITHER, before=_bought),
        Flow("refund", lambda scene: scene.is_refunded(500), _SOLD, before=_bought),
        Flow(
            "parcel",
            lambda scene: scene.parcel_is("pick", "dispatch", "delivery"),
            frozenset({"DELIVERED"}),
            before=_bought,
        ),
        Flow("return", _returned, frozenset({"DELIVERED"}), before=_delivered),
    )
}

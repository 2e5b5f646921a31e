"""What belongs to an order, taken back: by its buyer, the warehouse and the staff.

Everything may be repeated: a replay that goes on asks once more, and the shop answers what came
of it the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from urllib.parse import quote

from infra.cli.buying import growing_pauses, money
from infra.cli.replay.catalogue import CURRENCY
from infra.cli.replay.identity import Run
from infra.cli.replay.planning import Kind, Reversal
from infra.cli.shop import Json, Session, ShopRefusedError

# A parcel's label, an order's delivery and a return's end follow by event and state machine.
_PATIENCE_SECONDS = 120.0

# Statuses of a return: its goods are here and its state machine runs; and all went back.
RECEIVED = "RECEIVED"
RETURNED = "REFUNDED"

# A parcel whose label is bought, and that nobody called off.
_ON_ITS_WAY = {"LABELLED", "PICKED", "DISPATCHED", "IN_TRANSIT", "DELIVERED"}

_REASON_MAX = 200  # characters the shop takes


class ReversalStuckError(Exception):
    """Something did not come to its end while we waited. The message is one line for a person."""


class Reverser:
    """Takes back, and remembers what the shop refused. Used by several threads at once.

    `orders` is the order id by invoice, `customers` a session by customer.
    """

    def __init__(
        self,
        staff: Session,
        run: Run,
        orders: Mapping[str, str],
        customers: Mapping[str, Session],
    ) -> None:
        self.problems: list[str] = []
        self._staff = staff
        self._run = run
        self._orders = orders
        self._customers = customers

    def deliver(self, reversals: Sequence[Reversal]) -> None:
        """Bring one order's parcel to its buyer: only what has arrived can be returned."""
        order_id = self._orders.get(reversals[0].invoice.number)
        if order_id is None:
            return
        try:
            self._deliver(order_id)
        except (ShopRefusedError, ReversalStuckError) as error:
            self.problems.append(f"parcel of invoice {reversals[0].invoice.number}: {error}")

    def take_back(self, reversals: Sequence[Reversal]) -> None:
        """Play all that is taken back of one order, one after another: they share its payment."""
        play: dict[Kind, Callable[[str, Reversal], None]] = {
            Kind.CANCELLATION: self._cancel,
            Kind.RETURN: self._return,
            Kind.REFUND: self._refund,
        }
        for reversal in reversals:
            order_id = self._orders.get(reversal.invoice.number)
            try:
                if order_id is None:
                    raise ReversalStuckError("it is no order")
                play[reversal.kind](order_id, reversal)
            except (ShopRefusedError, ReversalStuckError) as error:
                self.problems.append(
                    f"{reversal.kind} {reversal.cancellation} of {reversal.invoice.number}: {error}"
                )

    def _deliver(self, order_id: str) -> None:
        shipment = f"/v1/shipments/{quote(order_id)}"
        self._await(
            "it",
            under_way="BOOKED",
            ends=_ON_ITS_WAY,
            status_now=lambda: str(self._staff.call("GET", shipment)["status"]),
        )
        for scan in ("pick", "dispatch", "delivery"):
            self._staff.call("POST", f"{shipment}/{scan}")

    def _cancel(self, order_id: str, reversal: Reversal) -> None:
        """Cancel as the buyer, and wait until everything went back."""
        buyer = self._buyer(reversal)
        order = f"/v1/orders/{quote(order_id)}"
        buyer.call("POST", f"{order}/cancellation", {"reason": _reason(reversal)})
        self._await(
            "its order",
            under_way="CANCELLING",
            ends={"CANCELLED"},
            status_now=lambda: str(buyer.call("GET", order)["status"]),
        )

    def _return(self, order_id: str, reversal: Reversal) -> None:
        """Ask as the buyer, approve as staff, receive as the warehouse, and wait for the refund."""
        returns = f"/v1/shipments/{quote(order_id)}/returns"
        lines = [
            {"sku": sku, "quantity": units} for sku, units in sorted(reversal.restocked.items())
        ]
        asked = self._buyer(reversal).call(
            "POST",
            returns,
            {"lines": lines, "reason": _reason(reversal)},
            key=self._run.reversal_key(reversal),
        )
        this = f"{returns}/{quote(asked['return_id'])}"
        self._staff.call("POST", f"{this}/approval")
        came = [{**line, "condition": "resellable"} for line in lines]
        self._staff.call("POST", f"{this}/receipt", {"lines": came})
        self._await(
            f"return {asked['return_id']}",
            under_way=RECEIVED,
            ends={RETURNED},
            status_now=lambda: self._status_of(asked),
        )

    def _refund(self, order_id: str, reversal: Reversal) -> None:
        body = {
            "amount": money(reversal.amount_minor, CURRENCY),
            "reason": _reason(reversal),
        }
        refunds = f"/v1/payments/{quote(order_id)}/refunds"
        self._staff.call("POST", refunds, body, key=self._run.reversal_key(reversal))

    def _buyer(self, reversal: Reversal) -> Session:
        customer = reversal.invoice.customer
        if customer is None:
            raise ReversalStuckError("its buyer was a guest")
        return self._customers[customer]

    def _status_of(self, asked: Json) -> str:
        found = self._staff.call("GET", f"/v1/shipments/{quote(asked['order_id'])}/returns")
        return next(
            str(each["status"])
            for each in found["returns"]
            if each["return_id"] == asked["return_id"]
        )

    def _await(
        self, what: str, *, under_way: str, ends: Collection[str], status_now: Callable[[], str]
    ) -> None:
        """Look, ever less often, until what is under way has come to one of its ends."""
        for pause in growing_pauses(_PATIENCE_SECONDS):
            status = status_now()
            if status in ends:
                return
            if status != under_way:
                break
            self._staff.shop.pause(pause)
        raise ReversalStuckError(f"{what} is {status}")


def _reason(reversal: Reversal) -> str:
    return f"cancellation {reversal.cancellation}"[:_REASON_MAX]

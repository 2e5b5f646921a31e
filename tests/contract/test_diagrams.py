"""docs/state-diagrams.md draws what the code allows."""

from __future__ import annotations

import json
import re

import pytest

from carts.model.cart import CartStatus
from carts.model.checkout import CheckoutStatus
from inventory.model import HoldState, Standing
from notifications.deliveries import DeliveryStatus
from notifications.endpoints import EndpointStatus
from orders.model import EditStatus, OrderStatus
from orders.model import status as order_status
from payments import model as payments_model
from payments.model import PaymentStatus, RefundStatus
from shipping.model import claim, returns, shipment
from shipping.model.claim import ClaimStatus
from shipping.model.returns import ReturnStatus
from shipping.model.shipment import ShipmentStatus
from tests.contract.diagrams import flowchart, state_diagram
from tests.contract.documents import diagrams, sections
from tests.contract.project import ROOT

MACHINES = ROOT / "infra" / "state_machines"
DRAWN_MACHINES = {
    "The checkout's state machine": "checkout",
    "The return's state machine": "return",
}

# Drawn by hand, because the code has no table of them: at least the states are the code's.
BY_HAND = {
    "Edit": EditStatus,
    "Refund": RefundStatus,
    "Cart": CartStatus,
    "Checkout": CheckoutStatus,
    "Hold": HoldState,
    "Stock of a SKU": Standing,
    "Webhook endpoint": EndpointStatus,
    "Webhook delivery": DeliveryStatus,
}


def drawn(section):
    (diagram,) = diagrams(sections("state-diagrams.md")[section])
    return diagram


def test_the_order_is_drawn_as_its_transitions_are():
    expected = state_diagram(order_status.NEXT, begins=OrderStatus.PENDING)

    assert drawn("Order") == expected, f"draw it anew:\n{expected}"


def test_the_shipment_is_drawn_as_its_transitions_are():
    expected = state_diagram(
        shipment._NEXT, begins=ShipmentStatus.BOOKED, tombstones=(ShipmentStatus.CANCELLED,)
    )

    assert drawn("Shipment") == expected, f"draw it anew:\n{expected}"


def test_the_payment_is_drawn_as_its_transitions_are():
    expected = state_diagram(
        payments_model._NEXT, begins=PaymentStatus.OPENED, tombstones=(PaymentStatus.VOIDED,)
    )

    assert drawn("Payment") == expected, f"draw it anew:\n{expected}"


def test_the_claim_is_drawn_as_its_transitions_are():
    expected = state_diagram(claim._NEXT, begins=ClaimStatus.OPEN)

    assert drawn("Claim") == expected, f"draw it anew:\n{expected}"


def test_the_return_is_drawn_as_its_transitions_are():
    expected = state_diagram(returns._NEXT, begins=ReturnStatus.REQUESTED)

    assert drawn("Return") == expected, f"draw it anew:\n{expected}"


@pytest.mark.parametrize("section", DRAWN_MACHINES)
def test_a_state_machine_is_drawn_as_it_is(section):
    machine = MACHINES / f"{DRAWN_MACHINES[section]}.asl.json"
    expected = flowchart(json.loads(machine.read_text()))

    assert drawn(section) == expected, f"draw it anew:\n{expected}"


@pytest.mark.parametrize("section", BY_HAND)
def test_a_diagram_drawn_by_hand_has_the_states_of_the_code(section):
    states = set(re.findall(r"\b[A-Z][A-Z_]+\b", drawn(section)))

    assert states == {str(state) for state in BY_HAND[section]}


def test_every_diagram_is_compared_with_something():
    compared = {"Order", "Payment", "Shipment", "Claim", "Return", *DRAWN_MACHINES, *BY_HAND}

    assert sections("state-diagrams.md").keys() == compared


def test_a_state_nobody_leaves_is_drawn_as_an_end():
    assert state_diagram({"A": {"B"}, "B": set()}, begins="A") == (
        "stateDiagram-v2\n    [*] --> A\n    A --> B\n    B --> [*]\n"
    )

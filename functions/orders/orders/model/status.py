"""
The states an order may take, and the ways between them.

    PENDING ──▶ AWAITING_PAYMENT ──▶ CAPTURING ──▶ CONFIRMED ──▶ SHIPPED ──▶ DELIVERED
       │ └───────────────────────────▲ │   │         │   ▲ └───────────────────▲
       │                   │           │   │         │   │ the parcel was handed over first
       └─ refused, too late or cancelled ──┴─────────┴▶ CANCELLING ──▶ CANCELLED
    CONFIRMED ◀──▶ EDITING ──▶ CANCELLING
    any of PENDING, AWAITING_PAYMENT, CAPTURING, EDITING, CANCELLING ◀──▶ NEEDS_ATTENTION
    NEEDS_ATTENTION ──▶ SHIPPED ...

PENDING and AWAITING_PAYMENT decide the direction of a checkout: leaving them for CAPTURING or for
CANCELLING is one conditional write, which exactly one of all the executions and requests at work
can win. What is held, authorized or booked meanwhile is known to its owner and not repeated here.

A confirmed order is turned round the same way. Calling off its parcel is the first undo, so an
order whose parcel turns out to be handed over has lost nothing yet, and goes forward again, even
from where it was set aside: the parcel has decided what an operator was asked.
"""

from __future__ import annotations

from enum import StrEnum

from tradepost.kernel.errors import ConflictError


class OrderStatus(StrEnum):
    PENDING = "PENDING"
    AWAITING_PAYMENT = "AWAITING_PAYMENT"  # the customer's bank asks them to confirm
    CAPTURING = "CAPTURING"
    CONFIRMED = "CONFIRMED"
    EDITING = "EDITING"  # units are taken out of it or added, and its parcel stays meanwhile
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    NEEDS_ATTENTION = "NEEDS_ATTENTION"


NEXT: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset(
        {
            OrderStatus.AWAITING_PAYMENT,
            OrderStatus.CAPTURING,
            OrderStatus.CANCELLING,
            OrderStatus.NEEDS_ATTENTION,
        }
    ),
    OrderStatus.AWAITING_PAYMENT: frozenset(
        {OrderStatus.CAPTURING, OrderStatus.CANCELLING, OrderStatus.NEEDS_ATTENTION}
    ),
    OrderStatus.CAPTURING: frozenset(
        {OrderStatus.CONFIRMED, OrderStatus.CANCELLING, OrderStatus.NEEDS_ATTENTION}
    ),
    # A parcel may be delivered before the news of its dispatch arrives.
    OrderStatus.CONFIRMED: frozenset(
        {
            OrderStatus.EDITING,
            OrderStatus.SHIPPED,
            OrderStatus.DELIVERED,
            OrderStatus.CANCELLING,
        }
    ),
    OrderStatus.EDITING: frozenset(
        {
            OrderStatus.CONFIRMED,
            OrderStatus.SHIPPED,
            OrderStatus.DELIVERED,
            OrderStatus.CANCELLING,
            OrderStatus.NEEDS_ATTENTION,
        }
    ),
    OrderStatus.SHIPPED: frozenset({OrderStatus.DELIVERED}),
    OrderStatus.DELIVERED: frozenset(),
    # Forward again only if it was confirmed before: see `moved_to`.
    OrderStatus.CANCELLING: frozenset(
        {
            OrderStatus.CONFIRMED,
            OrderStatus.EDITING,
            OrderStatus.SHIPPED,
            OrderStatus.DELIVERED,
            OrderStatus.CANCELLED,
            OrderStatus.NEEDS_ATTENTION,
        }
    ),
    OrderStatus.CANCELLED: frozenset(),
    # Back to where it was set aside, or into the undo: an operator decides. Or its parcel does.
    OrderStatus.NEEDS_ATTENTION: frozenset(
        {
            OrderStatus.SHIPPED,
            OrderStatus.DELIVERED,
            OrderStatus.PENDING,
            OrderStatus.AWAITING_PAYMENT,
            OrderStatus.CAPTURING,
            OrderStatus.EDITING,
            OrderStatus.CANCELLING,
        }
    ),
}
assert set(NEXT) == set(OrderStatus)

FORWARD = (
    OrderStatus.PENDING,
    OrderStatus.AWAITING_PAYMENT,
    OrderStatus.CAPTURING,
    OrderStatus.CONFIRMED,
    OrderStatus.SHIPPED,
    OrderStatus.DELIVERED,
)
HAVE_BEEN_CONFIRMED = frozenset(
    {OrderStatus.CONFIRMED, OrderStatus.EDITING, OrderStatus.SHIPPED, OrderStatus.DELIVERED}
)
OFF_THE_WAY = frozenset({OrderStatus.CANCELLING, OrderStatus.NEEDS_ATTENTION})
BEFORE_THE_PIVOT = frozenset({OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT})
OVER = frozenset({OrderStatus.DELIVERED, OrderStatus.CANCELLED})
HAVE_A_REASON = frozenset(
    {OrderStatus.CANCELLING, OrderStatus.CANCELLED, OrderStatus.NEEDS_ATTENTION}
)


class OrderTransitionError(ConflictError):
    """The order's status does not allow this."""

    code = "order_transition"

    def __init__(self, order_id: str, status: OrderStatus, wanted: OrderStatus) -> None:
        super().__init__(f"{order_id} is {status} and cannot become {wanted}")
        self.order_id = order_id
        self.order_status = status
        self.wanted = wanted

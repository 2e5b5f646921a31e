"""
An order and the states it may take.

    PENDING ──▶ CAPTURING ──▶ CONFIRMED ──▶ SHIPPED ──▶ DELIVERED
       │            │             └────────────────────────▲
       │            └─ capture refused ─┐
       └─ refused or cancelled ─▶ CANCELLING ──▶ CANCELLED
    any of PENDING, CAPTURING, CANCELLING ──▶ NEEDS_ATTENTION

PENDING decides the direction of a checkout: leaving it for CAPTURING or for CANCELLING is one
conditional write, which exactly one of all the executions and requests at work can win. What is
held, authorized or booked meanwhile is known to its owner and not repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, NotFoundError
from tradepost.kernel.money import Money


class OrderStatus(StrEnum):
    PENDING = "PENDING"
    CAPTURING = "CAPTURING"
    CONFIRMED = "CONFIRMED"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    NEEDS_ATTENTION = "NEEDS_ATTENTION"


_NEXT: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PENDING: frozenset(
        {OrderStatus.CAPTURING, OrderStatus.CANCELLING, OrderStatus.NEEDS_ATTENTION}
    ),
    OrderStatus.CAPTURING: frozenset(
        {OrderStatus.CONFIRMED, OrderStatus.CANCELLING, OrderStatus.NEEDS_ATTENTION}
    ),
    # A parcel may be delivered before the news of its dispatch arrives.
    OrderStatus.CONFIRMED: frozenset({OrderStatus.SHIPPED, OrderStatus.DELIVERED}),
    OrderStatus.SHIPPED: frozenset({OrderStatus.DELIVERED}),
    OrderStatus.DELIVERED: frozenset(),
    OrderStatus.CANCELLING: frozenset({OrderStatus.CANCELLED, OrderStatus.NEEDS_ATTENTION}),
    OrderStatus.CANCELLED: frozenset(),
    OrderStatus.NEEDS_ATTENTION: frozenset(),
}
assert set(_NEXT) == set(OrderStatus)

# What a customer is told of a refusal that Step Functions names by its exception's class.
_REASONS = {
    "OutOfStockError": "out_of_stock",
    "PaymentDeclinedError": "payment_declined",
    "InsufficientFundsError": "insufficient_funds",
    "CaptureRefusedError": "capture_refused",
    "CarrierRefusedError": "carrier_refused",
}
_REASON_OF_A_FAULT = "checkout_failed"


class OrderNotFoundError(NotFoundError):
    """No such order, or it is somebody else's: a caller cannot tell which."""

    code = "order_not_found"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no order {order_id}")
        self.order_id = order_id


class OrderTransitionError(ConflictError):
    """The order's status does not allow this."""

    code = "order_transition"

    def __init__(self, order_id: str, status: OrderStatus, wanted: OrderStatus) -> None:
        super().__init__(f"{order_id} is {status} and cannot become {wanted}")
        self.order_id = order_id
        self.status = status
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class OrderLine:
    """What was bought, with the price it was bought at."""

    sku: str
    title: str
    quantity: int
    unit_price_minor: int

    @property
    def total_minor(self) -> int:
        return self.unit_price_minor * self.quantity


@dataclass(frozen=True, slots=True)
class Order:
    """An order without its lines. `version` counts the writes it has survived, from 1."""

    order_id: str
    customer_id: str
    email: str
    shipping_address: dict[str, str]
    total: Money
    line_count: int
    status: OrderStatus
    reason: str | None  # why it was cancelled or needs attention
    version: int
    correlation_id: str
    placed_at: datetime
    updated_at: datetime

    def moved_to(self, status: OrderStatus, *, at: datetime, reason: str | None = None) -> Order:
        """Return the order in its next status.

        Raises
        ------
        OrderTransitionError
            The table above has no such arrow.
        """
        if status not in _NEXT[self.status]:
            raise OrderTransitionError(self.order_id, self.status, status)
        return replace(
            self,
            status=status,
            reason=reason or self.reason,
            version=self.version + 1,
            updated_at=at,
        )

    @property
    def has_ended(self) -> bool:
        """Tell whether its checkout is over: until then the order can still be set aside."""
        return OrderStatus.NEEDS_ATTENTION not in _NEXT[self.status]

    def has_come_to(self, status: OrderStatus) -> bool:
        """Tell whether the order is in `status` or has passed it on its way forward."""
        forward = [
            OrderStatus.PENDING,
            OrderStatus.CAPTURING,
            OrderStatus.CONFIRMED,
            OrderStatus.SHIPPED,
            OrderStatus.DELIVERED,
        ]
        if self.status not in forward or status not in forward:
            return self.status is status
        return forward.index(self.status) >= forward.index(status)


def reason_of(error_name: str) -> str:
    """Name the reason behind an exception's class; a fault of ours has no name outside."""
    return _REASONS.get(error_name, _REASON_OF_A_FAULT)

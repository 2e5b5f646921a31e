"""What orders publishes. The aggregate is the order; amounts are in minor units."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class OrderPlacedV1(Event):
    """An order was accepted and its checkout runs. Nothing is promised to the customer yet."""

    TYPE: ClassVar[str] = "order.placed.v1"

    type: Literal["order.placed.v1"] = "order.placed.v1"
    order_id: str
    customer_id: str
    line_count: int
    total_minor: int
    currency: str


class OrderConfirmedV1(Event):
    """Stock is taken, money captured and the parcel booked: the order will be sent."""

    TYPE: ClassVar[str] = "order.confirmed.v1"

    type: Literal["order.confirmed.v1"] = "order.confirmed.v1"
    order_id: str
    customer_id: str
    total_minor: int
    currency: str


class OrderCancelledV1(Event):
    """An order ended without a sale; stock and money were given back before this was said."""

    TYPE: ClassVar[str] = "order.cancelled.v1"

    type: Literal["order.cancelled.v1"] = "order.cancelled.v1"
    order_id: str
    customer_id: str
    reason: str  # a problem code, such as out_of_stock or payment_declined


class OrderNeedsAttentionV1(Event):
    """An order could neither go on nor be undone. A person has to look at it."""

    TYPE: ClassVar[str] = "order.needs_attention.v1"

    type: Literal["order.needs_attention.v1"] = "order.needs_attention.v1"
    order_id: str
    reason: str


class OrderAnonymisedV1(Event):
    """Its customer is forgotten, and the order over: what else is known of them goes, too."""

    TYPE: ClassVar[str] = "order.anonymised.v1"

    type: Literal["order.anonymised.v1"] = "order.anonymised.v1"
    order_id: str

"""An order: who bought, what it comes to, and how it moves on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from orders.model.edit import Edit
from orders.model.status import (
    BEFORE_THE_PIVOT,
    FORWARD,
    HAVE_A_REASON,
    HAVE_BEEN_CONFIRMED,
    NEXT,
    OFF_THE_WAY,
    OVER,
    OrderStatus,
    OrderTransitionError,
)
from tradepost.kernel.errors import ConflictError, NotFoundError
from tradepost.kernel.money import Money

# An execution ends within five minutes: nobody works on an order that was left alone for longer.
LEFT_ALONE_MAX = timedelta(minutes=6)

# An order of which nothing was heard for so long has no parcel any more that needs an address.
UNDER_WAY_MAX = timedelta(days=180)

# How long stock is kept for a customer whose bank asks them to confirm, whatever it allows.
PAYMENT_AWAITED_MAX = timedelta(hours=1)


class Direction(StrEnum):
    """Where an operator sends an order that was set aside."""

    RETRY = "retry"
    CANCEL = "cancel"


class OrderNotFoundError(NotFoundError):
    """No such order, or it is somebody else's: a caller cannot tell which."""

    code = "order_not_found"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no order {order_id}")
        self.order_id = order_id


class OrderNotParkedError(ConflictError):
    """The order was not set aside, or somebody has resumed it already."""

    code = "order_not_parked"

    def __init__(self, order_id: str, status: OrderStatus) -> None:
        super().__init__(f"{order_id} is {status}: there is nothing to resume")
        self.order_id = order_id
        self.order_status = status


@dataclass(frozen=True, slots=True)
class Action:
    """What a person did to an order: written with the change, never changed afterwards."""

    what: str
    by: str  # the caller's id
    role: str
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """An order without its lines. `version` counts the writes it has survived, from 1.

    `total` is what the customer pays, `shipping_minor` of it for the parcel, and where prices do
    not include tax that of the lines and `shipping_tax_minor` as well. `refunded_minor` is what
    payments has told of refunds, and decides nothing.
    """

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
    shipping_minor: int = 0
    shipping_tax_minor: int = 0
    prices_include_tax: bool = True
    promotions: tuple[str, ...] = ()  # the codes that were redeemed
    refunded_minor: int = 0
    waits_until: datetime | None = None  # for the customer's confirmation, while AWAITING_PAYMENT
    confirmed_at: datetime | None = None
    cancel_requested: str | None = None  # the reason, until the capture under way is known
    parked_from: OrderStatus | None = None  # the status it had when it was set aside
    parked_because: str | None = None  # the error that stopped it
    edit: Edit | None = None
    parcel_at: OrderStatus | None = None  # how far the parcel came while its edit was open

    def moved_to(self, status: OrderStatus, *, at: datetime, reason: str | None = None) -> Order:
        """Return the order in its next status.

        Raises
        ------
        OrderTransitionError
            `NEXT` has no such arrow, or the order was never confirmed and would get
            past that from CANCELLING or NEEDS_ATTENTION.
        """
        never_confirmed = self.status in OFF_THE_WAY and self.confirmed_at is None
        if status not in NEXT[self.status] or (never_confirmed and status in HAVE_BEEN_CONFIRMED):
            raise OrderTransitionError(self.order_id, self.status, status)
        return replace(
            self,
            status=status,
            reason=(reason or self.reason) if status in HAVE_A_REASON else None,
            version=self.version + 1,
            updated_at=at,
            confirmed_at=self.confirmed_at or (at if status is OrderStatus.CONFIRMED else None),
            # What was asked for is being done.
            cancel_requested=None if status is OrderStatus.CANCELLING else self.cancel_requested,
            parked_from=None,
            parked_because=None,
        )

    def awaiting_payment(self, until: datetime | None, *, at: datetime) -> Order:
        """Return the order waiting for its customer, for as long as the provider and we allow."""
        latest = at + PAYMENT_AWAITED_MAX
        waiting = self.moved_to(OrderStatus.AWAITING_PAYMENT, at=at)
        return replace(waiting, waits_until=min(until or latest, latest))

    def asked_to_cancel(self, reason: str, *, at: datetime) -> Order:
        """Return the order turned round, or to be turned round when its capture is known.

        An order that is on its way back already is returned as it is.

        Raises
        ------
        OrderTransitionError
            The parcel is on its way.
        """
        match self.status:
            case OrderStatus.CANCELLING | OrderStatus.CANCELLED:
                return self
            case _ if self.parcel_at is not None:
                raise OrderTransitionError(self.order_id, self.parcel_at, OrderStatus.CANCELLING)
            case OrderStatus.CAPTURING | OrderStatus.EDITING | OrderStatus.NEEDS_ATTENTION:
                if self.cancel_requested or self.parked_from is OrderStatus.CANCELLING:
                    return self
                return self.noted(at, cancel_requested=reason)
        return self.moved_to(OrderStatus.CANCELLING, at=at, reason=reason)

    def parked(self, *, reason: str, because: str, at: datetime) -> Order:
        """Return the order set aside. A reason the customer was told before stays the reason."""
        parked = self.moved_to(OrderStatus.NEEDS_ATTENTION, at=at, reason=self.reason or reason)
        return replace(parked, parked_from=self.status, parked_because=because)

    def resumed(self, direction: Direction, *, at: datetime) -> Order:
        """Return the order where it was set aside, or on its way back.

        Raises
        ------
        OrderNotParkedError
        """
        if self.status is not OrderStatus.NEEDS_ATTENTION or self.parked_from is None:
            raise OrderNotParkedError(self.order_id, self.status)
        # Before the pivot nothing stands in the way of a customer who cancelled meanwhile.
        turned_round = self.cancel_requested and self.parked_from in BEFORE_THE_PIVOT
        if direction is Direction.CANCEL or turned_round:
            return self.moved_to(OrderStatus.CANCELLING, at=at, reason=self.cancel_requested)
        return self.moved_to(self.parked_from, at=at)

    def followed(self, status: OrderStatus, *, at: datetime) -> Order:
        """Return the order as far as its parcel has come, or that noted while an edit is open.

        Raises
        ------
        OrderTransitionError
            It was never confirmed.
        """
        if self.has_come_to(status) or self.parcel_at in {status, OrderStatus.DELIVERED}:
            return self
        if self.edit is not None and self.edit.is_open and self.status is not OrderStatus.CANCELLED:
            return self.noted(at, parcel_at=status)
        return self.moved_to(status, at=at)

    def refunded(self, refunded_minor: int, *, at: datetime) -> Order:
        """Return the order with all that was refunded so far; older news is no news."""
        if refunded_minor <= self.refunded_minor:
            return self
        return self.noted(at, refunded_minor=refunded_minor)

    @property
    def is_anonymous(self) -> bool:
        """Whether its customer has been forgotten."""
        return not self.email

    def needs_its_customer(self, at: datetime) -> bool:
        """Tell whether its parcel may still be under way, or its checkout running."""
        return self.status not in OVER and at < self.updated_at + UNDER_WAY_MAX

    def anonymised(self, *, at: datetime) -> Order:
        """Keep what was bought, paid and taxed; forget who bought it and where they live."""
        address = self.shipping_address
        return replace(
            self,
            email="",
            shipping_address={"country": address["country"]} if "country" in address else {},
            version=self.version + 1,
            updated_at=at,
        )

    @property
    def has_ended(self) -> bool:
        """Tell whether its checkout is over: until then the order can still be set aside."""
        return OrderStatus.NEEDS_ATTENTION not in NEXT[self.status]

    @property
    def due_at(self) -> datetime | None:
        """When the sweep takes the order up if nothing happens before; None if it need not."""
        if self.has_ended:
            return None
        if self.status is OrderStatus.AWAITING_PAYMENT and self.waits_until is not None:
            return self.waits_until
        return self.updated_at + LEFT_ALONE_MAX

    def has_come_to(self, status: OrderStatus) -> bool:
        """Tell whether the order is in `status` or has passed it on its way forward."""
        if self.status not in FORWARD or status not in FORWARD:
            return self.status is status
        return FORWARD.index(self.status) >= FORWARD.index(status)

    def noted(self, at: datetime, **noted: Any) -> Order:
        """Return the order with something noted, in the status it has."""
        return replace(self, **noted, version=self.version + 1, updated_at=at)

"""
An order and the states it may take.

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

A confirmed order can be edited. While it is EDITING its parcel stays in our house, and asking to
cancel leaves a mark, as while CAPTURING. News of a parcel that left all the same is noted, and
followed when the edit is over. The edit has a direction of its own:

    ASKED ──▶ TAKING ──▶ APPLIED ──▶ DONE          ASKED ──▶ APPLIED, where nothing is added
      │          └─ the money or the units were definitely not to be had ─┐
      ├─ refused, or cancelled ───────────────────────────────────────────┴▶ UNDOING ──▶ REFUSED
      └─ packed first ──▶ REFUSED

What adds units turns at ASKED as a checkout does at PENDING: what is held or authorized before
goes back; from TAKING on it is finished, but for a definite no. An edit under way is given back
whole with its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tradepost.kernel.errors import ConflictError, NotFoundError
from tradepost.kernel.money import Money


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


_NEXT: dict[OrderStatus, frozenset[OrderStatus]] = {
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
assert set(_NEXT) == set(OrderStatus)

_FORWARD = (
    OrderStatus.PENDING,
    OrderStatus.AWAITING_PAYMENT,
    OrderStatus.CAPTURING,
    OrderStatus.CONFIRMED,
    OrderStatus.SHIPPED,
    OrderStatus.DELIVERED,
)
_HAVE_BEEN_CONFIRMED = frozenset(
    {OrderStatus.CONFIRMED, OrderStatus.EDITING, OrderStatus.SHIPPED, OrderStatus.DELIVERED}
)
_OFF_THE_WAY = frozenset({OrderStatus.CANCELLING, OrderStatus.NEEDS_ATTENTION})
BEFORE_THE_PIVOT = frozenset({OrderStatus.PENDING, OrderStatus.AWAITING_PAYMENT})
_OVER = frozenset({OrderStatus.DELIVERED, OrderStatus.CANCELLED})
_HAVE_A_REASON = frozenset(
    {OrderStatus.CANCELLING, OrderStatus.CANCELLED, OrderStatus.NEEDS_ATTENTION}
)

# An execution ends within five minutes: nobody works on an order that was left alone for longer.
LEFT_ALONE_MAX = timedelta(minutes=6)

# An order of which nothing was heard for so long has no parcel any more that needs an address.
UNDER_WAY_MAX = timedelta(days=180)

# How long stock is kept for a customer whose bank asks them to confirm, whatever it allows.
PAYMENT_AWAITED_MAX = timedelta(hours=1)

# What a customer is told of a refusal that Step Functions names by its exception's class.
_REASONS = {
    "OutOfStockError": "out_of_stock",
    "PaymentDeclinedError": "payment_declined",
    "InsufficientFundsError": "insufficient_funds",
    "CaptureRefusedError": "capture_refused",
    "CarrierRefusedError": "carrier_refused",
}
_REASON_OF_A_FAULT = "checkout_failed"

# Why an edit is refused, where a checkout is not, or not in the same words.
PARCEL_PACKED = "parcel_packed"
_REASONS_OF_EDITS = {
    "ConfirmationRequiredError": "confirmation_required",
    "PaymentMethodNeededError": "payment_method_needed",
}
_FAULT_OF_AN_EDIT = "edit_failed"

# As many as a cart may have: the snapshot of 1,500 fits into a state of Step Functions.
ORDER_LINES_MAX = 1_500


class Cancelled(StrEnum):
    """Why an order is cancelled that no step refused."""

    BY_CUSTOMER = "cancelled_by_customer"
    BY_STAFF = "cancelled_by_staff"
    BY_CARRIER = "carrier_failed"
    TOO_LATE = "payment_expired"


class EditStatus(StrEnum):
    """How far the latest edit of an order has come."""

    ASKED = "ASKED"  # nothing has changed yet
    TAKING = "TAKING"  # the units it adds and their price are being taken
    APPLIED = "APPLIED"  # the order has its new lines; what is taken out goes back
    DONE = "DONE"
    UNDOING = "UNDOING"  # what it holds and took goes back
    REFUSED = "REFUSED"  # for its reason; the order is as it was


_OPEN_EDITS = frozenset(
    {EditStatus.ASKED, EditStatus.TAKING, EditStatus.APPLIED, EditStatus.UNDOING}
)
_ENDS_OF_EDITS = {
    EditStatus.APPLIED: EditStatus.DONE,
    EditStatus.UNDOING: EditStatus.REFUSED,
}


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


class OrderTransitionError(ConflictError):
    """The order's status does not allow this."""

    code = "order_transition"

    def __init__(self, order_id: str, status: OrderStatus, wanted: OrderStatus) -> None:
        super().__init__(f"{order_id} is {status} and cannot become {wanted}")
        self.order_id = order_id
        self.order_status = status
        self.wanted = wanted


class OrderNotParkedError(ConflictError):
    """The order was not set aside, or somebody has resumed it already."""

    code = "order_not_parked"

    def __init__(self, order_id: str, status: OrderStatus) -> None:
        super().__init__(f"{order_id} is {status}: there is nothing to resume")
        self.order_id = order_id
        self.order_status = status


class NotBoughtError(ConflictError):
    """The order has fewer units of this SKU, or none."""

    code = "not_bought"

    def __init__(self, order_id: str, sku: str) -> None:
        super().__init__(f"{order_id} does not have so many of {sku}")
        self.order_id = order_id
        self.sku = sku


class EditNotPossibleError(ConflictError):
    """The edit changes nothing, leaves nothing, or would make the order what none can be."""

    code = "edit_not_possible"

    def __init__(self, order_id: str, why: str) -> None:
        super().__init__(f"{order_id} cannot be edited: {why}")
        self.order_id = order_id


class NotOnSaleError(ConflictError):
    """Units of this SKU are to be added, and nothing is sold under it."""

    code = "not_on_sale"

    def __init__(self, sku: str) -> None:
        super().__init__(f"nothing is on sale as {sku}")
        self.sku = sku


class EditTotalError(ConflictError):
    """The order would come to another total than the customer expects."""

    code = "edit_total"

    def __init__(self, order_id: str, total: Money) -> None:
        super().__init__(f"{order_id} would come to {total.amount_minor} {total.currency}")
        self.order_id = order_id
        self.total_minor = total.amount_minor


@dataclass(frozen=True, slots=True)
class OrderLine:
    """What was bought, with the price it was bought at.

    `discount_minor` and `tax_minor` are the whole line's. Whether the price contains the tax is the
    order's to say.
    """

    sku: str
    title: str
    quantity: int
    unit_price_minor: int
    discount_minor: int = 0
    tax_minor: int = 0

    @property
    def total_minor(self) -> int:
        """What its units cost before any discount, and before a tax that comes on top."""
        return self.unit_price_minor * self.quantity

    def first(self, units: int) -> OrderLine:
        """Return the line with only its first units, and their share of its discount and tax.

        Shares are rounded down, counted from the first unit: those of the first k units and of the
        n - k others are exactly the line's, however often it is divided.
        """
        return replace(
            self,
            quantity=units,
            discount_minor=self.discount_minor * units // self.quantity,
            tax_minor=self.tax_minor * units // self.quantity,
        )

    def with_more(self, added: OrderLine) -> OrderLine:
        """Return the line with units bought later, maybe at another price.

        It shows the dearer price, and what the other units cost less is a discount of the line:
        what was paid for it is exact, and each of its units is worth the same from now on.
        """
        unit_price_minor = max(self.unit_price_minor, added.unit_price_minor)
        cheaper_minor = sum(
            (unit_price_minor - line.unit_price_minor) * line.quantity for line in (self, added)
        )
        return replace(
            self,
            quantity=self.quantity + added.quantity,
            unit_price_minor=unit_price_minor,
            discount_minor=self.discount_minor + added.discount_minor + cheaper_minor,
            tax_minor=self.tax_minor + added.tax_minor,
        )

    def paid_minor(self, *, prices_include_tax: bool) -> int:
        """What the customer paid for the whole line."""
        on_top = 0 if prices_include_tax else self.tax_minor
        return self.total_minor - self.discount_minor + on_top


@dataclass(frozen=True, slots=True)
class Returned:
    """The units of an order that came back, and what was paid for those of each return.

    `version` counts its writes; 0 was never written.
    """

    version: int = 0
    units: Mapping[str, int] = field(default_factory=dict)  # by SKU
    prices_minor: Mapping[str, int] = field(default_factory=dict)  # by return id


@dataclass(frozen=True, slots=True)
class Action:
    """What a person did to an order: written with the change, never changed afterwards."""

    what: str
    by: str  # the caller's id
    role: str
    note: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Edit:
    """Units taken out of an order or added to it. Edits are counted from 1; the latest is kept.

    What the units taken out were bought for is set off against the price of those added: either
    something is due, or something goes back, or neither.
    """

    number: int
    key: str  # the caller's, and their id: asked again by it, it is the same edit
    quantities: dict[str, int]  # of the lines that change; 0 removes one
    refund_minor: int  # what goes back
    status: EditStatus = EditStatus.ASKED
    due_minor: int = 0  # what is to be paid besides
    added: tuple[OrderLine, ...] = ()  # at the price of the day
    method: str | None = None  # the means of payment for what is due; None: the order's
    reason: str | None = None  # why it was refused

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN_EDITS

    @property
    def is_applied(self) -> bool:
        """Tell whether the order's lines are those it leaves."""
        return self.status in {EditStatus.APPLIED, EditStatus.DONE}

    @property
    def may_be_applied(self) -> bool:
        """Tell whether all it adds is there to be the order's."""
        return self.status is (EditStatus.TAKING if self.added else EditStatus.ASKED)

    def refused(self, reason: str) -> Edit:
        return replace(self, status=EditStatus.UNDOING, reason=reason)


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
            The table above has no such arrow, or the order was never confirmed and would get
            past that from CANCELLING or NEEDS_ATTENTION.
        """
        never_confirmed = self.status in _OFF_THE_WAY and self.confirmed_at is None
        if status not in _NEXT[self.status] or (never_confirmed and status in _HAVE_BEEN_CONFIRMED):
            raise OrderTransitionError(self.order_id, self.status, status)
        return replace(
            self,
            status=status,
            reason=(reason or self.reason) if status in _HAVE_A_REASON else None,
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
                return self._noted(at, cancel_requested=reason)
        return self.moved_to(OrderStatus.CANCELLING, at=at, reason=reason)

    def asked_to_edit(
        self,
        quantities: Mapping[str, int],
        lines: Sequence[OrderLine],
        *,
        added: Sequence[OrderLine] = (),
        key: str,
        method: str | None = None,
        expected: Money,
        at: datetime,
    ) -> Order:
        """Return the order with units to be taken out of it, and those `added` at their price.

        Raises
        ------
        OrderTransitionError
            It is not CONFIRMED: another edit, a cancelling or its parcel was first.
        NotBoughtError, EditNotPossibleError, EditTotalError
        """
        # One that is being given back, or waits for an operator, may come to EDITING again, but not
        # because somebody asks for an edit now.
        if self.status is not OrderStatus.CONFIRMED:
            raise OrderTransitionError(self.order_id, self.status, OrderStatus.EDITING)
        editing = self.moved_to(OrderStatus.EDITING, at=at)
        taken = _taken_out(self.order_id, quantities, lines)
        # The first of a line's units stay, and keep their share.
        refund_minor = paid_for(self, lines, taken, before=quantities).amount_minor
        price_minor = sum(
            line.paid_minor(prices_include_tax=self.prices_include_tax) for line in added
        )
        edit = Edit(
            number=self.edit.number + 1 if self.edit else 1,
            key=key,
            quantities=dict(quantities),
            refund_minor=max(0, refund_minor - price_minor),
            due_minor=max(0, price_minor - refund_minor),
            added=tuple(added),
            method=method,
        )
        left = edited(lines, edit)
        if not left:
            raise EditNotPossibleError(self.order_id, "nothing would be left; cancel it instead")
        if len(left) > ORDER_LINES_MAX:
            raise EditNotPossibleError(self.order_id, f"at most {ORDER_LINES_MAX} lines")
        total = self._total_after(edit)
        if total != expected:
            raise EditTotalError(self.order_id, total)
        return replace(editing, edit=edit)

    def _total_after(self, edit: Edit) -> Money:
        return self.total + Money(edit.due_minor - edit.refund_minor, self.total.currency)

    def edit_begun(self, *, at: datetime) -> Order:
        """Return the order past the point of no return of an edit that adds.

        One that is to be cancelled, or whose parcel has left, takes nothing more: its edit is
        undone.
        """
        assert self.edit is not None
        if self.parcel_at or self.cancel_requested:
            return self.edit_undone(self.cancel_requested or PARCEL_PACKED, at=at)
        return self._noted(at, edit=replace(self.edit, status=EditStatus.TAKING))

    def edit_undone(self, reason: str, *, at: datetime) -> Order:
        """Return the order as it was before its edit, but for what that holds."""
        assert self.edit is not None
        return self._noted(at, edit=self.edit.refused(reason))

    def edit_applied(self, lines: Sequence[OrderLine], *, at: datetime) -> Order:
        """Return the order as its edit leaves it."""
        assert self.edit is not None
        return self._noted(
            at,
            total=self._total_after(self.edit),
            line_count=len(lines),
            edit=replace(self.edit, status=EditStatus.APPLIED),
        )

    def edit_ended(self, *, at: datetime) -> Order:
        """Return the order confirmed again, or where its customer or its parcel brought it."""
        assert self.edit is not None
        status = _ENDS_OF_EDITS[self.edit.status]
        if self.parcel_at:
            # Too late to cancel: what was asked for is not done.
            ended = self.moved_to(self.parcel_at, at=at)
            ended = replace(ended, cancel_requested=None, parcel_at=None)
        elif self.cancel_requested:
            ended = self.moved_to(OrderStatus.CANCELLING, at=at, reason=self.cancel_requested)
        else:
            ended = self.moved_to(OrderStatus.CONFIRMED, at=at)
        return replace(ended, edit=replace(self.edit, status=status))

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
            return self._noted(at, parcel_at=status)
        return self.moved_to(status, at=at)

    def refunded(self, refunded_minor: int, *, at: datetime) -> Order:
        """Return the order with all that was refunded so far; older news is no news."""
        if refunded_minor <= self.refunded_minor:
            return self
        return self._noted(at, refunded_minor=refunded_minor)

    @property
    def is_anonymous(self) -> bool:
        """Whether its customer has been forgotten."""
        return not self.email

    def needs_its_customer(self, at: datetime) -> bool:
        """Tell whether its parcel may still be under way, or its checkout running."""
        return self.status not in _OVER and at < self.updated_at + UNDER_WAY_MAX

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
        return OrderStatus.NEEDS_ATTENTION not in _NEXT[self.status]

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
        if self.status not in _FORWARD or status not in _FORWARD:
            return self.status is status
        return _FORWARD.index(self.status) >= _FORWARD.index(status)

    def _noted(self, at: datetime, **noted: Any) -> Order:
        return replace(self, **noted, version=self.version + 1, updated_at=at)


def reason_of(error_name: str) -> str:
    """Name the reason behind an exception's class; a fault of ours has no name outside."""
    return _REASONS.get(error_name, _REASON_OF_A_FAULT)


def edit_reason_of(error_name: str) -> str:
    """Name the reason for which an edit is refused, as `reason_of` does for a checkout."""
    return (_REASONS | _REASONS_OF_EDITS).get(error_name, _FAULT_OF_AN_EDIT)


def paid_for(
    order: Order,
    lines: Sequence[OrderLine],
    quantities: Mapping[str, int],
    *,
    before: Mapping[str, int] | None = None,
) -> Money:
    """Tell what the customer paid for some units of an order, without its shipping.

    Everything that goes back, or is captured in parts, is priced here. `before` names how many
    units of each SKU were priced already: those priced one after the other sum to what all of them
    were bought for, to the last minor unit.

    Raises
    ------
    NotBoughtError
        There are fewer of them in the order.
    """
    bought = {line.sku: line for line in lines}
    paid = 0
    for sku, quantity in quantities.items():
        start = (before or {}).get(sku, 0)
        if sku not in bought or bought[sku].quantity < start + quantity:
            raise NotBoughtError(order.order_id, sku)
        paid += _paid_up_to(order, bought[sku], start + quantity)
        paid -= _paid_up_to(order, bought[sku], start)
    return Money(paid, order.total.currency)


def paid_for_sending(order: Order) -> Money:
    """Tell what the customer paid for the parcel, with the tax on it."""
    on_top = 0 if order.prices_include_tax else order.shipping_tax_minor
    return Money(order.shipping_minor + on_top, order.total.currency)


def _paid_up_to(order: Order, line: OrderLine, units: int) -> int:
    return line.first(units).paid_minor(prices_include_tax=order.prices_include_tax)


def return_priced(
    order: Order,
    lines: Sequence[OrderLine],
    returned: Returned,
    return_id: str,
    quantities: Mapping[str, int],
) -> Returned:
    """Return what came back with one more return in it; one that is in it changes nothing.

    Raises
    ------
    NotBoughtError
        More would have come back than was bought.
    """
    if return_id in returned.prices_minor:
        return returned
    price = paid_for(order, lines, quantities, before=returned.units)
    units = dict(returned.units)
    for sku, quantity in quantities.items():
        units[sku] = units.get(sku, 0) + quantity
    return Returned(
        version=returned.version + 1,
        units=units,
        prices_minor={**returned.prices_minor, return_id: price.amount_minor},
    )


def edited(lines: Sequence[OrderLine], edit: Edit) -> list[OrderLine]:
    """Return the lines that an edit leaves of these; one of no units is no line any more."""
    added = {line.sku: line for line in edit.added}
    left = [
        line.with_more(added.pop(line.sku)) if line.sku in added else line
        for line in left_of(lines, edit.quantities)
    ]
    return [*left, *added.values()]


def left_of(lines: Sequence[OrderLine], quantities: Mapping[str, int]) -> list[OrderLine]:
    """Return what these quantities leave of the lines; one of none is no line any more."""
    left = (
        line.first(min(line.quantity, quantities.get(line.sku, line.quantity))) for line in lines
    )
    return [line for line in left if line.quantity > 0]


def units_added(quantities: Mapping[str, int], lines: Sequence[OrderLine]) -> dict[str, int]:
    """Count the units that new quantities add to an order, by SKU."""
    more = {sku: quantity - _units(lines).get(sku, 0) for sku, quantity in quantities.items()}
    return {sku: quantity for sku, quantity in more.items() if quantity > 0}


def _taken_out(
    order_id: str, quantities: Mapping[str, int], lines: Sequence[OrderLine]
) -> dict[str, int]:
    bought = _units(lines)
    for sku, quantity in quantities.items():
        if sku not in bought and quantity == 0:
            raise NotBoughtError(order_id, sku)
    less = {sku: bought.get(sku, 0) - quantity for sku, quantity in quantities.items()}
    if not any(less.values()):
        raise EditNotPossibleError(order_id, "nothing would change")
    return {sku: quantity for sku, quantity in less.items() if quantity > 0}


def _units(lines: Sequence[OrderLine]) -> dict[str, int]:
    return {line.sku: line.quantity for line in lines}

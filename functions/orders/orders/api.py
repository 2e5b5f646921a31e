"""What orders asks of a request, and how an order looks outside."""

from __future__ import annotations

from datetime import date
from typing import Any, Self

from pydantic import AwareDatetime, Field, model_validator

from orders.model import Action, Direction, EditStatus, Order, OrderLine, OrderStatus
from orders.ports import Search
from tradepost.kernel.clock import to_text
from tradepost.kernel.money import Money
from tradepost.platform.bodies import (
    Amount,
    AmountGiven,
    PaymentMethod,
    RequestModel,
    View,
    shown_as,
)
from tradepost.platform.cursor import Page

NOTE_LENGTH_MAX = 500

EDITED_LINES_MAX = 100
_SKU_LENGTH_MAX = 64
_QUANTITY_MAX = 100_000

# What happens next, as its customer reads it.
NEXT_STEPS: dict[OrderStatus, str] = {
    OrderStatus.PENDING: "We are checking stock and payment, which takes a few seconds.",
    OrderStatus.AWAITING_PAYMENT: (
        "Your bank asks you to confirm the payment; until then the goods are kept for you."
    ),
    OrderStatus.CAPTURING: "Your payment is being taken, and then your order is confirmed.",
    OrderStatus.CONFIRMED: (
        "We pack your parcel as soon as all of it is here and write to you when the carrier has it."
    ),
    OrderStatus.EDITING: "We are changing your order; your parcel waits until that is done.",
    OrderStatus.SHIPPED: "The carrier is bringing your parcel.",
    OrderStatus.DELIVERED: "Your parcel has arrived; there is nothing more to do.",
    OrderStatus.CANCELLING: "We are cancelling your order; whatever was taken for it goes back.",
    OrderStatus.CANCELLED: (
        "Your order is cancelled and nothing is owed; if anything was taken, it goes back the way "
        "it came."
    ),
    OrderStatus.NEEDS_ATTENTION: (
        "Something went wrong on our side; one of us looks at it and there is nothing you need do."
    ),
}
_NEXT_STEP_OF_A_REQUEST = "You asked us to cancel; we do so as soon as what is under way is done."


class OwnOrders(Page):
    status: OrderStatus | None = None


class OrderSearch(Page):
    """One of `order_id` and `email`, or `status`, `placed_on` or both of these."""

    order_id: str | None = Field(default=None, min_length=1, max_length=100)
    email: str | None = Field(default=None, min_length=1, max_length=254)
    status: OrderStatus | None = None
    placed_on: date | None = None  # a UTC day

    @model_validator(mode="after")
    def _one_way_to_look(self) -> Self:
        by_state = self.status is not None or self.placed_on is not None
        ways = (self.order_id is not None, self.email is not None, by_state)
        if sum(ways) != 1:
            raise ValueError("search by order_id, by email, or by status and placed_on")
        return self

    @property
    def search(self) -> Search:
        return Search(email=self.email, status=self.status, placed_on=self.placed_on)


class Cancellation(RequestModel):
    """`reason` is kept for the shop's staff."""

    model_config = shown_as(reason="ordered twice")

    reason: str | None = Field(default=None, min_length=1, max_length=NOTE_LENGTH_MAX)


class _NewQuantity(RequestModel):
    sku: str = Field(min_length=1, max_length=_SKU_LENGTH_MAX)
    quantity: int = Field(ge=0, le=_QUANTITY_MAX)


class OrderEdit(RequestModel):
    """New quantities of the lines that change; 0 removes one. `expected_total` is after it.

    `payment_method` is asked for what is due besides; without it, what the order was paid with.
    """

    model_config = shown_as(
        lines=[{"sku": "MUG", "quantity": 1}],
        expected_total={"amount_minor": 1250, "currency": "GBP"},
    )

    lines: list[_NewQuantity] = Field(min_length=1, max_length=EDITED_LINES_MAX)
    expected_total: AmountGiven
    payment_method: PaymentMethod | None = None

    @model_validator(mode="after")
    def _each_line_once(self) -> Self:
        if len(self.quantities) != len(self.lines):
            raise ValueError("name each SKU once")
        return self

    @property
    def quantities(self) -> dict[str, int]:
        return {line.sku: line.quantity for line in self.lines}


class Resumption(RequestModel):
    """`retry` goes on where the order was set aside, `cancel` gives everything back."""

    model_config = shown_as(direction="retry", note="the provider answers again")

    direction: Direction
    note: str = Field(min_length=1, max_length=NOTE_LENGTH_MAX)


class OrderSummary(View):
    """`total` is what was to be paid, `shipping` of it for the parcel.

    Where `prices_include_tax` is false the tax came on top of the prices.
    """

    order_id: str
    status: OrderStatus
    reason: str | None
    next_step: str
    total: Amount
    shipping: Amount
    prices_include_tax: bool
    promotions: list[str]
    refunded: Amount
    line_count: int
    placed_at: AwareDatetime
    updated_at: AwareDatetime

    @classmethod
    def of(cls, order: Order) -> OrderSummary:
        return cls(**_summary(order))


class OrderPage(View):
    orders: list[OrderSummary]
    next_cursor: str | None


class Line(View):
    """`discount` and `tax` are the whole line's; `total` is what was to be paid for it."""

    sku: str
    title: str
    quantity: int
    unit_price: Amount
    discount: Amount
    tax: Amount
    total: Amount


class EditView(View):
    """The latest edit: what goes back for it, or is due besides, and why it was refused."""

    number: int
    status: EditStatus
    reason: str | None
    refund: Amount
    due: Amount


class OrderView(OrderSummary):
    """`waits_until` is when a confirmation comes too late, while one is awaited.

    `discount` is the lines' together, `tax` theirs with that on the shipping.
    """

    waits_until: AwareDatetime | None
    customer_id: str
    email: str
    shipping_address: dict[str, str]
    version: int
    discount: Amount
    tax: Amount
    lines: list[Line]
    edit: EditView | None

    @classmethod
    def with_lines(cls, order: Order, lines: list[OrderLine]) -> OrderView:
        return cls(**_whole(order, lines))


class ActionView(View):
    what: str
    by: str
    role: str
    note: str | None
    at: AwareDatetime

    @classmethod
    def of(cls, action: Action) -> ActionView:
        return cls(what=action.what, by=action.by, role=action.role, note=action.note, at=action.at)


class StaffOrderView(OrderView):
    """An order with what its staff need: why it stopped, and what people did to it."""

    correlation_id: str
    cancel_requested: str | None
    parked_from: OrderStatus | None
    parked_because: str | None
    actions: list[ActionView]

    @classmethod
    def with_actions(
        cls, order: Order, lines: list[OrderLine], actions: list[Action]
    ) -> StaffOrderView:
        return cls(
            **_whole(order, lines),
            correlation_id=order.correlation_id,
            cancel_requested=order.cancel_requested,
            parked_from=order.parked_from,
            parked_because=order.parked_because,
            actions=[ActionView.of(action) for action in actions],
        )


def standing(order: Order) -> dict[str, Any]:
    """Tell how an order stands, to a context that asks."""
    return {
        "order_id": order.order_id,
        "status": order.status,
        "reason": order.reason,
        "customer_id": order.customer_id,
        "total_minor": order.total.amount_minor,
        "currency": order.total.currency,
        "placed_at": to_text(order.placed_at),
        "updated_at": to_text(order.updated_at),
    }


def bought(order: Order, lines: list[OrderLine]) -> dict[str, Any]:
    """Tell what was bought, to a context that asks."""
    return {
        "order_id": order.order_id,
        "status": order.status,
        "customer_id": order.customer_id,
        "currency": order.total.currency,
        "shipping_minor": order.shipping_minor,
        "lines": [
            {
                "sku": line.sku,
                "title": line.title,
                "quantity": line.quantity,
                "unit_price_minor": line.unit_price_minor,
            }
            for line in lines
        ],
    }


def exported(order: Order, lines: list[OrderLine], actions: list[Action]) -> dict[str, Any]:
    """Tell all that is known of an order, to the person whose it is."""
    return {
        **bought(order, lines),
        "placed_at": to_text(order.placed_at),
        "email": order.email,
        "shipping_address": order.shipping_address,
        "total_minor": order.total.amount_minor,
        "refunded_minor": order.refunded_minor,
        "notes": [
            {"at": to_text(action.at), "what": action.what, "note": action.note}
            for action in actions
            if action.note is not None
        ],
    }


def _next_step(order: Order) -> str:
    if order.cancel_requested is not None:
        return _NEXT_STEP_OF_A_REQUEST
    return NEXT_STEPS[order.status]


def _summary(order: Order) -> dict[str, Any]:
    currency = order.total.currency
    return {
        "order_id": order.order_id,
        "status": order.status,
        "reason": order.reason,
        "next_step": _next_step(order),
        "total": Amount.of(order.total),
        "shipping": Amount.of(Money(order.shipping_minor, currency)),
        "prices_include_tax": order.prices_include_tax,
        "promotions": list(order.promotions),
        "refunded": Amount.of(Money(order.refunded_minor, currency)),
        "line_count": order.line_count,
        "placed_at": order.placed_at,
        "updated_at": order.updated_at,
    }


def _edit(order: Order) -> EditView | None:
    if order.edit is None:
        return None
    currency = order.total.currency
    return EditView(
        number=order.edit.number,
        status=order.edit.status,
        reason=order.edit.reason,
        refund=Amount.of(Money(order.edit.refund_minor, currency)),
        due=Amount.of(Money(order.edit.due_minor, currency)),
    )


def _whole(order: Order, lines: list[OrderLine]) -> dict[str, Any]:
    currency = order.total.currency
    awaited = order.status is OrderStatus.AWAITING_PAYMENT
    return {
        **_summary(order),
        "waits_until": order.waits_until if awaited else None,
        "customer_id": order.customer_id,
        "email": order.email,
        "shipping_address": order.shipping_address,
        "version": order.version,
        "discount": Amount.of(Money(sum(line.discount_minor for line in lines), currency)),
        "tax": Amount.of(
            Money(sum(line.tax_minor for line in lines) + order.shipping_tax_minor, currency)
        ),
        "edit": _edit(order),
        "lines": [
            Line(
                sku=line.sku,
                title=line.title,
                quantity=line.quantity,
                unit_price=Amount(amount_minor=line.unit_price_minor, currency=currency),
                discount=Amount(amount_minor=line.discount_minor, currency=currency),
                tax=Amount(amount_minor=line.tax_minor, currency=currency),
                total=Amount(
                    amount_minor=line.paid_minor(prices_include_tax=order.prices_include_tax),
                    currency=currency,
                ),
            )
            for line in lines
        ],
    }

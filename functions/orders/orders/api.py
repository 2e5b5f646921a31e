"""What orders asks of a listing, and how an order looks outside."""

from __future__ import annotations

from datetime import date
from typing import Any, Self

from pydantic import AwareDatetime, Field, model_validator

from orders.model import Order, OrderLine, OrderStatus
from tradepost.platform.bodies import Amount, RequestModel, View
from tradepost.platform.cursor import CURSOR_LENGTH_MAX, PAGE_SIZE_MAX

_PAGE_SIZE = 20


class Page(RequestModel):
    limit: int = Field(default=_PAGE_SIZE, ge=1, le=PAGE_SIZE_MAX)
    cursor: str | None = Field(default=None, max_length=CURSOR_LENGTH_MAX)


class OwnOrders(Page):
    status: OrderStatus | None = None


class OrderSearch(Page):
    """Exactly one of `email`, `status` and `placed_on`."""

    email: str | None = Field(default=None, max_length=254)
    status: OrderStatus | None = None
    placed_on: date | None = None  # a UTC day

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(term is not None for term in (self.email, self.status, self.placed_on)) != 1:
            raise ValueError("search by exactly one of email, status and placed_on")
        return self

    @property
    def term(self) -> str | OrderStatus | date:
        term = self.status or self.placed_on or self.email
        assert term is not None
        return term


class OrderSummary(View):
    order_id: str
    status: OrderStatus
    reason: str | None
    total: Amount
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
    sku: str
    title: str
    quantity: int
    unit_price: Amount
    total: Amount


class OrderView(OrderSummary):
    customer_id: str
    email: str
    shipping_address: dict[str, str]
    version: int
    lines: list[Line]

    @classmethod
    def with_lines(cls, order: Order, lines: list[OrderLine]) -> OrderView:
        currency = order.total.currency
        return cls(
            **_summary(order),
            customer_id=order.customer_id,
            email=order.email,
            shipping_address=order.shipping_address,
            version=order.version,
            lines=[
                Line(
                    sku=line.sku,
                    title=line.title,
                    quantity=line.quantity,
                    unit_price=Amount(amount_minor=line.unit_price_minor, currency=currency),
                    total=Amount(amount_minor=line.total_minor, currency=currency),
                )
                for line in lines
            ],
        )


def _summary(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "status": order.status,
        "reason": order.reason,
        "total": Amount(amount_minor=order.total.amount_minor, currency=order.total.currency),
        "line_count": order.line_count,
        "placed_at": order.placed_at,
        "updated_at": order.updated_at,
    }

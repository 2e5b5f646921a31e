"""Orders over HTTP, as steps of the checkout, and as a follower of parcels."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent, SQSEvent

from orders import use_cases
from orders.api import OrderPage, OrderSearch, OrderSummary, OrderView, OwnOrders
from orders.dynamodb import DynamoDBOrders
from orders.messages import ParcelNews, PlaceOrder, RefusedStep, Return
from orders.model import Order, OrderNotFoundError, OrderStatus
from tradepost.kernel.clock import utc_now
from tradepost.platform import aws, outbox
from tradepost.platform.auth import BUYERS, EVERYONE_KNOWN, STAFF, Caller
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import consume
from tradepost.platform.cursor import InvalidCursorError, read_cursor, sign_cursor
from tradepost.platform.service import Service

app = Service("orders")


@functools.cache
def orders() -> DynamoDBOrders:
    return DynamoDBOrders(aws.dynamodb(), os.environ["ORDERS_TABLE"])


@app.get("/v1/orders", roles=BUYERS, refusals=(InvalidCursorError,))
def list_orders(query: OwnOrders, caller: Caller) -> OrderPage:
    """List your orders, newest first."""
    listing = f"orders:{caller.principal_id}:{query.status}"
    found, position = orders().of_customer(
        caller.principal_id, query.status, query.limit, read_cursor(query.cursor, listing)
    )
    return _page(found, sign_cursor(position, listing))


@app.get("/v1/orders/{order_id}", roles=EVERYONE_KNOWN, refusals=(OrderNotFoundError,))
def get_order(order_id: str, caller: Caller) -> OrderView:
    """Show one order with its lines."""
    owner = None if caller.is_staff else caller.principal_id
    order = use_cases.order_of(order_id, customer_id=owner, orders=orders())
    return OrderView.with_lines(order, orders().lines(order_id))


@app.get("/v1/staff/orders", roles=STAFF, refusals=(InvalidCursorError,))
def search_orders(query: OrderSearch) -> OrderPage:
    """Find orders by e-mail, by status, or by the UTC day they were placed; newest first."""
    listing = f"staff-orders:{query.term}"
    found, position = orders().found_by(query.term, query.limit, read_cursor(query.cursor, listing))
    return _page(found, sign_cursor(position, listing))


@app.step
def place_order(placement: PlaceOrder) -> dict[str, Any]:
    """Store the order, or find it as it stands; hand the steps to come what they need."""
    placed = use_cases.place_order(placement.order(), placement.lines(), orders=orders())
    return placement.onward(placed)


@app.step
def begin_capture(step: StepInput) -> dict[str, Any]:
    """Pass the point of no return, or raise OrderTransitionError."""
    return _status(use_cases.begin_capture(step.order_id, orders=orders(), now=utc_now))


@app.step
def confirm_order(step: StepInput) -> dict[str, Any]:
    """Confirm the order and say so to the world."""
    return _status(use_cases.confirm_order(step.order_id, orders=orders(), now=utc_now))


@app.step
def abandon_order(step: RefusedStep) -> dict[str, Any]:
    """Turn the checkout round if it still can be, and tell the direction it has."""
    order = use_cases.abandon_order(
        step.order_id,
        reason=step.reason,
        capture_refused=step.capture_refused,
        orders=orders(),
        now=utc_now,
    )
    return _status(order)


@app.step
def cancel_order(step: StepInput) -> dict[str, Any]:
    """Close the order after everything was given back."""
    return _status(use_cases.cancel_order(step.order_id, orders=orders(), now=utc_now))


@app.step
def park_order(step: RefusedStep) -> dict[str, Any]:
    """Set the order aside for a person to look at."""
    order = use_cases.park_order(
        step.order_id,
        reason=step.reason,
        cause=step.refusal.error_name(),
        orders=orders(),
        now=utc_now,
    )
    return _status(order)


@app.lambda_function(name="order_contact")
def order_contact(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell whom to write to about an order: asked by notifications, at the moment of writing.

    Events carry no personal data, so this is the one way it leaves orders.
    """
    try:
        order = orders().get(event["order_id"])
    except OrderNotFoundError:
        return {"email": None}
    return {
        "email": order.email,
        "name": order.shipping_address.get("name", ""),
        "total_minor": order.total.amount_minor,
        "currency": order.total.currency,
        "line_count": order.line_count,
    }


@app.step
def price_return(step: Return) -> dict[str, Any]:
    """Tell what was paid for units that come back."""
    order = orders().get(step.order_id)
    prices = {line.sku: line.unit_price_minor for line in orders().lines(step.order_id)}
    amount = sum(prices[line.sku] * line.quantity for line in step.lines)
    return {"amount_minor": amount, "currency": order.total.currency}


@app.lambda_function(name="order_standing")
def order_standing(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell another context how an order stands; `status` is None for one that is not there."""
    try:
        order = orders().get(event["order_id"])
    except OrderNotFoundError:
        return {"order_id": event["order_id"], "status": None}
    return {
        "order_id": order.order_id,
        "status": order.status,
        "total_minor": order.total.amount_minor,
        "currency": order.total.currency,
    }


@app.lambda_function(name="order_lines")
def order_lines(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell another context what was bought; `status` is None for an order that is not there."""
    try:
        order = orders().get(event["order_id"])
    except OrderNotFoundError:
        return {"order_id": event["order_id"], "status": None, "lines": []}
    return {
        "order_id": order.order_id,
        "status": order.status,
        "lines": [
            {"sku": line.sku, "quantity": line.quantity} for line in orders().lines(order.order_id)
        ],
    }


@app.on_sqs_message(queue="orders-facts", name="on_fact", batch_size=10)
def on_fact(event: SQSEvent) -> dict[str, Any]:
    """Follow parcels: an order is shipped and delivered when its carrier says so."""
    return consume(
        event.to_dict(),
        event.context,
        reactions={
            "shipment.dispatched.v1": functools.partial(_follow, OrderStatus.SHIPPED),
            "shipment.delivered.v1": functools.partial(_follow, OrderStatus.DELIVERED),
        },
    )


@app.on_dynamodb_record(
    stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/placeholder",
    name="relay",
    batch_size=100,
)
def relay(event: DynamoDBEvent) -> dict[str, Any]:
    """Publish what the outbox holds."""
    return outbox.relay(
        event.to_dict(),
        table=os.environ["ORDERS_TABLE"],
        topic_arn=os.environ["EVENTS_TOPIC_ARN"],
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> None:
    """Publish what the stream's relay missed."""
    outbox.relay_overdue(table=os.environ["ORDERS_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"])


def _follow(status: OrderStatus, message: str) -> None:
    news = ParcelNews.model_validate_json(message)
    use_cases.follow_parcel(news.order_id, status, orders=orders(), now=utc_now)


def _status(order: Order) -> dict[str, Any]:
    return {"status": order.status.value, "reason": order.reason}


def _page(found: list[Order], next_cursor: str | None) -> OrderPage:
    return OrderPage(orders=[OrderSummary.of(order) for order in found], next_cursor=next_cursor)

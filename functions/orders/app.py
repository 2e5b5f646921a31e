"""Orders over HTTP, as steps of the checkout, and as a follower of parcels and payments."""

from __future__ import annotations

import functools
import os
from dataclasses import asdict
from datetime import date
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent, SQSEvent

from orders import use_cases
from orders.api import (
    Cancellation,
    OrderEdit,
    OrderPage,
    OrderSearch,
    OrderSummary,
    OrderView,
    OwnOrders,
    Resumption,
    StaffOrderView,
    bought,
    exported,
    standing,
)
from orders.dynamodb import UNFINISHED, DynamoDBOrders
from orders.messages import (
    AwaitedPayment,
    EditStep,
    ErasedUser,
    FailedParcel,
    OrderNews,
    PlaceOrder,
    PricedParcel,
    Refunds,
    RefusedEdit,
    RefusedStep,
    Return,
    edit_told,
)
from orders.model import (
    EditNotPossibleError,
    EditTotalError,
    NotBoughtError,
    NotOnSaleError,
    Order,
    OrderNotFoundError,
    OrderNotParkedError,
    OrderStatus,
    OrderTransitionError,
)
from orders.ports import Search
from orders.price_list import AskedPrices
from orders.use_cases import Asker
from tradepost.kernel.clock import from_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.platform import aws, metrics, outbox
from tradepost.platform.arguments import IdempotencyKey
from tradepost.platform.auth import BUYERS, EVERYONE_KNOWN, STAFF, Caller, Role, Scope
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import consume
from tradepost.platform.cursor import InvalidCursorError, read_cursor, sign_cursor
from tradepost.platform.dynamodb import passing_faults_named
from tradepost.platform.erasures import Erasures
from tradepost.platform.questions import Questions
from tradepost.platform.runner import StepFunctionsRunner
from tradepost.platform.service import Service

app = Service("orders")

# Money moves when an order is resumed.
_OPERATORS = {Role.SUPPORT, Role.ADMIN}

# What another context is given of a day's orders at a time.
_ORDERS_OF_A_DAY_MAX = 100

# More are as alarming as this many.
_PARKED_COUNTED_MAX = 100

_EXPORTED_PER_PAGE = 25


@functools.cache
def orders() -> DynamoDBOrders:
    return DynamoDBOrders(aws.dynamodb(), os.environ["ORDERS_TABLE"])


@functools.cache
def erasures() -> Erasures:
    return Erasures(aws.dynamodb(), os.environ["ORDERS_TABLE"], UNFINISHED)


@functools.cache
def runner() -> StepFunctionsRunner:
    return StepFunctionsRunner(aws.step_functions(), os.environ["CHECKOUT_STATE_MACHINE_ARN"])


@functools.cache
def prices() -> AskedPrices:
    return AskedPrices(Questions(aws.functions(), os.environ["STAGE"]))


@app.get("/v1/orders", roles=BUYERS, refusals=(InvalidCursorError,))
def list_orders(query: OwnOrders, caller: Caller) -> OrderPage:
    """List your orders, newest first."""
    listing = f"orders:{caller.principal_id}:{query.status}"
    found, position = orders().of_customer(
        caller.principal_id, query.status, query.limit, read_cursor(query.cursor, listing)
    )
    return _page(found, sign_cursor(position, listing))


@app.get(
    "/v1/orders/{order_id}",
    roles=EVERYONE_KNOWN,
    scope=Scope.ORDERS_READ,
    refusals=(OrderNotFoundError,),
)
def get_order(order_id: str, caller: Caller) -> OrderView:
    """Show one order with its lines."""
    owner = None if caller.sees_all else caller.principal_id
    order = use_cases.order_of(order_id, customer_id=owner, orders=orders())
    return OrderView.with_lines(order, orders().lines(order_id))


@app.post(
    "/v1/orders/{order_id}/cancellation",
    roles=EVERYONE_KNOWN,
    status=202,
    refusals=(OrderNotFoundError, OrderTransitionError, StaleError),
    repeatable="an order that is being cancelled stays so",
)
def request_cancellation(order_id: str, body: Cancellation, caller: Caller) -> OrderView:
    """Cancel an order whose parcel is not under way yet; look at the order to see it done.

    Everything goes back: what is held or sold, and what is set aside or taken of the money.
    """
    order = use_cases.request_cancellation(
        order_id, _asker(caller, body.reason), orders=orders(), runner=runner(), now=utc_now
    )
    return OrderView.with_lines(order, orders().lines(order_id))


@app.post(
    "/v1/orders/{order_id}/edits",
    roles=EVERYONE_KNOWN,
    status=202,
    refusals=(
        OrderNotFoundError,
        OrderTransitionError,
        NotBoughtError,
        NotOnSaleError,
        EditNotPossibleError,
        EditTotalError,
        IdempotencyMismatchError,
        StaleError,
    ),
)
def request_edit(
    order_id: str, body: OrderEdit, caller: Caller, idempotency_key: IdempotencyKey
) -> OrderView:
    """Change the quantities of a confirmed order whose parcel is not packed; look at it to see how
    that ended.

    Units taken out go back on the shelf, and what they were bought for goes back. Units added cost
    what they cost today, asked of `payment_method` or, where the provider allows it, of the means
    the order was paid with. What cannot be had, or not be paid, leaves the order as it was.
    """
    order = use_cases.request_edit(
        order_id,
        body.quantities,
        _asker(caller, None),
        key=idempotency_key,
        expected=body.expected_total.to_money(),
        method=body.payment_method,
        orders=orders(),
        prices=prices(),
        runner=runner(),
        now=utc_now,
    )
    return OrderView.with_lines(order, orders().lines(order_id))


@app.get("/v1/staff/orders", roles=STAFF, scope=Scope.ORDERS_READ, refusals=(InvalidCursorError,))
def search_orders(query: OrderSearch) -> OrderPage:
    """Find orders by id, by e-mail, by status or by the UTC day they were placed; newest first."""
    if query.order_id is not None:
        order = _sought(query.order_id)
        return _page([order] if order else [], None)
    listing = f"staff-orders:{query.search}"
    found, position = orders().found_by(
        query.search, query.limit, read_cursor(query.cursor, listing)
    )
    return _page(found, sign_cursor(position, listing))


@app.get("/v1/staff/orders/{order_id}", roles=STAFF, refusals=(OrderNotFoundError,))
def inspect_order(order_id: str) -> StaffOrderView:
    """Show one order with why it stopped, and what people did to it."""
    return _inspected(orders().get(order_id))


@app.post(
    "/v1/staff/orders/{order_id}/resume",
    roles=_OPERATORS,
    status=202,
    refusals=(OrderNotFoundError, OrderNotParkedError, StaleError),
    repeatable="an order that was resumed is not set aside any more",
)
def resume_order(order_id: str, body: Resumption, caller: Caller) -> StaffOrderView:
    """Take an order that needs attention up again: on where it stopped, or back."""
    order = use_cases.resume_order(
        order_id,
        body.direction,
        _asker(caller, body.note),
        orders=orders(),
        runner=runner(),
        now=utc_now,
    )
    return _inspected(order)


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
def await_payment(step: AwaitedPayment) -> dict[str, Any]:
    """Let the order wait for its customer's confirmation, or end a wait that is over."""
    return _status(
        use_cases.await_payment(step.order_id, until=step.expires_at, orders=orders(), now=utc_now)
    )


@app.step
def confirm_order(step: StepInput) -> dict[str, Any]:
    """Confirm the order and say so to the world, unless it is to be cancelled."""
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
def keep_order(step: StepInput) -> dict[str, Any]:
    """Keep an order whose parcel was faster than its cancelling."""
    return _status(use_cases.keep_order(step.order_id, orders=orders(), now=utc_now))


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


@app.step
def read_edit(step: StepInput) -> dict[str, Any]:
    """Tell how the order's edit stands, what it leaves of the order, and what it moves."""
    return edit_told(*use_cases.read_edit(step.order_id, orders=orders()))


@app.step
def begin_edit(step: EditStep) -> dict[str, Any]:
    """Pass the point of no return of an edit that adds, unless the order is to be cancelled."""
    return _status(use_cases.begin_edit(step.order_id, step.number, orders=orders(), now=utc_now))


@app.step
def undo_edit(step: RefusedEdit) -> dict[str, Any]:
    """Turn an edit round that was refused something, if it still can be."""
    order = use_cases.undo_edit(
        step.order_id,
        step.number,
        reason=step.reason,
        is_definite=step.is_definite,
        orders=orders(),
        now=utc_now,
    )
    return _status(order)


@app.step
def apply_edit(step: EditStep) -> dict[str, Any]:
    """Give the order its new lines: from here on its edit is finished, whatever it takes."""
    return _status(use_cases.apply_edit(step.order_id, step.number, orders=orders(), now=utc_now))


@app.step
def close_edit(step: EditStep) -> dict[str, Any]:
    """Confirm the order again after its edit, unless it is to be cancelled."""
    return _status(use_cases.close_edit(step.order_id, step.number, orders=orders(), now=utc_now))


@app.step
def refuse_edit(step: EditStep) -> dict[str, Any]:
    """Leave the order as it was: its parcel was packed first."""
    return _status(use_cases.refuse_edit(step.order_id, step.number, orders=orders(), now=utc_now))


@app.step
def price_return(step: Return) -> dict[str, Any]:
    """Tell what was paid for units that come back, or raise NotBoughtError."""
    price = use_cases.price_return(
        step.order_id, step.return_id, step.quantities(), orders=orders()
    )
    return {"amount_minor": price.amount_minor, "currency": price.currency}


@app.lambda_function(name="order_standing")
def order_standing(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell another context how an order stands; `status` is None for one that is not there."""
    order = _sought(event["order_id"])
    return standing(order) if order else {"order_id": event["order_id"], "status": None}


@app.lambda_function(name="order_lines")
def order_lines(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell another context what was bought; `status` is None for an order that is not there."""
    order = _sought(event["order_id"])
    if order is None:
        return {"order_id": event["order_id"], "status": None, "lines": []}
    return bought(order, orders().lines(order.order_id))


@app.lambda_function(name="price_parcel")
def price_parcel(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell shipping what was paid for the units of a parcel, whose money it has captured."""
    asked = PricedParcel.model_validate(event)
    price = use_cases.price_parcel(
        asked.order_id,
        asked.units,
        before=asked.before,
        with_shipping=asked.with_shipping,
        orders=orders(),
    )
    return {"amount_minor": price.amount_minor, "currency": price.currency}


@app.lambda_function(name="order_address")
def order_address(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell shipping where to send what is split off; it keeps no addresses."""
    return {"address": orders().get(event["order_id"]).shipping_address}


@app.lambda_function(name="orders_of_day")
def orders_of_day(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell another context how the orders of a UTC day stand, page by page: `after` is the last."""
    day = Search(placed_on=date.fromisoformat(event["day"]))
    found, after = orders().found_by(day, _ORDERS_OF_A_DAY_MAX, event.get("after"))
    return {"orders": [standing(order) for order in found], "after": after}


@app.lambda_function(name="orders_changed")
def orders_changed(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell another context which orders changed in a span of time, page by page."""
    start, end = from_text(event["start"]), from_text(event["end"])
    order_ids, after = orders().changed_between(start, end, event.get("after"))
    return {"order_ids": order_ids, "after": after}


@app.lambda_function(name="confirm_again")
def confirm_again(event: dict[str, Any], _context: object) -> None:
    """State again that an order is confirmed: asked for when its warehouse never heard of it."""
    use_cases.confirm_again(event["order_id"], orders=orders())


@app.lambda_function(name="run_again")
def run_again(event: dict[str, Any], _context: object) -> None:
    """Have an order's checkout run on: asked for when it was found in the middle."""
    use_cases.take_up(event["order_id"], orders=orders(), runner=runner())


@app.lambda_function(name="order_contact")
def order_contact(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell whom to write to about an order, and of what: asked by notifications while it writes.

    Events carry no personal data, so this is the one way it leaves orders. The lines are read
    only for `with_lines`.
    """
    try:
        order = orders().get(event["order_id"])
    except OrderNotFoundError:
        return {"email": None}
    if order.is_anonymous:
        return {"email": None}
    lines = orders().lines(order.order_id) if event.get("with_lines") else []
    return {
        "email": order.email,
        "name": order.shipping_address.get("name", ""),
        "total_minor": order.total.amount_minor,
        "shipping_minor": order.shipping_minor,
        "shipping_tax_minor": order.shipping_tax_minor,
        "prices_include_tax": order.prices_include_tax,
        "currency": order.total.currency,
        "line_count": order.line_count,
        "status": order.status,
        "lines": [asdict(line) for line in lines],
    }


@app.lambda_function(name="personal_data")
def personal_data(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell users, page by page, what an account's holder is to be told of their orders."""
    found, after = orders().of_customer(event["user_id"], None, _EXPORTED_PER_PAGE, event["after"])
    return {
        "orders": [
            exported(order, orders().lines(order.order_id), orders().actions(order.order_id))
            for order in found
        ],
        "after": after,
    }


@app.on_sqs_message(queue="orders-facts", name="on_fact", batch_size=10)
def on_fact(event: SQSEvent) -> dict[str, Any]:
    """Follow parcels and payments, and have a checkout run on that waited for one of them."""
    return consume(
        event.to_dict(),
        event.context,
        reactions={
            "payment.authorized.v1": _take_up,
            "payment.declined.v1": _take_up,
            "payment.refunded.v1": _follow_refunds,
            "shipment.dispatched.v1": functools.partial(_follow_parcel, OrderStatus.SHIPPED),
            "shipment.delivered.v1": functools.partial(_follow_parcel, OrderStatus.DELIVERED),
            "shipment.failed.v1": _give_up_parcel,
            "user.erased.v1": _begin_erasure,
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


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_erasures")
def sweep_erasures(_event: CloudWatchEvent) -> None:
    """Forget whose account is gone, as far as their orders are over."""
    use_cases.sweep_erasures(orders=orders(), erasures=erasures(), now=utc_now)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_orders")
def sweep_orders(_event: CloudWatchEvent) -> None:
    """Count the orders set aside, and start the checkouts that nobody works on any more."""
    parked = orders().count(OrderStatus.NEEDS_ATTENTION, _PARKED_COUNTED_MAX)
    metrics.tell(counts={"OrdersNeedingAttention": parked})
    use_cases.sweep(orders=orders(), runner=runner(), now=utc_now)


def _begin_erasure(message: str) -> None:
    gone = ErasedUser.model_validate_json(message)
    with passing_faults_named():
        erasures().begin(gone.user_id, gone.occurred_at)


def _take_up(message: str) -> None:
    news = OrderNews.model_validate_json(message)
    use_cases.take_up(news.order_id, orders=orders(), runner=runner())


def _follow_refunds(message: str) -> None:
    refunds = Refunds.model_validate_json(message)
    use_cases.follow_refunds(refunds.order_id, refunds.refunded_minor, orders=orders(), now=utc_now)


def _follow_parcel(status: OrderStatus, message: str) -> None:
    news = OrderNews.model_validate_json(message)
    use_cases.follow_parcel(news.order_id, status, orders=orders(), now=utc_now)


def _give_up_parcel(message: str) -> None:
    failed = FailedParcel.model_validate_json(message)
    # What the carrier had in hand is a claim, and no order's end.
    if not failed.handed_over:
        use_cases.give_up_parcel(failed.order_id, orders=orders(), runner=runner(), now=utc_now)


def _asker(caller: Caller, note: str | None) -> Asker:
    return Asker(caller.principal_id, caller.role, caller.is_staff, note)


def _sought(order_id: str) -> Order | None:
    """Look an order up that may not be there."""
    try:
        return orders().get(order_id)
    except OrderNotFoundError:
        return None


def _inspected(order: Order) -> StaffOrderView:
    order_id = order.order_id
    return StaffOrderView.with_actions(order, orders().lines(order_id), orders().actions(order_id))


def _status(order: Order) -> dict[str, Any]:
    return {"status": order.status.value, "reason": order.reason}


def _page(found: list[Order], next_cursor: str | None) -> OrderPage:
    return OrderPage(orders=[OrderSummary.of(order) for order in found], next_cursor=next_cursor)

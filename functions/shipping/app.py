"""Shipping over HTTP, as steps of the checkout and of the return, and as a follower of orders."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent, SQSEvent

from shipping.api import (
    Acceptance,
    ClaimPage,
    ClaimsView,
    ClaimView,
    NewClaim,
    NewParcel,
    NewReturn,
    Progress,
    QuoteRequest,
    QuotesView,
    QuoteView,
    ReturnPage,
    ReturnReceipt,
    ReturnsView,
    ReturnView,
    ShipmentView,
    WaitingReturns,
    exported,
)
from shipping.dynamodb import (
    DynamoDBClaims,
    DynamoDBCustomersWords,
    DynamoDBReturns,
    DynamoDBShipments,
)
from shipping.messages import (
    EditStep,
    OrderAnonymised,
    OrderConfirmed,
    OrderParcel,
    RefundedReturn,
    ReturnStep,
    received,
)
from shipping.model.claim import (
    ClaimCurrencyError,
    ClaimNotFoundError,
    ClaimNotPossibleError,
    ClaimStatus,
    ClaimTooEarlyError,
    ClaimTooLargeError,
    ClaimTransitionError,
)
from shipping.model.returns import (
    ReceiptTooLargeError,
    ReturnNotFoundError,
    ReturnNotPossibleError,
    ReturnTooLargeError,
    ReturnTransitionError,
)
from shipping.model.shipment import (
    CarrierRefusedError,
    CarrierUnavailableError,
    ParcelEventError,
    ParcelGoesLastError,
    ParcelIncompleteError,
    ParcelNotPaidError,
    ScanEvent,
    Shipment,
    ShipmentNotFoundError,
    ShipmentTransitionError,
    SplitNotPossibleError,
    SplitTooLargeError,
    UnknownParcelError,
)
from shipping.model.tariff import (
    DestinationNotServedError,
    ParcelTooHeavyError,
    TariffCurrencyError,
    quotes_for,
)
from shipping.news import NEWS_BYTES_MAX
from shipping.order_book import AskedOrders
from shipping.ports import Carrier
from shipping.return_machine import ReturnMachine
from shipping.simulator import SimulatedCarrier, news_to_send
from shipping.stockroom import AskedStock
from shipping.till import AskedPayments
from shipping.use_cases import claims as claiming
from shipping.use_cases import parcels, splitting
from shipping.use_cases import returns as returning
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.platform import aws, outbox
from tradepost.platform.arguments import IdempotencyKey, RawRequest
from tradepost.platform.auth import BUYERS, EVERYONE_KNOWN, PUBLIC, STAFF, Caller, Role
from tradepost.platform.bodies import StepInput
from tradepost.platform.consumer import consume
from tradepost.platform.cursor import InvalidCursorError, Page, read_cursor, sign_cursor
from tradepost.platform.deliveries import deliver
from tradepost.platform.dynamodb import passing_faults_named
from tradepost.platform.questions import Questions
from tradepost.platform.service import Service
from tradepost.platform.webhooks import WebhookSignatureError, believed, signed_headers

app = Service("shipping")

# The function with the routes, where the simulated carrier's webhooks go.
_API = "shipping-api_handler"

_DISPATCHERS = {Role.WAREHOUSE, Role.ADMIN}
# They decide what the customer gets back.
_SUPPORT = {Role.SUPPORT, Role.ADMIN}

_CLAIM_REFUSALS = (ShipmentNotFoundError, ClaimNotPossibleError, ClaimTooEarlyError)
_PARCEL_REFUSALS = (
    ShipmentNotFoundError,
    ShipmentTransitionError,
    ParcelNotPaidError,
    ParcelGoesLastError,
    ParcelIncompleteError,
    CarrierUnavailableError,
    StaleError,
)
_RETURN_REFUSALS = (ReturnNotFoundError, ReturnTransitionError, StaleError)


@functools.cache
def words() -> DynamoDBCustomersWords:
    return DynamoDBCustomersWords(aws.dynamodb(), os.environ["SHIPPING_TABLE"])


@functools.cache
def shipments() -> DynamoDBShipments:
    return DynamoDBShipments(aws.dynamodb(), os.environ["SHIPPING_TABLE"])


@functools.cache
def claims() -> DynamoDBClaims:
    return DynamoDBClaims(aws.dynamodb(), os.environ["SHIPPING_TABLE"])


@functools.cache
def returns() -> DynamoDBReturns:
    return DynamoDBReturns(aws.dynamodb(), os.environ["SHIPPING_TABLE"])


@functools.cache
def simulator() -> SimulatedCarrier:
    return SimulatedCarrier(aws.dynamodb(), os.environ["SIMULATORS_TABLE"], _webhook_secrets)


def carrier() -> Carrier:
    return simulator()


@functools.cache
def orders() -> AskedOrders:
    return AskedOrders(Questions(aws.functions(), os.environ["STAGE"]))


@functools.cache
def till() -> AskedPayments:
    return AskedPayments(Questions(aws.functions(), os.environ["STAGE"]))


@functools.cache
def stockroom() -> AskedStock:
    return AskedStock(Questions(aws.functions(), os.environ["STAGE"]))


@functools.cache
def return_machine() -> ReturnMachine:
    return ReturnMachine(aws.step_functions(), os.environ["RETURN_STATE_MACHINE_ARN"])


@app.post(
    "/v1/shipping/quotes",
    roles=BUYERS,
    refusals=(TariffCurrencyError, DestinationNotServedError, ParcelTooHeavyError),
    repeatable="a quote binds nobody but the shop",
)
def quote_shipping(body: QuoteRequest) -> QuotesView:
    """Price sending a parcel, the cheapest service first; each price holds for a day."""
    return QuotesView(
        options=[QuoteView.of(quote) for quote in quotes_for(body.sending(), utc_now)]
    )


@app.get("/v1/shipments/{order_id}", roles=EVERYONE_KNOWN, refusals=(ShipmentNotFoundError,))
def get_shipment(order_id: str, caller: Caller) -> ShipmentView:
    """Show where the order's parcel is, and all that befell it."""
    return _shown(parcels.shipment_of(order_id, customer_id=_owner(caller), shipments=shipments()))


@app.post(
    "/v1/shipments/{order_id}/pick",
    roles=_DISPATCHERS,
    refusals=_PARCEL_REFUSALS,
    repeatable="a parcel that was packed stays packed",
)
def pick(order_id: str) -> ShipmentView:
    """Record that the parcel is packed and ready for the carrier."""
    return _recorded(order_id, ScanEvent.PICKED)


@app.post(
    "/v1/shipments/{order_id}/dispatch",
    roles=_DISPATCHERS,
    refusals=_PARCEL_REFUSALS,
    repeatable="a parcel that has been handed over stays handed over",
)
def dispatch(order_id: str) -> ShipmentView:
    """Record that the carrier has taken the parcel."""
    return _recorded(order_id, ScanEvent.COLLECTED)


@app.post(
    "/v1/shipments/{order_id}/delivery",
    roles=_DISPATCHERS,
    refusals=_PARCEL_REFUSALS,
    repeatable="a parcel that was delivered stays delivered",
)
def deliver_parcel(order_id: str) -> ShipmentView:
    """Record that the customer has the parcel."""
    return _recorded(order_id, ScanEvent.DELIVERED)


@app.post(
    "/v1/shipments/{order_id}/parcels",
    roles=_DISPATCHERS,
    status=201,
    refusals=(
        *_PARCEL_REFUSALS,
        SplitNotPossibleError,
        SplitTooLargeError,
        CarrierRefusedError,
        IdempotencyMismatchError,
    ),
)
def split_shipment(order_id: str, body: NewParcel, idempotency_key: IdempotencyKey) -> ShipmentView:
    """Send units of a confirmed order on their own, in a parcel that is paid for and labelled.

    Where money is captured per parcel and is refused, the parcel is there and stays; it may be
    let leave later.
    """
    parcel = splitting.split_off(
        order_id,
        body.to_split_off(),
        body.weight_grams,
        key=idempotency_key,
        shipments=shipments(),
        carrier=carrier(),
        orders=orders(),
    )
    released = splitting.release_parcel(
        order_id,
        parcel.number,
        shipments=shipments(),
        carrier=carrier(),
        orders=orders(),
        till=till(),
        now=utc_now,
    )
    return _shown(released)


@app.post(
    "/v1/shipments/{order_id}/parcels/{number}/progress",
    roles=_DISPATCHERS,
    refusals=_PARCEL_REFUSALS,
    repeatable="a parcel that has come so far has come so far",
)
def advance_split_parcel(order_id: str, number: str, body: Progress) -> ShipmentView:
    """Record that one of an order's parcels is packed, was handed over or has arrived."""
    if not number.isdecimal():
        raise ShipmentNotFoundError(order_id)
    return _recorded(order_id, body.step.event, int(number))


@app.post(
    "/v1/webhooks/carrier",
    roles=PUBLIC,
    status=204,
    refusals=(WebhookSignatureError, UnknownParcelError, CarrierUnavailableError, StaleError),
    repeatable="the same news again is no news",
    body_bytes_max=NEWS_BYTES_MAX,
)
def hear_of_parcel(raw: RawRequest) -> None:
    """Take what the carrier tells of a parcel; its signature is all that lets it in."""
    news = carrier().news(raw, now=utc_now())
    parcels.hear_of_parcel(news, shipments=shipments(), carrier=carrier(), now=utc_now)


@app.post(
    "/v1/simulator/parcels/{tracking_number}/{event}",
    roles=_DISPATCHERS,
    status=204,
    refusals=(UnknownParcelError, ParcelEventError),
    repeatable="a parcel moves on once, and is then refused the same move",
)
def advance_parcel(tracking_number: str, event: str) -> None:
    """Let something befall a parcel of the simulated carrier: collected, in_transit and so on.

    It tells the shop by webhook, as a real carrier does. Without the simulator there is no such
    parcel.
    """
    if carrier().name != SimulatedCarrier.name:
        raise UnknownParcelError(tracking_number)
    try:
        befalls = ScanEvent(event)
    except ValueError as error:
        raise ParcelEventError(tracking_number, event) from error
    reason = "lost" if befalls is ScanEvent.FAILED else ""
    simulator().advance(tracking_number, befalls, at=utc_now(), reason=reason)


@app.post(
    "/v1/shipments/{order_id}/claims",
    roles=BUYERS,
    status=201,
    refusals=_CLAIM_REFUSALS,
    repeatable="a parcel has one claim of a kind",
)
def open_claim(order_id: str, body: NewClaim, caller: Caller) -> ClaimView:
    """Claim a parcel that did not arrive in time, or arrived damaged."""
    claim = claiming.open_claim(
        order_id,
        body.kind,
        body.description,
        customer_id=caller.principal_id,
        shipments=shipments(),
        claims=claims(),
        now=utc_now,
    )
    return ClaimView.of(claim)


@app.get("/v1/shipments/{order_id}/claims", roles=EVERYONE_KNOWN, refusals=(ShipmentNotFoundError,))
def list_claims(order_id: str, caller: Caller) -> ClaimsView:
    """Show what was claimed of the order's parcel."""
    found = claiming.claims_of(
        order_id, customer_id=_owner(caller), shipments=shipments(), claims=claims()
    )
    return ClaimsView(claims=[ClaimView.of(claim) for claim in found])


@app.post(
    "/v1/shipments/{order_id}/claims/{claim_id}/acceptance",
    roles=_SUPPORT,
    refusals=(
        ClaimNotFoundError,
        ClaimTransitionError,
        ClaimTooLargeError,
        ClaimCurrencyError,
        StaleError,
    ),
    repeatable="a claim is accepted once",
)
def accept_claim(order_id: str, claim_id: str, body: Acceptance) -> ClaimView:
    """Pay back an amount for a claim; payments sends it, once."""
    return ClaimView.of(
        claiming.accept_claim(
            order_id,
            claim_id,
            body.amount.to_money(),
            claims=claims(),
            orders=orders(),
            now=utc_now,
        )
    )


@app.post(
    "/v1/shipments/{order_id}/claims/{claim_id}/rejection",
    roles=_SUPPORT,
    refusals=(ClaimNotFoundError, ClaimTransitionError, StaleError),
    repeatable="a claim that was rejected stays rejected",
)
def reject_claim(order_id: str, claim_id: str) -> ClaimView:
    """Close a claim without money."""
    return ClaimView.of(claiming.reject_claim(order_id, claim_id, claims=claims(), now=utc_now))


@app.get("/v1/staff/claims", roles=STAFF, refusals=(InvalidCursorError,))
def list_open_claims(query: Page) -> ClaimPage:
    """List the claims that wait for a decision, the oldest first."""
    listing = "open-claims"
    found, position = claims().waiting(
        ClaimStatus.OPEN, query.limit, read_cursor(query.cursor, listing)
    )
    return ClaimPage(
        claims=[ClaimView.of(claim) for claim in found],
        next_cursor=sign_cursor(position, listing),
    )


@app.post(
    "/v1/shipments/{order_id}/returns",
    roles=BUYERS,
    status=201,
    refusals=(
        ShipmentNotFoundError,
        ReturnNotPossibleError,
        ReturnTooLargeError,
        IdempotencyMismatchError,
    ),
)
def request_return(
    order_id: str, body: NewReturn, caller: Caller, idempotency_key: IdempotencyKey
) -> ReturnView:
    """Ask to send back units of a delivered order."""
    asked = returning.request_return(
        order_id,
        body.asked(),
        body.reason,
        key=idempotency_key,
        customer_id=caller.principal_id,
        shipments=shipments(),
        returns=returns(),
        orders=orders(),
        now=utc_now,
    )
    return ReturnView.of(asked)


@app.get(
    "/v1/shipments/{order_id}/returns", roles=EVERYONE_KNOWN, refusals=(ShipmentNotFoundError,)
)
def list_returns(order_id: str, caller: Caller) -> ReturnsView:
    """Show the order's returns."""
    found = returning.returns_of(
        order_id, customer_id=_owner(caller), shipments=shipments(), returns=returns()
    )
    return ReturnsView(returns=[ReturnView.of(asked) for asked in found])


@app.post(
    "/v1/shipments/{order_id}/returns/{return_id}/approval",
    roles=_SUPPORT,
    refusals=_RETURN_REFUSALS,
    repeatable="a return that was approved stays approved",
)
def approve_return(order_id: str, return_id: str) -> ReturnView:
    """Let the customer send it."""
    return ReturnView.of(
        returning.approve_return(order_id, return_id, returns=returns(), now=utc_now)
    )


@app.post(
    "/v1/shipments/{order_id}/returns/{return_id}/rejection",
    roles=_SUPPORT,
    refusals=_RETURN_REFUSALS,
    repeatable="a return that was rejected stays rejected",
)
def reject_return(order_id: str, return_id: str) -> ReturnView:
    """Close a return of which nothing came."""
    return ReturnView.of(
        returning.reject_return(order_id, return_id, returns=returns(), now=utc_now)
    )


@app.post(
    "/v1/shipments/{order_id}/returns/{return_id}/receipt",
    roles=_DISPATCHERS,
    status=202,
    refusals=(*_RETURN_REFUSALS, ReceiptTooLargeError),
    repeatable="the same units are received once",
)
def receive_return(order_id: str, return_id: str, body: ReturnReceipt) -> ReturnView:
    """Record what arrived and in which condition; stock and refund follow."""
    asked = returning.receive_return(
        order_id,
        return_id,
        body.received(),
        returns=returns(),
        runner=return_machine(),
        now=utc_now,
    )
    return ReturnView.of(asked)


@app.post(
    "/v1/shipments/{order_id}/returns/{return_id}/resumption",
    roles=_SUPPORT,
    status=202,
    refusals=_RETURN_REFUSALS,
    repeatable="a return that runs is not started over",
)
def resume_return(order_id: str, return_id: str) -> ReturnView:
    """Have a return that needs attention restocked and refunded after all."""
    asked = returning.resume_return(
        order_id, return_id, returns=returns(), runner=return_machine(), now=utc_now
    )
    return ReturnView.of(asked)


@app.get("/v1/staff/returns", roles=STAFF, refusals=(InvalidCursorError,))
def list_waiting_returns(query: WaitingReturns) -> ReturnPage:
    """List the returns of a status that waits for somebody, the oldest first."""
    listing = f"returns:{query.status}"
    found, position = returns().waiting(
        query.status, query.limit, read_cursor(query.cursor, listing)
    )
    return ReturnPage(
        returns=[ReturnView.of(asked) for asked in found],
        next_cursor=sign_cursor(position, listing),
    )


@app.step
def book_shipment(step: OrderParcel) -> None:
    """Book the parcel, or raise CarrierRefusedError."""
    parcels.book_shipment(
        step.order_id,
        step.to_send(),
        customer_id=step.customer_id,
        correlation_id=step.correlation_id,
        is_captured_on_leaving=os.environ["CAPTURE_AT"] == "dispatch",
        shipments=shipments(),
        carrier=carrier(),
    )


@app.step
def cancel_booking(step: StepInput) -> None:
    """Call the parcel off, and bar it from being booked later."""
    parcels.cancel_booking(
        step.order_id,
        correlation_id=step.correlation_id,
        shipments=shipments(),
        carrier=carrier(),
    )


@app.step
def hold_back_parcel(step: EditStep) -> None:
    """Keep the parcel from being packed while its order is edited, or refuse the edit."""
    parcels.hold_back(step.order_id, step.number, shipments=shipments())


@app.step
def let_parcel_go(step: EditStep) -> None:
    """Let the parcel be packed: the edit of its order is over."""
    parcels.let_go(step.order_id, step.number, shipments=shipments())


@app.step
def read_return(step: ReturnStep) -> dict[str, Any]:
    """Hand over what arrived."""
    return received(returning.read_return(step.order_id, step.return_id, returns=returns()))


@app.step
def close_return(step: RefundedReturn) -> dict[str, Any]:
    """Close the return, and say so to the world."""
    asked = returning.close_return(
        step.order_id, step.return_id, step.amount, returns=returns(), now=utc_now
    )
    return {"status": asked.status}


@app.step
def park_return(step: ReturnStep) -> dict[str, Any]:
    """Set the return aside for a person to look at."""
    asked = returning.park_return(step.order_id, step.return_id, returns=returns(), now=utc_now)
    return {"status": asked.status}


@app.lambda_function(name="personal_data")
def personal_data(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell users what an account's holder is to be told of the parcels of their orders."""
    found = [
        (shipment, words().of_order(order_id))
        for order_id in event["order_ids"]
        if (shipment := shipments().get(order_id)) is not None
        and shipment.customer_id == event["user_id"]
    ]
    return {"shipments": [exported(shipment, written) for shipment, written in found]}


@app.on_sqs_message(queue="shipping-facts", name="on_fact", batch_size=10)
def on_fact(event: SQSEvent) -> dict[str, Any]:
    """Follow orders: once one is confirmed, its parcel may leave; once anonymised, forget too."""
    return consume(
        event.to_dict(),
        event.context,
        reactions={
            "order.confirmed.v1": _label_shipment,
            "order.anonymised.v1": _forget_customer,
        },
    )


@app.on_dynamodb_record(
    stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/simulators/stream/placeholder",
    name="deliver_news",
    batch_size=10,
)
def deliver_news(event: DynamoDBEvent) -> dict[str, Any]:
    """Send what the simulated carrier has to tell, in its name, until it is taken."""
    for record in event:
        news = news_to_send(record.new_image)
        headers = signed_headers(_webhook_secrets()[0], news.news_id, news.body, at=utc_now())
        status = deliver(
            aws.functions(),
            f"tradepost-{os.environ['STAGE']}-{_API}",
            "/v1/webhooks/carrier",
            body=news.body,
            headers=headers,
            message_id=news.news_id,
        )
        if status in _WORTH_SENDING_AGAIN:
            return {"batchItemFailures": [{"itemIdentifier": record.sequence_number}]}
    return {"batchItemFailures": []}


@app.on_dynamodb_record(
    stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/shipping/stream/placeholder",
    name="relay",
    batch_size=100,
)
def relay(event: DynamoDBEvent) -> dict[str, Any]:
    """Publish what the outbox holds."""
    return outbox.relay(
        event.to_dict(),
        table=os.environ["SHIPPING_TABLE"],
        topic_arn=os.environ["EVENTS_TOPIC_ARN"],
    )


@app.lambda_function(name="shipment_facts")
def shipment_facts(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell where an order's parcel stands, None if there is none: asked when books are compared."""
    shipment = shipments().get(event["order_id"])
    return {
        "order_id": event["order_id"],
        "status": shipment.status if shipment else None,
        "awaits_money": shipment is not None and shipment.awaits_money,
    }


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> None:
    """Publish what the stream's relay missed."""
    outbox.relay_overdue(
        table=os.environ["SHIPPING_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"]
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_returns")
def sweep_returns(_event: CloudWatchEvent) -> None:
    """Run the returns on whose restock and refund broke off."""
    returning.sweep_returns(returns=returns(), runner=return_machine(), now=utc_now)


# The shop was busy, or others kept writing to the same shipment.
_WORTH_SENDING_AGAIN = {409, 429, 500, 502, 503, 504}


def _forget_customer(message: str) -> None:
    news = OrderAnonymised.model_validate_json(message)
    with passing_faults_named():
        words().forget(news.order_id)


def _label_shipment(message: str) -> None:
    confirmed = OrderConfirmed.model_validate_json(message)
    parcels.label_shipment(
        confirmed.order_id, shipments=shipments(), carrier=carrier(), now=utc_now
    )


def _recorded(order_id: str, event: ScanEvent, number: int = 1) -> ShipmentView:
    moved = splitting.advance_parcel(
        order_id,
        event,
        number=number,
        shipments=shipments(),
        carrier=carrier(),
        orders=orders(),
        till=till(),
        stockroom=stockroom(),
        now=utc_now,
    )
    return _shown(moved)


def _shown(shipment: Shipment) -> ShipmentView:
    return ShipmentView.of(shipment, shipments().scans(shipment.order_id))


def _owner(caller: Caller) -> str | None:
    return None if caller.is_staff else caller.principal_id


def _webhook_secrets() -> list[str]:
    """Read the carrier's webhook secret, and the one before it while it is being changed."""
    return believed(aws.secret(os.environ["CARRIER_WEBHOOK_SECRET"]))

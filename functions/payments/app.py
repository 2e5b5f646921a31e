"""Payments over HTTP, for staff, and as steps of the checkout."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent

from payments import use_cases
from payments.api import PaymentView, RefundRequest, RefundView
from payments.dynamodb import DynamoDBPayments
from payments.messages import OrderCapture, OrderPayment
from payments.model import (
    CurrencyMismatchError,
    PaymentNotFoundError,
    PaymentStatus,
    ProviderUnavailableError,
    RefundRefusedError,
    RefundTooLargeError,
)
from payments.ports import PaymentProvider
from payments.simulator import SimulatedProvider
from tradepost.kernel.clock import to_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.platform import aws, outbox
from tradepost.platform.arguments import IdempotencyKey
from tradepost.platform.auth import Caller, Role
from tradepost.platform.service import Service

app = Service("payments")

_CASHIERS = {Role.SUPPORT, Role.ADMIN}


@functools.cache
def payments() -> DynamoDBPayments:
    return DynamoDBPayments(aws.dynamodb(), os.environ["PAYMENTS_TABLE"])


@functools.cache
def provider() -> PaymentProvider:
    return SimulatedProvider(aws.dynamodb(), os.environ["SIMULATORS_TABLE"])


@app.get("/v1/payments/{order_id}", roles=_CASHIERS, refusals=(PaymentNotFoundError,))
def get_payment(order_id: str) -> PaymentView:
    """Show an order's payment with its refunds and its ledger entries."""
    payment = payments().get(order_id)
    if payment is None:
        raise PaymentNotFoundError(order_id)
    return PaymentView.of(payment, payments().refunds(order_id), payments().entries(order_id))


@app.post(
    "/v1/payments/{order_id}/refunds",
    roles=_CASHIERS,
    status=201,
    refusals=(
        PaymentNotFoundError,
        RefundTooLargeError,
        RefundRefusedError,
        CurrencyMismatchError,
        IdempotencyMismatchError,
        ProviderUnavailableError,
    ),
)
def refund_payment(
    order_id: str, body: RefundRequest, caller: Caller, idempotency_key: IdempotencyKey
) -> RefundView:
    """Send part or all of a captured payment back to the customer."""
    refund = use_cases.refund_payment(
        order_id,
        body.amount.to_money(),
        reason=body.reason,
        reference=f"{caller.principal_id}:{idempotency_key}",
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )
    return RefundView.of(refund)


@app.step
def authorize_payment(step: OrderPayment) -> dict[str, Any]:
    """Set the order's money aside, or tell until when its customer may confirm it.

    Raises PaymentDeclinedError.
    """
    payment = use_cases.authorize_payment(
        step.order_id,
        step.payment.amount,
        step.payment.method,
        customer_id=step.customer_id,
        correlation_id=step.correlation_id,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )
    waits = payment.status is PaymentStatus.REQUIRES_ACTION
    return {
        # A payment that has come further than AUTHORIZED is at least that.
        "status": "REQUIRES_ACTION" if waits else "AUTHORIZED",
        "expires_at": to_text(payment.expires_at) if payment.expires_at else None,
    }


@app.step
def capture_payment(step: OrderCapture) -> None:
    """Take the money, all of it or a part, or raise CaptureRefusedError."""
    use_cases.capture_payment(
        step.order_id,
        amount_minor=step.amount_minor,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )


@app.step
def void_payment(step: OrderPayment) -> None:
    """Give the money back: void what is authorized, refund what was captured."""
    use_cases.void_payment(
        step.order_id,
        currency=step.payment.currency,
        correlation_id=step.correlation_id,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )


@app.on_dynamodb_record(
    stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/payments/stream/placeholder",
    name="relay",
    batch_size=100,
)
def relay(event: DynamoDBEvent) -> dict[str, Any]:
    """Publish what the outbox holds."""
    return outbox.relay(
        event.to_dict(),
        table=os.environ["PAYMENTS_TABLE"],
        topic_arn=os.environ["EVENTS_TOPIC_ARN"],
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> None:
    """Publish what the stream's relay missed."""
    outbox.relay_overdue(
        table=os.environ["PAYMENTS_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"]
    )

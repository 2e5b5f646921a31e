"""Payments over HTTP, for staff, and as steps of the checkout."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent, SQSEvent

from payments import bank, facts, use_cases, webhooks
from payments.api import ConfirmationView, PaymentView, RefundRequest, RefundView
from payments.bank import BankAnswerError
from payments.dynamodb import DynamoDBPayments
from payments.messages import (
    AcceptedClaim,
    DueSupplement,
    EditRefund,
    EditSupplement,
    OrderCapture,
    OwnedOrderPayment,
    ReturnRefund,
    UndoneOrderPayment,
)
from payments.model import (
    CaptureRefusedError,
    CaptureTooLargeError,
    ChargeMismatchError,
    CurrencyMismatchError,
    PaymentNotFoundError,
    PaymentStatus,
    ProviderUnavailableError,
    RefundRefusedError,
    RefundTooLargeError,
    UnknownChargeError,
)
from payments.ports import PaymentProvider
from payments.simulator import SimulatedProvider
from payments.standings import AskedOrders
from payments.use_cases import Heard
from tradepost.kernel.clock import from_text, to_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.kernel.money import Money
from tradepost.platform import aws, deliveries, outbox
from tradepost.platform.arguments import IdempotencyKey, RawRequest
from tradepost.platform.auth import BUYERS, PUBLIC, Caller, Role
from tradepost.platform.consumer import consume
from tradepost.platform.logger import logger
from tradepost.platform.questions import Questions
from tradepost.platform.service import Reply, Service
from tradepost.platform.webhooks import WebhookSignatureError, believed

app = Service("payments")

_CASHIERS = {Role.SUPPORT, Role.ADMIN}

_LOG_HEARD = {
    Heard.NOTHING_NEW: logger.debug,
    Heard.LOOKED_INTO: logger.info,
    Heard.NOT_OURS: logger.warning,
    Heard.DOES_NOT_FIT: logger.error,
}


@functools.cache
def payments() -> DynamoDBPayments:
    return DynamoDBPayments(aws.dynamodb(), os.environ["PAYMENTS_TABLE"])


@functools.cache
def orders() -> AskedOrders:
    return AskedOrders(Questions(aws.functions(), os.environ["STAGE"]))


@functools.cache
def provider() -> PaymentProvider:
    match os.environ["PAYMENT_PROVIDER"]:
        case "stripe" if _is_captured_per_parcel():
            raise ValueError("CaptureAt: dispatch needs a provider that captures in parts")
        case "stripe":
            # Imported only where it is chosen: nothing else needs it (docs/measurements.md).
            from payments.stripe import StripeProvider, client_of

            key = aws.secret(os.environ["STRIPE_SECRET_NAME"])["api_key"]
            return StripeProvider(
                client_of(key, os.environ["STRIPE_API_BASE"]),
                secrets=webhook_secrets,
                return_url=os.environ["STRIPE_RETURN_URL"],
            )
        case "simulator":
            return simulator()
        case other:
            raise ValueError(f"no payment provider {other}")


@functools.cache
def simulator() -> SimulatedProvider:
    return SimulatedProvider(
        aws.dynamodb(), os.environ["SIMULATORS_TABLE"], secrets=webhook_secrets
    )


def _is_captured_per_parcel() -> bool:
    return os.environ["CAPTURE_AT"] == "dispatch"


def webhook_secrets() -> list[str]:
    """Give the keys that may have signed a webhook, the current one first."""
    return believed(aws.secret(os.environ["PAYMENT_WEBHOOK_SECRET"]))


@app.get("/v1/payments/{order_id}", roles=_CASHIERS, refusals=(PaymentNotFoundError,))
def get_payment(order_id: str) -> PaymentView:
    """Show an order's payments with their refunds and their ledger entries."""
    paid = payments().of_order(order_id)
    if not paid:
        raise PaymentNotFoundError(order_id)
    return PaymentView.of(paid, payments().refunds(order_id), payments().entries(order_id))


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
    """Send part or all of what an order has paid back to the customer."""
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


@app.get("/v1/payments/{order_id}/confirmation", roles=BUYERS, refusals=(PaymentNotFoundError,))
def show_confirmation(order_id: str, caller: Caller) -> ConfirmationView:
    """Show where to confirm your payment with your bank, if it has to be confirmed."""
    payment = use_cases.confirmation_of(
        order_id, customer_id=caller.principal_id, payments=payments()
    )
    return ConfirmationView.of(payment)


@app.post(
    "/v1/payments/{order_id}/confirmation",
    roles=BUYERS,
    refusals=(PaymentNotFoundError, ChargeMismatchError, ProviderUnavailableError),
    repeatable="it looks up what the bank has said",
)
def complete_confirmation(order_id: str, caller: Caller) -> ConfirmationView:
    """Have the shop look up your bank's answer: call it when you come back from there.

    The order goes on by itself, with or without this call; it only need not wait to be told.
    """
    payment = use_cases.complete_confirmation(
        order_id,
        customer_id=caller.principal_id,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )
    return ConfirmationView.of(payment)


@app.post(
    webhooks.PATH,
    roles=PUBLIC,
    refusals=(WebhookSignatureError, ProviderUnavailableError),
    repeatable="it only has the shop look at a charge",
    body_bytes_max=webhooks.BODY_BYTES_MAX,
)
def hear_provider(raw: RawRequest) -> None:
    """Hear from the payment provider that something may have happened to a charge.

    The message is a hint: the shop believes what it reads back from the provider itself.
    """
    event = provider().event(raw, now=utc_now())
    if event is None:
        return
    heard = use_cases.hear_provider(event, payments=payments(), provider=provider(), now=utc_now)
    _LOG_HEARD[heard](
        "provider heard", outcome=heard, order_id=event.order_id, reference=event.reference
    )


@app.get("/v1/simulator/bank/{reference}", roles=PUBLIC, refusals=(UnknownChargeError,))
def show_bank(reference: str) -> Reply[str]:
    """Show the page on which a test card's holder confirms a payment; only with the simulator."""
    return Reply(bank.page(*_simulated(reference).asked(reference)), bank.HEADERS)


@app.post(
    "/v1/simulator/bank/{reference}",
    roles=PUBLIC,
    refusals=(UnknownChargeError, BankAnswerError),
    repeatable="the first answer stands",
    body_bytes_max=bank.ANSWER_BYTES_MAX,
    content_types=("application/x-www-form-urlencoded",),
)
def answer_bank(reference: str, raw: RawRequest) -> Reply[str]:
    """Tell the simulated bank what the card's holder says: `answer=confirm` or `answer=refuse`."""
    bank_book = _simulated(reference)
    bank_book.confirm(reference, approves=bank.approves(raw.body))
    return Reply(bank.page(*bank_book.asked(reference)), bank.HEADERS)


def _simulated(reference: str) -> SimulatedProvider:
    """Reach the simulator, where it is the provider. Raises UnknownChargeError."""
    if provider().name != SimulatedProvider.name:
        raise UnknownChargeError(reference)
    return simulator()


@app.step
def authorize_payment(step: OwnedOrderPayment) -> dict[str, Any]:
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
    """Take the money, all of it or a part, or raise CaptureRefusedError.

    Where it is captured per parcel, only make sure that it is set aside.
    """
    if _is_captured_per_parcel():
        use_cases.leave_authorized(
            step.order_id, payments=payments(), provider=provider(), now=utc_now
        )
        return
    use_cases.capture_payment(
        step.order_id,
        amount_minor=step.amount_minor,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )


@app.step
def void_payment(step: UndoneOrderPayment) -> None:
    """Give the money back: void what is authorized, refund what was captured."""
    use_cases.void_payments(
        step.order_id,
        currency=step.payment.currency,
        correlation_id=step.correlation_id,
        edit=step.edit,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )


@app.step
def authorize_supplement(step: DueSupplement) -> None:
    """Set aside what an edit adds to its order's price, or raise PaymentDeclinedError."""
    use_cases.authorize_supplement(
        step.order_id,
        step.number,
        Money(step.amount_minor, step.currency),
        step.method,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )


@app.step
def capture_supplement(step: EditSupplement) -> None:
    """Take what was set aside for an edit, or raise CaptureRefusedError."""
    use_cases.capture_payment(
        step.order_id, edit=step.number, payments=payments(), provider=provider(), now=utc_now
    )


@app.step
def void_supplement(step: EditSupplement) -> None:
    """Give back what an edit took, and bar it from taking anything later."""
    use_cases.void_payment(
        step.order_id,
        currency=step.currency,
        correlation_id=step.correlation_id,
        edit=step.number,
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )


@app.step
def refund_return(step: ReturnRefund) -> None:
    """Send back what a return is worth, once per return."""
    _refund(step, reason="returned", reference=f"return:{step.return_id}")


@app.step
def refund_edit(step: EditRefund) -> None:
    """Send back what the units taken out of an order were bought for, once per edit."""
    _refund(step, reason="taken out of the order", reference=f"edit:{step.number}")


@app.lambda_function(name="capture_part")
def capture_part(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take what a parcel is worth, or all that is left; tell the code of a definite no."""
    try:
        use_cases.capture_part(
            event["order_id"],
            event["capture_id"],
            amount_minor=event["amount_minor"],
            payments=payments(),
            provider=provider(),
            now=utc_now,
        )
    except (CaptureRefusedError, CaptureTooLargeError) as refusal:
        return {"refused": refusal.code}
    return {"refused": None}


@app.lambda_function(name="payment_facts")
def payment_facts(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell the reconciliation what each book has of an order's money."""
    order_id = event["order_id"]
    found = use_cases.payment_facts(order_id, payments=payments(), provider=provider())
    return facts.told(order_id, found)


@app.lambda_function(name="charges_between")
def charges_between(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell the reconciliation what the provider opened in a span of time, page by page."""
    start, end = from_text(event["start"]), from_text(event["end"])
    charges, after = provider().charges_between(start, end, event.get("after"))
    told = [
        {
            **facts.of_charge(charge),
            "is_ours": use_cases.is_accounted_for(charge, payments=payments()),
        }
        for charge in charges
    ]
    return {"charges": told, "after": after}


@app.lambda_function(name="settle")
def settle(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Enter what the provider has of an order's money and our book does not; tell how it stands."""
    own, *_ = use_cases.repair_payments(
        event["order_id"], payments=payments(), provider=provider(), now=utc_now
    )
    return facts.of_payment(own)


@app.lambda_function(name="give_back")
def give_back(event: dict[str, Any], _context: object) -> None:
    """Void or refund an order's payments: asked for when nothing is sold for it."""
    payment = payments().get(event["order_id"])
    if payment is None:
        return
    use_cases.void_payments(
        payment.order_id,
        currency=payment.amount.currency,
        correlation_id=event["correlation_id"],
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )


@app.lambda_function(name="free_stray_charge")
def free_stray_charge(event: dict[str, Any], _context: object) -> None:
    """Give back what the provider holds for no payment of ours."""
    use_cases.free_stray_charge(event["reference"], payments=payments(), provider=provider())


@app.on_sqs_message(queue="payments-facts", name="on_fact", batch_size=10)
def on_fact(event: SQSEvent) -> dict[str, Any]:
    """Pay what other contexts have decided is owed."""
    return consume(
        event.to_dict(), event.context, reactions={"claim.accepted.v1": _pay_accepted_claim}
    )


def _pay_accepted_claim(message: str) -> None:
    """Pay a claim, or what is left: staff promised it by what the order cost, whatever else of
    that went back since."""
    claim = AcceptedClaim.model_validate_json(message)
    paid = use_cases.refund_up_to(
        claim.order_id,
        Money(claim.amount_minor, claim.currency),
        reason="claim accepted",
        reference=f"claim:{claim.claim_id}",
        payments=payments(),
        provider=provider(),
        now=utc_now,
    )
    if paid.amount_minor < claim.amount_minor:
        logger.warning(
            "claim paid in part",
            order_id=claim.order_id,
            claim_id=claim.claim_id,
            amount_minor=claim.amount_minor,
            paid_minor=paid.amount_minor,
        )


def _refund(owed: ReturnRefund | EditRefund, *, reason: str, reference: str) -> None:
    """Send back what somebody else has decided is owed, once per reference."""
    use_cases.refund_payment(
        owed.order_id,
        Money(owed.amount_minor, owed.currency),
        reason=reason,
        reference=reference,
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


@app.on_dynamodb_record(
    stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/simulators/stream/placeholder",
    name="deliver_webhooks",
    batch_size=25,
)
def deliver_webhooks(event: DynamoDBEvent) -> dict[str, Any]:
    """Tell our own endpoint what became of the simulated provider's charges."""
    return webhooks.deliver(
        event.to_dict(),
        post=_to_our_endpoint,
        secret=lambda: webhook_secrets()[0],
        now=utc_now(),
    )


def _to_our_endpoint(body: str, headers: Mapping[str, str], message_id: str) -> int:
    return deliveries.deliver(
        aws.functions(),
        f"tradepost-{os.environ['STAGE']}-{webhooks.ENDPOINT}",
        webhooks.PATH,
        body=body,
        headers=headers,
        message_id=message_id,
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> None:
    """Publish what the stream's relay missed."""
    outbox.relay_overdue(
        table=os.environ["PAYMENTS_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"]
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="watch_authorizations")
def watch_authorizations(_event: CloudWatchEvent) -> None:
    """Make authorizations anew that are about to lapse, and give up what nobody confirmed."""
    left = use_cases.watch_authorizations(
        payments=payments(), provider=provider(), orders=orders(), now=utc_now
    )
    for order_id, code in left.items():
        logger.warning("payment not looked after", order_id=order_id, code=code)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="settle_refunds")
def settle_refunds(_event: CloudWatchEvent) -> None:
    """Send the refunds that a crash left promised."""
    left = use_cases.settle_refunds(payments=payments(), provider=provider(), now=utc_now)
    for refund_id, code in left.items():
        logger.warning("refund not sent", refund_id=refund_id, code=code)

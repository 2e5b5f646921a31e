"""Payments' bodies and answers, for staff."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from payments.model import Entry, Payment, PaymentStatus, Refund, RefundStatus
from tradepost.kernel.money import AMOUNT_MINOR_MAX, Money
from tradepost.platform.bodies import Amount, RequestModel, View, shown_as


class AmountGiven(RequestModel):
    amount_minor: int = Field(ge=1, le=AMOUNT_MINOR_MAX)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    def to_money(self) -> Money:
        return Money(self.amount_minor, self.currency)


class RefundRequest(RequestModel):
    model_config = shown_as(
        amount={"amount_minor": 1400, "currency": "GBP"}, reason="arrived broken"
    )

    amount: AmountGiven
    reason: str = Field(min_length=1, max_length=200)


class RefundView(View):
    refund_id: str
    order_id: str
    amount: Amount
    reason: str
    status: RefundStatus

    @classmethod
    def of(cls, refund: Refund) -> RefundView:
        return cls(
            refund_id=refund.refund_id,
            order_id=refund.order_id,
            amount=Amount.of(refund.amount),
            reason=refund.reason,
            status=refund.status,
        )


class ConfirmationView(View):
    """What a payment waits for. `action_url` is where the customer confirms it with their bank;
    one that begins with `/` lies below the API's own address."""

    order_id: str
    status: PaymentStatus
    amount: Amount
    action_url: str | None
    confirm_by: datetime | None

    @classmethod
    def of(cls, payment: Payment) -> ConfirmationView:
        waits = payment.status is PaymentStatus.REQUIRES_ACTION
        return cls(
            order_id=payment.order_id,
            status=payment.status,
            amount=Amount.of(payment.amount),
            action_url=payment.action_url,
            confirm_by=payment.expires_at if waits else None,
        )


class LegView(View):
    account: str
    amount_minor: int


class EntryView(View):
    kind: str
    currency: str
    legs: list[LegView]


class PaymentView(View):
    order_id: str
    status: PaymentStatus
    authorized: Amount
    captured: Amount
    refunded: Amount  # known to be sent
    promised: Amount  # on its way back
    refunds: list[RefundView]
    ledger: list[EntryView]

    @classmethod
    def of(cls, payment: Payment, refunds: list[Refund], entries: list[Entry]) -> PaymentView:
        return cls(
            order_id=payment.order_id,
            status=payment.status,
            authorized=Amount.of(payment.authorized),
            captured=Amount.of(payment.captured),
            refunded=Amount.of(payment.refunded),
            promised=Amount.of(payment.promised),
            refunds=[RefundView.of(refund) for refund in refunds],
            ledger=[
                EntryView(
                    kind=entry.kind,
                    currency=entry.currency,
                    legs=[
                        LegView(account=leg.account, amount_minor=leg.amount_minor)
                        for leg in entry.legs
                    ],
                )
                for entry in entries
            ],
        )

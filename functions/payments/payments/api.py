"""Payments' bodies and answers, for staff."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from payments.model import Entry, Payment, PaymentStatus, Refund, RefundStatus, status_of
from tradepost.kernel.money import Money, total_of
from tradepost.platform.bodies import Amount, AmountToMove, RequestModel, View, shown_as


class RefundRequest(RequestModel):
    model_config = shown_as(
        amount={"amount_minor": 1400, "currency": "GBP"}, reason="arrived broken"
    )

    amount: AmountToMove
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


class ChargeView(View):
    """One of an order's payments: its own, or with the number of an `edit` that edit's."""

    edit: int
    status: PaymentStatus
    authorized: Amount
    captured: Amount
    refunded: Amount

    @classmethod
    def of(cls, payment: Payment) -> ChargeView:
        return cls(
            edit=payment.edit,
            status=payment.status,
            authorized=Amount.of(payment.authorized),
            captured=Amount.of(payment.captured),
            refunded=Amount.of(payment.refunded),
        )


class PaymentView(View):
    """What an order has paid: the sums are of all its charges, the status is of its own."""

    order_id: str
    status: PaymentStatus
    authorized: Amount
    captured: Amount
    refunded: Amount  # known to be sent
    promised: Amount  # on its way back
    charges: list[ChargeView]
    refunds: list[RefundView]
    ledger: list[EntryView]

    @classmethod
    def of(
        cls, paid: Sequence[Payment], refunds: list[Refund], entries: list[Entry]
    ) -> PaymentView:
        def summed(amounts: list[Money]) -> Amount:
            return Amount.of(total_of(amounts, paid[0].amount.currency))

        return cls(
            order_id=paid[0].order_id,
            status=status_of(paid),
            authorized=summed([one.authorized for one in paid]),
            captured=summed([one.captured for one in paid]),
            refunded=summed([one.refunded for one in paid]),
            promised=summed([one.promised for one in paid]),
            charges=[ChargeView.of(one) for one in paid],
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

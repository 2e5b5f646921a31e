"""What payments publishes. The aggregate is the payment of one order; minor units."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class PaymentCapturedV1(Event):
    """The customer's money was taken."""

    TYPE: ClassVar[str] = "payment.captured.v1"

    type: Literal["payment.captured.v1"] = "payment.captured.v1"
    order_id: str
    amount_minor: int
    currency: str


class PaymentRefundedV1(Event):
    """Money went back to the customer: `amount_minor` now, `refunded_minor` in all."""

    TYPE: ClassVar[str] = "payment.refunded.v1"

    type: Literal["payment.refunded.v1"] = "payment.refunded.v1"
    order_id: str
    refund_id: str
    amount_minor: int
    refunded_minor: int
    currency: str

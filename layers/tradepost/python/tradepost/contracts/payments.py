"""What payments publishes. The aggregate is the payment of one order; minor units."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class PaymentAuthorizedV1(Event):
    """The wait for the customer's bank has ended well: the money is set aside."""

    TYPE: ClassVar[str] = "payment.authorized.v1"

    type: Literal["payment.authorized.v1"] = "payment.authorized.v1"
    order_id: str
    amount_minor: int
    currency: str


class PaymentDeclinedV1(Event):
    """No money is set aside for the order any more: a wait ended badly, or it lapsed.

    Stated only of what comes after the checkout's own request: that one is told by its answer.
    """

    TYPE: ClassVar[str] = "payment.declined.v1"

    type: Literal["payment.declined.v1"] = "payment.declined.v1"
    order_id: str
    reason: str  # payment_declined, insufficient_funds, confirmation_ or authorization_expired


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

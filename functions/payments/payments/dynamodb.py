"""
The `payments` table.

    pk              sk            item      attributes
    PAYMENT#<order> PAYMENT       payment   order_id, status, currency, authorized_minor,
                                            captured_minor, refundable_minor, refunded_minor,
                                            provider_reference, correlation_id, version
    PAYMENT#<order> REFUND#<id>   refund    refund_id, order_id, amount_minor, currency, reason,
                                            status
    PAYMENT#<order> ENTRY#<id>    entry     kind, currency, legs: [account, amount_minor],
                                            occurred_at
    PAYMENT#<order> OUTBOX#<id>   event     see tradepost.platform.outbox

A condition cannot do arithmetic, so `refundable_minor` is stored, not derived: what was captured
and is neither refunded nor promised back. It starts with the capture and never falls below zero,
which is the whole rule that refunds never exceed captures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from payments.model import (
    Entry,
    Leg,
    Payment,
    PaymentNotFoundError,
    PaymentStatus,
    Refund,
    RefundStatus,
    RefundTooLargeError,
)
from tradepost.contracts.event import Event
from tradepost.kernel.clock import to_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version AND #status = :from"
_IS_VERSION_BEFORE = "#version = :previous_version"
_WAS_AUTHORIZED = "#authorized >= :captured"
_HAS_ENOUGH_LEFT = "#refundable >= :amount"
_IS_PENDING = "#status = :pending"


class DynamoDBPayments:
    """The payments and their ledger, over one table. Satisfies `ports.PaymentRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, order_id: str) -> Payment | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(order_id)), ConsistentRead=True
        )
        return _to_payment(from_item(answer["Item"])) if "Item" in answer else None

    def add(self, payment: Payment) -> Payment:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(_payment_item(payment)),
                ConditionExpression=_IS_NEW,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            assert stored is not None
            return _to_payment(stored)
        return payment

    def void(self, payment: Payment) -> None:
        update = self._transition(
            payment.order_id, payment.version + 1, PaymentStatus.AUTHORIZED, PaymentStatus.VOIDED
        )
        try:
            self._client.update_item(**update)
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the payment of {payment.order_id} moved on") from error

    def record_capture(self, payment: Payment, entry: Entry, event: Event) -> None:
        update = self._transition(
            payment.order_id, payment.version, PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED
        )
        update["UpdateExpression"] += ", #captured = :captured, #refundable = :captured"
        update["ConditionExpression"] += f" AND {_WAS_AUTHORIZED}"
        update["ExpressionAttributeNames"] |= {
            "#authorized": "authorized_minor",
            "#captured": "captured_minor",
            "#refundable": "refundable_minor",
        }
        update["ExpressionAttributeValues"] |= to_item({":captured": payment.captured.amount_minor})
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {"Update": update},
                    self._put(_entry_item(entry)),
                    outbox_put(self._table, _pk(payment.order_id), event),
                ]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the payment of {payment.order_id} moved on") from error

    def promise_refund(self, refund: Refund) -> Refund:
        try:
            self._client.transact_write_items(
                TransactItems=[
                    self._put(_refund_item(refund)),
                    self._move_refundable(refund, -refund.amount.amount_minor, _HAS_ENOUGH_LEFT),
                ]
            )
        except ClientError as error:
            stored_refund, stored_payment = failed_conditions(error)
            if stored_refund is not None:
                stored = _to_refund(stored_refund)
                if stored.amount != refund.amount:
                    raise IdempotencyMismatchError from error
                return stored
            if not stored_payment:
                raise PaymentNotFoundError(refund.order_id) from error
            raise RefundTooLargeError(
                refund.order_id, stored_payment["refundable_minor"]
            ) from error
        return refund

    def settle_refund(self, refund: Refund, entry: Entry, event: Event) -> None:
        status_after = {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_key(refund.order_id)),
                "UpdateExpression": "SET #refunded = #refunded + :amount, #version = :version",
                "ConditionExpression": _IS_VERSION_BEFORE,
                "ExpressionAttributeNames": {
                    "#refunded": "refunded_minor",
                    "#version": "version",
                },
                "ExpressionAttributeValues": to_item(
                    {
                        ":amount": refund.amount.amount_minor,
                        ":version": event.version,
                        ":previous_version": event.version - 1,
                    }
                ),
            }
        }
        writes: list[Any] = [
            self._end_refund(refund, RefundStatus.SUCCEEDED),
            status_after,
            self._put(_entry_item(entry)),
            outbox_put(self._table, _pk(refund.order_id), event),
        ]
        self._end(RefundStatus.SUCCEEDED, writes)

    def withdraw_refund(self, refund: Refund) -> None:
        writes: list[Any] = [
            self._end_refund(refund, RefundStatus.FAILED),
            self._move_refundable(refund, refund.amount.amount_minor, "attribute_exists(pk)"),
        ]
        self._end(RefundStatus.FAILED, writes)

    def _end(self, status: RefundStatus, writes: list[Any]) -> None:
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None:
                raise StaleError("the payment changed since it was read") from error
            if stored.get("status") != status:
                raise

    def entries(self, order_id: str) -> list[Entry]:
        return [_to_entry(order_id, item) for item in self._under(order_id, "ENTRY#")]

    def refunds(self, order_id: str) -> list[Refund]:
        return [_to_refund(item) for item in self._under(order_id, "REFUND#")]

    def _under(self, order_id: str, prefix: str) -> list[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues=to_item({":pk": _pk(order_id), ":prefix": prefix}),
            ConsistentRead=True,
        )
        return [from_item(item) for page in pages for item in page["Items"]]

    def _transition(
        self, order_id: str, version: int, before: PaymentStatus, after: PaymentStatus
    ) -> Any:
        return {
            "TableName": self._table,
            "Key": to_item(_key(order_id)),
            "UpdateExpression": "SET #status = :to, #version = :version",
            "ConditionExpression": _IS_PREVIOUS_VERSION,
            "ExpressionAttributeNames": {"#status": "status", "#version": "version"},
            "ExpressionAttributeValues": to_item(
                {
                    ":from": before,
                    ":to": after,
                    ":version": version,
                    ":previous_version": version - 1,
                }
            ),
        }

    def _move_refundable(self, refund: Refund, delta: int, condition: str) -> Any:
        values = {":delta": delta}
        if ":amount" in condition:
            values[":amount"] = refund.amount.amount_minor
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_key(refund.order_id)),
                "UpdateExpression": "SET #refundable = #refundable + :delta",
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#refundable": "refundable_minor"},
                "ExpressionAttributeValues": to_item(values),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _end_refund(self, refund: Refund, status: RefundStatus) -> Any:
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_refund_key(refund)),
                "UpdateExpression": "SET #status = :to",
                "ConditionExpression": _IS_PENDING,
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": to_item(
                    {":to": status, ":pending": RefundStatus.PENDING}
                ),
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _put(self, item: Item) -> Any:
        return {
            "Put": {
                "TableName": self._table,
                "Item": to_item(item),
                "ConditionExpression": _IS_NEW,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }


def _pk(order_id: str) -> str:
    return f"PAYMENT#{order_id}"


def _key(order_id: str) -> dict[str, str]:
    return {"pk": _pk(order_id), "sk": "PAYMENT"}


def _refund_key(refund: Refund) -> dict[str, str]:
    return {"pk": _pk(refund.order_id), "sk": f"REFUND#{refund.refund_id}"}


def _payment_item(payment: Payment) -> Item:
    return {
        **_key(payment.order_id),
        "order_id": payment.order_id,
        "status": payment.status,
        "currency": payment.authorized.currency,
        "authorized_minor": payment.authorized.amount_minor,
        "captured_minor": payment.captured.amount_minor,
        "refundable_minor": payment.refundable.amount_minor,
        "refunded_minor": 0,
        "provider_reference": payment.provider_reference,
        "correlation_id": payment.correlation_id,
        "version": payment.version,
    }


def _to_payment(item: Item) -> Payment:
    currency = item["currency"]
    status = PaymentStatus(item["status"])
    if status is PaymentStatus.CAPTURED and 0 < item["captured_minor"] == item["refunded_minor"]:
        status = PaymentStatus.REFUNDED
    return Payment(
        order_id=item["order_id"],
        status=status,
        authorized=Money(item["authorized_minor"], currency),
        captured=Money(item["captured_minor"], currency),
        refundable=Money(item["refundable_minor"], currency),
        provider_reference=item["provider_reference"],
        correlation_id=item["correlation_id"],
        version=item["version"],
    )


def _refund_item(refund: Refund) -> Item:
    return {
        **_refund_key(refund),
        "refund_id": refund.refund_id,
        "order_id": refund.order_id,
        "amount_minor": refund.amount.amount_minor,
        "currency": refund.amount.currency,
        "reason": refund.reason,
        "status": refund.status,
    }


def _to_refund(item: Item) -> Refund:
    return Refund(
        refund_id=item["refund_id"],
        order_id=item["order_id"],
        amount=Money(item["amount_minor"], item["currency"]),
        reason=item["reason"],
        status=RefundStatus(item["status"]),
    )


def _entry_item(entry: Entry) -> Item:
    return {
        "pk": _pk(entry.order_id),
        "sk": f"ENTRY#{entry.entry_id}",
        "kind": entry.kind,
        "currency": entry.currency,
        "legs": [{"account": leg.account, "amount_minor": leg.amount_minor} for leg in entry.legs],
        "occurred_at": to_text(utc_now()),
    }


def _to_entry(order_id: str, item: Item) -> Entry:
    return Entry(
        entry_id=item["sk"].removeprefix("ENTRY#"),
        order_id=order_id,
        kind=item["kind"],
        currency=item["currency"],
        legs=tuple(Leg(**leg) for leg in item["legs"]),
    )

"""
The `payments` table.

    pk              sk            item      attributes
    PAYMENT#<order> PAYMENT       payment   order_id, customer_id, status, method, currency,
    PAYMENT#<order> PAYMENT+<nnnn>          of an edit, by its number: a supplement, with edit too;
                                            amount_minor, authorized_minor, captured_minor,
                                            refundable_minor, refunded_minor, provider_reference,
                                            attempt, replaces, action_url, open_until, declined,
                                            parts, asked_for: [part_id, amount_minor, is_last],
                                            correlation_id, version; due, due_at
    PAYMENT#<order> REFUND#<id>   refund    refund_id, order_id, amount_minor, currency, reason,
                                            status, promised_at, edit, besides; due, due_at
    PAYMENT#<order> ENTRY#<id>    entry     kind, currency, legs: [account, amount_minor],
                                            occurred_at
    PAYMENT#<order> OUTBOX#<id>   event     see tradepost.platform.outbox

`due` (a bucket) and `due_at` are the keys of the sparse index `due`: a payment has them while
money may be set aside for it that nobody takes, a refund while it is PENDING.

A condition cannot do arithmetic, so `refundable_minor` is stored, not derived: what was captured
and is neither refunded nor promised back. It starts with the capture and never falls below zero,
which is the whole rule that refunds never exceed captures: a refund takes it from each payment it
is spread over, in one transaction.

`version` of PAYMENT counts its own moves and all events of the order, those of supplements too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from payments.model import (
    DeclineReason,
    Entry,
    Leg,
    Part,
    Payment,
    PaymentNotFoundError,
    PaymentStatus,
    Refund,
    RefundStatus,
    RefundTooLargeError,
)
from tradepost.contracts.event import Event
from tradepost.kernel.clock import from_text, to_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.kernel.money import Money, total_of
from tradepost.platform.due import DueIndex
from tradepost.platform.dynamodb import (
    Item,
    beginning_with,
    failed_conditions,
    from_item,
    to_item,
)
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_VERSION_BEFORE = "#version = :previous_version"
_WAS_ASKED_FOR = "#amount >= :captured"
_HAS_ENOUGH_LEFT = "#refundable >= :amount"
_IS_THERE = "attribute_exists(pk)"
_IS_PENDING = "#status = :pending"

_DUE = DueIndex("due", bucket="due", moment="due_at")
_NOT_DUE = {_DUE.bucket: None, _DUE.moment: None}

# Each costs up to six requests to a provider; forty of them fit into a function's minute.
DUE_PER_BUCKET_MAX = 5

# A refund that was promised this long ago is nobody's any more: its request has ended.
_FORGOTTEN_AFTER = timedelta(minutes=1)


class DynamoDBPayments:
    """The payments and their ledger, over one table. Satisfies `ports.PaymentRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, order_id: str, edit: int = 0) -> Payment | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(order_id, edit)), ConsistentRead=True
        )
        return _to_payment(from_item(answer["Item"])) if "Item" in answer else None

    def of_order(self, order_id: str) -> list[Payment]:
        return [_to_payment(item) for item in self._under(order_id, "PAYMENT")]

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

    def move(self, payment: Payment, event: Event | None = None) -> None:
        update = self._moved(payment)
        try:
            if event is None:
                self._client.update_item(**update)
            else:
                self._client.transact_write_items(
                    TransactItems=[
                        {"Update": update},
                        *self._told(payment.order_id, payment.edit, event),
                    ]
                )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the payment of {payment.order_id} moved on") from error

    def record_capture(self, payment: Payment, entry: Entry, event: Event) -> None:
        update = self._moved(payment)
        update["UpdateExpression"] = update["UpdateExpression"].replace(
            "SET ", "SET #captured = :captured, #refundable = #refundable + :more, ", 1
        )
        update["ConditionExpression"] += f" AND {_WAS_ASKED_FOR}"
        update["ExpressionAttributeNames"] |= {
            "#amount": "amount_minor",
            "#captured": "captured_minor",
            "#refundable": "refundable_minor",
        }
        update["ExpressionAttributeValues"] |= to_item(
            {":captured": payment.captured.amount_minor, ":more": entry.legs[0].amount_minor}
        )
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {"Update": update},
                    self._put(_entry_item(entry)),
                    *self._told(payment.order_id, payment.edit, event),
                ]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the payment of {payment.order_id} moved on") from error

    def promise_refunds(self, refunds: Sequence[Refund]) -> list[Refund]:
        first = refunds[0]
        try:
            self._client.transact_write_items(
                TransactItems=[
                    *[self._put(_refund_item(refund)) for refund in refunds],
                    *[
                        self._move_refundable(refund, -refund.amount.amount_minor, _HAS_ENOUGH_LEFT)
                        for refund in refunds
                    ],
                ]
            )
        except ClientError as error:
            stored = failed_conditions(error)
            if stored[0] is not None:
                return self._promised(_to_refund(stored[0]), refunds, error)
            left = [payment for payment in stored[len(refunds) :] if payment is not None]
            if not all(left):
                raise PaymentNotFoundError(first.order_id) from error
            raise RefundTooLargeError(
                first.order_id, sum(payment["refundable_minor"] for payment in left)
            ) from error
        return list(refunds)

    def _promised(self, first: Refund, asked: Sequence[Refund], error: ClientError) -> list[Refund]:
        """Read what was promised before under the first one's id, however it was spread."""
        stored = [first]
        if first.besides:
            others = set(first.besides)
            stored += [one for one in self.refunds(first.order_id) if one.refund_id in others]
        currency = first.amount.currency
        if total_of([one.amount for one in stored], currency) != total_of(
            [one.amount for one in asked], currency
        ):
            raise IdempotencyMismatchError from error
        return stored

    def settle_refund(self, refund: Refund, entry: Entry, event: Event) -> None:
        writes: list[Any] = [
            self._end_refund(refund, RefundStatus.SUCCEEDED),
            {"Update": self._more_refunded(refund, event.version)},
            self._put(_entry_item(entry)),
            *self._told(refund.order_id, refund.edit, event),
        ]
        self._end(RefundStatus.SUCCEEDED, writes)

    def add_foreign_refund(self, refund: Refund, entry: Entry, event: Event) -> None:
        update = self._more_refunded(refund, event.version)
        update["UpdateExpression"] += ", #refundable = #refundable - :amount"
        update["ConditionExpression"] += f" AND {_HAS_ENOUGH_LEFT}"
        update["ExpressionAttributeNames"] |= {"#refundable": "refundable_minor"}
        try:
            self._client.transact_write_items(
                TransactItems=[
                    self._put(_refund_item(refund)),
                    {"Update": update},
                    self._put(_entry_item(entry)),
                    *self._told(refund.order_id, refund.edit, event),
                ]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"the payment of {refund.order_id} moved on") from error

    def withdraw_refund(self, refund: Refund) -> None:
        writes: list[Any] = [
            self._end_refund(refund, RefundStatus.FAILED),
            self._move_refundable(refund, refund.amount.amount_minor, _IS_THERE),
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

    def due_payments(self, until: datetime) -> list[tuple[str, int]]:
        return [(item["order_id"], item.get("edit", 0)) for item in self._due("PAYMENT", until)]

    def due_refunds(self, until: datetime) -> list[Refund]:
        return [_to_refund(item) for item in self._due("REFUND", until)]

    def _due(self, kind: str, until: datetime) -> list[Item]:
        return _DUE.read(self._client, self._table, kind, until, DUE_PER_BUCKET_MAX)

    def entries(self, order_id: str) -> list[Entry]:
        return [_to_entry(order_id, item) for item in self._under(order_id, "ENTRY#")]

    def refunds(self, order_id: str) -> list[Refund]:
        return [_to_refund(item) for item in self._under(order_id, "REFUND#")]

    def _under(self, order_id: str, prefix: str) -> list[Item]:
        return beginning_with(self._client, self._table, _pk(order_id), prefix)

    def _moved(self, payment: Payment) -> Any:
        """Build the update to what a payment has become, from the version before."""
        standing = _standing(payment)
        values = {name: value for name, value in standing.items() if value is not None}
        gone = [name for name, value in standing.items() if value is None]
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
        if gone:
            change += " REMOVE " + ", ".join(f"#{name}" for name in gone)
        return {
            "TableName": self._table,
            "Key": to_item(_key(payment.order_id, payment.edit)),
            "UpdateExpression": change,
            "ConditionExpression": _IS_VERSION_BEFORE,
            "ExpressionAttributeNames": {f"#{name}": name for name in standing},
            "ExpressionAttributeValues": to_item(
                {
                    **{f":{name}": value for name, value in values.items()},
                    ":previous_version": payment.version - 1,
                }
            ),
        }

    def _told(self, order_id: str, edit: int, event: Event) -> list[Any]:
        """Build what tells an event; one of a supplement is counted by the order's own payment."""
        told: list[Any] = [outbox_put(self._table, _pk(order_id), event)]
        if edit:
            told.append({"Update": self._counted(order_id, event.version)})
        return told

    def _counted(self, order_id: str, version: int) -> Any:
        return {
            "TableName": self._table,
            "Key": to_item(_key(order_id)),
            "UpdateExpression": "SET #version = :version",
            "ConditionExpression": _IS_VERSION_BEFORE,
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": to_item(
                {":version": version, ":previous_version": version - 1}
            ),
        }

    def _more_refunded(self, refund: Refund, version: int) -> Any:
        update = self._counted(refund.order_id, version)
        update["UpdateExpression"] += ", #refunded = #refunded + :amount"
        update["ExpressionAttributeNames"] |= {"#refunded": "refunded_minor"}
        update["ExpressionAttributeValues"] |= to_item({":amount": refund.amount.amount_minor})
        if refund.edit:
            # Its own version counts what is read of it; the event's is the order's.
            update["Key"] = to_item(_key(refund.order_id, refund.edit))
            update["UpdateExpression"] = update["UpdateExpression"].replace(
                "#version = :version", "#version = #version + :one"
            )
            update["ConditionExpression"] = _IS_THERE
            update["ExpressionAttributeValues"] = to_item(
                {":amount": refund.amount.amount_minor, ":one": 1}
            )
        return update

    def _move_refundable(self, refund: Refund, delta: int, condition: str) -> Any:
        values = {":delta": delta}
        if ":amount" in condition:
            values[":amount"] = refund.amount.amount_minor
        return {
            "Update": {
                "TableName": self._table,
                "Key": to_item(_key(refund.order_id, refund.edit)),
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
                "UpdateExpression": "SET #status = :to REMOVE #due, #due_at",
                "ConditionExpression": _IS_PENDING,
                "ExpressionAttributeNames": {
                    "#status": "status",
                    "#due": "due",
                    "#due_at": "due_at",
                },
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


def _key(order_id: str, edit: int = 0) -> dict[str, str]:
    return {"pk": _pk(order_id), "sk": f"PAYMENT+{edit:04d}" if edit else "PAYMENT"}


def _refund_key(refund: Refund) -> dict[str, str]:
    return {"pk": _pk(refund.order_id), "sk": f"REFUND#{refund.refund_id}"}


def _payment_item(payment: Payment) -> Item:
    standing = {name: value for name, value in _standing(payment).items() if value is not None}
    return {
        **_key(payment.order_id, payment.edit),
        "order_id": payment.order_id,
        "edit": payment.edit,
        "customer_id": payment.customer_id,
        "method": payment.method,
        "currency": payment.amount.currency,
        "amount_minor": payment.amount.amount_minor,
        "captured_minor": payment.captured.amount_minor,
        "refundable_minor": payment.refundable.amount_minor,
        "refunded_minor": payment.refunded.amount_minor,
        "correlation_id": payment.correlation_id,
        **standing,
    }


def _standing(payment: Payment) -> Item:
    """List what every move of a payment writes; None is an attribute it must not have."""
    watched = payment.watch_at
    return {
        "status": payment.status,
        "authorized_minor": payment.authorized.amount_minor,
        "provider_reference": payment.provider_reference,
        "attempt": payment.attempt,
        "replaces": payment.replaces,
        "action_url": payment.action_url,
        # Not `expires_at`: by that name DynamoDB would delete the payment.
        "open_until": to_text(payment.expires_at) if payment.expires_at else None,
        "declined": payment.declined,
        "parts": list(payment.parts) or None,
        "asked_for": _part_item(payment.asked_for) if payment.asked_for else None,
        "version": payment.version,
        **(_DUE.keys("PAYMENT", payment.order_id, watched) if watched else _NOT_DUE),
    }


def _part_item(part: Part) -> Item:
    return {
        "part_id": part.part_id,
        "amount_minor": part.amount.amount_minor,
        "is_last": part.is_last,
    }


def _to_part(item: Item, currency: str) -> Part:
    return Part(item["part_id"], Money(item["amount_minor"], currency), item["is_last"])


def _to_payment(item: Item) -> Payment:
    currency = item["currency"]
    status = PaymentStatus(item["status"])
    if status is PaymentStatus.CAPTURED and 0 < item["captured_minor"] == item["refunded_minor"]:
        status = PaymentStatus.REFUNDED
    return Payment(
        order_id=item["order_id"],
        customer_id=item["customer_id"],
        status=status,
        amount=Money(item["amount_minor"], currency),
        method=item["method"],
        authorized=Money(item["authorized_minor"], currency),
        captured=Money(item["captured_minor"], currency),
        refundable=Money(item["refundable_minor"], currency),
        refunded=Money(item["refunded_minor"], currency),
        provider_reference=item["provider_reference"],
        correlation_id=item["correlation_id"],
        version=item["version"],
        edit=item.get("edit", 0),
        attempt=item["attempt"],
        replaces=item.get("replaces"),
        action_url=item.get("action_url"),
        expires_at=from_text(item["open_until"]) if "open_until" in item else None,
        watch_at=from_text(item["due_at"]) if "due_at" in item else None,
        declined=DeclineReason(item["declined"]) if "declined" in item else None,
        parts=tuple(item.get("parts", ())),
        asked_for=_to_part(item["asked_for"], currency) if "asked_for" in item else None,
    )


def _refund_item(refund: Refund) -> Item:
    item = {
        **_refund_key(refund),
        "refund_id": refund.refund_id,
        "order_id": refund.order_id,
        "amount_minor": refund.amount.amount_minor,
        "currency": refund.amount.currency,
        "reason": refund.reason,
        "status": refund.status,
        "promised_at": to_text(refund.promised_at),
        "edit": refund.edit,
        "besides": list(refund.besides),
    }
    if refund.status is not RefundStatus.PENDING:
        return item
    return item | _DUE.keys("REFUND", refund.refund_id, refund.promised_at + _FORGOTTEN_AFTER)


def _to_refund(item: Item) -> Refund:
    return Refund(
        refund_id=item["refund_id"],
        order_id=item["order_id"],
        amount=Money(item["amount_minor"], item["currency"]),
        reason=item["reason"],
        status=RefundStatus(item["status"]),
        promised_at=from_text(item["promised_at"]),
        edit=item.get("edit", 0),
        besides=tuple(item.get("besides", ())),
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

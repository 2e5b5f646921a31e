"""
A payment provider to develop, test and demonstrate with: it behaves as its test cards say.

It keeps books of its own, as a real provider does, in the `simulators` table, which no other
code of ours reads except to reconcile:

    pk                  sk               item      attributes
    CHARGE#<reference>  CHARGE           charge    order_id, status, method, currency,
                                                   authorized_minor, captured_minor,
                                                   refunded_minor
    CHARGE#<reference>  REFUND#<key>     refund    amount_minor
    ATTEMPT#<key>       ATTEMPT          a first attempt that was answered with an error

The reference is derived from the key of the authorization, which makes every call idempotent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from payments.model import (
    AlreadyCapturedError,
    CaptureRefusedError,
    InsufficientFundsError,
    PaymentDeclinedError,
    ProviderUnavailableError,
    RefundRefusedError,
)
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import Item, failed_conditions, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_AUTHORIZED = "#status = :authorized AND #authorized >= :amount"
_IS_UNCAPTURED = "attribute_not_exists(pk) OR #status = :authorized OR #status = :voided"
_HAS_ENOUGH_LEFT = "#refundable >= :amount"

_SLOW_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Card:
    """How the provider treats a means of payment."""

    declines: type[PaymentDeclinedError] | None = None
    slow: bool = False
    fails_first: frozenset[str] = frozenset()  # operations answered with an error, not done
    answers_lost: frozenset[str] = frozenset()  # operations done, their first answer lost
    never_answers: frozenset[str] = frozenset()  # operations that are neither done nor answered
    refuses_capture: bool = False
    refuses_refund: bool = False


# A means of payment that is not listed is declined, as an unknown card is.
CARDS: dict[str, Card] = {
    "pm_card_ok": Card(),
    "pm_card_declined": Card(declines=PaymentDeclinedError),
    "pm_card_insufficient_funds": Card(declines=InsufficientFundsError),
    "pm_slow": Card(slow=True),
    "pm_rate_limited": Card(fails_first=frozenset({"authorize", "capture"})),
    "pm_timeout_before": Card(never_answers=frozenset({"authorize"})),
    "pm_timeout_after": Card(answers_lost=frozenset({"authorize", "capture", "refund"})),
    "pm_capture_timeout": Card(never_answers=frozenset({"capture"})),
    "pm_capture_refused": Card(refuses_capture=True),
    "pm_refund_refused": Card(refuses_refund=True),
}


class SimulatedProvider:
    """Satisfies `ports.PaymentProvider`."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._pause = pause

    def authorize(self, key: str, *, order_id: str, amount: Money, method: str) -> str:
        card = CARDS.get(method, Card(declines=PaymentDeclinedError))
        if card.declines is not None:
            raise card.declines
        self._misbehave_before("authorize", key, card)
        reference = _reference(key)
        charge = {
            **_charge_key(reference),
            "order_id": order_id,
            "status": "AUTHORIZED",
            "method": method,
            "currency": amount.currency,
            "authorized_minor": amount.amount_minor,
            "captured_minor": 0,
            "refundable_minor": 0,
            "refunded_minor": 0,
        }
        try:
            self._put(charge)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None and stored["status"] == "VOIDED":
                raise PaymentDeclinedError from error
            return reference
        self._lose_answer("authorize", card)
        return reference

    def capture(self, key: str, *, reference: str, amount: Money) -> None:
        card = self._card_of(reference)
        if card.refuses_capture:
            raise CaptureRefusedError(reference)
        self._misbehave_before("capture", key, card)
        try:
            self._update(
                reference,
                "SET #status = :captured, #captured = :amount, #refundable = :amount",
                _IS_AUTHORIZED,
                {
                    ":captured": "CAPTURED",
                    ":authorized": "AUTHORIZED",
                    ":amount": amount.amount_minor,
                },
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if not stored or stored["status"] != "CAPTURED":
                raise CaptureRefusedError(reference) from error
            return
        self._lose_answer("capture", card)

    def void(self, key: str, *, authorize_key: str) -> None:
        try:
            self._update(
                _reference(authorize_key),
                "SET #status = :voided, #void_key = :key",
                _IS_UNCAPTURED,
                {":voided": "VOIDED", ":authorized": "AUTHORIZED", ":key": key},
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            captured_minor = stored["captured_minor"] if stored else 0
            raise AlreadyCapturedError(_reference(authorize_key), captured_minor) from error

    def refund(self, key: str, *, reference: str, amount: Money) -> None:
        card = self._card_of(reference)
        if card.refuses_refund:
            raise RefundRefusedError("the provider refuses refunds on this card")
        refund = {
            "pk": f"CHARGE#{reference}",
            "sk": f"REFUND#{key}",
            "amount_minor": amount.amount_minor,
        }
        move = self._request(
            reference,
            "SET #refundable = #refundable - :amount, #refunded = #refunded + :amount",
            _HAS_ENOUGH_LEFT,
            {":amount": amount.amount_minor},
        )
        try:
            self._client.transact_write_items(
                TransactItems=[{"Put": self._put_request(refund)}, {"Update": move}]
            )
        except ClientError as error:
            already, _ = failed_conditions(error)
            if already is None:
                raise RefundRefusedError("more than is left of the charge") from error
            return
        self._lose_answer("refund", card)

    def _card_of(self, reference: str) -> Card:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_charge_key(reference)), ConsistentRead=True
        )
        method = answer["Item"]["method"]["S"] if "Item" in answer else ""
        return CARDS.get(method, Card())

    def _misbehave_before(self, operation: str, key: str, card: Card) -> None:
        if card.slow:
            self._pause(_SLOW_SECONDS)
        if operation in card.never_answers:
            raise ProviderUnavailableError(f"{operation} timed out")
        if operation in card.fails_first:
            try:
                self._put({"pk": f"ATTEMPT#{key}", "sk": "ATTEMPT"})
            except ClientError as error:
                failed_conditions(error)
            else:
                raise ProviderUnavailableError("too many requests")

    @staticmethod
    def _lose_answer(operation: str, card: Card) -> None:
        if operation in card.answers_lost:
            raise ProviderUnavailableError(f"{operation} was done and its answer lost")

    def _put(self, item: Item) -> None:
        self._client.put_item(**self._put_request(item))

    def _put_request(self, item: Item) -> Any:
        return {
            "TableName": self._table,
            "Item": to_item(item),
            "ConditionExpression": _IS_NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _update(self, reference: str, change: str, condition: str, values: dict[str, Any]) -> None:
        self._client.update_item(**self._request(reference, change, condition, values))

    def _request(self, reference: str, change: str, condition: str, values: dict[str, Any]) -> Any:
        names = {
            "#status": "status",
            "#authorized": "authorized_minor",
            "#captured": "captured_minor",
            "#refundable": "refundable_minor",
            "#refunded": "refunded_minor",
            "#void_key": "void_key",
        }
        return {
            "TableName": self._table,
            "Key": to_item(_charge_key(reference)),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {
                alias: name
                for alias, name in names.items()
                if alias in f"{change} {condition}".replace(",", " ").split()
            },
            "ExpressionAttributeValues": to_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _reference(authorize_key: str) -> str:
    return derived_id("sim", authorize_key)


def _charge_key(reference: str) -> dict[str, str]:
    return {"pk": f"CHARGE#{reference}", "sk": "CHARGE"}

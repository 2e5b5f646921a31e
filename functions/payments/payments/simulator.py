"""
A payment provider to develop, test and demonstrate with: it behaves as its test cards say.

It keeps books of its own, as a real provider does, in the `simulators` table, which no other
code of ours reads except to reconcile:

    pk                  sk               item      attributes
    CHARGE#<reference>  CHARGE           charge    order_id, status, method, currency, amount_minor,
                                                   authorized_minor, captured_minor,
                                                   refundable_minor, refunded_minor, open_until,
                                                   declined, version; opened_on, opened_at
    CHARGE#<reference>  REFUND#<key>     refund    amount_minor
    CHARGE#<reference>  PART#<key>       capture   amount_minor, of one that is not all
    ATTEMPT#<key>       ATTEMPT          a first attempt that was answered with an error
    HELD#<order>        HELD             that a card with `declines_again` served the order once

`opened_on` (a UTC day) and `opened_at` are the keys of the index `by-day`.

The reference is derived from the key a charge is opened under. Every effect changes the charge in
one write and raises its version, so the table's stream tells each effect once, with the charge as
it was and as it became: that is what the webhooks are made of (see `payments.webhooks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from payments.cards import CARDS, NO_CARD, Card
from payments.model import (
    AlreadyCapturedError,
    CaptureRefusedError,
    InsufficientFundsError,
    PaymentDeclinedError,
    ProviderUnavailableError,
    RefundRefusedError,
    UnknownChargeError,
)
from payments.ports import Charge, ChargeStatus, ProviderEvent
from tradepost.contracts.webhook import RawMessage
from tradepost.kernel.clock import Clock, from_text, to_text, utc_now
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money
from tradepost.platform.arguments import RawRequest
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.webhooks import verify

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_OPENED = "#status = :opened"
_AWAITS_ACTION = "#status = :requires_action"
_IS_AUTHORIZED = "#status = :authorized AND #authorized >= :amount AND #open_until > :now"
_HAS_ENOUGH_SET_ASIDE = (
    "#status = :authorized AND #captured <= :captured_before_max AND #open_until > :now"
)
_IS_UNCAPTURED = "#status IN (:opened, :requires_action, :authorized) AND #captured = :nothing"
_HAS_ENOUGH_LEFT = "#refundable >= :amount"

_SLOW_SECONDS = 1.5
_CONFIRMATION_WINDOW = timedelta(minutes=30)
_PAGE_MAX = 100


class WebhookBody(BaseModel):
    """What the simulated provider tells: as a real one does, more than we believe."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str
    reference: str
    order_id: str
    status: ChargeStatus
    refunded_minor: int


class SimulatedProvider:
    """Satisfies `ports.PaymentProvider`.

    `secrets` gives the keys that may have signed a webhook, the current one first.
    """

    name = "simulator"
    charges_again = True

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        secrets: Callable[[], Sequence[str]] = tuple,
        now: Clock = utc_now,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._secrets = secrets
        self._now = now
        self._pause = pause

    def open(self, key: str, *, order_id: str, amount: Money) -> str:
        reference = derived_id("sim", key)
        at = self._now()
        charge = {
            **_charge_key(reference),
            "order_id": order_id,
            "status": ChargeStatus.OPENED,
            "currency": amount.currency,
            "amount_minor": amount.amount_minor,
            "authorized_minor": 0,
            "captured_minor": 0,
            "refundable_minor": 0,
            "refunded_minor": 0,
            "version": 1,
            "opened_on": _day_of(at).isoformat(),
            "opened_at": to_text(at),
        }
        try:
            self._put(charge)
        except ClientError as error:
            failed_conditions(error)
        return reference

    def authorize(self, key: str, *, reference: str, method: str) -> Charge:
        card = CARDS.get(method, NO_CARD)
        self._misbehave_before("authorize", key, card)
        declines = card.declines or self._declines_again(reference, card)
        if declines is not None:
            self._decline(reference, declines)
            raise declines
        until = _CONFIRMATION_WINDOW if card.asks_to_confirm else card.authorized_for
        values = {
            ":method": method,
            ":open_until": to_text(self._now() + until),
            ":opened": ChargeStatus.OPENED,
        }
        if card.asks_to_confirm:
            change = "SET #status = :requires_action, #method = :method, #open_until = :open_until"
            values[":requires_action"] = ChargeStatus.REQUIRES_ACTION
        else:
            change = (
                "SET #status = :authorized, #authorized = #amount, #method = :method,"
                " #open_until = :open_until"
            )
            values[":authorized"] = ChargeStatus.AUTHORIZED
        try:
            charge = self._changed(reference, change, _IS_OPENED, values)
        except ClientError as error:
            stored = _stored(error, reference)
            if stored["status"] in (ChargeStatus.DECLINED, ChargeStatus.VOIDED):
                raise _declined(stored) from error
            return self._to_charge(stored)
        self._lose_answer("authorize", card)
        return charge

    def capture(self, key: str, *, reference: str, amount: Money) -> None:
        card = self._card_of(reference)
        if card.refuses_capture:
            raise CaptureRefusedError(reference)
        self._misbehave_before("capture", key, card)
        try:
            self._changed(
                reference,
                "SET #status = :captured, #captured = :amount, #refundable = :amount",
                _IS_AUTHORIZED,
                {
                    ":captured": ChargeStatus.CAPTURED,
                    ":authorized": ChargeStatus.AUTHORIZED,
                    ":amount": amount.amount_minor,
                    ":now": to_text(self._now()),
                },
            )
        except ClientError as error:
            if _stored(error, reference)["status"] != ChargeStatus.CAPTURED:
                raise CaptureRefusedError(reference) from error
            return
        self._lose_answer("capture", card)

    def capture_part(self, key: str, *, reference: str, amount: Money, is_last: bool) -> None:
        stored = self._read(reference)
        card = CARDS.get(stored.get("method", ""), Card())
        if card.refuses_capture:
            raise CaptureRefusedError(reference)
        self._misbehave_before("capture", key, card)
        part = {
            "pk": f"CHARGE#{reference}",
            "sk": f"PART#{key}",
            "amount_minor": amount.amount_minor,
        }
        change = "SET #captured = #captured + :amount, #refundable = #refundable + :amount"
        values = {
            ":authorized": ChargeStatus.AUTHORIZED,
            ":amount": amount.amount_minor,
            # A condition cannot do arithmetic; what was authorized does not change.
            ":captured_before_max": stored["authorized_minor"] - amount.amount_minor,
            ":now": to_text(self._now()),
        }
        if is_last:
            change += ", #status = :captured"
            values[":captured"] = ChargeStatus.CAPTURED
        move = self._request(reference, change, _HAS_ENOUGH_SET_ASIDE, values)
        try:
            self._client.transact_write_items(
                TransactItems=[{"Put": self._put_request(part)}, {"Update": move}]
            )
        except ClientError as error:
            already, _ = failed_conditions(error)
            if already is None:
                raise CaptureRefusedError(reference) from error
            return
        self._lose_answer("capture", card)

    def void(self, key: str, *, reference: str) -> None:  # noqa: ARG002 - a charge is voided once
        try:
            self._changed(
                reference,
                "SET #status = :voided",
                _IS_UNCAPTURED,
                {
                    ":nothing": 0,
                    ":voided": ChargeStatus.VOIDED,
                    ":opened": ChargeStatus.OPENED,
                    ":requires_action": ChargeStatus.REQUIRES_ACTION,
                    ":authorized": ChargeStatus.AUTHORIZED,
                },
            )
        except ClientError as error:
            stored = _stored(error, reference)
            if stored["captured_minor"] > 0:
                captured_minor = self._freed_of_the_rest(reference)
                raise AlreadyCapturedError(reference, captured_minor) from error

    def _freed_of_the_rest(self, reference: str) -> int:
        """Leave a charge with what was captured of it; return that."""
        values = {":captured": ChargeStatus.CAPTURED, ":authorized": ChargeStatus.AUTHORIZED}
        try:
            charge = self._changed(
                reference, "SET #status = :captured", "#status = :authorized", values
            )
        except ClientError as error:
            return int(_stored(error, reference)["captured_minor"])
        return charge.captured.amount_minor

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

    def charge(self, reference: str) -> Charge:
        return self._to_charge(self._read(reference))

    def charges_between(
        self, start: datetime, end: datetime, after: str | None
    ) -> tuple[list[Charge], str | None]:
        day = _day_of(start)
        request: dict[str, Any] = {}
        if after is not None:
            opened_at, _, reference = after.partition("#")
            position = {"opened_on": opened_at[:10], "opened_at": opened_at}
            request["ExclusiveStartKey"] = to_item({**_charge_key(reference), **position})
            day = _day_of(from_text(opened_at))
        charges: list[Charge] = []
        while day <= _day_of(end):
            answer = self._client.query(
                TableName=self._table,
                IndexName="by-day",
                KeyConditionExpression="#opened_on = :day AND #opened_at BETWEEN :start AND :end",
                ExpressionAttributeNames={"#opened_on": "opened_on", "#opened_at": "opened_at"},
                ExpressionAttributeValues=to_item(
                    {
                        ":day": day.isoformat(),
                        ":start": to_text(start),
                        ":end": to_text(end - timedelta(milliseconds=1)),
                    }
                ),
                Limit=_PAGE_MAX - len(charges),
                **request,
            )
            items = [from_item(item) for item in answer["Items"]]
            charges += [self._to_charge(item) for item in items]
            if "LastEvaluatedKey" in answer:
                return charges, f"{items[-1]['opened_at']}#{charges[-1].reference}"
            request = {}
            day += timedelta(days=1)
        return charges, None

    def event(self, raw: RawMessage, *, now: datetime) -> ProviderEvent | None:
        request = RawRequest(body=raw.body, headers=raw.headers)
        event_id = verify(self._secrets(), request, now=now)
        try:
            told = WebhookBody.model_validate_json(raw.body)
        except ValidationError:
            return None
        return ProviderEvent(
            event_id, told.reference, told.order_id, told.status, told.refunded_minor
        )

    def asked(self, reference: str) -> tuple[Charge, Money]:
        """Read a charge and the amount it asks for, as the customer's bank shows them.

        Raises UnknownChargeError.
        """
        stored = self._read(reference)
        return self._to_charge(stored), Money(stored["amount_minor"], stored["currency"])

    def confirm(self, reference: str, *, approves: bool) -> Charge:
        """Tell the bank what the customer says; return the charge as it is then.

        The first answer stands. Raises UnknownChargeError.
        """
        stored = self._read(reference)
        card = CARDS.get(stored.get("method", ""), NO_CARD)
        values: dict[str, Any] = {":requires_action": ChargeStatus.REQUIRES_ACTION}
        if approves and not card.refuses_confirmation:
            change = "SET #status = :authorized, #authorized = #amount, #open_until = :open_until"
            values[":authorized"] = ChargeStatus.AUTHORIZED
            values[":open_until"] = to_text(self._now() + card.authorized_for)
        else:
            change = "SET #status = :declined"
            values[":declined"] = ChargeStatus.DECLINED
        try:
            return self._changed(reference, change, _AWAITS_ACTION, values)
        except ClientError as error:
            return self._to_charge(_stored(error, reference))

    def _declines_again(self, reference: str, card: Card) -> type[PaymentDeclinedError] | None:
        """Tell whether the card's second authorization for an order is the one asked for."""
        if not card.declines_again:
            return None
        held = {"pk": f"HELD#{self._read(reference)['order_id']}", "sk": "HELD"}
        try:
            self._put({**held, "reference": reference})
        except ClientError as error:
            stored = failed_conditions(error)[0]
            return PaymentDeclinedError if stored and stored["reference"] != reference else None
        return None

    def _decline(self, reference: str, declines: type[PaymentDeclinedError]) -> None:
        values = {
            ":declined": ChargeStatus.DECLINED,
            ":because": declines.code,
            ":opened": ChargeStatus.OPENED,
        }
        try:
            self._changed(
                reference, "SET #status = :declined, #declined = :because", _IS_OPENED, values
            )
        except ClientError as error:
            _stored(error, reference)

    def _card_of(self, reference: str) -> Card:
        # A charge that was never authorized bears no card; what is asked of it is refused anyway.
        return CARDS.get(self._read(reference).get("method", ""), Card())

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

    def _read(self, reference: str) -> Item:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_charge_key(reference)), ConsistentRead=True
        )
        if "Item" not in answer:
            raise UnknownChargeError(reference)
        return from_item(answer["Item"])

    def _put(self, item: Item) -> None:
        self._client.put_item(**self._put_request(item))

    def _put_request(self, item: Item) -> Any:
        return {
            "TableName": self._table,
            "Item": to_item(item),
            "ConditionExpression": _IS_NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _changed(
        self, reference: str, change: str, condition: str, values: dict[str, Any]
    ) -> Charge:
        request = self._request(reference, change, condition, values)
        answer = self._client.update_item(**request, ReturnValues="ALL_NEW")
        return self._to_charge(from_item(answer["Attributes"]))

    def _request(self, reference: str, change: str, condition: str, values: dict[str, Any]) -> Any:
        names = {
            "#status": "status",
            "#method": "method",
            "#amount": "amount_minor",
            "#authorized": "authorized_minor",
            "#captured": "captured_minor",
            "#refundable": "refundable_minor",
            "#refunded": "refunded_minor",
            "#open_until": "open_until",
            "#declined": "declined",
            "#version": "version",
        }
        change += ", #version = #version + :one"
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
            "ExpressionAttributeValues": to_item({**values, ":one": 1}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _to_charge(self, item: Item) -> Charge:
        currency = item["currency"]
        status = ChargeStatus(item["status"])
        reference = item["pk"].removeprefix("CHARGE#")
        until = from_text(item["open_until"]) if "open_until" in item else None
        if status is ChargeStatus.AUTHORIZED and until is not None and until <= self._now():
            # It has lapsed, but for what was captured.
            status = ChargeStatus.CAPTURED if item["captured_minor"] else ChargeStatus.VOIDED
        waits = status is ChargeStatus.REQUIRES_ACTION
        return Charge(
            reference=reference,
            order_id=item["order_id"],
            status=status,
            authorized=Money(item["authorized_minor"], currency),
            captured=Money(item["captured_minor"], currency),
            refunded=Money(item["refunded_minor"], currency),
            action_url=f"/v1/simulator/bank/{reference}" if waits else None,
            expires_at=until if waits or status is ChargeStatus.AUTHORIZED else None,
        )


def _stored(error: ClientError, reference: str) -> Item:
    """Return the charge whose state refused a change. Raises UnknownChargeError."""
    stored = failed_conditions(error)[0]
    if not stored:
        raise UnknownChargeError(reference) from error
    return stored


def _declined(charge: Item) -> PaymentDeclinedError:
    if charge.get("declined") == InsufficientFundsError.code:
        return InsufficientFundsError()
    return PaymentDeclinedError()


def _day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _charge_key(reference: str) -> dict[str, str]:
    return {"pk": f"CHARGE#{reference}", "sk": "CHARGE"}

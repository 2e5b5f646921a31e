"""
A carrier to develop, test and demonstrate with: it behaves as the address's postal code says, and
moves a parcel when it is told to.

    pk                  sk           item      attributes
    PARCEL#<number>     PARCEL       parcel    status BOOKED | LABELLED | COLLECTED | IN_TRANSIT |
                                               DELIVERED | FAILED | CANCELLED, tracking_number,
                                               weight_grams, service, label, refuses_label,
                                               scans: [event, occurred_at, reason]
    PARCEL#<number>     NEWS#<id>    webhook   body (JSON): on its way to us

It keeps books of its own, as a real carrier does, in the `simulators` table. The number is derived
from the booking's key, which makes every call idempotent. A webhook is written with the scan it
tells; the table's stream brings it to the function that sends it, again and again until it is
taken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shipping.model.shipment import (
    CarrierRefusedError,
    CarrierUnavailableError,
    Parcel,
    ParcelCollectedError,
    ParcelEventError,
    Scan,
    ScanEvent,
    UnknownParcelError,
)
from shipping.news import read_news
from shipping.ports import ParcelNews
from tradepost.contracts.webhook import RawMessage
from tradepost.kernel.clock import from_text, to_text, utc_now
from tradepost.kernel.ids import derived_id
from tradepost.platform.arguments import RawRequest
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.webhooks import verify

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REFUSED_POSTAL_CODE = "CARRIER-REFUSES"
UNANSWERED_POSTAL_CODE = "CARRIER-SILENT"
LOST_ANSWER_POSTAL_CODE = "CARRIER-LOSES-ANSWER"
NO_LABEL_POSTAL_CODE = "CARRIER-NO-LABEL"

_IS_NEW = "attribute_not_exists(pk)"
_IS_NOT_COLLECTED = "attribute_not_exists(pk) OR #status IN (:booked, :labelled, :cancelled)"
_IS_BOOKED = "attribute_exists(pk) AND #status = :booked AND #refuses = :no"
_MAY_FOLLOW = "attribute_exists(pk) AND #status IN "

_STATUS_AFTER = {
    ScanEvent.LABEL_CREATED: "LABELLED",
    ScanEvent.COLLECTED: "COLLECTED",
    ScanEvent.IN_TRANSIT: "IN_TRANSIT",
    ScanEvent.DELIVERED: "DELIVERED",
    ScanEvent.FAILED: "FAILED",
}
_FOLLOWS = {
    ScanEvent.LABEL_CREATED: ("LABELLED",),
    ScanEvent.COLLECTED: ("LABELLED",),
    ScanEvent.IN_TRANSIT: ("COLLECTED", "IN_TRANSIT"),
    ScanEvent.DELIVERED: ("COLLECTED", "IN_TRANSIT", "FAILED"),
    ScanEvent.FAILED: ("LABELLED", "COLLECTED", "IN_TRANSIT"),
}


class SimulatedCarrier:
    """Satisfies `ports.Carrier`."""

    name = "simulated-post"

    def __init__(
        self, client: DynamoDBClient, table: str, secrets: Callable[[], Sequence[str]]
    ) -> None:
        self._client = client
        self._table = table
        self._secrets = secrets

    def book(self, key: str, parcel: Parcel) -> str:
        postal_code = parcel.address.get("postal_code", "")
        if postal_code == REFUSED_POSTAL_CODE:
            raise CarrierRefusedError
        if postal_code == UNANSWERED_POSTAL_CODE:
            raise CarrierUnavailableError("booking timed out")
        tracking_number = _number(key)
        booking = {
            **_key(tracking_number),
            "status": "BOOKED",
            "tracking_number": tracking_number,
            "weight_grams": parcel.weight_grams,
            "service": parcel.service,
            "refuses_label": postal_code == NO_LABEL_POSTAL_CODE,
            "scans": [],
        }
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(booking),
                ConditionExpression=_IS_NEW,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None and stored["status"] == "CANCELLED":
                raise CarrierRefusedError from error
            return tracking_number
        if postal_code == LOST_ANSWER_POSTAL_CODE:
            raise CarrierUnavailableError("booking was done and its answer lost")
        return tracking_number

    def cancel(self, key: str) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_key(_number(key))),
                UpdateExpression="SET #status = :cancelled",
                ConditionExpression=_IS_NOT_COLLECTED,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(
                    {":cancelled": "CANCELLED", ":booked": "BOOKED", ":labelled": "LABELLED"}
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None and not _was_collected(stored):
                return  # It failed in the sender's house: there is nothing to call off.
            raise ParcelCollectedError from error

    def label(self, key: str) -> str:
        label = derived_id("lbl", key)
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_key(_number(key))),
                UpdateExpression=(
                    "SET #status = :labelled, #label = :label, #scans = list_append(#scans, :scan)"
                ),
                ConditionExpression=_IS_BOOKED,
                ExpressionAttributeNames={
                    "#status": "status",
                    "#label": "label",
                    "#refuses": "refuses_label",
                    "#scans": "scans",
                },
                ExpressionAttributeValues=to_item(
                    {
                        ":labelled": "LABELLED",
                        ":label": label,
                        ":scan": [_scan(ScanEvent.LABEL_CREATED, utc_now(), "")],
                        ":booked": "BOOKED",
                        ":no": False,
                    }
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0] or {}
            if "label" not in stored or stored["status"] == "CANCELLED":
                raise CarrierRefusedError from error
        return label

    def scans(self, tracking_number: str) -> list[Scan]:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(tracking_number)), ConsistentRead=True
        )
        stored = from_item(answer["Item"])["scans"] if "Item" in answer else []
        return [
            Scan(ScanEvent(scan["event"]), from_text(scan["occurred_at"]), reason=scan["reason"])
            for scan in stored
        ]

    def news(self, message: RawMessage, *, now: datetime) -> ParcelNews:
        verify(self._secrets(), RawRequest(message.body, message.headers), now=now)
        return read_news(message.body)

    def advance(
        self, tracking_number: str, event: ScanEvent, *, at: datetime, reason: str = ""
    ) -> None:
        """Let something befall a parcel, and tell of it by webhook.

        Raises
        ------
        UnknownParcelError
        ParcelEventError
            Nothing of the kind can befall the parcel now.
        """
        follows = _FOLLOWS.get(event, ())
        scan = _scan(event, at, reason)
        update: Any = {
            "TableName": self._table,
            "Key": to_item(_key(tracking_number)),
            "UpdateExpression": "SET #status = :after, #scans = list_append(#scans, :scan)",
            "ConditionExpression": _MAY_FOLLOW
            + "("
            + ", ".join(f":from{number}" for number in range(len(follows)))
            + ")",
            "ExpressionAttributeNames": {"#status": "status", "#scans": "scans"},
            "ExpressionAttributeValues": to_item(
                {
                    ":after": _STATUS_AFTER.get(event),
                    ":scan": [scan],
                    **{f":from{number}": status for number, status in enumerate(follows)},
                }
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if not follows:
            raise ParcelEventError(tracking_number, event)
        try:
            self._client.transact_write_items(
                TransactItems=[{"Update": update}, self._webhook(tracking_number, scan)]
            )
        except ClientError as error:
            if not failed_conditions(error)[0]:
                raise UnknownParcelError(tracking_number) from error
            raise ParcelEventError(tracking_number, event) from error

    def _webhook(self, tracking_number: str, scan: Mapping[str, str]) -> Any:
        news_id = derived_id("nws", tracking_number, scan["event"], scan["occurred_at"])
        item: Item = {
            **_key(tracking_number),
            "sk": f"NEWS#{news_id}",
            "body": json.dumps({"tracking_number": tracking_number, **scan}),
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": to_item(item),
                "ConditionExpression": _IS_NEW,
            }
        }


@dataclass(frozen=True, slots=True)
class News:
    """A webhook on its way."""

    news_id: str
    body: str


def news_to_send(image: Item) -> News:
    """Read a webhook out of the stream's record of it."""
    return News(image["sk"]["S"].removeprefix("NEWS#"), image["body"]["S"])


def _scan(event: ScanEvent, at: datetime, reason: str) -> dict[str, str]:
    return {"event": event, "occurred_at": to_text(at), "reason": reason}


def _was_collected(stored: Item) -> bool:
    return any(scan["event"] == ScanEvent.COLLECTED for scan in stored.get("scans", ()))


def _number(key: str) -> str:
    return derived_id("trk", key)


def _key(tracking_number: str) -> dict[str, str]:
    return {"pk": f"PARCEL#{tracking_number}", "sk": "PARCEL"}

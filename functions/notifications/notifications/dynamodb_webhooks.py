"""
Webhooks in the `notifications` table.

    pk                           sk             item      attributes
    ENDPOINTS                    ENDPOINT#<id>  endpoint  url, event_types, description, status,
                                                          disabled_reason, failing_since,
                                                          generation, previous_until, version,
                                                          created_at, fingerprint
    ENDPOINTS                    COUNT          count     endpoints (how many are not deleted)
    ROTATION#<endpoint>#<ref>    ROTATION       rotation  generation, expires_at
    DELIVERY#<endpoint>#<event>  DELIVERY       delivery  endpoint_id, event_id, event_type, body,
                                                          status, attempts, tries, created_at,
                                                          delivered_at, claimed_until, due_for,
                                                          next_attempt_at, expires_at
    DELIVERY#<endpoint>#<event>  ATTEMPT#<nnn>  attempt   at, by_hand, duration_milliseconds,
                                                          status_code, text, failure, expires_at

`endpoint_id` and `created_at` are the keys of the index `deliveries`, so nothing but a delivery has
both. `due_for` and `next_attempt_at` are those of the sparse index `due`: a delivery has them for
as long as the schedule will try it again. No secret is kept, only which generation it is of.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from notifications.deliveries import (
    Answer,
    Attempt,
    Delivery,
    DeliveryInHandError,
    DeliveryNotFoundError,
    DeliveryStatus,
    DeliverySummary,
    PublishedEvent,
)
from notifications.endpoints import (
    ENDPOINTS_MAX,
    DisabledReason,
    Endpoint,
    EndpointLimitError,
    EndpointNotFoundError,
    EndpointStatus,
)
from tradepost.kernel.clock import epoch_seconds, from_text, to_text, utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.platform.dynamodb import (
    Item,
    beginning_with,
    failed_conditions,
    from_item,
    to_item,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Longer than a function runs, so that a claim lapses only if its holder died.
CLAIM = timedelta(minutes=2)
# So long a delivery can be looked at, resent, or wait for its endpoint to be enabled.
DELIVERY_KEPT = timedelta(days=30)
# Longer than anybody repeats a request of theirs; as `tradepost.platform.idempotency` has it.
_REQUEST_KEPT = timedelta(days=7)

# A filter thins a page out: it is filled up by so many further reads.
_REFILLS_MAX = 10

_IS_NEW = "attribute_not_exists(pk)"
_IS_THERE = "#status <> :deleted"
_IS_AT_VERSION_BEFORE = "#version = :before AND #status <> :deleted"
_IS_ROOM = "attribute_not_exists(#endpoints) OR #endpoints < :max"
_IS_NOT_KNOWN_TO_FAIL = "#failing_since = :nothing AND #status = :enabled"
_IS_KNOWN_TO_FAIL = "#failing_since <> :nothing"
_IS_AS_READ = "#version = :version AND #status = :enabled AND #failing_since = :failing_since"
_IS_FREE = "(attribute_not_exists(#claimed_until) OR #claimed_until < :now)"
_IS_DUE = f"#status = :waiting AND #next_attempt_at <= :now AND {_IS_FREE}"
_EXISTS_AND_IS_FREE = f"attribute_exists(pk) AND {_IS_FREE}"
_IS_MINE = "#attempts = :mine"


class DynamoDBEndpoints:
    """The endpoints, over one partition. Satisfies `ports.EndpointBook`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, endpoint: Endpoint, fingerprint: str) -> Endpoint:
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": self._table,
                            "Item": to_item({**_to_item(endpoint), "fingerprint": fingerprint}),
                            "ConditionExpression": _IS_NEW,
                            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                        }
                    },
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": to_item(_COUNT_KEY),
                            "UpdateExpression": "ADD #endpoints :one",
                            "ConditionExpression": _IS_ROOM,
                            "ExpressionAttributeNames": {"#endpoints": "endpoints"},
                            "ExpressionAttributeValues": to_item(
                                {":one": 1, ":max": ENDPOINTS_MAX}
                            ),
                        }
                    },
                ]
            )
        except ClientError as error:
            stored, _ = failed_conditions(error)
            if stored is None:
                raise EndpointLimitError from error
            if stored["fingerprint"] != fingerprint:
                raise IdempotencyMismatchError from error
            return _to_endpoint(stored)
        return endpoint

    def get(self, endpoint_id: str) -> Endpoint:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_endpoint_key(endpoint_id)), ConsistentRead=True
        )
        if "Item" not in answer:
            raise EndpointNotFoundError
        return _to_endpoint(from_item(answer["Item"]))

    def all(self) -> list[Endpoint]:
        # Consistent, so that an endpoint hears of everything from its registration on.
        items = beginning_with(self._client, self._table, "ENDPOINTS", "ENDPOINT#")
        found = [_to_endpoint(item) for item in items if item["status"] != EndpointStatus.DELETED]
        return sorted(found, key=lambda endpoint: endpoint.created_at)

    def save(self, endpoint: Endpoint) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_endpoint_key(endpoint.endpoint_id)),
                UpdateExpression=(
                    "SET #url = :url, #event_types = :event_types, #description = :description,"
                    " #status = :status, #disabled_reason = :disabled_reason,"
                    " #failing_since = :failing_since, #version = :version"
                ),
                ConditionExpression=_IS_AT_VERSION_BEFORE,
                ExpressionAttributeNames={
                    "#url": "url",
                    "#event_types": "event_types",
                    "#description": "description",
                    "#status": "status",
                    "#disabled_reason": "disabled_reason",
                    "#failing_since": "failing_since",
                    "#version": "version",
                },
                ExpressionAttributeValues=to_item(
                    {
                        ":url": endpoint.url,
                        ":event_types": endpoint.event_types,
                        ":description": endpoint.description,
                        ":status": endpoint.status,
                        ":disabled_reason": endpoint.disabled_reason,
                        ":failing_since": _text(endpoint.failing_since),
                        ":version": endpoint.version,
                        ":before": endpoint.version - 1,
                        ":deleted": EndpointStatus.DELETED,
                    }
                ),
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("the endpoint changed since it was read") from error

    def rotation(self, endpoint_id: str, reference: str) -> int | None:
        answer = self._client.get_item(
            TableName=self._table,
            Key=to_item(_rotation_key(endpoint_id, reference)),
            ConsistentRead=True,
        )
        if "Item" not in answer:
            return None
        generation: int = from_item(answer["Item"])["generation"]
        return generation

    def rotate(self, endpoint: Endpoint, reference: str) -> None:
        rotation = {
            **_rotation_key(endpoint.endpoint_id, reference),
            "generation": endpoint.generation,
            "expires_at": epoch_seconds(utc_now() + _REQUEST_KEPT),
        }
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": self._table,
                            "Item": to_item(rotation),
                            "ConditionExpression": _IS_NEW,
                        }
                    },
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": to_item(_endpoint_key(endpoint.endpoint_id)),
                            "UpdateExpression": (
                                "SET #generation = :generation, #previous_until = :previous_until,"
                                " #version = :version"
                            ),
                            "ConditionExpression": _IS_AT_VERSION_BEFORE,
                            "ExpressionAttributeNames": {
                                "#generation": "generation",
                                "#previous_until": "previous_until",
                                "#version": "version",
                                "#status": "status",
                            },
                            "ExpressionAttributeValues": to_item(
                                {
                                    ":generation": endpoint.generation,
                                    ":previous_until": _text(endpoint.previous_until),
                                    ":version": endpoint.version,
                                    ":before": endpoint.version - 1,
                                    ":deleted": EndpointStatus.DELETED,
                                }
                            ),
                        }
                    },
                ]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("the endpoint changed since it was read") from error

    def delete(self, endpoint_id: str) -> None:
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": to_item(_endpoint_key(endpoint_id)),
                            "UpdateExpression": "SET #status = :deleted, #expires_at = :expires_at",
                            "ConditionExpression": f"attribute_exists(pk) AND {_IS_THERE}",
                            "ExpressionAttributeNames": {
                                "#status": "status",
                                "#expires_at": "expires_at",
                            },
                            "ExpressionAttributeValues": to_item(
                                {
                                    ":deleted": EndpointStatus.DELETED,
                                    ":expires_at": epoch_seconds(utc_now() + _REQUEST_KEPT),
                                }
                            ),
                        }
                    },
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": to_item(_COUNT_KEY),
                            "UpdateExpression": "ADD #endpoints :minus_one",
                            "ConditionExpression": "#endpoints > :none",
                            "ExpressionAttributeNames": {"#endpoints": "endpoints"},
                            "ExpressionAttributeValues": to_item({":minus_one": -1, ":none": 0}),
                        }
                    },
                ]
            )
        except ClientError as error:
            failed_conditions(error)
            raise EndpointNotFoundError from error

    def note_failing(self, endpoint_id: str, since: datetime) -> None:
        self._note(
            endpoint_id,
            to_text(since),
            condition=_IS_NOT_KNOWN_TO_FAIL,
            names={"#status": "status"},
            values={":nothing": None, ":enabled": EndpointStatus.ENABLED},
        )

    def note_working(self, endpoint_id: str) -> None:
        self._note(
            endpoint_id, None, condition=_IS_KNOWN_TO_FAIL, names={}, values={":nothing": None}
        )

    def disable(self, endpoint: Endpoint, reason: DisabledReason) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_endpoint_key(endpoint.endpoint_id)),
                UpdateExpression=(
                    "SET #status = :disabled, #disabled_reason = :reason, #version = :next"
                ),
                ConditionExpression=_IS_AS_READ,
                ExpressionAttributeNames={
                    "#status": "status",
                    "#disabled_reason": "disabled_reason",
                    "#version": "version",
                    "#failing_since": "failing_since",
                },
                ExpressionAttributeValues=to_item(
                    {
                        ":disabled": EndpointStatus.DISABLED,
                        ":reason": reason,
                        ":version": endpoint.version,
                        ":next": endpoint.version + 1,
                        ":enabled": EndpointStatus.ENABLED,
                        ":failing_since": _text(endpoint.failing_since),
                    }
                ),
            )
        except ClientError as error:
            failed_conditions(error)
            return False
        return True

    def _note(
        self,
        endpoint_id: str,
        failing_since: str | None,
        *,
        condition: str,
        names: dict[str, str],
        values: dict[str, Any],
    ) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_endpoint_key(endpoint_id)),
                UpdateExpression="SET #failing_since = :failing_since",
                ConditionExpression=f"attribute_exists(pk) AND {condition}",
                ExpressionAttributeNames={"#failing_since": "failing_since", **names},
                ExpressionAttributeValues=to_item({":failing_since": failing_since, **values}),
            )
        except ClientError as error:
            # Somebody noted it before, or the endpoint is none any more: nothing is left to note.
            failed_conditions(error)


class DynamoDBDeliveries:
    """Events on their way, a partition each. Satisfies `ports.DeliveryBook`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, delivery: Delivery) -> bool:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(_delivery_item(delivery)),
                ConditionExpression=_IS_NEW,
            )
        except ClientError as error:
            failed_conditions(error)
            return False
        return True

    def get(self, endpoint_id: str, event_id: str) -> tuple[Delivery, list[Attempt]]:
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": _delivery_pk(endpoint_id, event_id)}),
            ConsistentRead=True,
        )
        items = [from_item(item) for item in answer["Items"]]
        deliveries = [_to_delivery(item) for item in items if item["sk"] == "DELIVERY"]
        if not deliveries:
            raise DeliveryNotFoundError
        return deliveries[0], [_to_attempt(item) for item in items if item["sk"] != "DELIVERY"]

    def of_endpoint(
        self,
        endpoint_id: str,
        status: DeliveryStatus | None,
        limit: int,
        after: dict[str, str] | None,
    ) -> tuple[list[DeliverySummary], dict[str, str] | None]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "deliveries",
            "KeyConditionExpression": "#endpoint_id = :endpoint_id",
            "ExpressionAttributeNames": {"#endpoint_id": "endpoint_id"},
            "ExpressionAttributeValues": to_item({":endpoint_id": endpoint_id}),
            "ScanIndexForward": False,
        }
        if status is not None:
            request["FilterExpression"] = "#status = :status"
            request["ExpressionAttributeNames"]["#status"] = "status"
            request["ExpressionAttributeValues"] |= to_item({":status": status})
        found: list[DeliverySummary] = []
        for _ in range(_REFILLS_MAX):
            if after is not None:
                request["ExclusiveStartKey"] = to_item(after)
            answer = self._client.query(**request, Limit=limit - len(found))
            found += [_to_summary(from_item(item)) for item in answer["Items"]]
            last = answer.get("LastEvaluatedKey")
            after = from_item(last) if last else None
            if after is None or len(found) == limit:
                break
        return found, after

    def due(self, endpoint_id: str, now: datetime, limit: int) -> list[str]:
        answer = self._client.query(
            TableName=self._table,
            IndexName="due",
            KeyConditionExpression="#due_for = :endpoint_id AND #next_attempt_at <= :now",
            ExpressionAttributeNames={
                "#due_for": "due_for",
                "#next_attempt_at": "next_attempt_at",
            },
            ExpressionAttributeValues=to_item({":endpoint_id": endpoint_id, ":now": to_text(now)}),
            Limit=limit,
        )
        pks: list[str] = [from_item(item)["pk"] for item in answer["Items"]]
        return [pk.rpartition("#")[2] for pk in pks]

    def claim(self, endpoint_id: str, event_id: str, now: datetime) -> Delivery | None:
        lapses_at = to_text(now + CLAIM)
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=to_item(_delivery_key(endpoint_id, event_id)),
                UpdateExpression=(
                    "SET #attempts = #attempts + :one, #tries = #tries + :one,"
                    " #claimed_until = :lapses_at, #next_attempt_at = :lapses_at"
                ),
                ConditionExpression=_IS_DUE,
                ExpressionAttributeNames={
                    "#attempts": "attempts",
                    "#tries": "tries",
                    "#claimed_until": "claimed_until",
                    "#next_attempt_at": "next_attempt_at",
                    "#status": "status",
                },
                ExpressionAttributeValues=to_item(
                    {
                        ":one": 1,
                        ":lapses_at": lapses_at,
                        ":now": to_text(now),
                        ":waiting": DeliveryStatus.WAITING,
                    }
                ),
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            failed_conditions(error)
            return None
        return _to_delivery(from_item(answer["Attributes"]))

    def claim_by_hand(self, endpoint_id: str, event_id: str, now: datetime) -> Delivery:
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=to_item(_delivery_key(endpoint_id, event_id)),
                UpdateExpression="SET #attempts = #attempts + :one, #claimed_until = :lapses_at",
                ConditionExpression=_EXISTS_AND_IS_FREE,
                ExpressionAttributeNames={
                    "#attempts": "attempts",
                    "#claimed_until": "claimed_until",
                },
                ExpressionAttributeValues=to_item(
                    {":one": 1, ":lapses_at": to_text(now + CLAIM), ":now": to_text(now)}
                ),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if failed_conditions(error)[0]:
                raise DeliveryInHandError from error
            raise DeliveryNotFoundError from error
        return _to_delivery(from_item(answer["Attributes"]))

    def settle(self, delivery: Delivery, attempt: Attempt) -> None:
        kept = {
            "status": delivery.status,
            "delivered_at": _text(delivery.delivered_at),
            "due_for": delivery.endpoint_id,
            "next_attempt_at": _text(delivery.next_attempt_at),
        }
        removed = ["claimed_until"]
        if delivery.next_attempt_at is None:
            # An item without these keys leaves the index.
            removed += ["due_for", "next_attempt_at"]
        written = [name for name in kept if name not in removed]
        try:
            self._client.transact_write_items(
                TransactItems=[
                    {
                        "Update": {
                            "TableName": self._table,
                            "Key": to_item(
                                _delivery_key(delivery.endpoint_id, delivery.event.event_id)
                            ),
                            "UpdateExpression": (
                                f"SET {', '.join(f'#{name} = :{name}' for name in written)}"
                                f" REMOVE {', '.join(f'#{name}' for name in removed)}"
                            ),
                            "ConditionExpression": _IS_MINE,
                            "ExpressionAttributeNames": {
                                "#attempts": "attempts",
                                **{f"#{name}": name for name in (*written, *removed)},
                            },
                            "ExpressionAttributeValues": to_item(
                                {
                                    ":mine": attempt.number,
                                    **{f":{name}": kept[name] for name in written},
                                }
                            ),
                        }
                    },
                    {
                        "Put": {
                            "TableName": self._table,
                            "Item": to_item(_attempt_item(delivery, attempt)),
                            "ConditionExpression": _IS_NEW,
                        }
                    },
                ]
            )
        except ClientError as error:
            # The claim lapsed and somebody took over: their attempt decides.
            failed_conditions(error)


_COUNT_KEY = {"pk": "ENDPOINTS", "sk": "COUNT"}


def _endpoint_key(endpoint_id: str) -> dict[str, str]:
    return {"pk": "ENDPOINTS", "sk": f"ENDPOINT#{endpoint_id}"}


def _rotation_key(endpoint_id: str, reference: str) -> dict[str, str]:
    return {"pk": f"ROTATION#{endpoint_id}#{reference}", "sk": "ROTATION"}


def _delivery_pk(endpoint_id: str, event_id: str) -> str:
    return f"DELIVERY#{endpoint_id}#{event_id}"


def _delivery_key(endpoint_id: str, event_id: str) -> dict[str, str]:
    return {"pk": _delivery_pk(endpoint_id, event_id), "sk": "DELIVERY"}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)


def _to_item(endpoint: Endpoint) -> Item:
    return {
        **_endpoint_key(endpoint.endpoint_id),
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "description": endpoint.description,
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": _text(endpoint.failing_since),
        "generation": endpoint.generation,
        "previous_until": _text(endpoint.previous_until),
        "version": endpoint.version,
        "created_at": to_text(endpoint.created_at),
    }


def _to_endpoint(item: Item) -> Endpoint:
    """Read an endpoint. Raises EndpointNotFoundError if only its tombstone is left."""
    if item["status"] == EndpointStatus.DELETED:
        raise EndpointNotFoundError
    reason = item["disabled_reason"]
    return Endpoint(
        endpoint_id=item["sk"].removeprefix("ENDPOINT#"),
        url=item["url"],
        event_types=tuple(item["event_types"]),
        description=item["description"],
        status=EndpointStatus(item["status"]),
        disabled_reason=None if reason is None else DisabledReason(reason),
        failing_since=_moment(item["failing_since"]),
        generation=item["generation"],
        previous_until=_moment(item["previous_until"]),
        version=item["version"],
        created_at=from_text(item["created_at"]),
    )


def _delivery_item(delivery: Delivery) -> Item:
    item = {
        **_delivery_key(delivery.endpoint_id, delivery.event.event_id),
        "endpoint_id": delivery.endpoint_id,
        "event_id": delivery.event.event_id,
        "event_type": delivery.event.event_type,
        "body": delivery.event.body,
        "status": delivery.status,
        "attempts": delivery.attempts,
        "tries": delivery.tries,
        "created_at": to_text(delivery.created_at),
        "delivered_at": _text(delivery.delivered_at),
        "expires_at": epoch_seconds(delivery.created_at + DELIVERY_KEPT),
    }
    if delivery.next_attempt_at is not None:
        item["due_for"] = delivery.endpoint_id
        item["next_attempt_at"] = to_text(delivery.next_attempt_at)
    return item


def _to_delivery(item: Item) -> Delivery:
    return Delivery(
        endpoint_id=item["endpoint_id"],
        event=PublishedEvent(item["event_id"], item["event_type"], item["body"]),
        status=DeliveryStatus(item["status"]),
        attempts=item["attempts"],
        tries=item["tries"],
        next_attempt_at=_moment(item.get("next_attempt_at")),
        created_at=from_text(item["created_at"]),
        delivered_at=_moment(item["delivered_at"]),
    )


def _to_summary(item: Item) -> DeliverySummary:
    return DeliverySummary(
        event_id=item["event_id"],
        event_type=item["event_type"],
        status=DeliveryStatus(item["status"]),
        attempts=item["attempts"],
        next_attempt_at=_moment(item.get("next_attempt_at")),
        created_at=from_text(item["created_at"]),
        delivered_at=_moment(item["delivered_at"]),
    )


def _attempt_item(delivery: Delivery, attempt: Attempt) -> Item:
    return {
        "pk": _delivery_pk(delivery.endpoint_id, delivery.event.event_id),
        "sk": f"ATTEMPT#{attempt.number:06d}",
        "number": attempt.number,
        "at": to_text(attempt.at),
        "by_hand": attempt.by_hand,
        "duration_milliseconds": attempt.answer.duration_milliseconds,
        "status_code": attempt.answer.status_code,
        "text": attempt.answer.text,
        "failure": attempt.answer.failure,
        "expires_at": epoch_seconds(delivery.created_at + DELIVERY_KEPT),
    }


def _to_attempt(item: Item) -> Attempt:
    return Attempt(
        number=item["number"],
        at=from_text(item["at"]),
        by_hand=item["by_hand"],
        answer=Answer(
            duration_milliseconds=item["duration_milliseconds"],
            status_code=item["status_code"],
            text=item["text"],
            failure=item["failure"],
        ),
    )

"""
Claims in the `shipping` table, which `shipping.dynamodb` draws.

    SHIPMENT#<order>  CLAIM#<id>  claim_id, order_id, kind, status, description, amount_minor,
                                  currency, opened_at, correlation_id, version; while it is OPEN
                                  also waiting (CLAIM#OPEN) and since
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shipping.dynamodb.keys import IS_NEW, IS_PREVIOUS_VERSION, order_pk, under, waiting_for
from shipping.model.claim import Claim, ClaimKind, ClaimStatus
from tradepost.contracts.event import Event
from tradepost.kernel.clock import from_text, to_text
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item
from tradepost.platform.outbox import outbox_put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDBClaims:
    """Satisfies `ports.ClaimRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, claim: Claim, event: Event) -> Claim:
        put: Any = {
            "Put": {
                "TableName": self._table,
                "Item": to_item(claim_item(claim)),
                "ConditionExpression": IS_NEW,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }
        told = outbox_put(self._table, order_pk(claim.order_id), event)
        try:
            self._client.transact_write_items(TransactItems=[put, told])
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None:
                raise
            return _to_claim(stored)
        return claim

    def get(self, order_id: str, claim_id: str) -> Claim | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_key(order_id, claim_id)), ConsistentRead=True
        )
        return _to_claim(from_item(answer["Item"])) if "Item" in answer else None

    def of_order(self, order_id: str) -> list[Claim]:
        return [_to_claim(item) for item in under(self._client, self._table, order_id, "CLAIM#")]

    def save(self, claim: Claim, event: Event) -> None:
        put: Any = {
            "Put": {
                "TableName": self._table,
                "Item": to_item(claim_item(claim)),
                "ConditionExpression": IS_PREVIOUS_VERSION,
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": to_item({":previous_version": claim.version - 1}),
            }
        }
        told = outbox_put(self._table, order_pk(claim.order_id), event)
        try:
            self._client.transact_write_items(TransactItems=[put, told])
        except ClientError as error:
            failed_conditions(error)
            raise StaleError(f"{claim.claim_id} changed since it was read") from error

    def waiting(
        self, status: ClaimStatus, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Claim], dict[str, str] | None]:
        items, last = waiting_for(self._client, self._table, _waiting(status), limit, after)
        return [_to_claim(item) for item in items], last


def claim_item(claim: Claim) -> Item:
    item = {
        **_key(claim.order_id, claim.claim_id),
        "claim_id": claim.claim_id,
        "order_id": claim.order_id,
        "kind": claim.kind,
        "status": claim.status,
        "description": claim.description,
        "amount_minor": claim.amount.amount_minor if claim.amount else None,
        "currency": claim.amount.currency if claim.amount else None,
        "opened_at": to_text(claim.opened_at),
        "correlation_id": claim.correlation_id,
        "version": claim.version,
    }
    if claim.status is ClaimStatus.OPEN:
        item |= {"waiting": _waiting(claim.status), "since": to_text(claim.opened_at)}
    return item


def _key(order_id: str, claim_id: str) -> dict[str, str]:
    return {"pk": order_pk(order_id), "sk": f"CLAIM#{claim_id}"}


def _waiting(status: ClaimStatus) -> str:
    return f"CLAIM#{status}"


def _to_claim(item: Item) -> Claim:
    amount = item["amount_minor"]
    return Claim(
        claim_id=item["claim_id"],
        order_id=item["order_id"],
        kind=ClaimKind(item["kind"]),
        status=ClaimStatus(item["status"]),
        description=item["description"],
        amount=Money(amount, item["currency"]) if amount is not None else None,
        opened_at=from_text(item["opened_at"]),
        correlation_id=item["correlation_id"],
        version=item["version"],
    )

"""Promotions in the table that `carts.dynamodb` draws, and the taking of their uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from carts.model.promotion import Promotion, PromotionKind, Redemption, Terms
from tradepost.kernel.clock import from_text, from_text_if_any, to_text, to_text_if_any
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, get_all, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version"
_IS_AS_READ_WITH_A_USE_LEFT = (
    "#version = :version AND (attribute_not_exists(#uses_max) OR #uses < #uses_max)"
)
_PERSON_HAS_A_USE_LEFT = "attribute_not_exists(#uses) OR #uses < :uses_max"
_HAS_BEEN_USED = "#uses > :none"

_REGISTER = "PROMOTIONS"


class DynamoDBPromotions:
    """Satisfies `ports.PromotionRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def add(self, promotion: Promotion) -> Promotion:
        entry = {"pk": _REGISTER, "sk": promotion.code, "code": promotion.code}
        puts: list[Any] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": to_item(item),
                    "ConditionExpression": _IS_NEW,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }
            for item in (_promotion_item(promotion), entry)
        ]
        try:
            self._client.transact_write_items(TransactItems=puts)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is None:
                raise
            return to_promotion(stored)
        return to_promotion(_promotion_item(promotion))  # its moments as they are kept

    def get(self, code: str) -> Promotion | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(promotion_key(code)), ConsistentRead=True
        )
        return to_promotion(from_item(answer["Item"])) if "Item" in answer else None

    def save_ended(self, promotion: Promotion) -> None:
        assert promotion.ended_at is not None
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(promotion_key(promotion.code)),
                UpdateExpression="SET #ended_at = :ended_at, #version = :version",
                ConditionExpression=_IS_PREVIOUS_VERSION,
                ExpressionAttributeNames={"#ended_at": "ended_at", "#version": "version"},
                ExpressionAttributeValues=to_item(
                    {
                        ":ended_at": to_text(promotion.ended_at),
                        ":version": promotion.version,
                        ":previous_version": promotion.version - 1,
                    }
                ),
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("the promotion changed since it was read") from error

    def listed(
        self, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Promotion], dict[str, str] | None]:
        request: dict[str, Any] = {"ExclusiveStartKey": to_item(after)} if after else {}
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": _REGISTER}),
            Limit=limit,
            **request,
        )
        codes = [from_item(item)["code"] for item in answer["Items"]]
        items = get_all(self._client, self._table, [promotion_key(code) for code in codes])
        found = sorted((to_promotion(item) for item in items), key=lambda one: one.code)
        last = answer.get("LastEvaluatedKey")
        return found, from_item(last) if last else None


def promotion_key(code: str) -> dict[str, str]:
    return {"pk": f"PROMOTION#{code}", "sk": "PROMOTION"}


def person_key(code: str, person: str) -> dict[str, str]:
    return {"pk": f"PROMOTION#{code}", "sk": f"PERSON#{person}"}


def take_use(table: str, taken: Redemption) -> list[Any]:
    """Build the writes that take one use, if the promotion is as it was read and has one left."""
    writes: list[Any] = [
        {
            "Update": {
                "TableName": table,
                "Key": to_item(promotion_key(taken.code)),
                "UpdateExpression": "SET #uses = #uses + :one",
                "ConditionExpression": _IS_AS_READ_WITH_A_USE_LEFT,
                "ExpressionAttributeNames": {
                    "#uses": "uses",
                    "#uses_max": "uses_max",
                    "#version": "version",
                },
                "ExpressionAttributeValues": to_item({":one": 1, ":version": taken.version}),
            }
        }
    ]
    if taken.person is not None:
        writes.append(
            {
                "Update": {
                    "TableName": table,
                    "Key": to_item(person_key(taken.code, taken.person)),
                    "UpdateExpression": "SET #uses = if_not_exists(#uses, :none) + :one",
                    "ConditionExpression": _PERSON_HAS_A_USE_LEFT,
                    "ExpressionAttributeNames": {"#uses": "uses"},
                    "ExpressionAttributeValues": to_item(
                        {":none": 0, ":one": 1, ":uses_max": taken.per_person_max}
                    ),
                }
            }
        )
    return writes


def give_back(table: str, taken: Redemption) -> list[Any]:
    """Build the writes that undo `take_use`, for the transaction that ends its checkout."""
    keys = [promotion_key(taken.code)]
    if taken.person is not None:
        keys.append(person_key(taken.code, taken.person))
    return [
        {
            "Update": {
                "TableName": table,
                "Key": to_item(key),
                "UpdateExpression": "SET #uses = #uses - :one",
                "ConditionExpression": _HAS_BEEN_USED,
                "ExpressionAttributeNames": {"#uses": "uses"},
                "ExpressionAttributeValues": to_item({":one": 1, ":none": 0}),
            }
        }
        for key in keys
    ]


def _promotion_item(promotion: Promotion) -> Item:
    terms = promotion.terms
    item: Item = {
        **promotion_key(promotion.code),
        "code": promotion.code,
        "kind": terms.kind,
        "starts_at": to_text(terms.starts_at),
        "ends_at": to_text_if_any(terms.ends_at),
        "basis_points": terms.basis_points,
        "amounts": terms.amounts,
        "minimums": terms.minimums,
        "uses_per_person_max": terms.uses_per_person_max,
        "skus": list(terms.skus),
        "customers_only": terms.customers_only,
        "created_at": to_text(promotion.created_at),
        "ended_at": to_text_if_any(promotion.ended_at),
        "uses": promotion.uses,
        "version": promotion.version,
    }
    # The condition compares two attributes: one that is not there is no limit.
    return item if terms.uses_max is None else {**item, "uses_max": terms.uses_max}


def to_promotion(item: Item) -> Promotion:
    return Promotion(
        code=item["code"],
        terms=Terms(
            kind=PromotionKind(item["kind"]),
            starts_at=from_text(item["starts_at"]),
            ends_at=from_text_if_any(item["ends_at"]),
            basis_points=item["basis_points"],
            amounts=item["amounts"],
            minimums=item["minimums"],
            uses_max=item.get("uses_max"),
            uses_per_person_max=item["uses_per_person_max"],
            skus=tuple(item["skus"]),
            customers_only=item["customers_only"],
        ),
        created_at=from_text(item["created_at"]),
        ended_at=from_text_if_any(item["ended_at"]),
        uses=item["uses"],
        version=item["version"],
    )


def to_redemption(item: Item) -> Redemption:
    return Redemption(item["code"], item["version"], item["person"], item["per_person_max"])

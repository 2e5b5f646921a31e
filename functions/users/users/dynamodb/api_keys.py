"""
API keys in the `users` table, which `users.dynamodb` draws.

    API_KEYS   API_KEY#<id>   key_id, name, scopes, requests_per_minute, secrets: [digest,
                              good_until], created_by, created_at, status, revoked_at, version
    API_KEYS   COUNT          keys (how many are not revoked)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tradepost.kernel.clock import from_text, from_text_if_any, to_text, to_text_if_any
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, to_item
from users.api_keys import (
    KEYS_MAX,
    APIKey,
    APIKeyLimitError,
    APIKeyNotFoundError,
    APIKeyStatus,
    KeptSecret,
)
from users.dynamodb.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PK = "API_KEYS"
_IS_ROOM = "attribute_not_exists(#keys) OR #keys < :max"
_IS_ONE = "#keys >= :one"


class DynamoDBAPIKeys:
    """Satisfies `ports.APIKeyRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

    def add(self, key: APIKey) -> None:
        item = _to_item(key)
        writes = [{"Put": self._table.put_new(item)}, self._count(1)]
        in_the_way, full = self._table.write_all(writes)
        if full is not None and in_the_way is None:
            raise APIKeyLimitError
        if in_the_way not in (None, item):
            raise StaleError("the key id is in use")

    def get(self, key_id: str) -> APIKey:
        item = self._table.read(_key(key_id))
        if item is None:
            raise APIKeyNotFoundError
        return _to_key(item)

    def all(self) -> list[APIKey]:
        items = self._table.partition(_PK)
        return [_to_key(item) for item in items if item["sk"].startswith("API_KEY#")]

    def save(self, key: APIKey) -> None:
        item = _to_item(key)
        in_the_way = self._table.write(self._table.put_next(item))
        if in_the_way not in (None, item):
            raise StaleError("the key changed since it was read")

    def revoke(self, key: APIKey) -> None:
        item = _to_item(key)
        in_the_way, _ = self._table.write_all(
            [{"Put": self._table.put_next(item)}, self._count(-1)]
        )
        if in_the_way not in (None, item):
            raise StaleError("the key changed since it was read")

    def _count(self, change: int) -> dict[str, Any]:
        values = {":change": change, **({":max": KEYS_MAX} if change > 0 else {":one": 1})}
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": to_item({"pk": _PK, "sk": "COUNT"}),
                "UpdateExpression": "ADD #keys :change",
                "ConditionExpression": _IS_ROOM if change > 0 else _IS_ONE,
                "ExpressionAttributeNames": {"#keys": "keys"},
                "ExpressionAttributeValues": to_item(values),
            }
        }


def _key(key_id: str) -> dict[str, str]:
    return {"pk": _PK, "sk": f"API_KEY#{key_id}"}


def _to_item(key: APIKey) -> Item:
    return {
        **_key(key.key_id),
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "requests_per_minute": key.requests_per_minute,
        "secrets": [
            {"digest": one.digest, "good_until": to_text_if_any(one.good_until)}
            for one in key.secrets
        ],
        "created_by": key.created_by,
        "created_at": to_text(key.created_at),
        "status": key.status.value,
        "revoked_at": to_text_if_any(key.revoked_at),
        "version": key.version,
    }


def _to_key(item: Item) -> APIKey:
    return APIKey(
        key_id=item["key_id"],
        name=item["name"],
        scopes=frozenset(item["scopes"]),
        requests_per_minute=item["requests_per_minute"],
        secrets=tuple(
            KeptSecret(one["digest"], from_text_if_any(one["good_until"]))
            for one in item["secrets"]
        ),
        created_by=item["created_by"],
        created_at=from_text(item["created_at"]),
        status=APIKeyStatus(item["status"]),
        revoked_at=from_text_if_any(item["revoked_at"]),
        version=item["version"],
    )

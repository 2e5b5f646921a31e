"""Reads and writes of whole items of the `users` table, which `users.dynamodb` draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError

from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item, unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_THERE = "attribute_exists(pk)"
_IS_AS_READ = "#version = :version_read"


class Table:
    """Reads and writes of whole items."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self.client = client
        self.name = name

    def read(self, key: dict[str, str]) -> Item | None:
        # Consistent: an access decision follows.
        try:
            answer = self.client.get_item(
                TableName=self.name, Key=to_item(key), ConsistentRead=True
            )
        except (ClientError, HTTPClientError) as error:
            raise unavailable(error) from error
        return from_item(answer["Item"]) if "Item" in answer else None

    def write(self, put: dict[str, Any]) -> Item | None:
        """Write one item; return the stored one, `{}` if there is none, if it forbade that."""
        try:
            self.client.put_item(**put)
        except HTTPClientError as error:
            raise unavailable(error) from error
        except ClientError as error:
            return failed_conditions(error)[0]
        return None

    def write_all(self, puts: list[Any]) -> list[Item | None]:
        """Write all or nothing; tell of each write what `write` tells."""
        try:
            self.client.transact_write_items(TransactItems=puts)
        except HTTPClientError as error:
            raise unavailable(error) from error
        except ClientError as error:
            return failed_conditions(error)
        return [None] * len(puts)

    def delete(self, key: dict[str, str]) -> None:
        try:
            # unconditional: a session is ended whatever it has become.
            self.client.delete_item(TableName=self.name, Key=to_item(key))
        except (ClientError, HTTPClientError) as error:
            raise unavailable(error) from error

    def put_new(self, item: Item) -> dict[str, Any]:
        return self._put(item, {"ConditionExpression": _IS_NEW})

    def put_next(self, item: Item) -> dict[str, Any]:
        """Build the write of the version that follows the one read."""
        condition = {
            "ConditionExpression": _IS_AS_READ,
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": to_item({":version_read": item["version"] - 1}),
        }
        return self._put(item, condition)

    def _put(self, item: Item, condition: dict[str, Any]) -> dict[str, Any]:
        return {
            "TableName": self.name,
            "Item": to_item(item),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **condition,
        }

    def delete_there(self, key: dict[str, str]) -> dict[str, Any]:
        """Build the removal of an item that has to be there."""
        return {"TableName": self.name, "Key": to_item(key), "ConditionExpression": _IS_THERE}

    def delete_read(self, item: Item) -> dict[str, Any]:
        """Build the removal of exactly the version that was read."""
        return {
            "TableName": self.name,
            "Key": to_item({"pk": item["pk"], "sk": item["sk"]}),
            "ConditionExpression": _IS_AS_READ,
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": to_item({":version_read": item["version"]}),
        }

    def partition(self, pk: str) -> Iterator[Item]:
        """Read all of a partition, consistently."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": pk}),
            ConsistentRead=True,
        )
        return (from_item(item) for page in pages for item in page["Items"])


def user_pk(user_id: str) -> str:
    return f"USER#{user_id}"

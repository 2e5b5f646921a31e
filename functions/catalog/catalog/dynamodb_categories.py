"""
The categories a merchant described, as one item of the `catalog` table.

    pk             sk    item  attributes
    CATEGORY-TREE  TREE  tree  places (JSON text: slug, title and parent of each), version

All of them are one item, so that no two changes together can make a circle of them or more of
them than are allowed. They are few and seldom changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import TypeAdapter

from catalog.model.category import NO_CATEGORIES, CategoryTree, Place
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import failed_conditions, from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TREE_KEY = {"pk": "CATEGORY-TREE", "sk": "TREE"}

_IS_THE_VERSION_BEFORE = "#version = :before"
_IS_THE_FIRST = "attribute_not_exists(pk)"

_PLACES = TypeAdapter(list[Place])


class DynamoDBCategories:
    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client: Any = client
        self._table = table

    def tree(self) -> CategoryTree:
        """Read all categories as the last write left them."""
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_TREE_KEY), ConsistentRead=True
        )
        if "Item" not in answer:
            return NO_CATEGORIES
        item = from_item(answer["Item"])
        places = _PLACES.validate_json(item["places"])
        return CategoryTree({place.slug: place for place in places}, item["version"])

    def save(self, tree: CategoryTree) -> None:
        """Replace the version before this one. Raises StaleError if it is not there."""
        places = _PLACES.dump_json(list(tree.places.values())).decode()
        request: dict[str, Any] = {
            "TableName": self._table,
            "Item": to_item({**_TREE_KEY, "places": places, "version": tree.version}),
            "ConditionExpression": _IS_THE_FIRST,
        }
        if tree.version > 1:
            request["ConditionExpression"] = _IS_THE_VERSION_BEFORE
            request["ExpressionAttributeNames"] = {"#version": "version"}
            request["ExpressionAttributeValues"] = to_item({":before": tree.version - 1})
        try:
            self._client.put_item(**request)
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("the categories changed meanwhile") from error

"""What customers wrote, of the `shipping` table that `shipping.dynamodb` draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shipping.dynamodb.keys import order_pk, under
from tradepost.platform.dynamodb import to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_THERE = "attribute_exists(pk)"

# Of each kind of item, the attribute that holds a person's own words.
_WORDS = {"CLAIM#": "description", "RETURN#": "reason"}


class DynamoDBCustomersWords:
    """Satisfies `ports.CustomersWords`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def of_order(self, order_id: str) -> list[str]:
        return [
            item[attribute]
            for prefix, attribute in _WORDS.items()
            for item in under(self._client, self._table, order_id, prefix)
        ]

    def forget(self, order_id: str) -> None:
        for prefix, attribute in _WORDS.items():
            for item in under(self._client, self._table, order_id, prefix):
                if not item[attribute]:
                    continue
                self._client.update_item(
                    TableName=self._table,
                    Key=to_item({"pk": order_pk(order_id), "sk": item["sk"]}),
                    # A version of its own, so that whoever read the words does not write them back.
                    UpdateExpression="SET #words = :nothing, #version = #version + :one",
                    ConditionExpression=_IS_THERE,
                    ExpressionAttributeNames={"#words": attribute, "#version": "version"},
                    ExpressionAttributeValues=to_item({":nothing": "", ":one": 1}),
                )

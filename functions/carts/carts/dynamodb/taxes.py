"""Tax tables in the table that `carts.dynamodb` draws."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from carts.model.tax import TaxClass, TaxRate, TaxTable
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, beginning_with, failed_conditions, from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW_OR_PREVIOUS_VERSION = "attribute_not_exists(pk) OR #version = :previous_version"

# Each is read by half a unit a checkout; together they are some hundred.
_TAX = "TAX"


class DynamoDBTaxes:
    """Satisfies `ports.TaxRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, country: str) -> TaxTable | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(tax_key(country)), ConsistentRead=True
        )
        return to_tax_table(from_item(answer["Item"])) if "Item" in answer else None

    def save(self, table: TaxTable) -> None:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(_tax_item(table)),
                ConditionExpression=_IS_NEW_OR_PREVIOUS_VERSION,
                ExpressionAttributeNames={"#version": "version"},
                ExpressionAttributeValues=to_item({":previous_version": table.version - 1}),
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("the tax table changed since it was read") from error

    def all(self) -> list[TaxTable]:
        return [
            to_tax_table(item)
            for item in beginning_with(self._client, self._table, _TAX, "COUNTRY#")
        ]


def tax_key(country: str) -> dict[str, str]:
    return {"pk": _TAX, "sk": f"COUNTRY#{country}"}


def _tax_item(table: TaxTable) -> Item:
    return {
        **tax_key(table.country),
        "country": table.country,
        "prices_include_tax": table.prices_include_tax,
        "shipping_class": table.shipping_class,
        "needs_region": table.needs_region,
        "rates": [
            {
                "tax_class": rate.tax_class,
                "rate_ppm": rate.rate_ppm,
                "valid_from": rate.valid_from.isoformat(),
                "regions": list(rate.regions),
            }
            for rate in table.rates
        ],
        "version": table.version,
    }


def to_tax_table(item: Item) -> TaxTable:
    return TaxTable(
        country=item["country"],
        prices_include_tax=item["prices_include_tax"],
        shipping_class=TaxClass(item["shipping_class"]),
        needs_region=item["needs_region"],
        rates=tuple(
            TaxRate(
                tax_class=TaxClass(rate["tax_class"]),
                rate_ppm=rate["rate_ppm"],
                valid_from=date.fromisoformat(rate["valid_from"]),
                regions=tuple(rate["regions"]),
            )
            for rate in item["rates"]
        ),
        version=item["version"],
    )

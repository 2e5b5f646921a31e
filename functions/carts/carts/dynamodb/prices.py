"""What a cart is priced from, read together: offers, promotions and a country's tax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from carts.dynamodb.promotions import person_key, promotion_key, to_promotion
from carts.dynamodb.taxes import tax_key, to_tax_table
from carts.model.bill import Prices
from carts.model.cart import Offer, ProductNews
from carts.model.promotion import Promotion
from carts.model.tax import TaxClass, TaxTable
from tradepost.kernel.clock import to_text
from tradepost.kernel.money import Money
from tradepost.platform.dynamodb import Item, failed_conditions, get_all, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# An offer's attribute of what one product says: `by prd_...`.
_BY = "by "

_IS_NEWER = "attribute_not_exists(#by) OR #by.#version < :version"


class DynamoDBPriceBook:
    """Satisfies `ports.PriceBook`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def prices(
        self,
        skus: Sequence[str],
        *,
        codes: Sequence[str] = (),
        person: str | None = None,
        country: str | None = None,
    ) -> Prices:
        keys = [_offer_key(sku) for sku in dict.fromkeys(skus)]
        keys += [promotion_key(code) for code in codes]
        if person is not None:
            keys += [person_key(code, person) for code in codes]
        if country is not None:
            keys.append(tax_key(country))
        offers: dict[str, Offer] = {}
        promotions: dict[str, Promotion] = {}
        uses: dict[str, int] = {}
        tax_table: TaxTable | None = None
        # A use taken a moment ago has to be seen: the next write counts on it.
        for item in get_all(self._client, self._table, keys, consistent=bool(codes)):
            match item["sk"].partition("#")[0]:
                case "OFFER":
                    if (offer := _to_offer(item)) is not None:
                        offers[offer.sku] = offer
                case "PROMOTION":
                    promotions[item["code"]] = to_promotion(item)
                case "PERSON":
                    uses[item["pk"].removeprefix("PROMOTION#")] = item["uses"]
                case "COUNTRY":
                    tax_table = to_tax_table(item)
        return Prices(offers, promotions, uses, tax_table)

    def put_offer(self, offer: Offer, news: ProductNews) -> None:
        self._say_if_newer(
            {
                "on_sale": True,
                "title": offer.title,
                "amount_minor": offer.unit_price.amount_minor,
                "currency": offer.unit_price.currency,
                "weight_grams": offer.weight_grams,
                "tax_class": offer.tax_class,
            },
            offer.sku,
            news,
        )

    def withdraw_offer(self, sku: str, news: ProductNews) -> None:
        self._say_if_newer({"on_sale": False}, sku, news)

    def _say_if_newer(self, said: Item, sku: str, news: ProductNews) -> None:
        stated = {**said, "version": news.version, "stated_at": to_text(news.stated_at)}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_offer_key(sku)),
                UpdateExpression="SET #sku = :sku, #by = :stated",
                ConditionExpression=_IS_NEWER,
                ExpressionAttributeNames={
                    "#sku": "sku",
                    "#by": f"{_BY}{news.product_id}",
                    "#version": "version",
                },
                ExpressionAttributeValues=to_item(
                    {":sku": sku, ":stated": stated, ":version": news.version}
                ),
            )
        except ClientError as error:
            failed_conditions(error)


def _offer_key(sku: str) -> dict[str, str]:
    return {"pk": f"OFFER#{sku}", "sk": "OFFER"}


def _to_offer(item: Item) -> Offer | None:
    """Read what is on sale; None if no product sells the SKU any more.

    Two products sell it only until the news arrives that the first gave it up.
    """
    stated = [said for name, said in item.items() if name.startswith(_BY) and said["on_sale"]]
    if not stated:
        return None
    latest = max(stated, key=lambda said: str(said["stated_at"]))
    return Offer(
        sku=item["sku"],
        title=latest["title"],
        unit_price=Money(latest["amount_minor"], latest["currency"]),
        weight_grams=latest["weight_grams"],
        tax_class=TaxClass(latest.get("tax_class", TaxClass.STANDARD)),
    )

"""
A carrier to develop, test and demonstrate with: it behaves as the address's postal code says.

    pk              sk        item      attributes
    PARCEL#<key>    PARCEL    booking   status BOOKED | CANCELLED, tracking_number, weight_grams

It keeps books of its own, as a real carrier does, in the `simulators` table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shipping.model import CarrierRefusedError, CarrierUnavailableError, Parcel
from tradepost.kernel.ids import derived_id
from tradepost.platform.dynamodb import Item, failed_conditions, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

REFUSED_POSTAL_CODE = "CARRIER-REFUSES"
UNANSWERED_POSTAL_CODE = "CARRIER-SILENT"
LOST_ANSWER_POSTAL_CODE = "CARRIER-LOSES-ANSWER"

_IS_NEW = "attribute_not_exists(pk)"


class SimulatedCarrier:
    """Satisfies `ports.Carrier`."""

    name = "simulated-post"

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def book(self, key: str, parcel: Parcel) -> str:
        postal_code = parcel.address.get("postal_code", "")
        if postal_code == REFUSED_POSTAL_CODE:
            raise CarrierRefusedError
        if postal_code == UNANSWERED_POSTAL_CODE:
            raise CarrierUnavailableError("booking timed out")
        tracking_number = derived_id("trk", key)
        booking = {
            **_key(key),
            "status": "BOOKED",
            "tracking_number": tracking_number,
            "weight_grams": parcel.weight_grams,
        }
        try:
            self._put(booking)
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None and stored["status"] == "CANCELLED":
                raise CarrierRefusedError from error
            return tracking_number
        if postal_code == LOST_ANSWER_POSTAL_CODE:
            raise CarrierUnavailableError("booking was done and its answer lost")
        return tracking_number

    def cancel(self, key: str) -> None:
        self._client.update_item(
            TableName=self._table,
            Key=to_item(_key(key)),
            UpdateExpression="SET #status = :cancelled",
            # Whatever it was, it is called off: nothing that this depends on can be lost.
            ConditionExpression="attribute_not_exists(pk) OR attribute_exists(pk)",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=to_item({":cancelled": "CANCELLED"}),
        )

    def _put(self, item: Item) -> None:
        self._client.put_item(
            TableName=self._table,
            Item=to_item(item),
            ConditionExpression=_IS_NEW,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


def _key(key: str) -> dict[str, str]:
    return {"pk": f"PARCEL#{key}", "sk": "PARCEL"}

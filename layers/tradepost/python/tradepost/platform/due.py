"""What is due: sparse indexes of the items that have work left, which the sweeps read.

Such an item names its bucket and the moment from which it is due; when nothing is left to do it
names neither, and is in the index no more.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tradepost.kernel.clock import to_text
from tradepost.platform.dynamodb import Item, from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# One partition takes 1,000 writes a second; eight buckets keep the index out of the way.
BUCKETS = 8


@dataclass(frozen=True, slots=True)
class DueIndex:
    """A table's index whose keys are the attributes `bucket` and `moment`."""

    name: str
    bucket: str
    moment: str

    def keys(self, kind: str, thing_id: str, moment: datetime) -> Item:
        """Make the attributes by which an item is in the index."""
        number = zlib.crc32(thing_id.encode()) % BUCKETS
        return {self.bucket: f"{kind}#{number}", self.moment: to_text(moment)}

    def read(
        self, client: DynamoDBClient, table: str, kind: str, by: datetime, per_bucket_max: int
    ) -> list[Item]:
        """Read what is due by a moment, a bounded page of each bucket, the longest due first.

        The index follows its table with some delay: an item may have moved on.
        """
        found: list[Item] = []
        for number in range(BUCKETS):
            answer = client.query(
                TableName=table,
                IndexName=self.name,
                KeyConditionExpression="#bucket = :bucket AND #moment <= :by",
                ExpressionAttributeNames={"#bucket": self.bucket, "#moment": self.moment},
                ExpressionAttributeValues=to_item(
                    {":bucket": f"{kind}#{number}", ":by": to_text(by)}
                ),
                Limit=per_bucket_max,
            )
            found += [from_item(item) for item in answer["Items"]]
        return sorted(found, key=lambda item: str(item[self.moment]))

"""
The `notifications` table.

    pk                sk        item      attributes
    MESSAGE#<event>   MESSAGE   message   event_type, status, claimed_until, expires_at

No address and no text is kept: only that a fact was told.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from notifications.model import MessageInHandError, MessageStatus
from tradepost.kernel.clock import epoch_seconds, utc_now
from tradepost.platform.dynamodb import failed_conditions, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Longer than the function runs, so that a claim lapses only if its holder died.
_CLAIM = timedelta(minutes=2)
# Longer than the queue and its dead-letter queue can keep an event together.
_KEPT = timedelta(days=30)

_IS_FREE = "attribute_not_exists(pk) OR (#status = :claimed AND #claimed_until < :now)"
_IS_CLAIMED = "#status = :claimed"


class DynamoDBMessages:
    """What was sent, over one table. Satisfies `ports.MessageLog`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def claim(self, event_id: str, event_type: str) -> bool:
        now = utc_now()
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(
                    {
                        **_key(event_id),
                        "event_type": event_type,
                        "status": MessageStatus.CLAIMED,
                        "claimed_until": epoch_seconds(now + _CLAIM),
                        "expires_at": epoch_seconds(now + _KEPT),
                    }
                ),
                ConditionExpression=_IS_FREE,
                ExpressionAttributeNames={"#status": "status", "#claimed_until": "claimed_until"},
                ExpressionAttributeValues=to_item(
                    {":claimed": MessageStatus.CLAIMED, ":now": epoch_seconds(now)}
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored and stored["status"] == MessageStatus.CLAIMED:
                raise MessageInHandError(event_id) from error
            return False
        return True

    def settle(self, event_id: str, status: MessageStatus) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_key(event_id)),
                UpdateExpression="SET #status = :status",
                ConditionExpression=_IS_CLAIMED,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(
                    {":status": status, ":claimed": MessageStatus.CLAIMED}
                ),
            )
        except ClientError as error:
            # Whoever took over a lapsed claim has settled it: there is nothing left to say.
            failed_conditions(error)


def _key(event_id: str) -> dict[str, str]:
    return {"pk": f"MESSAGE#{event_id}", "sk": "MESSAGE"}

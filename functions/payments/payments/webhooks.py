"""The simulated provider's messages, from its book's stream to our own endpoint.

A real provider posts to an address it was given. The simulator lives in the same account, so it
hands the same request, signed in the same way, to the function behind that address; it needs to
know no address, and works the same in one process and on AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from payments.cards import CARDS, NO_CARD, Webhooks
from payments.ports import ChargeStatus
from payments.simulator import WebhookBody
from tradepost.kernel.ids import derived_id
from tradepost.platform.dynamodb import Item, from_item
from tradepost.platform.logger import logger
from tradepost.platform.webhooks import signed_headers

PATH = "/v1/webhooks/payments"

# A provider tells the whole object that changed, with its history.
BODY_BYTES_MAX = 128 * 1024

# The function that API Gateway asks on that path.
ENDPOINT = "payments-api_handler"

_SUCCESS = range(200, 300)


# Posts a body with its headers, under the message's id; returns the answer's status.
Post = Callable[[str, Mapping[str, str], str], int]


def deliver(
    stream_event: dict[str, Any], *, post: Post, secret: Callable[[], str], now: datetime
) -> dict[str, Any]:
    """Tell our endpoint of each charge that the records show changed, in their order.

    Returns the stream's partial batch response: it begins again at the first record whose
    messages were not all taken, so a message may be told more than once.
    """
    for record in stream_event["Records"]:
        for message in _messages(record["dynamodb"]):
            if not _is_taken(message, post, secret(), now):
                failed = record["dynamodb"]["SequenceNumber"]
                return {"batchItemFailures": [{"itemIdentifier": failed}]}
    return {"batchItemFailures": []}


def _messages(change: Mapping[str, Any]) -> Iterator[Item]:
    """Choose what to tell of one change: the charge as it became, or as the card has it."""
    before, after = from_item(change["OldImage"]), from_item(change["NewImage"])
    told = ("status", "refunded_minor")
    if all(before[name] == after[name] for name in told):
        return
    match CARDS.get(after.get("method", ""), NO_CARD).webhooks:
        case Webhooks.ARRIVE:
            yield after
        case Webhooks.ARRIVE_TWICE:
            yield from (after, after)
        case Webhooks.ARRIVE_LATE if before["status"] != ChargeStatus.OPENED:
            yield from (after, before)
        case Webhooks.ARRIVE_LATE | Webhooks.ARE_LOST:
            return


def _is_taken(charge: Item, post: Post, secret: str, now: datetime) -> bool:
    reference = charge["pk"].removeprefix("CHARGE#")
    body = WebhookBody(
        type=f"charge.{'refunded' if charge['refunded_minor'] else charge['status'].lower()}",
        reference=reference,
        order_id=charge["order_id"],
        status=charge["status"],
        refunded_minor=charge["refunded_minor"],
    ).model_dump_json()
    message_id = derived_id("msg", reference, str(charge["version"]))
    headers = signed_headers(secret, message_id, body, at=now)
    status = post(body, headers, message_id)
    if status not in _SUCCESS:
        logger.warning("webhook not taken", status=status, message_id=message_id)
    return status in _SUCCESS

"""The simulated provider's messages, from its book's stream to our own endpoint.

A real provider posts to an address it was given. The simulator lives in the same account, so it
hands the same request, signed in the same way, to the function behind that address; it needs to
know no address, and works the same in one process and on AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from payments.cards import CARDS, NO_CARD, Webhooks
from payments.ports import ChargeStatus
from payments.simulator import WebhookBody
from tradepost.kernel.errors import UnavailableError
from tradepost.kernel.ids import derived_id
from tradepost.platform.dynamodb import Item, from_item
from tradepost.platform.logger import logger
from tradepost.platform.webhooks import signed_headers

PATH = "/v1/webhooks/payments"

# A provider tells the whole object that changed, with its history.
BODY_BYTES_MAX = 128 * 1024

# The function that API Gateway asks on that path.
_ENDPOINT = "payments-api_handler"

_SUCCESS = range(200, 300)


class _Functions(Protocol):
    def ask(self, function: str, question: Mapping[str, Any]) -> dict[str, Any]: ...


def deliver(
    stream_event: dict[str, Any], *, functions: _Functions, secret: Callable[[], str], now: datetime
) -> dict[str, Any]:
    """Tell our endpoint of each charge that the records show changed, in their order.

    Returns the stream's partial batch response: it begins again at the first record whose
    messages were not all taken, so a message may be told more than once.
    """
    for record in stream_event["Records"]:
        for message in _messages(record["dynamodb"]):
            if not _is_taken(message, functions, secret(), now):
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


def _is_taken(charge: Item, functions: _Functions, secret: str, now: datetime) -> bool:
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
    try:
        answer = functions.ask(_ENDPOINT, request(body, headers, message_id))
    except UnavailableError:
        answer = {"statusCode": 503}
    is_taken = answer["statusCode"] in _SUCCESS
    if not is_taken:
        logger.warning("webhook not taken", status=answer["statusCode"], message_id=message_id)
    return is_taken


def request(body: str, headers: Mapping[str, str], request_id: str) -> dict[str, Any]:
    """Make the event that API Gateway would make of the provider's request."""
    sent = {"content-type": "application/json", **headers}
    return {
        "resource": PATH,
        "path": PATH,
        "httpMethod": "POST",
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": "POST",
            "resourcePath": PATH,
            "requestId": request_id,
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "simulated-provider"},
        },
        "body": body,
        "isBase64Encoded": False,
    }

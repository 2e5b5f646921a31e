"""DynamoDB as the repositories see it: plain values, and refused writes translated.

The codec differs from boto3's `TypeDeserializer` in one point that matters here: a number is an
`int`, because Tradepost stores whole units only and a `Decimal` would leak into money.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from tradepost.kernel.errors import UnavailableError

Item = dict[str, Any]
T = TypeVar("T")

# DynamoDB's quotas: TransactWriteItems, BatchGetItem, BatchWriteItem.
TRANSACTION_ITEMS_MAX = 100
BATCH_GET_KEYS_MAX = 100
BATCH_WRITE_ITEMS_MAX = 25

_BATCH_ROUNDS_MAX = 8

# The write may or may not have happened, or never will this time: the caller may try again.
_TRANSIENT = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_TRANSIENT_REASONS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)


def to_value(value: Any) -> dict[str, Any]:
    """Write one value as DynamoDB's typed form. Floats are refused: money is whole units."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": str(value)}
        case int():
            return {"N": str(value)}
        case bytes():
            return {"B": value}
        case Mapping():
            return {"M": {key: to_value(inner) for key, inner in value.items()}}
        case list() | tuple():
            return {"L": [to_value(inner) for inner in value]}
    raise TypeError(f"no DynamoDB form for {type(value).__name__}")


def to_item(values: Mapping[str, Any]) -> Item:
    """Write an item's or a key's plain values as DynamoDB's typed form."""
    return {name: to_value(value) for name, value in values.items()}


def from_value(value: Mapping[str, Any]) -> Any:
    """Read one typed value."""
    ((kind, inner),) = value.items()
    match kind:
        case "S" | "BOOL" | "B":
            return inner
        case "N":
            return int(inner)
        case "NULL":
            return None
        case "M":
            return {key: from_value(member) for key, member in inner.items()}
        case "L":
            return [from_value(member) for member in inner]
    raise TypeError(f"DynamoDB type {kind} is not used here")


def from_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """Read an item as plain values."""
    return {name: from_value(value) for name, value in item.items()}


def failed_conditions(error: ClientError) -> list[Item | None]:
    """Tell which writes of a refused request failed their condition.

    Returns one entry per write, in the order of the request: None where the condition held,
    otherwise the stored item that made it fail, `{}` where there was none. Ask for
    `ReturnValuesOnConditionCheckFailure="ALL_OLD"` on each write whose refusal is read.

    Raises
    ------
    UnavailableError
        Throttled, in conflict with another transaction, or no answer: nothing is known.
    ClientError
        Anything else, unchanged: the request was wrong, and that is our bug.
    """
    code = error.response["Error"]["Code"]
    response: Mapping[str, Any] = error.response
    if code == "ConditionalCheckFailedException":
        return [from_item(response.get("Item") or {})]
    if code == "TransactionCanceledException":
        reasons = response.get("CancellationReasons", [])
        if any(reason.get("Code") in _TRANSIENT_REASONS for reason in reasons):
            raise UnavailableError("another transaction holds one of the items") from error
        if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
            return [
                from_item(reason.get("Item") or {})
                if reason.get("Code") == "ConditionalCheckFailed"
                else None
                for reason in reasons
            ]
    raise unavailable(error) from error


def unavailable(error: Exception) -> Exception:
    """Turn an SDK error into the one to raise: `UnavailableError` if it may pass, else itself."""
    if isinstance(error, ClientError):
        if error.response["Error"]["Code"] in _TRANSIENT:
            return UnavailableError(error.response["Error"]["Code"])
        return error
    # A connection that was not made and one that broke off have no class in common.
    if isinstance(error, NoConnectionError | HTTPClientError):
        return UnavailableError(type(error).__name__)
    return error


@contextmanager
def passing_faults_named() -> Iterator[None]:
    """Raise `UnavailableError` for each of the SDK's errors that may pass, from a read or a write.

    A repository translates what a write's condition refused. That the network or the service
    failed can happen to every call, and is told here, once, at the border.
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise unavailable(error) from error


def chunks(sequence: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces of `size`, the last one shorter."""
    for start in range(0, len(sequence), size):
        yield sequence[start : start + size]


def beginning_with(client: Any, table: str, pk: str, prefix: str) -> list[Item]:
    """Read all items of a partition whose sort keys begin alike, consistently, in their order."""
    pages = client.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ExpressionAttributeValues=to_item({":pk": pk, ":prefix": prefix}),
        ConsistentRead=True,
    )
    return [from_item(item) for page in pages for item in page["Items"]]


def get_all(
    client: Any, table: str, keys: Iterable[Mapping[str, str]], *, consistent: bool = False
) -> list[Item]:
    """Read many items of one table, in no order; those that do not exist are left out.

    The keys must differ. Reads that are not consistent cost half, and may be a moment old.

    Raises
    ------
    UnavailableError
        DynamoDB kept some keys unprocessed after several rounds.
    """
    found: list[Item] = []
    for part in chunks(list(keys), BATCH_GET_KEYS_MAX):
        wanted: Any = {
            table: {"Keys": [to_item(key) for key in part], "ConsistentRead": consistent}
        }
        for _ in range(_BATCH_ROUNDS_MAX):
            answer = client.batch_get_item(RequestItems=wanted)
            found += [from_item(item) for item in answer["Responses"].get(table, [])]
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                break
        else:
            raise UnavailableError("BatchGetItem left keys unprocessed")
    return found


def delete_all(client: Any, table: str, keys: Iterable[Mapping[str, str]]) -> None:
    """Delete items that nobody else decides on; those that are gone already are no error.

    Raises
    ------
    UnavailableError
        DynamoDB kept some keys unprocessed after several rounds.
    """
    for part in chunks(list(keys), BATCH_WRITE_ITEMS_MAX):
        wanted: Any = {table: [{"DeleteRequest": {"Key": to_item(key)}} for key in part]}
        for _ in range(_BATCH_ROUNDS_MAX):
            wanted = client.batch_write_item(RequestItems=wanted).get("UnprocessedItems")
            if not wanted:
                break
        else:
            raise UnavailableError("BatchWriteItem left keys unprocessed")

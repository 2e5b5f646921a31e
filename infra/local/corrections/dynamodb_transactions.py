"""Transactions that hold together, because moto's do not.

moto copies whole tables for each item of a transaction (ten seconds at 100,000 items) and puts
the copies back when it fails, which erases what others wrote meanwhile and leaves phantom records
in the stream; and it ignores ClientRequestToken, so a repeated request applies twice. Here all
conditions are checked before anything is written, and a write that fails all the same is undone
item by item. And it reads 25 items in a transaction; AWS reads 100.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.dynamodb import responses
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    DynamodbException,
    MockValidationException,
    MultipleTransactionsException,
    TooManyTransactionsException,
    TransactionCanceledException,
    TransactWriteSingleOpException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.responses import DynamoHandler

from infra.local.clock import in_use
from infra.local.corrections import dynamodb_streams
from infra.local.corrections.dynamodb_items import swap

ITEMS_MAX = 100
# DynamoDB remembers a token for ten minutes.
TOKEN_SECONDS = 600
TOKENS_MAX = 10_000

_moto_handler = DynamoHandler.transact_write_items


@dataclass(frozen=True, slots=True)
class Operation:
    """One write or check of a transaction."""

    kind: str
    request: dict[str, Any]
    table: Any
    hash_key: Any
    range_key: Any

    def current(self) -> Any:
        return self.table.get_item(self.hash_key, self.range_key)


class IdempotentParameterMismatchException(DynamodbException):  # type: ignore[misc]
    """The token was used for another transaction."""

    def __init__(self) -> None:
        super().__init__(
            "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
            "The provided client token is already in use with different parameters",
        )


def install() -> None:
    """Replace TransactWriteItems, and let TransactGetItems read as many items as AWS does."""
    responses.TRANSACTION_MAX_ITEMS = ITEMS_MAX
    DynamoDBBackend.transact_write_items = _transact_write_items
    DynamoHandler.transact_write_items = _once_per_token


def _once_per_token(self: Any) -> Any:
    token = self.body.get("ClientRequestToken")
    if not token:
        return _moto_handler(self)
    seen: dict[str, tuple[float, str]] = self.dynamodb_backend.__dict__.setdefault(
        "_local_tokens", {}
    )
    asked = json.dumps(self.body["TransactItems"], sort_keys=True, default=str)
    fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    now = in_use().now()
    applied_at, applied = seen.get(token, (-math.inf, ""))
    if now - applied_at < TOKEN_SECONDS:
        if applied != fingerprint:
            raise IdempotentParameterMismatchException
        return ActionResult({"ConsumedCapacity": [], "ItemCollectionMetrics": {}})
    answer = _moto_handler(self)
    seen.pop(token, None)
    seen[token] = (now, fingerprint)
    if len(seen) > TOKENS_MAX:
        del seen[next(iter(seen))]
    return answer


def _transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
    if len(transact_items) > ITEMS_MAX:
        raise TooManyTransactionsException
    operations = [_operation(self, item) for item in transact_items]
    keys = {(op.table.name, op.hash_key, op.range_key) for op in operations}
    if len(keys) < len(operations):
        raise MultipleTransactionsException
    reasons = [_refusal(operation) for operation in operations]
    if any(code for code, _, _ in reasons):
        raise TransactionCanceledException(reasons)
    _apply(self, operations)


def _operation(backend: Any, item: dict[str, Any]) -> Operation:
    if len(item) > 1:
        raise TransactWriteSingleOpException
    kind, request = next(iter(item.items()))
    table = backend.get_table(request["TableName"])
    hash_key, range_key = backend.get_keys_value(
        table, request["Item"] if kind == "Put" else request["Key"]
    )
    return Operation(kind, request, table, hash_key, range_key)


def _refusal(operation: Operation) -> tuple[str | None, str | None, Any]:
    request = operation.request
    if request.get("ConditionExpression") is None:
        return None, None, None
    condition = get_filter_expression(
        request["ConditionExpression"],
        request.get("ExpressionAttributeNames"),
        request.get("ExpressionAttributeValues"),
    )
    current = operation.current()
    if condition.expr(current):
        return None, None, None
    item = None
    if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and current is not None:
        item = current.to_json()["Attributes"]
    return "ConditionalCheckFailed", str(ConditionalCheckFailed(item=item).message), item


def _apply(backend: Any, operations: list[Operation]) -> None:
    undo: list[tuple[Operation, Any]] = []
    shards = {
        op.table.name: op.table.stream_shard
        for op in operations
        if op.table.stream_shard is not None
    }
    lengths = {name: len(shard.items) for name, shard in shards.items()}
    reasons: list[tuple[str | None, str | None, Any]] = []
    try:
        for operation in operations:
            undo.append((operation, operation.current()))
            reasons.append(_write(backend, operation))
        if any(code for code, _, _ in reasons):
            raise TransactionCanceledException(reasons)
    except Exception:
        for operation, old in reversed(undo):
            swap(operation.table, operation.hash_key, operation.range_key, old)
        for name, shard in shards.items():
            dynamodb_streams.truncate(shard, lengths[name])
        raise


def _write(backend: Any, operation: Operation) -> tuple[str | None, str | None, Any]:
    request = operation.request
    try:
        match operation.kind:
            case "Put":
                operation.table.put_item(request["Item"], overwrite=True)
            case "Delete":
                operation.table.delete_item(operation.hash_key, operation.range_key)
            case "Update":
                backend.update_item(
                    operation.table.name,
                    request["Key"],
                    update_expression=request["UpdateExpression"],
                    expression_attribute_names=request.get("ExpressionAttributeNames"),
                    expression_attribute_values=request.get("ExpressionAttributeValues"),
                )
    except MockValidationException:
        raise
    except Exception as error:  # noqa: BLE001 - any refusal is this item's reason
        return type(error).__name__, str(error), None
    return None, None, None

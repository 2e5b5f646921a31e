"""DynamoDB's operations on items, as the developer guide and the API reference describe them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.aws import expressions
from tests.simulation.aws.attributes import Item, copied_item, item_bytes
from tests.simulation.aws.refusals import NotModelledError, UnfitError, invalid, refusal, unfit
from tests.simulation.aws.tables import Index, Key, KeySchema, Table

Parameters = Mapping[str, Any]
Answer = dict[str, Any]

# Developer guide, "Quotas".
ITEM_BYTES_MAX = 400 * 1024
TRANSACTION_ITEMS_MAX = 100
TRANSACTION_BYTES_MAX = 4 * 1024 * 1024
BATCH_GET_KEYS_MAX = 100
BATCH_WRITE_ITEMS_MAX = 25
PAGE_BYTES_MAX = 1024 * 1024
# TransactWriteItems: "a client request token is valid for 10 minutes".
TOKEN_SECONDS = 600

_READS = frozenset({"GetItem", "Query", "BatchGetItem", "TransactGetItems"})
_NOTHING: Item = {}


class DynamoDB:
    """The tables of an account. `now` gives seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.tables: dict[str, Table] = {}
        self._now = now
        self._tokens: dict[str, tuple[float, Any]] = {}
        self._operations: dict[str, Callable[[Parameters], Answer]] = {
            "BatchGetItem": self._batch_get_item,
            "BatchWriteItem": self._batch_write_item,
            "DeleteItem": self._delete_item,
            "GetItem": self._get_item,
            "PutItem": self._put_item,
            "Query": self._query,
            "TransactGetItems": self._transact_get_items,
            "TransactWriteItems": self._transact_write_items,
            "UpdateItem": self._update_item,
        }
        self._lag = 0

    def call(self, operation: str, parameters: Parameters) -> Answer:
        """Do an operation and return its answer. Raises ClientError as botocore would."""
        try:
            do = self._operations[operation]
        except KeyError:
            raise NotModelledError(f"dynamodb.{operation}") from None
        return do(parameters)

    def call_stale(self, operation: str, parameters: Parameters, lag: int) -> Answer:
        """Do a read that does not know the last `lag` changes, where it may be eventually right."""
        self._lag = lag if operation in _READS else 0
        try:
            return self.call(operation, parameters)
        finally:
            self._lag = 0

    def mark(self) -> Any:
        """Remember where all tables stand, for `rewind`."""
        return {name: len(table.changes) for name, table in self.tables.items()}

    def rewind(self, mark: Any) -> None:
        for name, count in mark.items():
            self.tables[name].rewind(count)
        self._tokens.clear()

    def expire_items(self) -> int:
        """Delete what has expired by now; return how many items."""
        count = 0
        for table in self.tables.values():
            if table.expires_by is None:
                continue
            for item in list(table):
                expiry = item.get(table.expires_by, _NOTHING).get("N")
                if expiry is not None and float(expiry) < self._now():
                    table.write(table.key_of(item), None, self._now(), by_expiry=True)
                    count += 1
        return count

    # --- single items ---------------------------------------------------------------------------

    def _get_item(self, asked: Parameters) -> Answer:
        table = self._read_table(asked)
        item = table.get(self._whole_key(table, asked["Key"]))
        if item is None:
            return {}
        return {"Item": _shown(item, asked)}

    def _put_item(self, asked: Parameters) -> Answer:
        table, key, old, new = self._put(asked)
        table.write(key, new, self._now())
        return _returned(asked, old, new, ("NONE", "ALL_OLD"))

    def _delete_item(self, asked: Parameters) -> Answer:
        table, key, old, _ = self._delete(asked)
        table.write(key, None, self._now())
        return _returned(asked, old, None, ("NONE", "ALL_OLD"))

    def _update_item(self, asked: Parameters) -> Answer:
        table, key, old, new = self._update(asked)
        table.write(key, new, self._now())
        return _returned(
            asked, old, new, ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
        )

    # Each decides on a write, alone or in a transaction: table, key, the item before and after.

    def _put(self, asked: Parameters) -> tuple[Table, Key, Item | None, Item | None]:
        table = self._table(asked)
        new = copied_item(asked["Item"])
        key = table.key_of(new)
        _require_storable(table, new)
        old = table.get(key)
        self._require(asked, old, frozenset(), frozenset())
        return table, key, old, new

    def _delete(self, asked: Parameters) -> tuple[Table, Key, Item | None, Item | None]:
        table = self._table(asked)
        key = self._whole_key(table, asked["Key"])
        old = table.get(key)
        self._require(asked, old, frozenset(), frozenset())
        return table, key, old, None

    def _update(self, asked: Parameters) -> tuple[Table, Key, Item | None, Item | None]:
        table = self._table(asked)
        key = self._whole_key(table, asked["Key"])
        parsed = expressions.update(
            asked.get("UpdateExpression", ""), asked.get("ExpressionAttributeNames", {})
        )
        if any(change.path[0] in table.schema.names for change in parsed.changes):
            raise invalid("Cannot update attribute. This attribute is part of the key")
        old = table.get(key)
        self._require(asked, old, parsed.names, parsed.values)
        before = old if old is not None else copied_item(asked["Key"])
        new = expressions.updated(before, parsed, asked.get("ExpressionAttributeValues", {}))
        _require_storable(table, new)
        return table, key, old, new

    def _check(self, asked: Parameters) -> tuple[Table, Key, Item | None, Item | None]:
        table = self._table(asked)
        key = self._whole_key(table, asked["Key"])
        old = table.get(key)
        self._require(asked, old, frozenset(), frozenset())
        return table, key, old, old

    def _require(
        self,
        asked: Parameters,
        item: Item | None,
        names_used: frozenset[str],
        values_used: frozenset[str],
    ) -> None:
        """Check a write's condition. Raises ConditionalCheckFailedException."""
        text = asked.get("ConditionExpression")
        if text is None:
            _require_all_used(asked, names_used, values_used)
            return
        condition = expressions.condition(text, asked.get("ExpressionAttributeNames", {}))
        _require_all_used(asked, names_used | condition.names, values_used | condition.values)
        if condition.holds(item or _NOTHING, asked.get("ExpressionAttributeValues", {})):
            return
        told = {}
        if item is not None and asked.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
            told["Item"] = item
        raise refusal("ConditionalCheckFailedException", "The conditional request failed", **told)

    # --- transactions ---------------------------------------------------------------------------

    def _transact_write_items(self, asked: Parameters) -> Answer:
        writes = asked["TransactItems"]
        if len(writes) > TRANSACTION_ITEMS_MAX:
            raise invalid("Member must have length less than or equal to 100: transactItems")
        token = asked.get("ClientRequestToken")
        if token is not None and self._is_repeated(token, writes):
            return {}
        self._require_distinct(writes)
        decided: list[tuple[Table, Key, Item | None, Item | None]] = []
        reasons: list[dict[str, Any]] = []
        for write in writes:
            ((kind, parameters),) = write.items()
            try:
                decided.append(self._decisions[kind](self, parameters))
                reasons.append({"Code": "None"})
            except ClientError as error:
                reasons.append(_reason(error))
        if any(reason["Code"] != "None" for reason in reasons):
            codes = ", ".join(reason["Code"] for reason in reasons)
            raise refusal(
                "TransactionCanceledException",
                "Transaction cancelled, please refer cancellation reasons for specific reasons "
                f"[{codes}]",
                CancellationReasons=reasons,
            )
        written = [new for *_, new in decided if new is not None]
        if (
            len(repr(written)) * 4 > TRANSACTION_BYTES_MAX
            and sum(map(item_bytes, written)) > TRANSACTION_BYTES_MAX
        ):
            raise invalid("Transaction items are larger than 4 MB")
        for table, key, old, new in decided:
            if new is not old:
                table.write(key, new, self._now())
        if token is not None:
            self._tokens[token] = (self._now(), writes)
        return {}

    _decisions = {"Put": _put, "Update": _update, "Delete": _delete, "ConditionCheck": _check}

    def _require_distinct(self, writes: list[Any]) -> None:
        keys = set()
        for write in writes:
            ((_, parameters),) = write.items()
            table = self._table(parameters)
            keys.add((table.name, table.key_of(parameters.get("Key") or parameters["Item"])))
        if len(keys) < len(writes):
            raise invalid("Transaction request cannot include multiple operations on one item")

    def _is_repeated(self, token: str, writes: Any) -> bool:
        known = self._tokens.get(token)
        if known is None or self._now() - known[0] > TOKEN_SECONDS:
            return False
        if known[1] != writes:
            raise refusal("IdempotentParameterMismatchException")
        return True

    def _transact_get_items(self, asked: Parameters) -> Answer:
        # A transaction's reads are serializable: no lag.
        lag, self._lag = self._lag, 0
        try:
            return {"Responses": [self._get_item(one["Get"]) for one in asked["TransactItems"]]}
        finally:
            self._lag = lag

    # --- batches --------------------------------------------------------------------------------

    def _batch_get_item(self, asked: Parameters) -> Answer:
        count = sum(len(one["Keys"]) for one in asked["RequestItems"].values())
        if not 0 < count <= BATCH_GET_KEYS_MAX:
            raise invalid("Too many items requested for the BatchGetItem call")
        responses: dict[str, list[Item]] = {}
        for name, one in asked["RequestItems"].items():
            table = self._read_table({**one, "TableName": name})
            keys = [self._whole_key(table, key) for key in one["Keys"]]
            if len(set(keys)) < len(keys):
                raise invalid("Provided list of item keys contains duplicates")
            found = [table.get(key) for key in keys]
            responses[name] = [_shown(item, one) for item in found if item is not None]
        return {"Responses": responses, "UnprocessedKeys": {}}

    def _batch_write_item(self, asked: Parameters) -> Answer:
        writes = [
            (name, request)
            for name, requests in asked["RequestItems"].items()
            for request in requests
        ]
        if not 0 < len(writes) <= BATCH_WRITE_ITEMS_MAX:
            raise invalid("Too many items requested for the BatchWriteItem call")
        decided = []
        for name, request in writes:
            if "DeleteRequest" in request:
                asked_one = {"TableName": name, "Key": request["DeleteRequest"]["Key"]}
                decided.append(self._delete(asked_one))
            else:
                decided.append(
                    self._put({"TableName": name, "Item": request["PutRequest"]["Item"]})
                )
        if len({(table.name, key) for table, key, *_ in decided}) < len(decided):
            raise invalid("Provided list of item keys contains duplicates")
        for table, key, _, new in decided:
            table.write(key, new, self._now())
        return {"UnprocessedItems": {}}

    # --- queries --------------------------------------------------------------------------------

    def _query(self, asked: Parameters) -> Answer:
        table = self._read_table(asked)
        index = self._index(table, asked)
        schema = index.schema if index is not None else table.schema
        names, values = (
            asked.get("ExpressionAttributeNames", {}),
            asked.get("ExpressionAttributeValues", {}),
        )
        parsed = expressions.key_condition(asked["KeyConditionExpression"], names)
        filtered = (
            expressions.condition(asked["FilterExpression"], names)
            if "FilterExpression" in asked
            else None
        )
        shown = (
            expressions.projection(asked["ProjectionExpression"], names)
            if "ProjectionExpression" in asked
            else None
        )
        _require_all_used(
            asked,
            parsed.names
            | (filtered.names if filtered else frozenset())
            | (shown.names if shown else frozenset()),
            parsed.values | (filtered.values if filtered else frozenset()),
        )
        partition, within = _bounds(parsed, schema, table, values)
        entries = (
            table.partition(partition)
            if index is None
            else table.index_partition(index.name, partition)
        )
        entries = [entry for entry in entries if within(entry[0])]
        if not asked.get("ScanIndexForward", True):
            entries.reverse()
        entries = _after(entries, asked, schema, table)
        page, last = _page(entries, asked)
        seen = [_of_index(item, index, table) for _, _, item in page]
        if filtered is not None:
            seen = [item for item in seen if filtered.holds(item, values)]
        answer: Answer = {"Count": len(seen), "ScannedCount": len(page)}
        if asked.get("Select") != "COUNT":
            answer["Items"] = [
                expressions.projected(item, shown) if shown else item for item in seen
            ]
        if last is not None:
            keys = dict.fromkeys((*table.schema.names, *schema.names))
            answer["LastEvaluatedKey"] = {name: last[name] for name in keys}
        return answer

    # --- what all of them need ------------------------------------------------------------------

    def _table(self, asked: Parameters) -> Table:
        try:
            return self.tables[asked["TableName"]]
        except KeyError:
            raise refusal(
                "ResourceNotFoundException", f"Requested resource not found: {asked['TableName']}"
            ) from None

    def _read_table(self, asked: Parameters) -> Table:
        table = self._table(asked)
        if self._lag and not asked.get("ConsistentRead"):
            return table.before_last(self._lag)
        return table

    def _index(self, table: Table, asked: Parameters) -> Index | None:
        name = asked.get("IndexName")
        if name is None:
            return None
        if asked.get("ConsistentRead"):
            raise invalid("Consistent reads are not supported on global secondary indexes")
        if name not in table.indexes:
            raise invalid(f"The table does not have the specified index: {name}")
        return table.indexes[name]

    def _whole_key(self, table: Table, key: Item) -> Key:
        if len(key) != len(table.schema.names):
            raise invalid("The provided key element does not match the schema")
        return table.key_of(key)


def _require_storable(table: Table, item: Item) -> None:
    table.require_indexable(item)
    # A character takes up to four bytes; most items are too small to be worth measuring.
    if len(repr(item)) * 4 > ITEM_BYTES_MAX and item_bytes(item) > ITEM_BYTES_MAX:
        raise unfit("Item size has exceeded the maximum allowed size")


def _require_all_used(asked: Parameters, names: frozenset[str], values: frozenset[str]) -> None:
    unused = asked.get("ExpressionAttributeNames", {}).keys() - names
    if unused:
        raise invalid(f"Value provided in ExpressionAttributeNames unused: {min(unused)}")
    given = asked.get("ExpressionAttributeValues", {}).keys()
    if given - values:
        raise invalid(f"Value provided in ExpressionAttributeValues unused: {min(given - values)}")
    if values - given:
        raise invalid(f"An expression attribute value is not defined: {min(values - given)}")


def _shown(item: Item, asked: Parameters) -> Item:
    if "ProjectionExpression" not in asked:
        _require_all_used(asked, frozenset(), frozenset())
        return item
    parsed = expressions.projection(
        asked["ProjectionExpression"], asked.get("ExpressionAttributeNames", {})
    )
    return expressions.projected(item, parsed)


def _returned(
    asked: Parameters, old: Item | None, new: Item | None, allowed: tuple[str, ...]
) -> Answer:
    wanted = asked.get("ReturnValues", "NONE")
    if wanted not in allowed:
        raise invalid("Return values set to invalid value")
    if wanted == "NONE":
        return {}
    item = (old if wanted.endswith("OLD") else new) or {}
    if wanted.startswith("UPDATED"):
        parsed = expressions.update(
            asked["UpdateExpression"], asked.get("ExpressionAttributeNames", {})
        )
        paths = tuple(dict.fromkeys(change.path for change in parsed.changes))
        item = expressions.projected(item, expressions.Projection(paths, frozenset()))
    return {"Attributes": item} if item else {}


def _reason(error: ClientError) -> dict[str, Any]:
    """Tell why one write cancels its transaction. What no state could make right is raised."""
    response: Any = error.response
    code = response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        told = {"Item": response["Item"]} if "Item" in response else {}
        return {
            "Code": "ConditionalCheckFailed",
            "Message": response["Error"]["Message"],
            **told,
        }
    if isinstance(error, UnfitError):
        return {"Code": "ValidationError", "Message": response["Error"]["Message"]}
    raise error


def _bounds(
    parsed: expressions.KeyCondition, schema: KeySchema, table: Table, values: Mapping[str, Any]
) -> tuple[Any, Callable[[Any], bool]]:
    """Read a key condition: the partition's key, and the test of the sort key."""
    terms = {name: (sign, operands) for name, sign, operands in parsed.terms}
    sign, operands = terms.pop(schema.partition, ("", ()))
    if sign != "=" or len(terms) + 1 < len(parsed.terms):
        raise invalid(f"Query condition missed key schema element: {schema.partition}")
    partition = _key_value(table, schema.partition, values[operands[0]])
    if not terms:
        return partition, lambda _sort: True
    ((name, (sign, operands)),) = terms.items()
    if name != schema.sort:
        raise invalid(f"Query condition missed key schema element: {schema.sort}")
    limits = [_key_value(table, name, values[operand]) for operand in operands]
    if sign == "between" and limits[0] > limits[1]:
        raise invalid("The BETWEEN operator requires upper bound to be greater than lower bound")
    return partition, _WITHIN[sign](limits)


def _key_value(table: Table, name: str, value: Item) -> Any:
    if table.kinds[name] not in value:
        raise invalid("One or more parameter values were invalid: Condition parameter type")
    return table._key_part({name: value}, name)


_WITHIN: dict[str, Callable[[list[Any]], Callable[[Any], bool]]] = {
    "=": lambda limits: lambda sort: bool(sort == limits[0]),
    "<": lambda limits: lambda sort: bool(sort < limits[0]),
    "<=": lambda limits: lambda sort: bool(sort <= limits[0]),
    ">": lambda limits: lambda sort: bool(sort > limits[0]),
    ">=": lambda limits: lambda sort: bool(sort >= limits[0]),
    "between": lambda limits: lambda sort: bool(limits[0] <= sort <= limits[1]),
    "begins_with": lambda limits: lambda sort: bool(sort.startswith(limits[0])),
}


def _after(
    entries: list[tuple[Any, Key, Item]], asked: Parameters, schema: KeySchema, table: Table
) -> list[tuple[Any, Key, Item]]:
    """Leave out what comes up to and with the exclusive start key."""
    start = asked.get("ExclusiveStartKey")
    if start is None:
        return entries
    key = table.key_of(start)
    sort = table._key_part(start, schema.sort) if schema.sort is not None else None
    backwards = not asked.get("ScanIndexForward", True)
    bound = (sort, key)
    return [
        entry
        for entry in entries
        if ((entry[0], entry[1]) < bound if backwards else (entry[0], entry[1]) > bound)
    ]


def _page(
    entries: list[tuple[Any, Key, Item]], asked: Parameters
) -> tuple[list[tuple[Any, Key, Item]], Item | None]:
    """Cut a page by number and by size; the item it ended with, if it was cut."""
    limit = asked.get("Limit")
    if limit is not None and len(entries) >= limit:
        # DynamoDB does not look whether anything comes after the last item of a full page.
        entries = entries[:limit]
        is_cut = True
    else:
        is_cut = False
    if len(entries) * ITEM_BYTES_MAX <= PAGE_BYTES_MAX:
        return entries, entries[-1][2] if is_cut and entries else None
    size = 0
    for place, (_, _, item) in enumerate(entries):
        size += item_bytes(item)
        if size > PAGE_BYTES_MAX:
            return entries[: place + 1], item
    return entries, entries[-1][2] if is_cut and entries else None


def _of_index(item: Item, index: Index | None, table: Table) -> Item:
    if index is None or index.projected is None:
        return item
    wanted = {*table.schema.names, *index.schema.names, *index.projected}
    return {name: value for name, value in item.items() if name in wanted}

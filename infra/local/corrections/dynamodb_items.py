"""Items that never change once stored, because moto changes them in place.

Changing in place means that a reader, a stream record or a rolled-back transaction may see half a
write, and it forces a deep copy at every turn. Here a write makes a new item and swaps it in;
everybody else may keep a reference. All writes pass `swap`, which keeps the indexes
(`dynamodb_queries`) and the stream in step.
"""

from __future__ import annotations

import copy
from typing import Any

from moto.dynamodb.comparisons import get_expected, get_filter_expression
from moto.dynamodb.exceptions import (
    ConditionalCheckFailed,
    InvalidAttributeTypeError,
    ItemSizeTooLarge,
    ItemSizeToUpdateTooLarge,
    MockValidationException,
)
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.executors import UpdateExpressionExecutor
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import UpdateExpressionValidator

from infra.local import idleness
from infra.local.corrections import dynamodb_indexes, dynamodb_updates

# The figure moto found by trying; the documented limit is 400 KB.
ITEM_BYTES_MAX = 405_000


def install() -> None:
    """Replace how tables read and write one item."""
    Item.__init__ = _init_item
    # What never changes need not be copied.
    Item.__deepcopy__ = _itself
    Item.size = _size
    LimitedSizeDict.__setitem__ = dict.__setitem__
    DynamoType.__hash__ = _hash
    Table.get_item = _get_item
    Table.put_item = _put_item
    Table.delete_item = _delete_item
    DynamoDBBackend.update_item = _update_item


def swap(table: Any, hash_key: Any, range_key: Any, new: Any) -> Any:
    """Put `new` (None: nothing) under the key and return what stood there; emit no record."""
    if range_key is None:
        old = table.items.get(hash_key)
        if new is None:
            table.items.pop(hash_key, None)
        else:
            table.items[hash_key] = new
    else:
        partition = table.items.get(hash_key)
        old = partition.get(range_key) if partition else None
        if new is not None:
            table.items[hash_key][range_key] = new
        elif partition:
            partition.pop(range_key, None)
            if not partition:
                del table.items[hash_key]
    dynamodb_indexes.replace(table, old, new)
    idleness.note_write(table)
    return old


def require(condition: Any, current: Any, return_values_on_failure: str | None) -> None:
    """Raise moto's ConditionalCheckFailed, with the item if asked for, unless `condition` holds."""
    if condition.expr(current):
        return
    if return_values_on_failure == "ALL_OLD" and current is not None:
        raise ConditionalCheckFailed(item=current.to_json()["Attributes"])
    raise ConditionalCheckFailed


def _init_item(self: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
    # moto measures the whole item again for each attribute it adds.
    self.hash_key = hash_key
    self.range_key = range_key
    self.attrs = LimitedSizeDict()
    for name, value in attrs.items():
        dict.__setitem__(self.attrs, name, DynamoType(value))
    if self.size() > ITEM_BYTES_MAX:
        raise ItemSizeTooLarge


def _size(self: Any) -> int:
    size: int | None = self.__dict__.get("_size")
    if size is None:
        size = sum(len(name.encode()) + value.size() for name, value in self.attrs.items())
        self._size = size
    return size


def _hash(self: Any) -> int:
    if self.type == "S":
        return hash(self.value)
    return hash((self.type, self.cast_value))


def _get_item(
    self: Any, hash_key: Any, range_key: Any = None, projection_expression: Any = None
) -> Any:
    if self.range_key_attr is None:
        found = self.items.get(hash_key)
    else:
        if not range_key:
            raise MockValidationException(
                "Table has a range key, but no range key was passed into get_item"
            )
        # moto creates an empty partition by looking.
        partition = self.items.get(hash_key)
        found = partition.get(range_key) if partition else None
    if found is not None and projection_expression:
        return found.project(projection_expression)
    return found


def _put_item(
    self: Any,
    item_attrs: dict[str, Any],
    expected: dict[str, Any] | None = None,
    condition_expression: str | None = None,
    expression_attribute_names: dict[str, str] | None = None,
    expression_attribute_values: dict[str, Any] | None = None,
    overwrite: bool = False,
    return_values_on_condition_check_failure: str | None = None,
) -> Any:
    hash_key, range_key = _keys_of(self, item_attrs)
    self._validate_item_types(item_attrs)
    self._validate_key_sizes(item_attrs)
    item = Item(hash_key, range_key, item_attrs)
    if not overwrite:
        current = self.get_item(hash_key, range_key)
        if not get_expected(expected or {}).expr(current):
            raise ConditionalCheckFailed
        condition = get_filter_expression(
            condition_expression, expression_attribute_names, expression_attribute_values
        )
        require(condition, current, return_values_on_condition_check_failure)
    old = swap(self, hash_key, range_key, item)
    if self.stream_shard is not None:
        self.stream_shard.add(old, item)
    return item


def _keys_of(table: Any, item_attrs: dict[str, Any]) -> tuple[Any, Any]:
    keys: list[Any] = []
    for name, key_type in (
        (table.hash_key_attr, table.hash_key_type),
        (table.range_key_attr, table.range_key_type),
    ):
        if name is None:
            keys.append(None)
            continue
        if name not in item_attrs:
            raise MockValidationException(
                f"One or more parameter values were invalid: Missing the key {name} in the item"
            )
        key = DynamoType(item_attrs[name])
        if key.type != key_type:
            raise InvalidAttributeTypeError(name, expected_type=key_type, actual_type=key.type)
        keys.append(key)
    return keys[0], keys[1]


def _delete_item(self: Any, hash_key: Any, range_key: Any) -> Any:
    old = swap(self, hash_key, range_key, None)
    if old is not None and self.stream_shard is not None:
        self.stream_shard.add(old, None)
    return old


def _update_item(
    self: Any,
    table_name: str,
    key: dict[str, Any],
    update_expression: str,
    expression_attribute_names: dict[str, Any],
    expression_attribute_values: dict[str, Any],
    attribute_updates: dict[str, Any] | None = None,
    expected: dict[str, Any] | None = None,
    condition_expression: str | None = None,
    return_values_on_condition_check_failure: str | None = None,
) -> Any:
    table = self.get_table(table_name)
    hash_key, range_key = self.get_keys_value(table, key)
    current = table.get_item(hash_key, range_key)
    if not get_expected(expected or {}).expr(current):
        raise ConditionalCheckFailed
    condition = get_filter_expression(
        condition_expression, expression_attribute_names, expression_attribute_values
    )
    require(condition, current, return_values_on_condition_check_failure)
    before = current if current is not None else Item(hash_key, range_key, key)
    if update_expression:
        changed = _updated(
            table,
            before,
            update_expression,
            expression_attribute_names,
            expression_attribute_values,
        )
    else:
        changed = _deep_copy(before)
    if attribute_updates:
        changed.validate_no_empty_key_values(attribute_updates, table.attribute_keys)
        changed.update_with_attribute_updates(attribute_updates)
    if changed.size() > ITEM_BYTES_MAX:
        raise ItemSizeToUpdateTooLarge
    swap(table, hash_key, range_key, changed)
    if table.stream_shard is not None:
        table.stream_shard.add(current, changed)
    return changed


def _updated(table: Any, item: Any, expression: str, names: Any, values: Any) -> Any:
    try:
        attributes = dynamodb_updates.apply(table, item.attrs, expression, names, values)
    except dynamodb_updates.NotPlainError:
        changed = _deep_copy(item)
        _execute(table, changed, expression, names, values)
        return changed
    return _with_attributes(item, attributes)


def _execute(table: Any, item: Any, expression: str, names: Any, values: Any) -> None:
    tree = UpdateExpressionParser.make(expression)
    validated = UpdateExpressionValidator(
        tree,
        expression_attribute_names=names,
        expression_attribute_values=values,
        item=item,
        table=table,
    ).validate()
    validated.normalize()
    UpdateExpressionExecutor(validated, item, names).execute()


def _deep_copy(item: Any) -> Any:
    return _with_attributes(item, {name: copy.deepcopy(one) for name, one in item.attrs.items()})


def _with_attributes(item: Any, attributes: dict[str, Any]) -> Any:
    changed = object.__new__(Item)
    changed.hash_key = item.hash_key
    changed.range_key = item.range_key
    changed.attrs = LimitedSizeDict()
    dict.update(changed.attrs, attributes)
    return changed


def _itself(self: Any, memo: Any) -> Any:  # noqa: ARG001 - a __deepcopy__
    return self

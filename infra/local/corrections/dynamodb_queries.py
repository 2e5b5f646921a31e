"""Queries that read their own partition, in order, and stop at their limit.

moto sorts the whole table for every query: 400 ms at 100,000 items. The answer is the same, from
the sorted indexes of `dynamodb_indexes`. The legacy KeyConditions filters and keys of several
attributes are left to moto.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT, Table

from infra.local import idleness
from infra.local.corrections import dynamodb_indexes
from infra.local.corrections.dynamodb_indexes import BASE, TOP, Index, comparable

Bounds = tuple[tuple[Any, ...] | None, tuple[Any, ...] | None]

_moto_query = Table.query


def install() -> None:
    """Replace the query of tables."""
    Table.query = _query


def _query(
    self: Any,
    hash_key: Any,
    range_comparison: str | None,
    range_objs: list[Any],
    limit: int | None,
    exclusive_start_key: dict[str, Any] | None,
    scan_index_forward: bool,
    projection_expressions: list[list[str]] | None,
    index_name: str | None = None,
    consistent_read: bool = False,
    filter_expression: Any = None,
    hash_key_conditions: Any = None,
    range_key_conditions: Any = None,
    **filter_kwargs: Any,
) -> tuple[list[Any], int, dict[str, Any] | None]:
    secondary = _secondary_index(self, index_name, consistent_read) if index_name else None
    schema = secondary.schema if secondary is not None else self.schema
    hash_names = [key["AttributeName"] for key in schema if key["KeyType"] == "HASH"]
    range_names = [key["AttributeName"] for key in schema if key["KeyType"] == "RANGE"]
    if filter_kwargs or len(hash_names) != 1 or len(range_names) > 1:
        return _moto_query(  # type: ignore[no-any-return]
            self,
            hash_key,
            range_comparison,
            range_objs,
            limit,
            exclusive_start_key,
            scan_index_forward,
            projection_expressions,
            index_name,
            consistent_read,
            filter_expression,
            hash_key_conditions,
            range_key_conditions,
            **filter_kwargs,
        )
    index = dynamodb_indexes.index_of(
        self, index_name or BASE, hash_names[0], next(iter(range_names), None)
    )
    items = _matching(
        index, hash_key, range_comparison, range_objs, exclusive_start_key, scan_index_forward
    )
    page, more = _page(items, limit)
    idleness.note_query(index, hash_key, range_comparison, range_objs, len(page))
    last_key = self._get_last_evaluated_key(page[-1], index_name) if more else None
    results = page if secondary is None else [secondary.project(item) for item in page]
    if filter_expression is not None:
        results = [item for item in results if filter_expression.expr(item)]
    if projection_expressions:
        results = [item.project(projection_expressions) for item in results]
    return results, len(page), last_key


def _secondary_index(table: Any, name: str, consistent_read: bool) -> Any:
    found = next((index for index in table.all_indexes() if index.name == name), None)
    if found is None:
        names = ", ".join(index.name for index in table.all_indexes())
        raise MockValidationException(
            f"Invalid index: {name} for table: {table.name}. Available indexes are: {names}"
        )
    if consistent_read and found in table.global_indexes:
        raise MockValidationException(
            "Consistent reads are not supported on global secondary indexes"
        )
    return found


def _matching(
    index: Index,
    hash_key: Any,
    comparison: str | None,
    values: list[Any],
    start_after: Any,
    forward: bool,
) -> Iterator[Any]:
    low, high = _bounds(comparison, [comparable(value) for value in values])
    if start_after is not None:
        low, high = _behind(index, start_after, low, high, forward)
    items = index.walk(hash_key, low, high, forward)
    if start_after is not None:
        passed = {name: value for name, value in start_after.items() if name in index.sort_names}
        items = itertools.dropwhile(lambda item: _has_key(item, passed), items)
    if comparison is not None and index.sort_names:
        name = index.sort_names[0]
        items = (item for item in items if item.attrs[name].compare(comparison, values))
    return items


def _bounds(comparison: str | None, values: list[Any]) -> Bounds:
    match comparison:
        case "=" | "EQ":
            return (values[0],), (values[0], TOP)
        case "<" | "LT" | "<=" | "LE":
            return None, (values[0], TOP)
        case ">" | "GT" | ">=" | "GE":
            return (values[0],), None
        case "BETWEEN":
            return (values[0],), (values[1], TOP)
        case "BEGINS_WITH":
            # The greatest code point sorts after every character a key can go on with.
            return (values[0],), (
                (values[0] + chr(0x10FFFF), TOP) if isinstance(values[0], str) else None
            )
        case _:
            return None, None


def _behind(index: Index, start_after: Any, low: Any, high: Any, forward: bool) -> Bounds:
    start = tuple(comparable(DynamoType(start_after[name])) for name in index.sort_names)
    if forward:
        return (start if low is None else max(low, start)), high
    return low, (start if high is None else min(high, start))


def _has_key(item: Any, key: dict[str, Any]) -> bool:
    return all(item.attrs[name].to_json() == value for name, value in key.items())


def _page(items: Iterator[Any], limit: int | None) -> tuple[list[Any], bool]:
    page: list[Any] = []
    size = 0
    for item in items:
        size += item.size()
        if (limit is not None and len(page) >= limit) or (page and size > RESULT_SIZE_LIMIT):
            return page, True
        page.append(item)
    return page, False

"""Sorted indexes of tables, so that a query touches its own partition only.

moto keeps no index: a query sorts the whole table, whatever its key. The structures here are
built when a table is first queried and from then on kept up by every write
(`dynamodb_items.swap`).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sortedcontainers import SortedDict


class Top:
    """Greater than every key."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


TOP = Top()
BASE = ""


class Index:
    """The items that have an index's key attributes, by partition and in order."""

    def __init__(self, hash_name: str, range_name: str | None, table_keys: list[str]) -> None:
        self.hash_name = hash_name
        self.range_name = range_name
        # The table's own key makes the sort key of a secondary index unique.
        self.sort_names = [name for name in (range_name, *table_keys) if name is not None]
        self.partitions: dict[tuple[str, Any], SortedDict[tuple[Any, ...], Any]] = {}

    def place(self, attributes: Any) -> tuple[tuple[str, Any], tuple[Any, ...]] | None:
        """Return partition and sort key of `attributes`, None if they are not in this index."""
        partition = attributes.get(self.hash_name)
        if partition is None or (self.range_name is not None and self.range_name not in attributes):
            return None
        return (
            (partition.type, comparable(partition)),
            tuple(comparable(attributes[name]) for name in self.sort_names),
        )

    def replace(self, old: Any, new: Any) -> None:
        """Put `new` where `old` stood."""
        before = self.place(old.attrs) if old is not None else None
        after = self.place(new.attrs) if new is not None else None
        if before is not None and before != after:
            items = self.partitions[before[0]]
            del items[before[1]]
            if not items:
                del self.partitions[before[0]]
        if after is not None:
            items = self.partitions.get(after[0])
            if items is None:
                items = self.partitions[after[0]] = SortedDict()
            items[after[1]] = new

    def walk(
        self,
        partition: Any,
        low: tuple[Any, ...] | None,
        high: tuple[Any, ...] | None,
        forward: bool,
    ) -> Iterator[Any]:
        """Yield the items of `partition` between two sort keys, both included."""
        items = self.partitions.get((partition.type, comparable(partition)))
        if items is None:
            return
        for key in items.irange(low, high, reverse=not forward):
            yield items[key]

    def first_behind(self, partition: Any, bound: Any) -> Any:
        """Return the sort key of the first item of `partition` beyond `bound`; None without one."""
        items = self.partitions.get((partition.type, comparable(partition)))
        key = next(items.irange((comparable(bound), TOP)), None) if items is not None else None
        return None if key is None else items[key].attrs[self.sort_names[0]]


def comparable(value: Any) -> Any:
    """Return what a value is sorted by: code points sort as DynamoDB's UTF-8 bytes do."""
    return Decimal(value.value) if value.type == "N" else value.value


def index_of(table: Any, name: str, hash_name: str, range_name: str | None) -> Index:
    """Return the index `name` of `table`, BASE for the table itself; build it at first use."""
    indexes: dict[str, Index] = table.__dict__.setdefault("_local_indexes", {})
    index = indexes.get(name)
    if index is None:
        table_keys = [
            key for key in table.table_key_attrs if name != BASE or key == table.range_key_attr
        ]
        index = indexes[name] = Index(hash_name, None if name == BASE else range_name, table_keys)
        for partition in table.items.values():
            for item in partition.values() if table.range_key_attr else (partition,):
                index.replace(None, item)
    return index


def replace(table: Any, old: Any, new: Any) -> None:
    """Tell the indexes of `table` that `new` stands where `old` stood."""
    for index in table.__dict__.get("_local_indexes", {}).values():
        index.replace(old, new)


def forget(table: Any) -> None:
    """Drop the indexes of `table`; they are built again when next asked for."""
    table.__dict__.pop("_local_indexes", None)

"""A DynamoDB table: items, indexes, and the record of every change.

The record serves three ends. A stream is a reader of it. A stale read is a read before its last
entries. And a history that was played on the table is taken back by undoing what it recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.aws.attributes import Item, kind_of, plain
from tests.simulation.aws.refusals import invalid, unfit

Key = tuple[Any, Any]  # partition and sort key, plain; None for a table without sort key


@dataclass(frozen=True, slots=True)
class Change:
    """An item as it was and as it is; None where there is none."""

    table: str
    key: Key
    old: Item | None
    new: Item | None
    at: float
    by_expiry: bool = False


@dataclass(frozen=True, slots=True)
class KeySchema:
    """The names of a table's or an index's key attributes."""

    partition: str
    sort: str | None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.partition,) if self.sort is None else (self.partition, self.sort)


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    schema: KeySchema
    projected: frozenset[str] | None  # besides the keys; None for all attributes


@dataclass(slots=True)
class Table:
    """`kinds` has the kind of each attribute that is part of a key: S, N or B."""

    name: str
    schema: KeySchema
    kinds: Mapping[str, str]
    indexes: Mapping[str, Index] = field(default_factory=dict)
    expires_by: str | None = None
    changes: list[Change] = field(default_factory=list)
    _items: dict[Any, dict[Any, Item]] = field(default_factory=dict)
    _entries: dict[str, dict[Any, dict[Key, tuple[Any, Item]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._entries = {name: {} for name in self.indexes}

    def __iter__(self) -> Iterator[Item]:
        for partition in self._items.values():
            yield from partition.values()

    @classmethod
    def described(cls, name: str, properties: Mapping[str, Any]) -> Table:
        """Make the table that a template's properties, or CreateTable's parameters, describe."""
        ttl = properties.get("TimeToLiveSpecification", {})
        return cls(
            name,
            _schema(properties["KeySchema"]),
            {
                one["AttributeName"]: one["AttributeType"]
                for one in properties["AttributeDefinitions"]
            },
            {
                one["IndexName"]: Index(
                    one["IndexName"], _schema(one["KeySchema"]), _projected(one["Projection"])
                )
                for one in properties.get("GlobalSecondaryIndexes", ())
            },
            expires_by=ttl.get("AttributeName") if ttl.get("Enabled") else None,
        )

    def key_of(self, item: Item) -> Key:
        """Read the key out of an item, or of a key alone. Raises ValidationException."""
        schema = self.schema
        return (
            self._key_part(item, schema.partition),
            self._key_part(item, schema.sort) if schema.sort is not None else None,
        )

    def _key_part(self, item: Item, name: str) -> Any:
        value = item.get(name)
        if value is None:
            raise invalid("The provided key element does not match the schema")
        if self.kinds[name] not in value:
            raise invalid("The provided key element does not match the schema")
        part = plain(value)
        if part == "" or part == b"":
            raise invalid(f"The AttributeValue for a key attribute cannot be empty: {name}")
        return part

    def get(self, key: Key) -> Item | None:
        partition = self._items.get(key[0])
        return None if partition is None else partition.get(key[1])

    def write(self, key: Key, new: Item | None, at: float, *, by_expiry: bool = False) -> None:
        """Put an item in its place, or take it away. What changes nothing is not recorded."""
        old = self.get(key)
        if old == new:
            return
        self._replace(key, old, new)
        self.changes.append(Change(self.name, key, old, new, at, by_expiry))

    def rewind(self, count: int) -> None:
        """Undo all changes but the first `count`."""
        while len(self.changes) > count:
            change = self.changes.pop()
            self._replace(change.key, change.new, change.old)

    def _replace(self, key: Key, old: Item | None, new: Item | None) -> None:
        if new is None:
            partition = self._items[key[0]]
            del partition[key[1]]
            if not partition:
                del self._items[key[0]]
        else:
            self._items.setdefault(key[0], {})[key[1]] = new
        for index in self.indexes.values():
            self._reindex(index, key, old, new)

    def _reindex(self, index: Index, key: Key, old: Item | None, new: Item | None) -> None:
        entries = self._entries[index.name]
        before = self._place_in(index, old)
        after = self._place_in(index, new)
        if before is not None and (after is None or after[0] != before[0]):
            del entries[before[0]][key]
            if not entries[before[0]]:
                del entries[before[0]]
        if after is not None and new is not None:
            entries.setdefault(after[0], {})[key] = (after[1], new)

    def _place_in(self, index: Index, item: Item | None) -> Key | None:
        """Tell an item's key in an index; None if it has not all of its attributes."""
        if item is None:
            return None
        schema = index.schema
        partition = item.get(schema.partition)
        if partition is None:
            return None
        if schema.sort is None:
            return plain(partition), None
        sort = item.get(schema.sort)
        return None if sort is None else (plain(partition), plain(sort))

    def require_indexable(self, item: Item) -> None:
        """Refuse an item whose attribute, key of an index, is of another kind than the index's."""
        for index in self.indexes.values():
            for name in index.schema.names:
                value = item.get(name)
                if value is None:
                    continue
                if kind_of(value) != self.kinds[name]:
                    raise unfit(f"Type mismatch for Index Key {name}, Index: {index.name}")
                if plain(value) in ("", b""):
                    raise unfit(f"The key attribute {name} of index {index.name} is empty")

    def partition(self, value: Any) -> list[tuple[Any, Key, Item]]:
        """List a partition's items by sort key: sort key, key, item."""
        found = [(sort, (value, sort), item) for sort, item in self._items.get(value, {}).items()]
        return sorted(found, key=_by_sort_key) if len(found) > 1 else found

    def index_partition(self, index: str, value: Any) -> list[tuple[Any, Key, Item]]:
        """List what an index has under a partition key, by its sort key, then the items' keys."""
        entries = self._entries[index].get(value, {})
        found = [(sort, key, item) for key, (sort, item) in entries.items()]
        return sorted(found, key=_by_sort_and_key) if len(found) > 1 else found

    def before_last(self, count: int) -> Table:
        """Make the table as it was before its last changes, for a read that comes too early."""
        earlier = Table(self.name, self.schema, self.kinds, self.indexes)
        for item in self:
            earlier._replace(self.key_of(item), None, item)
        for change in reversed(self.changes[max(0, len(self.changes) - count) :]):
            earlier._replace(change.key, change.new, change.old)
        return earlier


def _by_sort_key(entry: tuple[Any, Key, Item]) -> Any:
    return entry[0]


def _by_sort_and_key(entry: tuple[Any, Key, Item]) -> Any:
    return (entry[0], entry[1]) if entry[0] is not None else (entry[1],)


def _schema(described: Sequence[Mapping[str, str]]) -> KeySchema:
    by_type = {one["KeyType"]: one["AttributeName"] for one in described}
    return KeySchema(by_type["HASH"], by_type.get("RANGE"))


def _projected(described: Mapping[str, Any]) -> frozenset[str] | None:
    if described["ProjectionType"] == "ALL":
        return None
    return frozenset(described.get("NonKeyAttributes", ()))

"""Streams that keep their order, report changes only, tell their readers and stay small.

moto's stream differs from DynamoDB's in five ways mended here: a write that changes nothing emits
a record; functions are called in the middle of the write; sequence numbers repeat once records
are dropped; records stay for ever; and each record is measured and copied when written, whether
or not anybody reads it. Items are never changed once stored (`dynamodb_items`), so a record holds
its images by reference and renders them when read.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from moto.core import utils
from moto.dynamodb.models.table import StreamShard

from infra.local.corrections.dynamodb_lock import LOCK

# Beyond this many records a shard forgets the oldest even if some reader has not come; AWS
# forgets after 24 hours.
RECORDS_MAX = 50_000
# Records kept although every reader has them, or there is none, for a person who looks.
RECORDS_KEPT = 1_000


class LazyRecord:
    """A change of one item, rendered when it is read."""

    __slots__ = (
        "_rendered",
        "by_expiry",
        "event_id",
        "event_name",
        "new",
        "old",
        "sequence",
        "table",
        "written_at",
    )

    def __init__(self, table: Any, event_name: str, old: Any, new: Any, sequence: int) -> None:
        self.table = table
        self.event_name = event_name
        self.old = old
        self.new = new
        self.sequence = sequence
        self.written_at = utils.utcnow()
        self.event_id = uuid.uuid4().hex
        self.by_expiry = False
        self._rendered: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the record as GetRecords does, its creation time a datetime."""
        if self._rendered is None:
            self._rendered = self._render()
        return self._rendered

    def summary(self) -> dict[str, Any]:
        """Return what a filter mostly asks about, without the images."""
        return {
            "eventName": self.event_name,
            "eventSource": "aws:dynamodb",
            "dynamodb": {"Keys": self.keys()},
        }

    def keys(self) -> dict[str, Any]:
        """Return the key attributes in wire form."""
        item = self.new if self.new is not None else self.old
        return {name: item.attrs[name].to_json() for name in self.table.table_key_attrs}

    def image(self, item: Any) -> dict[str, Any]:
        """Return the attributes of `item` in wire form."""
        attributes: dict[str, Any] = item.to_json()["Attributes"]
        return attributes

    def _render(self) -> dict[str, Any]:
        view = self.table.stream_specification["StreamViewType"]
        change: dict[str, Any] = {
            "StreamViewType": view,
            "ApproximateCreationDateTime": self.written_at,
            "SequenceNumber": str(self.sequence),
            "Keys": self.keys(),
        }
        size = 0
        if self.new is not None and view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["NewImage"] = self.image(self.new)
            size += self.new.size()
        if self.old is not None and view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["OldImage"] = self.image(self.old)
            size += self.old.size()
        change["SizeBytes"] = max(1, size)
        record = {
            "eventID": self.event_id,
            "eventName": self.event_name,
            "eventSource": "aws:dynamodb",
            "eventVersion": "1.1",
            "awsRegion": self.table.region_name,
            "dynamodb": change,
        }
        if self.by_expiry:
            record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        return record


def install() -> None:
    """Replace how a shard takes, hands out and forgets records."""
    StreamShard.add = _add
    StreamShard.get = _get


def state_of(shard: Any) -> ShardState:
    """Return what this module keeps beside a shard of moto's."""
    state: ShardState | None = shard.__dict__.get("_local_state")
    if state is None:
        state = shard.__dict__["_local_state"] = ShardState()
    return state


class ShardState:
    """The readers of a shard and the number of records it has forgotten."""

    def __init__(self) -> None:
        self.forgotten = 0
        self.positions: dict[str, int] = {}
        self.listeners: list[Callable[[], None]] = []


def end_of(shard: Any) -> int:
    """Return the position behind the newest record."""
    return state_of(shard).forgotten + len(shard.items)


def read(shard: Any, position: int, quantity: int) -> tuple[int, list[LazyRecord]]:
    """Return the position where the records really begin, and at most `quantity` of them."""
    with LOCK:
        start = max(position - state_of(shard).forgotten, 0)
        return start + state_of(shard).forgotten, shard.items[start : start + quantity]


def commit(shard: Any, reader: str, position: int) -> None:
    """Note that `reader` is done with all before `position`; forget what every reader has."""
    with LOCK:
        state = state_of(shard)
        state.positions[reader] = position
        _forget(shard, min(state.positions.values()) - RECORDS_KEPT)


def truncate(shard: Any, length: int) -> None:
    """Take back the records added since the shard held `length` of them: the write was undone."""
    del shard.items[length:]


def clear(shard: Any) -> None:
    """Empty the shard and let every reader begin anew."""
    with LOCK:
        shard.items.clear()
        state = state_of(shard)
        state.forgotten = 0
        state.positions.clear()


def _forget(shard: Any, before: int) -> None:
    state = state_of(shard)
    surplus = before - state.forgotten
    # In steps, because cutting the head of a list moves the rest.
    if surplus >= RECORDS_KEPT:
        del shard.items[:surplus]
        state.forgotten += surplus


def _add(self: Any, old: Any, new: Any) -> None:
    if old is None and new is None:
        return
    if old is not None and new is not None and (old is new or old.attrs == new.attrs):
        return
    name = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
    state = state_of(self)
    position = state.forgotten + len(self.items)
    self.items.append(
        LazyRecord(self.table, name, old, new, self.starting_sequence_number + position)
    )
    # Without a reader of ours there is only the person who looks.
    kept = RECORDS_MAX if state.listeners else RECORDS_KEPT
    if len(self.items) > kept + RECORDS_KEPT:
        _forget(self, position - kept)
    for wake in state.listeners:
        wake()


def _get(self: Any, start: int, quantity: int) -> list[dict[str, Any]]:
    _, records = read(self, start - self.starting_sequence_number, quantity)
    return [record.to_json() for record in records]

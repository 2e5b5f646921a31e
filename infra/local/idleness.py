"""When a scheduled call cannot find anything to do, so that time may pass over it.

Seven days are 10,080 minutes, and a dozen sweeps look around in each. A call that only read, and
found nothing due, would read the same again until somebody writes to a table it read, or until
the moment it looks up to reaches the next entry of an index it looked into. Both can be told
without making the call.

Whether that holds is seen from the call itself, and in doubt it is made:

- it called nothing but reads, and no table was written to meanwhile, by anybody;
- a query with a moment in its keys found nothing, and where that is not the upper bound of the
  sort key, which says when it will find something, its index has no later moment to offer;
- no other moment was in anything it asked of DynamoDB.

What cannot be seen is a function that compares the time, by itself, with what it read. A sweep
of ours asks an index for what is due and does not (decision 0027).
"""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.local import call_counts

_READS = frozenset(
    {
        *(
            f"dynamodb.{name}"
            for name in ("BatchGetItem", "GetItem", "Query", "Scan", "TransactGetItems")
        ),
        "kms.GetPublicKey",
        "lambda.Invoke",
        "secretsmanager.GetSecretValue",
    }
)
_UPPER_BOUNDS = frozenset({"<", "<=", "LT", "LE"})
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?")
# A moment as text is cut to milliseconds, one as a number to seconds.
_CUT_SECONDS = {"S": 0.001, "N": 1.0}
# A number this near to the time in seconds, or in milliseconds, may be a moment.
_NEAR_SECONDS = 400 * 86_400


@dataclass(frozen=True, slots=True)
class Idleness:
    """What a call that found nothing to do relied on."""

    until: float
    """From this moment on it may find something; infinite if only a write can change that."""

    writes: Mapping[Any, int]
    """How often each table that it read had been written to."""

    def is_over(self) -> bool:
        """Tell whether a table was written to since."""
        return any(writes_of(table) != count for table, count in self.writes.items())


@dataclass
class _Observer:
    now: float
    tables: dict[Any, int] = field(default_factory=dict)
    until: float = float("inf")
    is_understood: bool = True
    bounds: set[str] = field(default_factory=set)
    reads: int = 0


_observers: list[_Observer] = []
_lock = threading.Lock()


def observed(call: Callable[[], bool], now: float) -> Idleness | None:
    """Make a call, which tells whether it failed or is not over; return what it relied on.

    None: it found something, or nobody can tell. What others do meanwhile counts as its own.
    """
    observer = _Observer(now)
    before = Counter(call_counts.counted())
    with _lock:
        _observers.append(observer)
    try:
        failed = call()
    finally:
        with _lock:
            _observers.remove(observer)
    made = Counter(call_counts.counted()) - before
    asked = sum(count for name, count in made.items() if name.startswith("dynamodb."))
    if failed or made.keys() - _READS or asked != observer.reads or not observer.is_understood:
        return None
    idleness = Idleness(observer.until, observer.tables)
    return None if idleness.is_over() else idleness


def writes_of(table: Any) -> int:
    """Tell how often a table was written to."""
    count: int = table.__dict__.get("_local_writes", 0)
    return count


def note_write(table: Any) -> None:
    """Count a write."""
    table.__dict__["_local_writes"] = writes_of(table) + 1


def note_query(
    index: Any, hash_key: Any, comparison: str | None, values: list[Any], found: int
) -> None:
    """Note what a query asked of an index, and how many items it found."""
    for observer in list(_observers):
        asked = {
            str(value.value): moment
            for value in (hash_key, *values)
            if (moment := _moment(value.type, value.value, observer.now)) is not None
        }
        if not asked:
            continue
        observer.bounds |= asked.keys()
        if found:
            observer.is_understood = False
        elif comparison in _UPPER_BOUNDS and set(asked) == {str(values[0].value)}:
            _note_bound(observer, index, hash_key, values[0])
        elif _latest(index, observer.now) > max(asked.values()):
            observer.is_understood = False


def _note_bound(observer: _Observer, index: Any, hash_key: Any, bound: Any) -> None:
    """Note when the bound, which moves with the time, reaches the next entry behind it."""
    following = index.first_behind(hash_key, bound)
    if following is None:
        return
    reached = _moment(following.type, following.value, observer.now)
    moment = _moment(bound.type, bound.value, observer.now)
    if reached is None or moment is None:
        observer.is_understood = False
        return
    ahead = observer.now - moment - _CUT_SECONDS[bound.type]
    observer.until = min(observer.until, reached + ahead)


def _latest(index: Any, now: float) -> float:
    """Tell the latest moment among an index's keys."""
    keys = [*index.partitions, *(("S", items.keys()[-1][0]) for items in index.partitions.values())]
    moments = (_moment("S" if isinstance(value, str) else kind, value, now) for kind, value in keys)
    return max((moment for moment in moments if moment is not None), default=-math.inf)


def note_request(request: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    """Note a request to DynamoDB that was answered."""
    for observer in list(_observers):
        observer.reads += 1
        for name in _table_names(request):
            if name in tables:
                observer.tables.setdefault(tables[name], writes_of(tables[name]))
        if _moments(request, observer.now) - observer.bounds:
            observer.is_understood = False


def _table_names(request: Mapping[str, Any]) -> set[str]:
    names = {request["TableName"]} if "TableName" in request else set()
    names |= set(request.get("RequestItems", ()))
    for item in request.get("TransactItems", ()):
        names |= {operation["TableName"] for operation in item.values()}
    return names


def _moments(value: Any, now: float) -> set[str]:
    """Find every attribute value that may be a moment."""
    if isinstance(value, Mapping):
        if len(value) == 1:
            kind, content = next(iter(value.items()))
            if kind in _CUT_SECONDS and isinstance(content, str):
                return {content} if _moment(kind, content, now) is not None else set()
        return set().union(*(_moments(one, now) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(_moments(one, now) for one in value))
    return set()


def _moment(kind: str, content: Any, now: float) -> float | None:
    """Read a moment, in seconds since the epoch, a day as its beginning; None if it is none."""
    if isinstance(content, str) and kind == "S":
        found = _MOMENT.search(content)
        if found is None:
            return None
        try:
            moment = datetime.fromisoformat(found[0])
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if kind == "B":
        return None
    for seconds in (float(content), float(content) / 1000):
        if abs(seconds - now) < _NEAR_SECONDS:
            return seconds
    return None

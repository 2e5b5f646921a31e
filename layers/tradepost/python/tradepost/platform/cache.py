"""A cache in the memory of one process: what was read, kept for a stated time and no longer.

What is kept is bounded by number and by bytes; which entry goes when room is needed is the
policy's to say. Absences are kept, too, for a shorter time and in a room of their own, so that
nobody can push out what there is by asking for what there is not.

On Lambda each instance has its own, and an instance answers one request at a time; the local
stack answers many at once, in one process.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import cachetools

from tradepost.kernel.clock import Clock
from tradepost.platform import metrics

# What an entry takes besides its key and value: the two dictionaries' slots, the entry, the times.
ENTRY_BYTES = 500
# Of the entries, one in so many may be an absence, beside those that are not.
_ABSENCES_SHARE = 4
_TOLD_EVERY = timedelta(minutes=1)

V = TypeVar("V")


class Policy(StrEnum):
    """Which entry goes when room is needed: the least recently, or least frequently, used."""

    LRU = "lru"
    LFU = "lfu"


_ORDERS: dict[Policy, type[cachetools.Cache[str, int]]] = {
    Policy.LRU: cachetools.LRUCache,
    Policy.LFU: cachetools.LFUCache,
}
assert set(_ORDERS) == set(Policy)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How much is kept, and for how long. No entries keeps nothing."""

    policy: Policy
    entries_max: int
    bytes_max: int
    fresh_seconds: int  # how long what was read is answered without reading again
    absent_seconds: int  # the same, of what was not there

    def __post_init__(self) -> None:
        limits = (self.entries_max, self.bytes_max, self.fresh_seconds, self.absent_seconds)
        if min(limits) < 0:
            raise ValueError("a cache's limits are not negative")


@dataclass(frozen=True, slots=True)
class Kept(Generic[V]):
    """An answer, and for how many whole seconds more it may be believed. None: there is none."""

    value: V | None
    fresh_seconds: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What a cache has done. Every request is a hit or a miss; a miss loads or joins a load."""

    hits: int = 0
    misses: int = 0
    joined: int = 0
    loads: int = 0
    load_failures: int = 0
    evictions: int = 0  # for want of room; what was too old to be of use is not counted

    def since(self, before: Counts) -> dict[str, int]:
        return {name: getattr(self, name) - getattr(before, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    value: V | None
    read_at: datetime  # before the load began: what it found is at least this new
    fresh_until: datetime

    def is_fresh(self, now: datetime) -> bool:
        # A machine's clock may be set back, which must not make anything live longer.
        return self.read_at <= now < self.fresh_until

    def kept(self, now: datetime) -> Kept[V]:
        left = self.fresh_until - max(now, self.read_at)
        return Kept(self.value, max(0, int(left.total_seconds())))


class Cache(Generic[V]):
    """Answers by key, read through: what is not known, or no longer, is loaded and kept.

    Parameters
    ----------
    name
        The metrics' dimension, as in `catalog.products`.
    bytes_of
        The size of a value.
    """

    def __init__(
        self, name: str, settings: CacheSettings, *, bytes_of: Callable[[V], int], now: Clock
    ) -> None:
        self._name = name
        self._settings = settings
        self._bytes_of = bytes_of
        self._now = now
        self._lock = threading.Lock()
        self._counts = Counts()
        self._told = (self._counts, now())
        self._forget_all()
        _CACHES.add(self)

    def get(self, key: str, load: Callable[[], V | None]) -> Kept[V]:
        """Answer from memory, or with what `load` finds; None is an absence.

        Of several who miss one key at once, one loads and the others wait for it. An error of
        the load goes to all of them and is not kept.
        """
        now = self._now()
        with self._lock:
            entry = self._present.find(key) or self._absent.find(key)
            if entry is not None and entry.is_fresh(now):
                self._count(hits=1)
                flight = None
            else:
                flight = self._flights.get(key)
                joins = flight is not None
                self._count(misses=1, joined=int(joins), loads=int(not joins))
                flight = self._flights.setdefault(key, Future())
        if flight is not None:
            entry = flight.result() if joins else self._load(key, load, flight, now)
        assert entry is not None
        self._tell_in_time(now)
        return entry.kept(self._now())

    def forget(self, key: str) -> None:
        """Let the next who asks read anew. A load under way is not kept: it may have read before.

        Who asks from now on does not join it, either.
        """
        with self._lock:
            self._present.drop(key)
            self._absent.drop(key)
            self._flights.pop(key, None)

    def forget_all(self) -> None:
        """Let everything be read anew; see `forget`."""
        with self._lock:
            self._forget_all()

    def counts(self) -> Counts:
        """Tell what was done since the cache was made."""
        with self._lock:
            return self._counts

    def size(self) -> tuple[int, int]:
        """Tell how many entries and bytes are held, absences and what is too old included."""
        with self._lock:
            return self._size()

    def _load(
        self, key: str, load: Callable[[], V | None], flight: Future[_Entry[V]], now: datetime
    ) -> _Entry[V]:
        try:
            value = load()
        except BaseException as error:
            with self._lock:
                self._count(load_failures=1)
                self._land(key, flight)
            flight.set_exception(error)
            raise
        settings = self._settings
        seconds = settings.absent_seconds if value is None else settings.fresh_seconds
        entry = _Entry(value, read_at=now, fresh_until=now + timedelta(seconds=seconds))
        with self._lock:
            if self._land(key, flight):
                self._keep(key, entry)
        flight.set_result(entry)
        return entry

    def _land(self, key: str, flight: Future[_Entry[V]]) -> bool:
        """Take the flight off the board; tell whether it still was there, and so may be kept."""
        if self._flights.get(key) is not flight:
            return False
        del self._flights[key]
        return True

    def _keep(self, key: str, entry: _Entry[V]) -> None:
        size = ENTRY_BYTES + len(key.encode())
        room, other = self._absent, self._present
        if entry.value is not None:
            size += self._bytes_of(entry.value)
            room, other = other, room
        other.drop(key)
        self._count(evictions=room.put(key, entry, size, self._now()))

    def _forget_all(self) -> None:
        settings = self._settings
        self._present = _Room[V](settings.policy, settings.entries_max, settings.bytes_max)
        share = _ABSENCES_SHARE
        self._absent = _Room[V](
            settings.policy, settings.entries_max // share, settings.bytes_max // share
        )
        self._flights: dict[str, Future[_Entry[V]]] = {}

    def _count(self, **more: int) -> None:
        counts = self._counts
        added = {name: getattr(counts, name) + number for name, number in more.items()}
        self._counts = replace(counts, **added)

    def _size(self) -> tuple[int, int]:
        rooms = (self._present, self._absent)
        return sum(len(room) for room in rooms), sum(room.bytes for room in rooms)

    def _tell_in_time(self, now: datetime) -> None:
        """Write the counts as metrics, once a minute at most.

        What an instance counted in its last minute is lost with it.
        """
        with self._lock:
            before, told_at = self._told
            if now - told_at < _TOLD_EVERY:
                return
            self._told = (self._counts, now)
            counted = self._counts.since(before)
            entries, size = self._size()
        counts = {**counted, "entries": entries}
        metrics.tell(
            cache=self._name,
            service="tradepost",
            counts={f"cache_{name}": count for name, count in counts.items()},
            sizes={"cache_size": size},
        )


class _Room(Generic[V]):
    """Entries within both limits. Not safe for threads: the cache's lock is held around it.

    cachetools says who goes next, and of each key knows only its size. What is too old goes
    before that: kept for its frequency it would crowd out what is asked for today.
    """

    def __init__(self, policy: Policy, entries_max: int, bytes_max: int) -> None:
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._order = _ORDERS[policy](bytes_max, getsizeof=int)
        # From the longest kept to the newest: all are kept equally long, so it is first past use.
        self._entries: OrderedDict[str, tuple[_Entry[V], int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        return int(self._order.currsize)

    def find(self, key: str) -> _Entry[V] | None:
        """Give the entry, fresh or not: that it was asked for counts either way."""
        self._order.get(key)
        entry, _ = self._entries.get(key, (None, 0))
        return entry

    def put(self, key: str, entry: _Entry[V], size: int, now: datetime) -> int:
        """Keep the entry if it fits and is of use; tell how many others had to go for it."""
        if size > self._bytes_max or not self._entries_max or not entry.is_fresh(now):
            self.drop(key)
            return 0
        evicted = 0
        while self._is_too_full_for(key, size):
            oldest = next(iter(self._entries))
            if self._entries[oldest][0].is_fresh(now):
                leaving, _ = self._order.popitem()
                del self._entries[leaving]
                evicted += 1
            else:
                self.drop(oldest)
        self._order[key] = size
        self._entries[key] = (entry, size)
        self._entries.move_to_end(key)
        return evicted

    def drop(self, key: str) -> None:
        if self._entries.pop(key, None) is not None:
            del self._order[key]

    def _is_too_full_for(self, key: str, size: int) -> bool:
        _, replaced = self._entries.get(key, (None, 0))
        entries = len(self._entries) + (key not in self._entries)
        return entries > self._entries_max or self.bytes - replaced + size > self._bytes_max


_CACHES: WeakSet[Cache[Any]] = WeakSet()


def forget_everything() -> None:
    """Empty every cache of this process, as a new instance begins, or a test that changes all."""
    for cache in list(_CACHES):
        cache.forget_all()

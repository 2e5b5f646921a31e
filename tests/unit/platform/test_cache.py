"""What the cache keeps, for how long, and what goes when room is needed."""

from __future__ import annotations

import itertools
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from tradepost.platform.cache import (
    ENTRY_BYTES,
    Cache,
    CacheSettings,
    Counts,
    Policy,
    forget_everything,
)

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
A_ROOMY_ONE = CacheSettings(
    Policy.LRU, entries_max=100, bytes_max=1_000_000, fresh_seconds=30, absent_seconds=5
)
POLICIES = pytest.mark.parametrize("policy", Policy)


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.moment = MONDAY

    def __call__(self):
        return self.moment

    def passes(self, seconds):
        self.moment += timedelta(seconds=seconds)


class World(dict):
    """What the loads read, and how often they did."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.loads = 0

    def read(self, key):
        def load():
            self.loads += 1
            found = self.get(key)
            if isinstance(found, Exception):
                raise found
            return found

        return load


class OutOfOrderError(Exception):
    pass


@pytest.fixture
def watch(monkeypatch):
    monkeypatch.setenv("STAGE", "test")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    return Watch()


@pytest.fixture
def told(monkeypatch, capsys):
    """The metrics written since the last call."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def a_cache(watch, **settings):
    return Cache("test", replace(A_ROOMY_ONE, **settings), bytes_of=len, now=watch)


def ask(cache, world, key):
    return cache.get(key, world.read(key)).value


def kept(cache, world, *keys):
    """Tell which of the keys are answered without a load."""
    found = []
    for key in keys:
        before = world.loads
        ask(cache, world, key)
        found += [key] if world.loads == before else []
    return found


# How long


def test_what_was_read_is_answered_without_reading_again(watch):
    cache, world = a_cache(watch), World(mug="1200")

    assert [ask(cache, world, "mug") for _ in range(3)] == ["1200"] * 3
    assert world.loads == 1


def test_a_change_is_seen_at_the_latest_when_the_time_is_over(watch):
    cache, world = a_cache(watch, fresh_seconds=30), World(mug="1200")
    ask(cache, world, "mug")
    world["mug"] = "1300"

    watch.passes(29.999)
    before = ask(cache, world, "mug")
    watch.passes(0.001)

    assert (before, ask(cache, world, "mug")) == ("1200", "1300")


def test_being_asked_for_keeps_nothing_longer(watch):
    cache, world = a_cache(watch, fresh_seconds=30), World(mug="1200")
    for _ in range(30):
        ask(cache, world, "mug")
        watch.passes(1)
    world["mug"] = "1300"

    assert ask(cache, world, "mug") == "1300"


def test_an_answer_says_how_much_longer_it_may_be_believed(watch):
    cache, world = a_cache(watch, fresh_seconds=30), World(mug="1200")

    told = []
    for seconds in (0, 12, 17.5, 0.5):
        watch.passes(seconds)
        told.append(cache.get("mug", world.read("mug")).fresh_seconds)

    # Never rounded up: whoever is told keeps it no longer than we do.
    assert told == [30, 18, 0, 30]


def test_the_time_a_load_takes_counts(watch):
    cache = a_cache(watch, fresh_seconds=30)

    def slow():
        watch.passes(10)
        return "1200"

    assert cache.get("mug", slow).fresh_seconds == 20


def test_what_took_longer_to_load_than_it_may_be_kept_is_answered_and_not_kept(watch):
    cache, world = a_cache(watch, fresh_seconds=30), World(mug="1300")

    def too_slow():
        watch.passes(31)
        return "1200"

    assert cache.get("mug", too_slow) == cache.get("mug", too_slow)
    assert ask(cache, world, "mug") == "1300"


def test_a_clock_that_is_set_back_makes_nothing_live_longer(watch):
    cache, world = a_cache(watch), World(mug="1200")
    ask(cache, world, "mug")
    world["mug"] = "1300"

    watch.passes(-3_600)

    assert ask(cache, world, "mug") == "1300"


# Absences and errors


def test_an_absence_is_kept_for_its_own_shorter_time(watch):
    cache, world = a_cache(watch, absent_seconds=5), World()
    assert ask(cache, world, "mug") is None
    world["mug"] = "1200"

    watch.passes(4)
    before = ask(cache, world, "mug")
    watch.passes(1)

    assert (before, ask(cache, world, "mug")) == (None, "1200")
    assert world.loads == 2


def test_what_is_withdrawn_is_an_absence_from_then_on(watch):
    cache, world = a_cache(watch, fresh_seconds=30, absent_seconds=5), World(mug="1200")
    ask(cache, world, "mug")
    del world["mug"]
    watch.passes(30)

    assert ask(cache, world, "mug") is None
    assert cache.size()[0] == 1


@POLICIES
def test_asking_for_what_there_is_not_pushes_out_nothing_that_there_is(watch, policy):
    cache, world = a_cache(watch, policy=policy, entries_max=8), World(mug="1", cup="2")
    kept(cache, world, "mug", "cup")

    for number in range(1_000):
        ask(cache, world, f"nothing-{number}")

    assert kept(cache, world, "mug", "cup") == ["mug", "cup"]
    assert cache.size()[0] == 4  # a quarter of eight, beside the two


def test_an_error_of_the_load_is_the_answer_and_is_not_kept(watch):
    cache, world = a_cache(watch), World(mug=OutOfOrderError())

    with pytest.raises(OutOfOrderError):
        ask(cache, world, "mug")
    world["mug"] = "1200"

    assert ask(cache, world, "mug") == "1200"
    assert cache.counts().load_failures == 1


def test_an_error_does_not_bring_back_what_is_too_old(watch):
    cache, world = a_cache(watch), World(mug="1200")
    ask(cache, world, "mug")
    world["mug"] = OutOfOrderError()
    watch.passes(30)

    with pytest.raises(OutOfOrderError):
        ask(cache, world, "mug")


# Room


def test_the_least_recently_used_goes_first(watch):
    cache, world = a_cache(watch, policy=Policy.LRU, entries_max=3), World(a="1", b="2", c="3")
    kept(cache, world, "a", "b", "c", "b", "b", "a")

    ask(cache, world, "d")
    world["e"] = "5"
    ask(cache, world, "e")

    assert kept(cache, world, "b", "a", "e") == ["b", "a", "e"]
    assert cache.counts().evictions == 1


def test_the_least_frequently_used_goes_first(watch):
    cache, world = a_cache(watch, policy=Policy.LFU, entries_max=3), World(a="1", b="2", c="3")
    kept(cache, world, "a", "b", "c", "b", "b", "a", "a", "c")

    world["e"] = "5"
    ask(cache, world, "e")

    assert kept(cache, world, "a", "b", "e") == ["a", "b", "e"]


@POLICIES
def test_what_is_too_old_goes_before_what_is_not(watch, policy):
    cache, world = a_cache(watch, policy=policy, entries_max=2), World(a="1", b="2", c="3")
    kept(cache, world, *"aaaaa")
    watch.passes(20)
    ask(cache, world, "b")
    kept(cache, world, *"aaaaa")
    watch.passes(10)

    ask(cache, world, "c")

    assert kept(cache, world, "b", "c") == ["b", "c"]
    assert cache.counts().evictions == 0


@POLICIES
def test_bytes_are_bounded_and_a_large_entry_takes_the_room_of_several(watch, policy):
    room = 4 * (ENTRY_BYTES + 1 + 100)
    cache = a_cache(watch, policy=policy, bytes_max=room)
    world = World(dict.fromkeys("abcd", "x" * 100), L="x" * (ENTRY_BYTES + 201))
    kept(cache, world, *"abcd")

    ask(cache, world, "L")

    assert cache.size() == (3, room)
    assert kept(cache, world, *"cdL") == ["c", "d", "L"]


@POLICIES
def test_what_is_larger_than_all_the_room_is_answered_and_pushes_out_nothing(watch, policy):
    cache = a_cache(watch, policy=policy, bytes_max=2_000)
    world = World(mug="1200", giant="x" * 2_000)
    ask(cache, world, "mug")

    assert ask(cache, world, "giant") == "x" * 2_000
    assert kept(cache, world, "mug", "giant") == ["mug"]


@POLICIES
def test_without_entries_nothing_is_kept(watch, policy):
    cache, world = a_cache(watch, policy=policy, entries_max=0), World(mug="1200")

    assert kept(cache, world, "mug", "mug", "cup", "cup") == []
    assert cache.size() == (0, 0)


@pytest.mark.parametrize("limit", ["entries_max", "bytes_max", "fresh_seconds", "absent_seconds"])
def test_a_negative_limit_is_refused(limit):
    with pytest.raises(ValueError, match="not negative"):
        replace(A_ROOMY_ONE, **{limit: -1})


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="mru"):
        Policy("mru")


# Events


def test_a_change_is_seen_at_once_where_its_event_arrived(watch):
    cache, world = a_cache(watch), World(mug="1200")
    ask(cache, world, "mug")
    world["mug"] = "1300"

    cache.forget("mug")

    assert ask(cache, world, "mug") == "1300"


def test_an_event_about_what_is_not_kept_changes_nothing(watch):
    cache, world = a_cache(watch), World(mug="1200")
    ask(cache, world, "mug")

    cache.forget("cup")

    assert kept(cache, world, "mug") == ["mug"]


@pytest.mark.parametrize("forget", [lambda cache: cache.forget("mug"), Cache.forget_all])
def test_what_was_read_before_the_event_is_not_kept_after_it(watch, forget):
    cache, world = a_cache(watch), World(mug="1300")

    def overtaken():
        forget(cache)
        return "1200"

    assert cache.get("mug", overtaken).value == "1200"
    assert ask(cache, world, "mug") == "1300"


def test_who_asks_after_the_event_does_not_wait_for_a_load_from_before(watch):
    cache, world = a_cache(watch), World(mug="1300")
    reading, may_end = threading.Event(), threading.Event()

    def slow():
        reading.set()
        may_end.wait(10)
        return "1200"

    with ThreadPoolExecutor() as pool:
        first = pool.submit(cache.get, "mug", slow)
        reading.wait(10)
        cache.forget("mug")
        after = ask(cache, world, "mug")
        may_end.set()

    assert (first.result().value, after) == ("1200", "1300")
    assert kept(cache, world, "mug") == ["mug"]
    assert ask(cache, world, "mug") == "1300"


def test_a_new_beginning_empties_every_cache(watch):
    caches, world = [a_cache(watch), a_cache(watch)], World(mug="1200")
    for cache in caches:
        ask(cache, world, "mug")

    forget_everything()

    assert [cache.size() for cache in caches] == [(0, 0), (0, 0)]


# Many at once


def all_have_missed(cache, callers):
    """Keep a load from ending before everybody has asked."""
    turn = threading.Event()
    turns = itertools.takewhile(lambda _: cache.counts().misses < callers, range(10_000))
    for _ in turns:
        turn.wait(0.001)


def test_many_who_miss_one_key_at_once_make_one_load(watch):
    callers = 16
    cache, world = a_cache(watch), World(mug="1200")

    def load():
        all_have_missed(cache, callers)
        return world.read("mug")()

    with ThreadPoolExecutor(callers) as pool:
        answers = [pool.submit(cache.get, "mug", load) for _ in range(callers)]

    assert {answer.result().value for answer in answers} == {"1200"}
    assert world.loads == 1
    assert cache.counts() == Counts(misses=callers, joined=callers - 1, loads=1)


def test_many_who_wait_for_a_load_that_fails_are_all_told_and_the_next_one_loads(watch):
    callers = 8
    cache, world = a_cache(watch), World(mug="1200")

    def load():
        all_have_missed(cache, callers)
        raise OutOfOrderError

    with ThreadPoolExecutor(callers) as pool:
        answers = [pool.submit(cache.get, "mug", load) for _ in range(callers)]

    assert {type(answer.exception()) for answer in answers} == {OutOfOrderError}
    assert cache.counts().load_failures == 1
    assert ask(cache, world, "mug") == "1200"


def test_a_load_of_one_key_holds_up_no_other(watch):
    cache, world = a_cache(watch), World(cup="900")
    inside = []

    def load():
        inside.append(ask(cache, world, "cup"))
        return "1200"

    assert cache.get("mug", load).value == "1200"
    assert inside == ["900"]


@POLICIES
def test_threads_lose_no_count_and_break_no_limit(watch, policy):
    cache = a_cache(watch, policy=policy, entries_max=20, bytes_max=15_000)
    asked_each, threads = 2_000, 8

    def storm(seed):
        chance = random.Random(seed)
        for _ in range(asked_each):
            key = f"key-{int(chance.paretovariate(1)) % 60}"
            if chance.random() < 0.02:
                cache.forget(key)
            value = cache.get(key, lambda key=key: key * (1 + len(key)) if key[-1] != "7" else None)
            assert value.value is None or value.value.startswith(key)
            entries, size = cache.size()
            assert entries <= 25
            assert size <= 15_000 * 5 // 4

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(storm, range(threads)))

    counts = cache.counts()
    assert counts.hits + counts.misses == asked_each * threads
    assert counts.loads + counts.joined == counts.misses


# Against a model


@dataclass
class Row:
    key: str
    value: str | None
    read_at: datetime
    size: int
    asked: int  # how often, since it came
    last: int  # when last, as a count of all that happened


class Model:
    """The same rules written down as lists and looked through from end to end."""

    def __init__(self, settings):
        self.settings = settings
        self.rooms = {True: [], False: []}
        self.limits = {
            True: (settings.entries_max, settings.bytes_max),
            False: (settings.entries_max // 4, settings.bytes_max // 4),
        }
        self.happened = 0
        self.hits = self.misses = self.failures = self.evictions = 0

    def get(self, key, now, found):
        self.happened += 1
        rows = [row for room in self.rooms.values() for row in room if row.key == key]
        for row in rows:
            row.asked, row.last = row.asked + 1, self.happened
            if self.is_fresh(row, now):
                self.hits += 1
                return row.value
        self.misses += 1
        if isinstance(found, Exception):
            self.failures += 1
            return found
        self.keep(key, found, now)
        return found

    def keep(self, key, value, now):
        there = value is not None
        room = self.rooms[there]
        self.forget(key, in_room=not there)
        size = ENTRY_BYTES + len(key) + len(value or "")
        entries_max, bytes_max = self.limits[there]
        if size > bytes_max or entries_max == 0 or self.seconds(value) == 0:
            self.forget(key, in_room=there)
            return
        while True:
            others = [row for row in room if row.key != key]
            ours = [row for row in room if row.key == key]
            full = len(others) + 1 > entries_max
            if not full and sum(row.size for row in others) + size <= bytes_max:
                break
            stale = [row for row in room if not self.is_fresh(row, now)]
            if stale and stale[0] is room[0]:
                room.remove(stale[0])
            else:
                room.remove(min(room, key=self.turn))
                self.evictions += 1
        self.happened += 1
        asked = ours[0].asked + 1 if ours else 1
        self.forget(key, in_room=there)
        room.append(Row(key, value, now, size, asked, self.happened))

    def turn(self, row):
        return row.last if self.settings.policy is Policy.LRU else (row.asked, row.last)

    def forget(self, key, in_room=None):
        for there, room in self.rooms.items():
            if in_room is None or in_room == there:
                room[:] = [row for row in room if row.key != key]

    def is_fresh(self, row, now):
        return now < row.read_at + timedelta(seconds=self.seconds(row.value))

    def seconds(self, value):
        settings = self.settings
        return settings.absent_seconds if value is None else settings.fresh_seconds

    def size(self):
        rows = [row for room in self.rooms.values() for row in room]
        return len(rows), sum(row.size for row in rows)


@POLICIES
@pytest.mark.parametrize("seed", range(40))
def test_any_sequence_of_requests_times_changes_and_events_is_as_the_model_says(
    watch, policy, seed
):
    chance = random.Random(f"{policy} {seed}")
    settings = CacheSettings(
        policy,
        entries_max=chance.choice([0, 1, 4, 12]),
        bytes_max=chance.choice([0, 700, 3_000, 1_000_000]),
        fresh_seconds=chance.choice([0, 3, 30]),
        absent_seconds=chance.choice([0, 2]),
    )
    cache = Cache("test", settings, bytes_of=len, now=watch)
    model, world = Model(settings), World()
    shown = {}  # by key: when each value was true, for the bound on staleness

    def change(key):
        world[key] = chance.choice(
            [None, OutOfOrderError(key), *(f"{key}-{n}" * n for n in (1, 5, 40))]
        )
        shown.setdefault(key, []).append((watch(), world[key]))

    keys = [f"key-{n}" for n in range(16)]
    for key in keys:
        change(key)
    for _ in range(300):
        key = keys[min(int(chance.paretovariate(0.8)), len(keys)) - 1]
        act = chance.random()
        if act < 0.1:
            change(key)
        elif act < 0.2:
            watch.passes(chance.choice([0.5, 1, 7]))
        elif act < 0.24:
            cache.forget(key)
            model.forget(key)
            shown[key] = [(watch(), world[key])]
        elif act < 0.245:
            cache.forget_all()
            for room in model.rooms.values():
                room.clear()
        else:
            try:
                answer = ask(cache, world, key)
            except OutOfOrderError as error:
                answer = error
            assert answer == model.get(key, watch(), world[key])
            seconds = max(settings.fresh_seconds, settings.absent_seconds)
            oldest = watch() - timedelta(seconds=seconds)
            since = [value for at, value in shown[key] if at > oldest]
            before = [value for at, value in shown[key] if at <= oldest]
            assert answer in [*before[-1:], *since]
        assert cache.size() == model.size()
    counts = cache.counts()
    assert (counts.hits, counts.misses, counts.loads) == (model.hits, model.misses, world.loads)
    assert (counts.load_failures, counts.evictions) == (model.failures, model.evictions)


# Metrics


def test_what_was_counted_is_written_once_a_minute_as_metrics(watch, told):
    cache, world = a_cache(watch), World(mug="1200")

    for _ in range(3):
        ask(cache, world, "mug")
    assert told() == []
    watch.passes(60)
    ask(cache, world, "mug")
    watch.passes(59)
    ask(cache, world, "mug")

    (line,) = told()
    numbers = {
        name: line[f"cache_{name}"] for name in ("hits", "misses", "loads", "entries", "size")
    }
    assert numbers == {
        "hits": [2.0], "misses": [2.0], "loads": [2.0], "entries": [1.0], "size": [507.0],
    }  # fmt: skip
    assert (line["cache"], line["stage"]) == ("test", "test")
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "Tradepost"
    assert {"Name": "cache_hits", "Unit": "Count"} in described["Metrics"]


def test_each_line_of_metrics_tells_what_came_since_the_last(watch, told):
    cache, world = a_cache(watch, fresh_seconds=3_000), World(mug="1200")
    ask(cache, world, "mug")

    for hits in (4, 9):
        for _ in range(hits - 1):
            ask(cache, world, "mug")
        watch.passes(60)
        ask(cache, world, "mug")

    lines = told()
    assert [line["cache_hits"] for line in lines] == [[4.0], [9.0]]
    assert [line["cache_loads"] for line in lines] == [[1.0], [0.0]]

"""Schedules: what is called by the clock, and items deleted when they expire."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from croniter import croniter

from infra.local import idleness
from infra.local.clock import Clock, as_datetime
from infra.local.corrections.dynamodb_lock import LOCK
from infra.local.functions import ASYNCHRONOUS_ATTEMPTS, Functions

# DynamoDB deletes an expired item within days; here within this.
EXPIRY_SECONDS = 60.0

_EXPRESSION = re.compile(r"(rate|cron|at)\((.+)\)")
_UNIT_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}


class ScheduleError(ValueError):
    """Not a schedule expression of EventBridge."""


def next_time(expression: str, after: float, timezone: str = "UTC") -> float:
    """Return when a schedule is next due, in seconds since the epoch; infinite if never again.

    Raises
    ------
    ScheduleError
        None of `rate(value unit)`, `cron(six fields)`, `at(local time)`.
    """
    kind, content = _parsed(expression)
    if kind == "rate":
        return after + _rate_seconds(content)
    zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    if kind == "at":
        try:
            moment = datetime.fromisoformat(content).replace(tzinfo=zone).timestamp()
        except ValueError as error:
            raise ScheduleError(expression) from error
        return moment if moment > after else math.inf
    fields = content.split()
    if len(fields) != 6:
        raise ScheduleError(expression)
    minute, hour, day, month, weekday, year = fields
    # EventBridge counts weekdays from 1 for Sunday, croniter from 0, and has seconds before years.
    weekday = re.sub(r"(?<![#\d])[1-7](?!\d)", lambda day: str(int(day[0]) - 1), weekday)
    text = " ".join([minute, hour, day, month, weekday, "0", year]).replace("?", "*")
    return float(croniter(text, as_datetime(after).astimezone(zone)).get_next())


def first_time(expression: str, due: float, moment: float, timezone: str = "UTC") -> float:
    """Return when a schedule that is due at `due` is due for the first time from `moment` on."""
    if moment <= due or math.isinf(due):
        return due
    if math.isinf(moment):
        return math.inf
    kind, content = _parsed(expression)
    if kind == "rate":
        seconds = _rate_seconds(content)
        return due + math.ceil((moment - due) / seconds) * seconds
    # Cron's times are whole minutes: the one at the moment itself counts.
    return next_time(expression, moment - 0.001, timezone)


def _parsed(expression: str) -> tuple[str, str]:
    found = _EXPRESSION.fullmatch(expression.strip())
    if found is None:
        raise ScheduleError(expression)
    return found[1], found[2]


def _rate_seconds(content: str) -> int:
    value, _, unit = content.partition(" ")
    seconds = _UNIT_SECONDS.get(unit.strip().lower().removesuffix("s"))
    if seconds is None or not value.isdecimal() or int(value) == 0:
        raise ScheduleError(f"rate({content})")
    return int(value) * seconds


class Scheduled(Protocol):
    """What a schedule calls."""

    name: str

    def call(self, at: float) -> bool:
        """Call it as due at `at`; tell whether it failed, or goes on where nobody sees it."""

    def call_later(self, at: float) -> None:
        """Have it called as due at `at`, and do not wait."""


class ScheduledFunction:
    """A function that its app declares to be called by a schedule."""

    def __init__(self, functions: Functions, function: str, region: str) -> None:
        self.name = function
        self._functions = functions
        self._region = region

    def call(self, at: float) -> bool:
        event = self._event(at)
        # Lambda takes the event from EventBridge, and tries it as often as any such.
        return all(self._functions.run(self.name, event)[1] for _ in range(ASYNCHRONOUS_ATTEMPTS))

    def call_later(self, at: float) -> None:
        self._functions.run_later(self.name, self._event(at))

    def _event(self, at: float) -> str:
        return scheduled_event(self.name, at, self._region)


def scheduled_event(rule: str, at: float, region: str) -> str:
    """Write the event that EventBridge makes for a rule with a schedule."""
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": as_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:events:{region}:123456789012:rule/{rule}"],
        "detail": {},
    }
    return json.dumps(event)


class ScheduleSource:
    """A schedule: it calls what it is for when that is due and may find something to do."""

    def __init__(
        self, scheduled: Scheduled, expression: str, clock: Clock, *, timezone: str = "UTC"
    ) -> None:
        self.name = f"{expression} -> {scheduled.name}"
        self.function = scheduled.name
        self._scheduled = scheduled
        self._expression = expression
        self._timezone = timezone
        self._clock = clock
        self._due = next_time(expression, clock.now(), timezone)
        self._idleness: idleness.Idleness | None = None

    def listen(self, wake: Callable[[], None]) -> None:
        """Have nothing to tell: only time brings work."""

    def next_due(self) -> float | None:
        due = self._next_due()
        return None if math.isinf(due) else due

    def poll(self, now: float) -> int:
        due = self._next_due()
        if now < due:
            return 0
        # What was missed is not made up for.
        self._due = next_time(self._expression, max(due, now), self._timezone)
        self._idleness = idleness.observed(lambda: self._scheduled.call(due), now)
        return 1

    def restart(self) -> None:
        """Know nothing any more of whether there is something to do."""
        self._idleness = None
        self._due = first_time(self._expression, self._due, self._clock.now(), self._timezone)

    def fire(self, at: float) -> None:
        """Make the call as if it were due at `at`."""
        self._scheduled.call_later(at)

    def _next_due(self) -> float:
        known = self._idleness
        if known is None:
            return self._due
        if known.is_over():
            self.restart()
            return self._due
        return first_time(self._expression, self._due, known.until, self._timezone)


class ExpirySource:
    """The deletion of expired items of one table."""

    def __init__(self, table: Any, clock: Clock) -> None:
        self.name = f"{table.name} expiry"
        self._table = table
        self._clock = clock
        self._due = clock.now() + EXPIRY_SECONDS
        self._known = (-1, math.inf)

    def listen(self, wake: Callable[[], None]) -> None:
        """Have nothing to tell: only time brings work."""

    def next_due(self) -> float | None:
        with LOCK:
            first = self._first_expiry()
        if math.isinf(first):
            return None
        return first_time("rate(1 minute)", self._due, first)

    def poll(self, now: float) -> int:
        due = self.next_due()
        if due is None or now < due:
            return 0
        self._due = now + EXPIRY_SECONDS
        return self.expire(now)

    def expire(self, now: float) -> int:
        """Delete the items that have expired at `now`; return how many."""
        with LOCK:
            expired = [item for item in self._items() if self._expiry(item) < now]
            for item in expired:
                self._table.delete_item(item.hash_key, item.range_key)
                if self._table.stream_shard is not None:
                    # How a reader tells an expiry from a deletion.
                    self._table.stream_shard.items[-1].by_expiry = True
        return len(expired)

    def _first_expiry(self) -> float:
        """Tell when the next item expires; only a write can change that."""
        writes = idleness.writes_of(self._table)
        if self._known[0] != writes:
            first = min((self._expiry(item) for item in self._items()), default=math.inf)
            # An item has expired when its moment is past.
            self._known = (writes, first + 1)
        return self._known[1]

    def _items(self) -> list[Any]:
        return [
            item
            for partition in self._table.items.values()
            for item in (partition.values() if self._table.range_key_attr else (partition,))
        ]

    def _expiry(self, item: Any) -> float:
        value = item.attrs.get(self._table.ttl["AttributeName"])
        return float(value.value) if value is not None and value.type == "N" else math.inf

"""Schedules: functions called by the clock, and items deleted when they expire."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from croniter import croniter

from infra.local.clock import Clock, as_datetime
from infra.local.corrections.dynamodb_lock import LOCK
from infra.local.functions import Functions

# DynamoDB deletes an expired item within days; here within this.
EXPIRY_SECONDS = 60.0

_EXPRESSION = re.compile(r"(rate|cron)\((.+)\)")
_UNIT_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}


class ScheduleError(ValueError):
    """Not a schedule expression of EventBridge."""


def next_time(expression: str, after: float) -> float:
    """Return when a schedule is next due, in seconds since the epoch.

    Raises
    ------
    ScheduleError
        Neither `rate(value unit)` nor `cron(six fields)`.
    """
    found = _EXPRESSION.fullmatch(expression.strip())
    if found is None:
        raise ScheduleError(expression)
    kind, content = found.groups()
    if kind == "rate":
        value, _, unit = content.partition(" ")
        seconds = _UNIT_SECONDS.get(unit.strip().lower().removesuffix("s"))
        if seconds is None or not value.isdecimal():
            raise ScheduleError(expression)
        return after + timedelta(seconds=int(value) * seconds).total_seconds()
    fields = content.split()
    if len(fields) != 6:
        raise ScheduleError(expression)
    minute, hour, day, month, weekday, year = fields
    # EventBridge counts weekdays from 1 for Sunday, croniter from 0, and has seconds before years.
    weekday = re.sub(r"(?<![#\d])[1-7](?!\d)", lambda day: str(int(day[0]) - 1), weekday)
    text = " ".join([minute, hour, day, month, weekday, "0", year]).replace("?", "*")
    return float(croniter(text, as_datetime(after)).get_next())


class ScheduleSource:
    """A function called by a schedule."""

    def __init__(
        self, functions: Functions, function: str, expression: str, clock: Clock, region: str
    ) -> None:
        self.name = f"{expression} -> {function}"
        self.function = function
        self._functions = functions
        self._expression = expression
        self._region = region
        self._due = next_time(expression, clock.now())

    def listen(self, wake: Callable[[], None]) -> None:
        """Have nothing to tell: only time brings work."""

    def next_due(self) -> float | None:
        return self._due

    def poll(self, now: float) -> int:
        if now < self._due:
            return 0
        self.fire(self._due)
        # What was missed is not made up for.
        self._due = next_time(self._expression, max(self._due, now))
        return 1

    def fire(self, at: float) -> None:
        """Call the function as if it were due at `at`."""
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": as_datetime(at).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [f"arn:aws:events:{self._region}:123456789012:rule/{self.function}"],
            "detail": {},
        }
        self._functions.run_later(self.function, json.dumps(event))


class ExpirySource:
    """The deletion of expired items of one table."""

    def __init__(self, table: Any, clock: Clock) -> None:
        self.name = f"{table.name} expiry"
        self._table = table
        self._due = clock.now() + EXPIRY_SECONDS

    def listen(self, wake: Callable[[], None]) -> None:
        """Have nothing to tell: only time brings work."""

    def next_due(self) -> float | None:
        return self._due

    def poll(self, now: float) -> int:
        if now < self._due:
            return 0
        self._due = now + EXPIRY_SECONDS
        return self.expire(now)

    def expire(self, now: float) -> int:
        """Delete the items that have expired at `now`; return how many."""
        attribute = self._table.ttl["AttributeName"]
        with LOCK:
            expired = [
                item
                for partition in self._table.items.values()
                for item in (partition.values() if self._table.range_key_attr else (partition,))
                if _expired(item.attrs.get(attribute), now)
            ]
            for item in expired:
                self._table.delete_item(item.hash_key, item.range_key)
                if self._table.stream_shard is not None:
                    # How a reader tells an expiry from a deletion.
                    self._table.stream_shard.items[-1].by_expiry = True
        return len(expired)


def _expired(value: Any, now: float) -> bool:
    return value is not None and value.type == "N" and float(value.value) < now

"""Which fault befalls which call: chosen by the plan and its seed, counted, and told."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from infra.local import boundaries
from infra.local.boundaries import Boundary, GoOn, Place
from infra.local.clock import Clock, as_datetime
from infra.local.faults import effects
from infra.local.faults.effects import Effect
from infra.local.faults.later import LaterSource
from infra.local.faults.plan import Plan

FIRED_TOLD_MAX = 1_000
# DynamoDB tells a conflict of what writes; SQS, SNS and the others know none.
_WRITES = frozenset({"DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem"})


@dataclass(frozen=True, slots=True)
class Outside:
    """Somebody outside, as the shop reaches them: what a plan's `provider` or `carrier` is.

    `unavailable` is what the adapter raises when nobody answers. `declines` tells for each
    operation that can be declined how: it is given the arguments, and changes them to ones that
    are declined or raises what says so.
    """

    name: str
    adapters: tuple[type, ...]
    operations: tuple[str, ...]
    unavailable: type[Exception]
    declines: Mapping[str, Callable[[dict[str, Any]], None]]


@dataclass(slots=True)
class _Tally:
    """How often a fault could have fired, and did."""

    met: int = 0
    fired: int = 0


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A fault that befalls a call."""

    fault: Any
    number: int  # of the fault in the plan, from 0
    met: int  # which of the calls it could have befallen this is, from 1
    seed: int

    @property
    def chance(self) -> random.Random:
        """A source of choices that is this fault's and this call's own."""
        return random.Random(f"{self.seed}/{self.number}/{self.met}")  # noqa: S311 - no secret


class Switchboard:
    """Satisfies `infra.local.boundaries.Interceptor`, while a plan is on.

    Whether a fault befalls the n-th call that it could befall follows from the plan's seed, the
    fault's place in the plan, and n alone. Of several faults that would befall one call, the
    first in the plan does.
    """

    def __init__(self, clock: Clock, later: LaterSource, outside: tuple[Outside, ...] = ()) -> None:
        self._clock = clock
        self._later = later
        self._outside = {one.name: one for one in outside}
        self._lock = threading.Lock()
        self._plan: Plan | None = None
        self._tallies: list[_Tally] = []
        self._fired: deque[dict[str, Any]] = deque(maxlen=FIRED_TOLD_MAX)
        for one in outside:
            for adapter in one.adapters:
                boundaries.watch_adapter(one.name, adapter, one.operations)

    def switch_on(self, plan: Plan) -> None:
        """Let the plan's faults befall calls from now on, counted anew."""
        with self._lock:
            self._plan = plan
            self._tallies = [_Tally() for _ in plan.faults]
            self._fired.clear()
        boundaries.use(self)

    def switch_off(self) -> None:
        """Let nothing befall any call. What was told stays to be read."""
        boundaries.use(None)

    @property
    def is_on(self) -> bool:
        """Whether faults befall calls."""
        return boundaries.is_watched()

    def told(self) -> dict[str, Any]:
        """Tell what is on, how often each fault fired, and the latest that did."""
        with self._lock:
            plan, fired = self._plan, list(reversed(self._fired))
            tallies = [(tally.met, tally.fired) for tally in self._tallies]
        faults = [] if plan is None else plan.faults
        return {
            "on": self.is_on,
            "seed": None if plan is None else plan.seed,
            "faults": [
                {**fault.model_dump(exclude_none=True), "met": met, "fired": count}
                for fault, (met, count) in zip(faults, tallies, strict=True)
            ],
            "fired": fired,
        }

    def at(self, place: Place, go_on: GoOn) -> Any:
        chosen = self._chosen(place)
        if chosen is None:
            return go_on()
        return self._effect(chosen, place)(go_on)

    def _chosen(self, place: Place) -> _Chosen | None:
        with self._lock:
            plan = self._plan
            if plan is None:
                return None
            found = None
            for number, (fault, tally) in enumerate(zip(plan.faults, self._tallies, strict=True)):
                if not self._may_befall(fault, place):
                    continue
                tally.met += 1
                met = _Chosen(fault, number, tally.met, plan.seed)
                if found is None and _befalls(met, tally):
                    tally.fired += 1
                    found = met
                    self._fired.append(self._described(met, place))
            return found

    def _may_befall(self, fault: Any, place: Place) -> bool:
        if _BOUNDARIES[fault.at] is not place.boundary:
            return False
        for name, pattern in fault.matches().items():
            if pattern is not None and not fnmatchcase(getattr(place, name), pattern):
                return False
        if fault.kind == "conflict":
            return place.service == "dynamodb" and place.operation in _WRITES
        if fault.kind == "decline":
            return place.operation in self._outside[place.service].declines
        return True

    def _effect(self, chosen: _Chosen, place: Place) -> Effect:
        fault = chosen.fault
        match (fault.at, fault.kind):
            case (_, "crash_before"):
                return effects.dies_before
            case (_, "crash_after"):
                return effects.dies_after
            case ("aws", "request_lost"):
                return effects.is_lost
            case ("aws", "answer_lost"):
                return effects.loses_its_answer
            case ("aws", "throttled"):
                return effects.is_throttled
            case ("aws", "server_error"):
                return effects.meets_a_server_error
            case ("aws", "conflict"):
                return effects.conflicts(place)
            case ("function", "timeout_after"):
                return effects.times_out_after
            case (_, "twice"):
                return effects.happens_twice
            case ("webhook", "lost"):
                return effects.is_taken_for_arrived
            case ("webhook", "late"):
                return self._comes_later(fault.seconds)
            case ("queue", "delayed"):
                return effects.is_delayed(place, fault.seconds)
            case ("queue", "reordered"):
                return effects.is_reordered(place, fault.seconds, chosen.chance)
        return self._outsides(fault, place)

    def _outsides(self, fault: Any, place: Place) -> Effect:
        outside = self._outside[place.service]
        match fault.kind:
            case "timeout_before":
                return effects.raises_before(outside.unavailable)
            case "timeout_after":
                return effects.raises_after(outside.unavailable)
            case "slow":
                return effects.is_slow(fault.seconds)

        def declined(go_on: GoOn) -> Any:
            outside.declines[place.operation](place.call)
            return go_on()

        return declined

    def _comes_later(self, seconds: float) -> Effect:
        def effect(go_on: GoOn) -> Any:
            self._later.add(self._clock.now() + seconds, go_on)
            return effects.is_taken_for_arrived(go_on)

        return effect

    def _described(self, chosen: _Chosen, place: Place) -> dict[str, Any]:
        crossed = (place.service, place.operation, place.table)
        return {
            "at": as_datetime(self._clock.now()).isoformat(timespec="milliseconds"),
            "fault": chosen.number,
            "kind": f"{chosen.fault.at} {chosen.fault.kind}",
            "met": chosen.met,
            "function": place.function,
            "what": " ".join(part for part in crossed if part),
            "order_id": place.order_id,
        }


_BOUNDARIES = {
    "aws": Boundary.AWS,
    "function": Boundary.FUNCTION,
    "provider": Boundary.ADAPTER,
    "carrier": Boundary.ADAPTER,
    "webhook": Boundary.WEBHOOK,
    "queue": Boundary.QUEUE,
}


def _befalls(met: _Chosen, tally: _Tally) -> bool:
    if met.fault.times is not None and tally.fired >= met.fault.times:
        return False
    if met.fault.nth is not None:
        return met.met in met.fault.nth
    return bool(met.chance.random() < met.fault.probability)

"""EventBridge: what its rules and its Scheduler bring to whom, which moto stores and never does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moto.events.models import events_backends
from moto.scheduler.models import scheduler_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.responses import get_backend

from infra.local.clock import Clock
from infra.local.functions import ASYNCHRONOUS_ATTEMPTS, Functions
from infra.local.schedules import ScheduleSource, scheduled_event


class UnknownTargetError(Exception):
    """A rule or a schedule has a target of a kind that is not supported locally."""


class Target:
    """Somebody whom EventBridge brings something to. Satisfies `schedules.Scheduled`.

    `given` is what the target is always given; None: the event.
    """

    def __init__(
        self, functions: Functions, arn: str, *, name: str, region: str, given: str | None
    ) -> None:
        self.name = name
        self._functions = functions
        self._arn = arn
        self._region = region
        self._given = given
        if _service(arn) not in TARGETS:
            raise UnknownTargetError(f"{name}: {arn}")

    def call(self, at: float) -> bool:
        payload = self._payload(at)
        if _service(self._arn) != "lambda":
            self.bring(payload)
            return True
        function = self._arn.rsplit(":", 1)[-1]
        return all(self._functions.run(function, payload)[1] for _ in range(ASYNCHRONOUS_ATTEMPTS))

    def call_later(self, at: float) -> None:
        self.bring(self._payload(at))

    def _payload(self, at: float) -> str:
        return self._given or scheduled_event(self.name, at, self._region)

    def bring(self, payload: str) -> None:
        """Hand over a payload: an invocation, an execution's input, or a message."""
        _, _, _, region, account, resource = self._arn.split(":", 5)
        match _service(self._arn):
            case "lambda":
                self._functions.run_later(resource.removeprefix("function:"), payload)
            case "states":
                get_backend(account, region).start_execution(self._arn, None, payload)
            case "sns":
                sns_backends[account][region].publish(payload, arn=self._arn)
            case "sqs":
                sqs_backends[account][region].send_message(resource, payload)


TARGETS = frozenset({"lambda", "sns", "sqs", "states"})


def _service(arn: str) -> str:
    return arn.split(":", 3)[2]


def schedules(
    functions: Functions, clock: Clock, *, account: str, region: str
) -> Iterator[ScheduleSource]:
    """Make a source for each target of a rule with a schedule, and for each of the Scheduler's.

    Raises
    ------
    UnknownTargetError
    infra.local.schedules.ScheduleError
    """
    for bus in events_backends[account][region].event_buses.values():
        for rule in bus.rules.values():
            if rule.scheduled_expression and rule.state == "ENABLED":
                for target in rule.targets:
                    to = Target(
                        functions,
                        target["Arn"],
                        name=rule.name,
                        region=region,
                        given=target.get("Input"),
                    )
                    yield ScheduleSource(to, rule.scheduled_expression, clock)
    for group in scheduler_backends[account][region].schedule_groups.values():
        for schedule in group.schedules.values():
            if schedule.state == "ENABLED":
                # The Scheduler makes no event; without an input there is nothing to say.
                given = schedule.target.get("Input") or "{}"
                to = Target(
                    functions,
                    schedule.target["Arn"],
                    name=schedule.name,
                    region=region,
                    given=given,
                )
                yield ScheduleSource(
                    to,
                    schedule.schedule_expression,
                    clock,
                    timezone=schedule.schedule_expression_timezone,
                )


def bring_event(functions: Functions, arn: str, event: dict[str, Any], *, region: str) -> None:
    """Hand an event that a rule's pattern matches to one of its targets."""
    Target(functions, arn, name="rule", region=region, given=None).bring(json.dumps(event))

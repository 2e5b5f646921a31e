"""The whole: the application's functions on a modelled account, one history after another.

with World.opened() as world:
    ...                                    # what every history begins with
    beginning = world.beginning()
    world.restart(beginning, plan={...})
    ...                                    # commands
    world.drain()                          # until nothing moves any more
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from aws_lambda_powertools import Logger
from botocore.client import BaseClient

from infra.cloudformation import environment_name
from infra.gateway_responses import RESPONSES
from infra.local.functions import Functions
from infra.local.gateway import Gateway
from tests.simulation.aws.account import Account
from tests.simulation.aws.machines import Execution, TaskFailedError
from tests.simulation.aws.resources import ACCOUNT, REGION
from tests.simulation.world.boundary import Boundary
from tests.simulation.world.deliveries import Deliveries
from tests.simulation.world.faults import ExecutionLost, Plan
from tests.simulation.world.runtime import Runtime
from tests.simulation.world.time import VirtualClock
from tests.simulation.world.turns import Turns
from tradepost.kernel.clock import set_clock
from tradepost.kernel.randomness import set_randomness
from tradepost.platform import aws
from tradepost.platform.cache import forget_everything
from tradepost.platform.logger import logger

ROOT = Path(__file__).parents[3]
STAGE = "sim"
PREFIX = f"tradepost-{STAGE}-"

# A delivery that is put off for longer than this waits for nobody: see `drain`.
_PATIENCE_SECONDS = 3_600.0
_DELIVERIES_MAX = 10_000


class NeverRestsError(AssertionError):
    """Deliveries go on and on: something is sent again for ever."""


class Beginning(NamedTuple):
    """Where a world stood."""

    account: Any
    deliveries: Any
    milliseconds: int


class World:
    """One account, its functions and its time."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.chance = random.Random(0)
        self.turns = Turns(self.clock)
        self.account = Account(now=self.clock.now, begin=self._begin, invoke=self._invoke)
        self.boundary = Boundary(self.account, self.turns, self.clock)
        self.outputs = self.account.deploy(ROOT / "infra" / "templates", {"Stage": STAGE})
        self.functions = Functions(
            ROOT,
            project="tradepost",
            stage=STAGE,
            arn_prefix=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function",
        )
        self.history = 0  # counts the histories begun
        self.empty: Beginning  # when nothing has happened yet
        self._clients: dict[str, BaseClient] = {}

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[World]:
        """Put a new world behind the application, and the machine's own back in the end."""
        environment, make_uuid, level = dict(os.environ), uuid.uuid4, logger.log_level
        world = cls()
        os.environ.update(
            {environment_name(name): value for name, value in world.outputs.items()},
            STAGE=STAGE,
            AWS_DEFAULT_REGION=REGION,
            AWS_REGION=REGION,
            POWERTOOLS_METRICS_DISABLED="true",
        )
        try:
            set_clock(world.clock.utc_now)
            set_randomness(world.chance.randbytes)
            uuid.uuid4 = world._new_uuid  # type: ignore[assignment]
            aws.set_client_factory(world._client)
            _silence(logger, "CRITICAL")
            world._load()
            world.empty = world.beginning()
            yield world
        finally:
            _silence(logger, level)
            aws.set_client_factory(None)
            uuid.uuid4 = make_uuid
            set_randomness(None)
            set_clock(None)
            os.environ.clear()
            os.environ.update(environment)

    def _load(self) -> None:
        self.functions.load()
        self.runtime = Runtime(self.functions, self.boundary, self.turns.begin, PREFIX)
        self.gateway = Gateway(
            self.functions,
            stage=STAGE,
            region=REGION,
            account_id=ACCOUNT,
            responses=RESPONSES,
            clock=self.clock,  # type: ignore[arg-type] - nobody waits on it here
        )
        self.deliveries = Deliveries(self.functions, self.account, self.runtime, self.clock, PREFIX)

    # --- histories ------------------------------------------------------------------------------

    def beginning(self) -> Beginning:
        """Tell where the world stands, for histories to begin there."""
        return Beginning(self.account.mark(), self.deliveries.mark(), self.clock.milliseconds)

    def restart(self, beginning: Beginning, *, seed: int = 0, plan: Plan | None = None) -> None:
        """Take back what happened since a beginning, and begin a history there."""
        self.history += 1
        self.account.rewind(beginning.account)
        self.deliveries.rewind(beginning.deliveries)
        self.clock.milliseconds = beginning.milliseconds
        self.clock.skew_ms = 0
        self.chance.seed(seed)
        self.turns.forget()
        self.boundary.restart(plan or {})
        forget_everything()
        aws.forget_clients()
        self.gateway.authorizers.forget()

    def drain(self) -> None:
        """Run what was begun and deliver what is due, until nothing is under way.

        What failed comes again after its pause: time passes until then.

        Raises
        ------
        NeverRestsError
            It does not end.
        """
        until = self.clock.now() + _PATIENCE_SECONDS
        for _ in range(_DELIVERIES_MAX):
            if self.turns.run_begun() or self.deliveries.step(self.turns.run_one):
                continue
            due = self.deliveries.next_due()
            if due is None or due > until:
                return
            self.clock.advance_to(due)
        raise NeverRestsError("something is delivered again and again")

    def tick(self, seconds: float) -> None:
        """Let time pass, and then each function be called whose schedule was due meanwhile."""
        before = self.clock.now()
        self.clock.advance(seconds)
        for function in self.deliveries.due_between(before, self.clock.now()):
            self.turns.run_one(f"timer {function}", lambda name=function: self._fire(name))
        self.drain()

    def _fire(self, function: str) -> None:
        self.deliveries.fire(function)

    # --- what the account needs of the world ----------------------------------------------------

    def _invoke(self, name: str, event: Any) -> Any:
        return self.runtime.invoke(name, event)

    def _begin(self, execution: Execution) -> None:
        def run() -> None:
            try:
                execution.run(_Surroundings(self))
            except ExecutionLost:
                execution.status = "ABORTED"

        self.turns.begin(f"execution {execution.arn.rsplit(':', 1)[-1]}", run)

    def _client(self, service: str) -> BaseClient:
        """Make a real client whose calls come to the boundary; the same one every time."""
        if service not in self._clients:
            client = boto3.client(
                service,  # type: ignore[call-overload]
                region_name=REGION,
                aws_access_key_id="simulated",
                aws_secret_access_key="simulated",
            )
            self.boundary.adopt(service, client)
            self._clients[service] = client
        return self._clients[service]

    def _new_uuid(self) -> uuid.UUID:
        return uuid.UUID(bytes=self.chance.randbytes(16), version=4)


class _Surroundings:
    """What an execution of a state machine asks of the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> float:
        return self._world.clock.now()

    def sleep(self, seconds: float) -> None:
        self._world.turns.sleep(seconds)

    def jitter(self) -> float:
        return self._world.chance.random()

    def run_task(self, function: str, payload: Any, timeout_seconds: float) -> Any:
        began = self.now()
        outcome = self._world.runtime.invoke(function, payload, is_step=True)
        if outcome.error is not None:
            raise TaskFailedError(outcome.error, outcome.cause)
        if self.now() - began > timeout_seconds:
            raise TaskFailedError("States.Timeout", "")
        return outcome.answer


def _silence(powertools: Logger, level: Any) -> None:
    powertools.setLevel(level)

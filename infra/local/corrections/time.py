"""Time in moto and in its interpreter of state machines: that of the local stack's clock.

moto reads the machine's clock in many places and sleeps in three: between the attempts of a task,
in a Wait state, and where the time of a task or an execution is limited. Its Wait until a
timestamp compares local time with UTC.
"""

from __future__ import annotations

import datetime
import sys
import threading
from types import SimpleNamespace
from typing import Any

from moto.core import utils
from moto.secretsmanager import models as secretsmanager
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state import state
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval import environment
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

from infra.local.clock import ClockEvent, in_use

_moto_utcnow = utils.utcnow
_moto_retry = retrier_decl.RetrierDecl._eval_body
_moto_seconds_until = Timestamp._get_wait_seconds
_retrying = threading.local()


class SleepingEvent(ClockEvent):
    """What an execution waits for that has nothing else to do."""

    asleep = True


def install() -> None:
    """Put the clock in use behind all of these."""
    utils.utcnow = _utcnow
    # moto imports it by name.
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.") and vars(module).get("utcnow") is _moto_utcnow:
            vars(module)["utcnow"] = _utcnow
    secretsmanager.time = SimpleNamespace(time=lambda: in_use().now())
    state.datetime = _DATETIME
    EventManager._get_current_timestamp = staticmethod(_aware_now)
    environment.threading = SimpleNamespace(RLock=threading.RLock, Event=SleepingEvent)
    execute_state.threading = SimpleNamespace(Event=ClockEvent)
    retrier_decl.RetrierDecl._eval_body = _retry
    retrier_decl.time = SimpleNamespace(sleep=_pause)
    WaitFunction._wait_interval = _wait_interval
    Timestamp._get_wait_seconds = _seconds_until


def _utcnow() -> datetime.datetime:
    return in_use().utc_now().replace(tzinfo=None)


def _aware_now(tz: Any = None) -> datetime.datetime:  # noqa: ARG001 - called as datetime.now is
    return in_use().utc_now()


_DATETIME = SimpleNamespace(datetime=SimpleNamespace(now=_aware_now), timezone=datetime.timezone)


def _retry(self: Any, env: Any) -> None:
    _retrying.env = env
    _moto_retry(self, env)


def _pause(seconds: float) -> None:
    if not in_use().skips_pauses:
        _sleep(_retrying.env, seconds)


def _wait_interval(_: Any, env: Any, wait_seconds: int) -> None:
    _sleep(env, wait_seconds)


def _sleep(env: Any, seconds: float) -> None:
    """Sleep, but not beyond the end of the execution."""
    until = in_use().now() + seconds
    while env.is_running() and (left := until - in_use().now()) > 0:
        env.program_state_event.wait(left)


def _seconds_until(self: Any, env: Any) -> float:
    self.string.eval(env=env)
    moment = self._from_timestamp_string(timestamp=env.stack[-1])
    if moment is None:
        # Evaluated again, for moto to say what is wrong with it.
        env.stack.pop()
        return float(_moto_seconds_until(self, env))
    env.stack.pop()
    return float((moment - _utcnow()).total_seconds())

"""What can go wrong at a boundary, where, and the plans that say so.

A site is a place in a history: the call `number` of AWS in invocation `nth` of a function; number
0 is the invocation itself. It is written `orders-begin_capture.1.2`, and a plan
`orders-begin_capture.1.2=loses_its_answer,payments-capture_payment.1.0=is_done_twice`.

The SDK tries a call three times, so a fault that it hides is none. Those here are what is left
when it gives up: a burst of three.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.simulation.aws.refusals import refusal


class Fault(StrEnum):
    """Kinds of fault, with their numbers in the fault model."""

    DIES_BEFORE = "dies_before"  # F1: the process ends before the call
    DIES_AFTER = "dies_after"  # F2: the process ends after the call
    IS_LOST = "is_lost"  # F3: not done, and no answer
    LOSES_ITS_ANSWER = "loses_its_answer"  # F4: done, and no answer
    IS_THROTTLED = "is_throttled"  # F6: refused, not done
    FAILS = "fails"  # F7: the service's own fault, not done
    CONFLICTS = "conflicts"  # F8: another transaction holds an item
    IS_PARTLY_DONE = "is_partly_done"  # F8: a batch of which the last is left
    IS_DONE_TWICE = "is_done_twice"  # F9: the first answer is lost, the second one arrives
    IS_STALE = "is_stale"  # F10: a read that does not know the last change
    RUNS_LATE = "runs_late"  # F12: given up by whoever waited, it runs when they have gone on
    EXECUTION_DIES_BEFORE = "execution_dies_before"  # F12: nobody runs the machine on
    EXECUTION_DIES_AFTER = "execution_dies_after"
    CLOCK_IS_FAST = "clock_is_fast"  # F13: the machine at work is five minutes ahead
    CLOCK_IS_SLOW = "clock_is_slow"


SKEW_MS = 5 * 60 * 1000


class Killed(BaseException):
    """The process at work has ended: nothing of the application's can catch it."""


class ExecutionLost(BaseException):
    """The execution of a state machine is gone, without a trace and without a catch."""


class Site(NamedTuple):
    function: str
    nth: int
    number: int

    def __str__(self) -> str:
        return f"{self.function}.{self.nth}.{self.number}"


Plan = Mapping[Site, Fault]


def read_plan(text: str) -> dict[Site, Fault]:
    """Read what `told` wrote. Raises ValueError."""
    plan = {}
    for part in filter(None, text.split(",")):
        where, _, what = part.partition("=")
        function, nth, number = where.rsplit(".", 2)
        plan[Site(function, int(nth), int(number))] = Fault(what)
    return plan


def told(plan: Plan) -> str:
    return ",".join(f"{site}={fault}" for site, fault in plan.items())


_READS = frozenset(
    {"GetItem", "Query", "BatchGetItem", "TransactGetItems", "GetPublicKey", "GetSecretValue"}
)
_DYNAMODB_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
_BATCHES = frozenset({"BatchWriteItem", "PublishBatch"})

_AUTHORIZER = "-access_token"

_OF_EVERY_CALL = (Fault.DIES_BEFORE, Fault.IS_LOST, Fault.IS_THROTTLED, Fault.FAILS)
_OF_EVERY_WRITE = (Fault.DIES_AFTER, Fault.LOSES_ITS_ANSWER, Fault.IS_DONE_TWICE)
_OF_EVERY_INVOCATION = (
    Fault.IS_LOST,
    Fault.LOSES_ITS_ANSWER,
    Fault.IS_DONE_TWICE,
    Fault.RUNS_LATE,
    Fault.CLOCK_IS_FAST,
    Fault.CLOCK_IS_SLOW,
)


def faults_of_call(operation: str, *, may_be_stale: bool) -> tuple[Fault, ...]:
    """List the faults that can befall a call.

    A read changes nothing, so dying after it is dying before the next call, and a read done twice
    is one read.
    """
    if operation in _READS:
        return (*_OF_EVERY_CALL, Fault.IS_STALE) if may_be_stale else _OF_EVERY_CALL
    faults = (*_OF_EVERY_CALL, *_OF_EVERY_WRITE)
    if operation in _DYNAMODB_WRITES:
        return (*faults, Fault.CONFLICTS)
    return (*faults, Fault.IS_PARTLY_DONE) if operation in _BATCHES else faults


def faults_of_invocation(function: str, *, is_step: bool) -> tuple[Fault, ...]:
    if function.endswith(_AUTHORIZER):
        # To a clock that is off a good token is from the future, or over: 401 is the right answer.
        return _OF_EVERY_INVOCATION[:3]
    if is_step:
        return (
            *_OF_EVERY_INVOCATION,
            Fault.EXECUTION_DIES_BEFORE,
            Fault.EXECUTION_DIES_AFTER,
        )
    return _OF_EVERY_INVOCATION


def no_answer() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="https://simulated.invalid")


# How each service says that it has too much to do, and that it has failed: the API references.
_THROTTLED = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "lambda": "TooManyRequestsException",
    "sesv2": "TooManyRequestsException",
    "sns": "Throttled",
}
_FAILED = {
    "dynamodb": "InternalServerError",
    "kms": "KMSInternalException",
    "lambda": "ServiceException",
    "secretsmanager": "InternalServiceError",
    "sns": "InternalError",
}


def throttled(service: str, operation: str, parameters: Mapping[str, Any]) -> ClientError:
    if operation == "TransactWriteItems":
        return _cancelled(parameters, "ThrottlingError")
    return refusal(_THROTTLED.get(service, "ThrottlingException"))


def failed(service: str) -> ClientError:
    return refusal(_FAILED.get(service, "InternalServerError"))


def conflict(operation: str, parameters: Mapping[str, Any]) -> ClientError:
    if operation == "TransactWriteItems":
        return _cancelled(parameters, "TransactionConflict")
    return refusal("TransactionConflictException")


def _cancelled(parameters: Mapping[str, Any], code: str) -> ClientError:
    """Cancel a transaction for the sake of its first item."""
    others = [{"Code": "None"} for _ in parameters["TransactItems"][1:]]
    return refusal("TransactionCanceledException", CancellationReasons=[{"Code": code}, *others])

"""What may befall a call at a boundary: each takes what goes on behind it, and answers instead."""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody

from infra.local.boundaries import GoOn, KilledError, Place

Effect = Callable[[GoOn], Any]

_MESSAGE = "a fault of the plan"
_ENDPOINT = "https://a-fault-of-the-plan"


def dies_before(go_on: GoOn) -> Any:  # noqa: ARG001 - an effect
    """End the function's process before the call."""
    raise KilledError


def dies_after(go_on: GoOn) -> Any:
    """End the function's process when the call is done."""
    go_on()
    raise KilledError


def is_lost(go_on: GoOn) -> Any:  # noqa: ARG001 - an effect
    """Let the request never arrive."""
    raise ReadTimeoutError(endpoint_url=_ENDPOINT)


def loses_its_answer(go_on: GoOn) -> Any:
    """Have the call done, and its answer lost."""
    go_on()
    raise ReadTimeoutError(endpoint_url=_ENDPOINT)


def is_throttled(go_on: GoOn) -> Any:  # noqa: ARG001 - an effect
    """Refuse the call for being one too many."""
    raise _client_error("ThrottlingException", 400)


def meets_a_server_error(go_on: GoOn) -> Any:  # noqa: ARG001 - an effect
    """Refuse the call for a fault of AWS's own."""
    raise _client_error("InternalServerError", 500)


def conflicts(place: Place) -> Effect:
    """Refuse a write because another transaction is at one of its items."""

    def effect(go_on: GoOn) -> Any:  # noqa: ARG001 - an effect
        if place.operation != "TransactWriteItems":
            raise _client_error("TransactionConflictException", 400)
        actions = len(place.call["TransactItems"])
        reasons = [{"Code": "TransactionConflict"}, *[{"Code": "None"}] * (actions - 1)]
        raise _client_error("TransactionCanceledException", 400, CancellationReasons=reasons)

    return effect


def _client_error(code: str, status: int, **rest: Any) -> ClientError:
    described: Any = {
        "Error": {"Code": code, "Message": _MESSAGE},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **rest,
    }
    return ClientError(described, "Any")


def happens_twice(go_on: GoOn) -> Any:
    """Do it twice over; the second answer counts."""
    go_on()
    return go_on()


def times_out_after(go_on: GoOn) -> tuple[str, bool]:
    """Have a function done, and told to have taken too long."""
    go_on()
    return json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": _MESSAGE}), True


def raises_before(error: type[Exception]) -> Effect:
    """Have somebody outside not answer, and do nothing."""

    def effect(go_on: GoOn) -> Any:  # noqa: ARG001 - an effect
        raise error(_MESSAGE)

    return effect


def raises_after(error: type[Exception]) -> Effect:
    """Have somebody outside do it, and not answer."""

    def effect(go_on: GoOn) -> Any:
        go_on()
        raise error(_MESSAGE)

    return effect


def is_slow(seconds: float) -> Effect:
    """Take long; time that the caller really waits, since it may end the wait."""

    def effect(go_on: GoOn) -> Any:
        time.sleep(seconds)
        return go_on()

    return effect


def is_taken_for_arrived(go_on: GoOn) -> Any:  # noqa: ARG001 - an effect
    """Lose a webhook so that its sender holds it for taken."""
    body = json.dumps({"statusCode": 204, "headers": {}, "body": ""}).encode()
    return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body))}


def is_delayed(place: Place, seconds: float) -> Effect:
    """Let a batch of messages come only after so long."""

    def effect(go_on: GoOn) -> Any:
        place.call.hold_back(list(place.call.messages), seconds)
        return go_on()

    return effect


def is_reordered(place: Place, seconds: float, chance: random.Random) -> Effect:
    """Bring a batch shuffled, and its first message only after so long, behind others."""

    def effect(go_on: GoOn) -> Any:
        place.call.hold_back(place.call.messages[:1], seconds)
        chance.shuffle(place.call.messages)
        return go_on()

    return effect

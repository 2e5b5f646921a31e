"""A plan of faults: a small document that says what befalls which calls, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

FAULTS_MAX = 100
PLAN_BYTES_MAX = 64 * 1024
# A function has ten seconds, its caller hardly more: what is slower is a time-out.
SLOW_SECONDS_MAX = 8.0
# A queue hides a message for at most twelve hours.
LATE_SECONDS_MAX = 43_200.0

Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class PlanError(ValueError):
    """Not a plan. The message is one line for a person, with every mistake."""


class _Fault(BaseModel):
    """What all faults say: how often they befall the calls that they may befall."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    function: Pattern | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    nth: list[Annotated[int, Field(ge=1)]] | None = None
    times: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_number_is_a_list_of_one(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("nth"), int):
            return {**given, "nth": [given["nth"]]}
        return given

    @model_validator(mode="after")
    def _says_how_often(self) -> _Fault:
        if (self.probability is None) == (self.nth is None):
            raise ValueError("say either probability or nth")
        return self

    def matches(self) -> dict[str, str | None]:
        """Return the patterns by what of a place each is held against; None fits everything."""
        return {"function": self.function}


class AwsFault(_Fault):
    """A call of AWS that a function makes."""

    at: Literal["aws"]
    kind: Literal[
        "crash_before",
        "crash_after",
        "request_lost",
        "answer_lost",
        "throttled",
        "server_error",
        "conflict",
    ]
    service: Pattern | None = None
    operation: Pattern | None = None
    table: Pattern | None = None

    def matches(self) -> dict[str, str | None]:
        return {
            "function": self.function,
            "service": self.service,
            "operation": self.operation,
            "table": self.table,
        }


class FunctionFault(_Fault):
    """An invocation of a function: a step, a consumer, a schedule or a request of the API."""

    at: Literal["function"]
    kind: Literal["crash_before", "crash_after", "timeout_after", "twice"]


class OutsideFault(_Fault):
    """An operation of the payment provider or of the carrier."""

    at: Literal["provider", "carrier"]
    kind: Literal["decline", "timeout_before", "timeout_after", "slow"]
    operation: Pattern | None = None
    seconds: Annotated[float, Field(gt=0, le=SLOW_SECONDS_MAX)] = 1.5

    def matches(self) -> dict[str, str | None]:
        return {"function": self.function, "operation": self.operation, "service": self.at}


class WebhookFault(_Fault):
    """A webhook of the simulated provider or carrier, on its way to us."""

    at: Literal["webhook"]
    kind: Literal["lost", "twice", "late"]
    path: Pattern | None = None
    seconds: Annotated[float, Field(gt=0, le=LATE_SECONDS_MAX)] = 60.0

    def matches(self) -> dict[str, str | None]:
        return {"function": self.function, "operation": self.path}


class QueueFault(_Fault):
    """A batch of messages that a queue brings to a consumer."""

    at: Literal["queue"]
    kind: Literal["twice", "reordered", "delayed"]
    queue: Pattern | None = None
    seconds: Annotated[float, Field(gt=0, le=LATE_SECONDS_MAX)] = 30.0

    def matches(self) -> dict[str, str | None]:
        return {"function": self.function, "table": self.queue}


Fault = Annotated[
    AwsFault | FunctionFault | OutsideFault | WebhookFault | QueueFault, Field(discriminator="at")
]


class Plan(BaseModel):
    """Faults, and the seed from which every choice among the calls follows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 0
    faults: Annotated[list[Fault], Field(min_length=1, max_length=FAULTS_MAX)]


_PLAN = TypeAdapter(Plan)


def read_plan(text: str | bytes) -> Plan:
    """Read a plan from YAML, of which JSON is a part.

    Raises
    ------
    PlanError
        It is none.
    """
    if len(text) > PLAN_BYTES_MAX:
        raise PlanError(f"a plan has at most {PLAN_BYTES_MAX:,} bytes")
    try:
        return _PLAN.validate_python(yaml.safe_load(text))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlanError(f"not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        mistakes = "; ".join(
            f"{_where(mistake['loc'])}: {_said(mistake)}" for mistake in error.errors()
        )
        raise PlanError(mistakes) from error


def _where(location: Sequence[int | str]) -> str:
    """Write a place in the document: `faults[2].kind`."""
    text = ""
    # Behind a fault's number stands which of the shapes was tried.
    parts = [part for place, part in enumerate(location) if place != 2]
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the plan"


def _said(mistake: Any) -> str:
    if mistake["type"] == "extra_forbidden":
        return "is not known here"
    told: str = mistake["msg"]
    return told.removeprefix("Value error, ").removeprefix("Input ")

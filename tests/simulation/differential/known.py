"""The differences between our model and each other implementation, with what tells one from it.

docs/limits.md names every one of them with its evidence. A difference that none of them explains
fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.differential.comparing import Difference

MOTO = "moto"
MINISTACK = "MiniStack"


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that is understood: who is otherwise than AWS's documentation, and how."""

    name: str  # as docs/limits.md has it
    implementation: str
    explains: Callable[[Difference], bool]


def _text(difference: Difference) -> str:
    return json.dumps(difference.operation.request)


def _code(answer: Any) -> str:
    return str(answer[0]) if isinstance(answer, tuple) else "ok"


def _has_no_last_key(difference: Difference) -> bool:
    if difference.operation.name != "Query" or not isinstance(difference.ours, dict):
        return False
    without = {name: value for name, value in difference.ours.items() if name != "LastEvaluatedKey"}
    return without == difference.theirs


def _crashes_over(*marks: str) -> Callable[[Difference], bool]:
    def explains(difference: Difference) -> bool:
        text = _text(difference)
        crashed = _code(difference.theirs).startswith("crashed")
        return crashed and any(mark in text for mark in marks)

    return explains


def _treats_absence_as_null(difference: Difference) -> bool:
    return '{"NULL": true}' in _text(difference) and "#nothing" in _text(difference)


def _validates_before_conditions(difference: Difference) -> bool:
    return (
        _code(difference.ours)
        in ("ConditionalCheckFailedException", "TransactionCanceledException")
        and _code(difference.theirs) == "ValidationException"
    )


def _validates_late(difference: Difference) -> bool:
    """Tell whether ours cancelled for a validation, and theirs for something else, or failed."""
    ours = difference.ours
    return (
        _code(ours) == "TransactionCanceledException"
        and any(code == "ValidationError" for code, _ in ours[1])
        and _code(difference.theirs) in ("TransactionCanceledException", "ValidationException")
    )


def _takes_keys_of_another_kind(difference: Difference) -> bool:
    key = difference.operation.request.get("Key", {})
    return "N" in key.get("pk", {}) and _code(difference.theirs) == "ok"


def _refuses_removal_from_no_list(difference: Difference) -> bool:
    return (
        "REMOVE" in _text(difference)
        and "#lines[" in _text(difference)
        and _code(difference.ours) == "ok"
        and _code(difference.theirs) == "ValidationException"
    )


def _takes(text: str) -> Callable[[Difference], bool]:
    def explains(difference: Difference) -> bool:
        return text in _text(difference) and _code(difference.theirs) == "ok"

    return explains


def _tells_more_or_less_of_an_update(difference: Difference) -> bool:
    return (
        difference.operation.request.get("ReturnValues", "").startswith("UPDATED")
        and _code(difference.ours) == _code(difference.theirs) == "ok"
    )


def _filters_by_what_the_index_has_not(difference: Difference) -> bool:
    request = difference.operation.request
    return request.get("IndexName") == "due" and "FilterExpression" in request


KNOWN = (
    Known("no last key when the page ends with the last item", MOTO, _has_no_last_key),
    Known(
        "`UPDATED_OLD` and `UPDATED_NEW` tell other parts", MOTO, _tells_more_or_less_of_an_update
    ),
    Known("`size` of what is no text, or absent, crashes", MOTO, _crashes_over("size(")),
    Known("an undefined name crashes", MOTO, _crashes_over("SET #a = :one")),
    Known("an absent attribute equals NULL", MOTO, _treats_absence_as_null),
    Known("an update is validated before its condition", MOTO, _validates_before_conditions),
    Known("a transaction is not cancelled by a ValidationError", MOTO, _validates_late),
    Known("a key of another kind is looked up", MOTO, _takes_keys_of_another_kind),
    Known(
        "nothing can be removed from a list that is not there", MOTO, _refuses_removal_from_no_list
    ),
    Known("an update may end with a comma", MINISTACK, _takes("SET a = :one, ")),
    Known("two clauses may write one path", MINISTACK, _takes("SET a = :one, a = :one")),
    Known(
        "`UPDATED_OLD` and `UPDATED_NEW` tell other parts",
        MINISTACK,
        _tells_more_or_less_of_an_update,
    ),
    Known("a filter sees what the index has not", MINISTACK, _filters_by_what_the_index_has_not),
)


def unexplained(found: list[Difference], implementation: str) -> list[Difference]:
    """Leave out the differences that are known of an implementation."""
    known = [one for one in KNOWN if one.implementation == implementation]
    return [one for one in found if not any(known_one.explains(one) for known_one in known)]

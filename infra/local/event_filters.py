"""FilterCriteria of event source mappings: which records reach the function."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


class UnsupportedFilterError(Exception):
    """The pattern uses an operator that is not evaluated locally."""


def record_filter(criteria: Mapping[str, Any] | None) -> Callable[[Record], bool]:
    """Return the test a record must pass: any one of the patterns, or none if there are none."""
    patterns = [json.loads(one["Pattern"]) for one in (criteria or {}).get("Filters", ())]
    if not patterns:
        return lambda _: True
    return lambda record: any(_matches(pattern, record) for pattern in patterns)


def _matches(pattern: Mapping[str, Any], value: Any) -> bool:
    for key, expected in pattern.items():
        actual = value.get(key, _MISSING) if isinstance(value, Mapping) else _MISSING
        if isinstance(expected, Mapping):
            if not _matches(expected, {} if actual is _MISSING else actual):
                return False
        elif not any(_rule_holds(rule, actual) for rule in expected):
            return False
    return True


def _rule_holds(rule: Any, actual: Any) -> bool:
    if not isinstance(rule, Mapping):
        return actual is not _MISSING and actual == rule
    ((name, operand),) = rule.items()
    if name == "exists":
        return (actual is not _MISSING) is bool(operand)
    if actual is _MISSING:
        return False
    match name:
        case "prefix":
            return isinstance(actual, str) and actual.startswith(operand)
        case "suffix":
            return isinstance(actual, str) and actual.endswith(operand)
        case "anything-but":
            return not _excluded(operand, actual)
        case "numeric":
            return _numeric(operand, actual)
    raise UnsupportedFilterError(name)


def _excluded(operand: Any, actual: Any) -> bool:
    if isinstance(operand, Mapping):
        return _rule_holds(operand, actual)
    return actual in (operand if isinstance(operand, list) else [operand])


def _numeric(operand: list[Any], actual: Any) -> bool:
    try:
        number = float(actual)
    except (TypeError, ValueError):
        return False
    return all(
        _COMPARISONS[comparison](number, float(limit))
        for comparison, limit in zip(operand[::2], operand[1::2], strict=True)
    )

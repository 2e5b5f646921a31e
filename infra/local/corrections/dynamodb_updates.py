"""Plain update expressions applied at once, because moto walks each through ten passes over a copy.

Plain means: SET, REMOVE and ADD of whole attributes, from values, other attributes, sums,
differences and `if_not_exists`. Whatever is not plain, or would be refused, is left to moto,
which knows the right error; so nothing here decides what is valid.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

TEXTS_MAX = 5_000

_CLAUSE = re.compile(r"\b(SET|REMOVE|ADD)\s")
_OPERAND = r"(?:if_not_exists\s*\(\s*(#?\w+)\s*,\s*(:\w+)\s*\)|([#:]?\w+))"
_ASSIGNMENT = re.compile(rf"(#?\w+)\s*=\s*{_OPERAND}(?:\s*([+-])\s*{_OPERAND})?")
_ADDITION = re.compile(r"(#?\w+)\s+(:\w+)")
_NAME = re.compile(r"#?\w+")
# A comma that is not inside parentheses.
_COMMA = re.compile(r",(?![^(]*\))")


class NotPlainError(Exception):
    """moto must look at this update."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A value (`:x`), an attribute, or an attribute with a value in its absence."""

    name: str
    absent: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """What becomes of one attribute; no operands removes it."""

    name: str
    operands: tuple[Operand, ...] = ()
    sign: str | None = None


@functools.lru_cache(maxsize=TEXTS_MAX)
def parse(text: str) -> tuple[Action, ...] | None:
    """Return the actions of a plain expression, None if it is not plain."""
    parts = _CLAUSE.split(text.strip())
    if parts[0] or len(parts) < 3:
        return None
    actions = [
        _action(clause, one.strip())
        for clause, content in zip(parts[1::2], parts[2::2], strict=True)
        for one in _COMMA.split(content)
    ]
    plain = tuple(action for action in actions if action is not None)
    return plain if len(plain) == len(actions) else None


def _action(clause: str, text: str) -> Action | None:
    match clause:
        case "REMOVE":
            return Action(text) if _NAME.fullmatch(text) else None
        case "ADD":
            found = _ADDITION.fullmatch(text)
            if found is None:
                return None
            return Action(found[1], (Operand(found[1], "0"), Operand(found[2])), "+")
    found = _ASSIGNMENT.fullmatch(text)
    if found is None:
        return None
    name, *first, sign, second_path, second_default, second_name = found.groups()
    operands = [_operand(*first)]
    if sign is not None:
        operands.append(_operand(second_path, second_default, second_name))
    return Action(name, tuple(operands), sign)


def _operand(path: str | None, default: str | None, name: str | None) -> Operand:
    return Operand(path, default) if path is not None else Operand(name or "")


def apply(table: Any, attributes: Any, text: str, names: Any, values: Any) -> dict[str, Any]:
    """Return a new dict of attributes, as the update leaves them.

    Raises
    ------
    NotPlainError
        moto must apply this update, or refuse it.
    """
    actions = parse(text)
    if actions is None:
        raise NotPlainError
    changed: dict[str, Any] = dict(attributes)
    touched = set()
    for action in actions:
        name = _resolved(action.name, names)
        touched.add(name)
        if action.operands:
            changed[name] = _result(action, attributes, names, values)
        else:
            changed.pop(name, None)
    # The key, one attribute twice, or an index key of another type: moto refuses them.
    if len(touched) < len(actions) or touched.intersection(table.table_key_attrs):
        raise NotPlainError
    for key in table.attr:
        value = changed.get(key["AttributeName"])
        if value is not None and (value.type != key["AttributeType"] or value.value == ""):
            raise NotPlainError
    return changed


def _resolved(name: str, names: Any) -> str:
    if name.startswith("#"):
        if not names or name not in names:
            raise NotPlainError
        resolved: str = names[name]
        return resolved
    if name.upper() in _reserved():
        raise NotPlainError
    return name


@functools.cache
def _reserved() -> frozenset[str]:
    return frozenset(ReservedKeywords.get_reserved_keywords())


def _result(action: Action, attributes: Any, names: Any, values: Any) -> Any:
    found = [_value(operand, attributes, names, values) for operand in action.operands]
    if action.sign is None:
        return found[0]
    if any(one.type != "N" for one in found):
        raise NotPlainError
    try:
        return found[0] + found[1] if action.sign == "+" else found[0] - found[1]
    except ValueError as error:
        raise NotPlainError from error


def _value(operand: Operand, attributes: Any, names: Any, values: Any) -> Any:
    if operand.name.startswith(":"):
        return _given(operand.name, values)
    present = attributes.get(_resolved(operand.name, names))
    if present is not None:
        return present
    if operand.absent is None:
        raise NotPlainError
    # ADD begins at nought.
    return DynamoType({"N": "0"}) if operand.absent == "0" else _given(operand.absent, values)


def _given(name: str, values: Any) -> Any:
    if not values or name not in values:
        raise NotPlainError
    return DynamoType(values[name])

"""Expressions parsed once per text, because moto reads each anew, several times per request.

A condition's parsed form holds the values it compares with. They are looked up again at each use;
that is safe because every DynamoDB action runs alone (`dynamodb_lock`) and evaluates a condition
before it parses the next.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from moto.dynamodb.comparisons import AttributeValue, ConditionExpressionParser
from moto.dynamodb.parsing.expressions import UpdateExpressionParser

TEXTS_MAX = 5_000

_moto_parse = ConditionExpressionParser.parse
_moto_init = AttributeValue.__init__
_parsed: dict[Any, tuple[Any, list[tuple[Any, str]], list[str], list[str]]] = {}


def install() -> None:
    """Put a cache before the parsers of conditions and updates."""
    AttributeValue.__init__ = _init_value
    ConditionExpressionParser.parse = _parse
    UpdateExpressionParser.make = staticmethod(
        functools.lru_cache(maxsize=TEXTS_MAX)(UpdateExpressionParser.make)
    )


def _init_value(self: Any, value: dict[str, Any]) -> None:
    _moto_init(self, value)
    self.source = value


def _parse(self: Any) -> Any:
    text = self.condition_expression
    if not text:
        return _moto_parse(self)
    names, values = self.expression_attribute_names, self.expression_attribute_values
    key = (text, frozenset(names.items()) if names else None)
    known = _parsed.get(key)
    if known is None or any(name not in (values or {}) for _, name in known[1]):
        return _parse_anew(self, key)
    condition, slots, names_found, values_found = known
    for node, name in slots:
        _moto_init(node, values[name])
    self.expr_attr_names_found.extend(names_found)
    self.expr_attr_values_found.extend(values_found)
    return condition


def _parse_anew(self: Any, key: Any) -> Any:
    condition = _moto_parse(self)
    names = {id(value): name for name, value in (self.expression_attribute_values or {}).items()}
    nodes = list(_values_in(condition))
    if all(id(node.source) in names for node in nodes):
        if len(_parsed) >= TEXTS_MAX:
            _parsed.clear()
        slots = [(node, names[id(node.source)]) for node in nodes]
        _parsed[key] = (
            condition,
            slots,
            list(self.expr_attr_names_found),
            list(self.expr_attr_values_found),
        )
    return condition


def _values_in(node: Any) -> Iterator[Any]:
    if isinstance(node, AttributeValue):
        yield node
    elif isinstance(node, list | tuple):
        for child in node:
            yield from _values_in(child)
    elif hasattr(node, "__dict__"):
        for child in vars(node).values():
            yield from _values_in(child)

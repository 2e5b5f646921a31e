"""DynamoDB's expressions, parsed once and evaluated often.

The grammar is that of the developer guide, "Expressions in DynamoDB". Each parsed text is a
closure over the item and the values; it is kept by its text and names, of which an application
has a few hundred.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulation.aws.attributes import (
    Item,
    Value,
    added,
    comparable,
    contains,
    copied,
    equal,
    kind_of,
    length,
    plain,
)
from tests.simulation.aws.refusals import invalid, unfit

Values = Mapping[str, Value]
Path = tuple[str | int, ...]  # names of attributes and keys, positions in lists
Operand = Callable[[Item, Values], Value | None]
Test = Callable[[Item, Values], bool]

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+\-.]|\[\d+\]|[:#]?\w+)")
_NO_NAMES: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition or filter: `holds` for an item, `{}` where there is none."""

    holds: Test
    names: frozenset[str]  # the placeholders it uses
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change:
    """One clause of an update: `SET` a path to an operand, `REMOVE` it, `ADD` or `DELETE`."""

    action: str
    path: Path
    operand: Operand | None


@dataclass(frozen=True, slots=True)
class Update:
    changes: tuple[Change, ...]
    names: frozenset[str]
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Projection:
    paths: tuple[Path, ...]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """The terms of a query: attribute, comparison, and the placeholders of its values."""

    terms: tuple[tuple[str, str, tuple[str, ...]], ...]
    names: frozenset[str]
    values: frozenset[str]


def condition(text: str, names: Mapping[str, str]) -> Condition:
    return _condition(text, tuple(names.items()) if names else _NO_NAMES)


def update(text: str, names: Mapping[str, str]) -> Update:
    return _update(text, tuple(names.items()) if names else _NO_NAMES)


def projection(text: str, names: Mapping[str, str]) -> Projection:
    return _projection(text, tuple(names.items()) if names else _NO_NAMES)


def key_condition(text: str, names: Mapping[str, str]) -> KeyCondition:
    return _key_condition(text, tuple(names.items()) if names else _NO_NAMES)


@functools.cache
def _condition(text: str, names: tuple[tuple[str, str], ...]) -> Condition:
    parser = _Parser(text, dict(names))
    holds = parser.disjunction()
    parser.end()
    return Condition(holds, frozenset(parser.names_used), frozenset(parser.values_used))


@functools.cache
def _update(text: str, names: tuple[tuple[str, str], ...]) -> Update:
    parser = _Parser(text, dict(names))
    changes = tuple(parser.update_clauses())
    _refuse_overlaps([change.path for change in changes])
    return Update(changes, frozenset(parser.names_used), frozenset(parser.values_used))


@functools.cache
def _projection(text: str, names: tuple[tuple[str, str], ...]) -> Projection:
    parser = _Parser(text, dict(names))
    paths = [parser.path()]
    while parser.takes(","):
        paths.append(parser.path())
    parser.end()
    _refuse_overlaps(paths)
    return Projection(tuple(paths), frozenset(parser.names_used))


@functools.cache
def _key_condition(text: str, names: tuple[tuple[str, str], ...]) -> KeyCondition:
    parser = _Parser(text, dict(names))
    terms = tuple(parser.key_terms())
    return KeyCondition(terms, frozenset(parser.names_used), frozenset(parser.values_used))


def _refuse_overlaps(paths: list[Path]) -> None:
    for place, one in enumerate(paths):
        for other in paths[place + 1 :]:
            shorter = min(len(one), len(other))
            if one[:shorter] == other[:shorter]:
                raise invalid("Two document paths overlap with each other")


def found(item: Item, path: Path) -> Value | None:
    """Read what is at a path of an item; None where there is nothing."""
    here = item.get(path[0])  # type: ignore[arg-type]
    for step in path[1:]:
        if here is None:
            return None
        if isinstance(step, int):
            members = here.get("L")
            here = members[step] if members is not None and step < len(members) else None
        else:
            here = here.get("M", {}).get(step)
    return here


class _Parser:
    """Recursive descent, one method per rule of the grammar."""

    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self._text = text
        self._names = names
        self._tokens = _tokens(text)
        self._place = 0
        self.names_used: set[str] = set()
        self.values_used: set[str] = set()

    # --- tokens ---------------------------------------------------------------------------------

    def peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def next(self) -> str:
        token = self.peek()
        if not token:
            raise invalid(f"Syntax error: unexpected end of {self._text!r}")
        self._place += 1
        return token

    def takes(self, wanted: str) -> bool:
        """Go past a token, or a word in any case, if it is the next one."""
        if self.peek().upper() != wanted:
            return False
        self._place += 1
        return True

    def expect(self, wanted: str) -> None:
        if not self.takes(wanted):
            raise invalid(f"Syntax error: {self.peek()!r} in {self._text!r}, expected {wanted!r}")

    def end(self) -> None:
        if self.peek():
            raise invalid(f"Syntax error: {self.peek()!r} in {self._text!r}")

    # --- paths and values -----------------------------------------------------------------------

    def path(self) -> Path:
        steps: list[str | int] = [self._name()]
        while True:
            if self.takes("."):
                steps.append(self._name())
            elif self.peek().startswith("["):
                steps.append(int(self.next()[1:-1]))
            else:
                return tuple(steps)

    def _name(self) -> str:
        token = self.next()
        if token.startswith("#"):
            if token not in self._names:
                raise invalid(f"An expression attribute name is not defined: {token}")
            self.names_used.add(token)
            return self._names[token]
        if not token[0].isalpha() and token[0] != "_":
            raise invalid(f"Syntax error: {token!r} in {self._text!r} is no attribute")
        return token

    def value(self) -> str:
        token = self.next()
        if not token.startswith(":"):
            raise invalid(f"Syntax error: {token!r} in {self._text!r} is no value")
        self.values_used.add(token)
        return token

    def operand(self) -> Operand:
        if self.peek().startswith(":"):
            return _given(self.value())
        if self.takes("SIZE"):
            self.expect("(")
            path = self.path()
            self.expect(")")
            return _size(path)
        path = self.path()
        if len(path) == 1:
            name = path[0]
            return lambda item, _values: item.get(name)  # type: ignore[arg-type]
        return lambda item, _values: found(item, path)

    # --- conditions -----------------------------------------------------------------------------

    def disjunction(self) -> Test:
        parts = [self.conjunction()]
        while self.takes("OR"):
            parts.append(self.conjunction())
        if len(parts) == 1:
            return parts[0]
        return lambda item, values: any(part(item, values) for part in parts)

    def conjunction(self) -> Test:
        parts = [self.negation()]
        while self.takes("AND"):
            parts.append(self.negation())
        if len(parts) == 1:
            return parts[0]
        return lambda item, values: all(part(item, values) for part in parts)

    def negation(self) -> Test:
        if self.takes("NOT"):
            inner = self.negation()
            return lambda item, values: not inner(item, values)
        if self.takes("("):
            inner = self.disjunction()
            self.expect(")")
            return inner
        return self._function() or self._comparison()

    def _function(self) -> Test | None:
        name = self.peek().lower()
        if name not in ("attribute_exists", "attribute_not_exists", *_FUNCTIONS):
            return None
        self.next()
        self.expect("(")
        path = self.path()
        if name in _FUNCTIONS:
            self.expect(",")
            argument = self.operand()
            self.expect(")")
            return _applied(_FUNCTIONS[name], path, argument)
        self.expect(")")
        if name == "attribute_exists":
            return lambda item, _values: found(item, path) is not None
        return lambda item, _values: found(item, path) is None

    def _comparison(self) -> Test:
        left = self.operand()
        if self.takes("BETWEEN"):
            low = self.operand()
            self.expect("AND")
            return _between(left, low, self.operand())
        if self.takes("IN"):
            self.expect("(")
            choices = [self.operand()]
            while self.takes(","):
                choices.append(self.operand())
            self.expect(")")
            return _one_of(left, choices)
        sign = self.next()
        if sign not in _COMPARISONS:
            raise invalid(f"Syntax error: {sign!r} in {self._text!r} compares nothing")
        return _COMPARISONS[sign](left, self.operand())

    # --- updates --------------------------------------------------------------------------------

    def update_clauses(self) -> list[Change]:
        changes: list[Change] = []
        seen: set[str] = set()
        while self.peek():
            action = self.next().upper()
            if action not in ("SET", "REMOVE", "ADD", "DELETE") or action in seen:
                raise invalid(f"Syntax error: {action!r} in {self._text!r}")
            seen.add(action)
            changes.append(self._change(action))
            while self.takes(","):
                changes.append(self._change(action))
        return changes

    def _change(self, action: str) -> Change:
        path = self.path()
        if action == "REMOVE":
            return Change(action, path, None)
        if action != "SET":
            return Change(action, path, _given(self.value()))
        self.expect("=")
        operand = self._set_operand()
        for token, sign in (("+", 1), ("-", -1)):
            if self.takes(token):
                return Change(action, path, _sum(operand, self._set_operand(), sign))
        return Change(action, path, operand)

    def _set_operand(self) -> Operand:
        if self.takes("IF_NOT_EXISTS"):
            self.expect("(")
            path = self.path()
            self.expect(",")
            otherwise = self._set_operand()
            self.expect(")")
            return _existing_or(path, otherwise)
        if self.takes("LIST_APPEND"):
            self.expect("(")
            first = self._set_operand()
            self.expect(",")
            second = self._set_operand()
            self.expect(")")
            return _joined(first, second)
        if self.takes("("):
            inner = self._set_operand()
            self.expect(")")
            return inner
        return self.operand()

    # --- key conditions -------------------------------------------------------------------------

    def key_terms(self) -> list[tuple[str, str, tuple[str, ...]]]:
        terms = [self._key_term()]
        if self.takes("AND"):
            terms.append(self._key_term())
        self.end()
        return terms

    def _key_term(self) -> tuple[str, str, tuple[str, ...]]:
        if self.takes("BEGINS_WITH"):
            self.expect("(")
            name = self._name()
            self.expect(",")
            value = self.value()
            self.expect(")")
            return name, "begins_with", (value,)
        name = self._name()
        if self.takes("BETWEEN"):
            low = self.value()
            self.expect("AND")
            return name, "between", (low, self.value())
        sign = self.next()
        if sign not in ("=", "<", "<=", ">", ">="):
            raise invalid(f"Query key condition not supported: {self._text!r}")
        return name, sign, (self.value(),)


def _tokens(text: str) -> list[str]:
    tokens = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise invalid(f"Syntax error: token {text[place]!r} in {text!r}")
        tokens.append(match[1])
        place = match.end()
    return tokens


# --- operands -----------------------------------------------------------------------------------


def _given(name: str) -> Operand:
    def value(_item: Item, values: Values) -> Value:
        try:
            return values[name]
        except KeyError:
            raise invalid(f"An expression attribute value is not defined: {name}") from None

    return value


def _size(path: Path) -> Operand:
    def size(item: Item, _values: Values) -> Value | None:
        value = found(item, path)
        count = length(value) if value is not None else None
        return {"N": str(count)} if count is not None else None

    return size


def _sum(left: Operand, right: Operand, sign: int) -> Operand:
    return lambda item, values: added(_there(left(item, values)), _there(right(item, values)), sign)


def _existing_or(path: Path, otherwise: Operand) -> Operand:
    def existing(item: Item, values: Values) -> Value | None:
        value = found(item, path)
        return otherwise(item, values) if value is None else value

    return existing


def _joined(first: Operand, second: Operand) -> Operand:
    def joined(item: Item, values: Values) -> Value:
        one, other = _there(first(item, values)), _there(second(item, values))
        if "L" not in one or "L" not in other:
            raise unfit("An operand in the update expression has an incorrect data type: no list")
        return {"L": [*one["L"], *other["L"]]}

    return joined


def _there(value: Value | None) -> Value:
    if value is None:
        raise unfit(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    return value


# --- tests --------------------------------------------------------------------------------------


def _equals(left: Operand, right: Operand) -> Test:
    def test(item: Item, values: Values) -> bool:
        one, other = left(item, values), right(item, values)
        return one is not None and other is not None and equal(one, other)

    return test


def _differs(left: Operand, right: Operand) -> Test:
    # An attribute that is not there differs from every value.
    is_equal = _equals(left, right)
    return lambda item, values: not is_equal(item, values)


def _ordered(holds: Callable[[Any, Any], bool]) -> Callable[[Operand, Operand], Test]:
    def compare(left: Operand, right: Operand) -> Test:
        def test(item: Item, values: Values) -> bool:
            one, other = left(item, values), right(item, values)
            if one is None or other is None or not comparable(one, other):
                return False
            return holds(plain(one), plain(other))

        return test

    return compare


_COMPARISONS: dict[str, Callable[[Operand, Operand], Test]] = {
    "=": _equals,
    "<>": _differs,
    "<": _ordered(lambda one, other: bool(one < other)),
    "<=": _ordered(lambda one, other: bool(one <= other)),
    ">": _ordered(lambda one, other: bool(one > other)),
    ">=": _ordered(lambda one, other: bool(one >= other)),
}


def _between(middle: Operand, low: Operand, high: Operand) -> Test:
    above, below = _COMPARISONS[">="](middle, low), _COMPARISONS["<="](middle, high)
    return lambda item, values: above(item, values) and below(item, values)


def _one_of(left: Operand, choices: list[Operand]) -> Test:
    tests = [_equals(left, choice) for choice in choices]
    return lambda item, values: any(test(item, values) for test in tests)


def _begins_with(value: Value, start: Value) -> bool:
    kind = kind_of(start)
    return kind in ("S", "B") and kind in value and value[kind].startswith(start[kind])


def _is_of_type(value: Value, wanted: Value) -> bool:
    return kind_of(value) == wanted.get("S")


_FUNCTIONS: dict[str, Callable[[Value, Value], bool]] = {
    "attribute_type": _is_of_type,
    "begins_with": _begins_with,
    "contains": contains,
}


def _applied(function: Callable[[Value, Value], bool], path: Path, argument: Operand) -> Test:
    def test(item: Item, values: Values) -> bool:
        value, other = found(item, path), argument(item, values)
        return value is not None and other is not None and function(value, other)

    return test


# --- updates applied ----------------------------------------------------------------------------


def updated(item: Item, parsed: Update, values: Values) -> Item:
    """Give the item as the update leaves it. All operands are read from the item as it was."""
    new = dict(item)
    writes: list[tuple[Path, Value]] = []
    removals: list[Path] = []
    for change in parsed.changes:
        if change.operand is None:
            removals.append(change.path)
            continue
        value = _there(change.operand(item, values))
        match change.action:
            case "SET":
                writes.append((change.path, copied(value)))
            case "ADD":
                writes.append((change.path, _with(found(item, change.path), value)))
            case "DELETE":
                left = _without(found(item, change.path), value)
                if left is None:
                    removals.append(change.path)
                else:
                    writes.append((change.path, left))
    for path, value in writes:
        _put(new, path, value)
    # From the end of a list, so that the positions before it stay what they were.
    for path in sorted(removals, key=_by_position, reverse=True):
        _remove(new, path)
    return new


def _by_position(path: Path) -> list[str]:
    return [step if isinstance(step, str) else f"{step:08d}" for step in path]


def _with(old: Value | None, more: Value) -> Value:
    kind = kind_of(more)
    if kind == "N":
        return added(old or {"N": "0"}, more)
    if kind not in ("SS", "NS", "BS") or (old is not None and kind not in old):
        raise unfit("An operand in the update expression has an incorrect data type: ADD")
    members = list(old[kind]) if old is not None else []
    return {kind: members + [one for one in copied(more)[kind] if one not in members]}


def _without(old: Value | None, less: Value) -> Value | None:
    kind = kind_of(less)
    if kind not in ("SS", "NS", "BS") or (old is not None and kind not in old):
        raise unfit("An operand in the update expression has an incorrect data type: DELETE")
    left = [one for one in (old or {kind: []})[kind] if one not in less[kind]]
    return {kind: left} if left else None


def _put(item: Item, path: Path, value: Value) -> None:
    """Write at a path; maps and lists on the way are copied, for the old item still has them."""
    here: Any = item
    for place, step in enumerate(path):
        is_last = place == len(path) - 1
        if isinstance(step, int) and step >= len(here):
            # DynamoDB appends what is set behind the end of a list.
            if not is_last:
                raise _wrong_path()
            here.append(value)
            return
        if is_last:
            here[step] = value
            return
        try:
            inner = here[step]
        except KeyError:
            raise _wrong_path() from None
        kind = "L" if isinstance(path[place + 1], int) else "M"
        if kind not in inner:
            raise _wrong_path()
        here[step] = {kind: inner[kind].copy()}
        here = here[step][kind]


def _remove(item: Item, path: Path) -> None:
    if found(item, path) is None:
        return
    here: Any = item
    for place, step in enumerate(path[:-1]):
        kind = "L" if isinstance(path[place + 1], int) else "M"
        here[step] = {kind: here[step][kind].copy()}
        here = here[step][kind]
    del here[path[-1]]


def _wrong_path() -> Exception:
    return unfit("The document path provided in the update expression is invalid for update")


def projected(item: Item, parsed: Projection) -> Item:
    """Give the parts of an item that a projection names."""
    seen: Item = {}
    for path in parsed.paths:
        value = found(item, path)
        if value is not None:
            _graft(seen, path, value)
    return seen


def _graft(target: Any, path: Path, value: Value) -> None:
    # Members of a list are given one after the other, without the gaps between them.
    for place, step in enumerate(path[:-1]):
        kind = "L" if isinstance(path[place + 1], int) else "M"
        empty: Value = {kind: [] if kind == "L" else {}}
        if isinstance(step, int):
            target.append(empty)
            target = empty[kind]
        else:
            target = target.setdefault(step, empty)[kind]
    if isinstance(path[-1], int):
        target.append(value)
    else:
        target[path[-1]] = value

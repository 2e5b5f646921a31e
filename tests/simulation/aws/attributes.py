"""DynamoDB's attribute values: compared, added up and measured.

A value is as botocore has it, one kind and its content: `{"S": "mug"}`. Values are never changed
in place, so a stored item may be handed out and kept.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from tests.simulation.aws.refusals import invalid, unfit

Value = dict[str, Any]
Item = dict[str, Value]

# DynamoDB developer guide, "Limits": 38 digits.
_EXACT = Context(prec=38, traps=[Inexact, InvalidOperation])
_SETS = frozenset({"SS", "NS", "BS"})
_ORDERED = frozenset({"S", "N", "B"})


def kind_of(value: Value) -> str:
    (kind,) = value
    return kind


def plain(value: Value) -> Any:
    """Give the content of a string, number or binary in a form that sorts as DynamoDB sorts.

    Strings sort by their UTF-8 bytes, which is the order of their code points.
    """
    ((kind, content),) = value.items()
    return number(content) if kind == "N" else content


def number(text: str) -> int | Decimal:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return _EXACT.create_decimal(text)
    except (InvalidOperation, Inexact) as error:
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}") from error


def number_value(amount: int | Decimal) -> Value:
    if isinstance(amount, Decimal):
        amount = amount.normalize(_EXACT)
        if amount == amount.to_integral_value():
            amount = int(amount)
    return {"N": str(amount) if isinstance(amount, int) else format(amount, "f")}


def added(left: Value, right: Value, sign: int = 1) -> Value:
    """Add or, with a sign of -1, subtract two numbers."""
    if "N" not in left or "N" not in right:
        raise unfit(
            "An operand in the update expression has an incorrect data type: neither is a number"
        )
    one, other = number(left["N"]), number(right["N"])
    if isinstance(one, int) and isinstance(other, int):
        return number_value(one + sign * other)
    try:
        return number_value(_EXACT.add(Decimal(one), sign * Decimal(other)))
    except Inexact as error:
        raise unfit("Number overflow or too many digits") from error


def equal(left: Value, right: Value) -> bool:
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    one, other = left[kind], right[kind]
    match kind:
        case "N":
            return number(one) == number(other)
        case "NS":
            return {number(member) for member in one} == {number(member) for member in other}
        case "SS" | "BS":
            return set(one) == set(other)
        case "L":
            return len(one) == len(other) and all(map(equal, one, other))
        case "M":
            return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return bool(one == other)


def comparable(left: Value, right: Value) -> bool:
    """Tell whether one of the two may be less than the other: they are of one ordered kind."""
    kind = kind_of(left)
    return kind in _ORDERED and kind in right


def contains(whole: Value, part: Value) -> bool:
    ((kind, content),) = whole.items()
    if kind in _SETS:
        return kind_of(part) == kind[0] and any(
            equal({kind[0]: member}, part) for member in content
        )
    if kind == "L":
        return any(equal(member, part) for member in content)
    return kind in ("S", "B") and kind in part and part[kind] in content


def length(value: Value) -> int | None:
    """Give what the function `size` gives; None for a kind that has no size."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content)
    return len(content) if kind in _SETS or kind in ("B", "L", "M") else None


def measured(value: Value) -> int:
    """Count the bytes that a value takes: developer guide, "Item sizes and formats"."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content.lstrip("-0").replace(".", "")) + 1) // 2 + 1
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + measured(member) for member in content)
        case "M":
            return 3 + sum(1 + len(key.encode()) + measured(content[key]) for key in content)
    return sum(measured({kind[0]: member}) for member in content)


def item_bytes(item: Item) -> int:
    return sum(len(name.encode()) + measured(value) for name, value in item.items())


def copied(value: Value) -> Value:
    """Copy a value that the application gave, so that it cannot change it afterwards.

    Raises ValidationException for what DynamoDB takes in no place.
    """
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return number_value(number(content))
        case "L":
            return {"L": [copied(member) for member in content]}
        case "M":
            return {"M": {name: copied(member) for name, member in content.items()}}
        case "SS" | "BS" | "NS":
            if not content or len(set(content)) < len(content):
                raise invalid("One or more parameter values were invalid: a set")
            return {kind: list(content)}
    return {kind: content}


def copied_item(item: Item) -> Item:
    return {name: copied(value) for name, value in item.items()}

"""Attribute values written to JSON as they stand, because moto probes ten possible members of each.

Serialising an item costs 0.7 ms in stock moto and most of that is looking for members that a
union cannot have.
"""

from __future__ import annotations

import base64
from typing import Any

from moto.core import serialize

_serializer = (
    serialize.SERVICE_SPECIFIC_SERIALIZERS.get("dynamodb", {}).get("json")
    or serialize.SERIALIZERS["json"]
)
_moto_structure = _serializer._serialize_type_structure


def install() -> None:
    """Give the serialiser a short way for AttributeValue."""
    _serializer._serialize_type_structure = _serialize_structure


def wire(value: dict[str, Any]) -> dict[str, Any]:
    """Return an attribute value as JSON has it, bytes in base64."""
    ((kind, content),) = value.items()
    if kind == "M":
        return {"M": {name: wire(member) for name, member in content.items()}}
    if kind == "L":
        return {"L": [wire(member) for member in content]}
    if kind == "B":
        return {"B": _text(content)}
    if kind == "BS":
        return {"BS": [_text(member) for member in content]}
    return value


def _text(content: Any) -> Any:
    return base64.b64encode(content).decode() if isinstance(content, bytes) else content


def _serialize_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if shape.name == "AttributeValue" and isinstance(value, dict) and len(value) == 1:
        self._default_serialize(serialized, wire(value), shape, key)
    else:
        _moto_structure(self, serialized, value, shape, key)

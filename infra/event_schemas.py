"""`events/schemas/`: a JSON Schema per published event, written from the contracts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tradepost.contracts.event import Event
from tradepost.contracts.published import published

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Write one event's schema: what a publisher promises to send, and nothing beside it."""
    schema = event.model_json_schema(mode="serialization")
    return {
        "$schema": _DIALECT,
        "$id": f"urn:tradepost:event:{event.TYPE}",
        **schema,
        "title": event.TYPE,
        # A default is ours when we write: whoever reads finds every field there.
        "required": list(schema["properties"]),
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write all schemas; one whose event is gone stays, for those who read old messages."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for event in published():
        path = folder / f"{event.TYPE}.json"
        path.write_text(json.dumps(schema_of(event), indent=2) + "\n")
        written.append(path)
    return written


def schemas() -> None:
    """Write events/schemas/ anew from the contracts."""
    folder = Path(__file__).resolve().parents[1] / "events" / "schemas"
    for path in write_schemas(folder):
        print(path.name)  # noqa: T201 - a command's answer

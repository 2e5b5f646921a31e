"""What was released of the events, compared with what the code publishes now.

A release is what somebody outside this tree may hold messages of: a deployed stage, its queues,
its dead letters. `events/released.json` has every schema as the last release published it; it is
a file and not a tag, so that it is there in every copy of the tree, without network or history.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.event_schemas import schema_of
from tradepost.contracts.published import published

Schema = Mapping[str, Any]

RELEASED = Path(__file__).resolve().parents[1] / "events" / "released.json"

_ADVICE_ON_SHAPE = (
    "a published version never changes shape (docs/decisions/0015): put it back as it was, and"
    " publish the next version beside it"
)
_ADVICE_ON_ABSENCE = (
    "a message of it may lie in a dead-letter queue for 14 days after the last was sent or"
    " redriven: keep its class until then, and afterwards take it out of events/released.json"
)

# What is said of a shape, and is no part of it.
_WORDS = frozenset({"$schema", "$id", "title", "description", "examples"})


def current() -> dict[str, dict[str, Any]]:
    """Write the schema of every event the code publishes, by type."""
    return {event.TYPE: schema_of(event) for event in published()}


def incompatibilities(released: Mapping[str, Schema], now: Mapping[str, Schema]) -> list[str]:
    """Tell, a line each, what differs from the release and what to do. New types may come."""
    lines = []
    for event_type, schema in sorted(released.items()):
        if event_type not in now:
            lines.append(f"{event_type} was published and is gone: {_ADVICE_ON_ABSENCE}")
            continue
        changes = "; ".join(_changes(_inlined(schema), _inlined(now[event_type]), "it"))
        if changes:
            lines.append(f"{event_type}: {changes}: {_ADVICE_ON_SHAPE}")
    return lines


def read_release(path: Path = RELEASED) -> tuple[str, dict[str, dict[str, Any]]]:
    """Read the last release's version and its schemas, by type."""
    written = json.loads(path.read_text())
    return written["version"], written["events"]


def release_events(
    version: Annotated[str, typer.Argument(help="The version being released, such as 1.4.0.")],
) -> None:
    """Record what the events look like in a release: events/released.json."""
    before, released = read_release()
    now = current()
    lines = incompatibilities(released, now)
    if lines:
        for line in lines:
            typer.echo(f"release-events: {line}", err=True)
        raise typer.Exit(1)
    document = {"version": version, "events": dict(sorted(now.items()))}
    RELEASED.write_text(json.dumps(document, indent=1) + "\n")
    new = sorted(now.keys() - released.keys())
    typer.echo(f"{version} after {before}: {len(now)} events, new: {', '.join(new) or 'none'}")


def _inlined(schema: Schema) -> Any:
    """Take out the words, and put each definition where it is used: its name is no shape."""
    definitions = schema.get("$defs", {})

    def walk(node: Any, *, names: bool = False) -> Any:
        # Below `properties` a key is a field's name, even if that is `title`.
        if isinstance(node, Mapping):
            if not names and "$ref" in node:
                return walk(definitions[node["$ref"].rpartition("/")[2]])
            return {
                key: walk(value, names=key == "properties" and not names)
                for key, value in node.items()
                if names or key not in _WORDS | {"$defs"}
            }
        return [walk(each) for each in node] if isinstance(node, list) else node

    return walk(schema)


def _changes(before: Any, now: Any, place: str) -> Iterator[str]:
    """Name each difference of two shapes by the field it is at."""
    if not (isinstance(before, Mapping) and isinstance(now, Mapping)):
        if before != now:
            yield f"{place} was {json.dumps(before)} and is {json.dumps(now)}"
        return
    yield from _of_fields(before.get("properties", {}), now.get("properties", {}), place)
    yield from _of_presence(before, now, place)
    for key in sorted((before.keys() | now.keys()) - {"properties", "required"}):
        at = place if key == "items" else f"{key} of {place}"
        if key not in now:
            yield f"{at} was {json.dumps(before[key])} and is not said any more"
        elif key not in before:
            yield f"{at} is {json.dumps(now[key])} and was not said"
        else:
            yield from _changes(before[key], now[key], at)


def _of_fields(before: Schema, now: Schema, place: str) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        at = f"`{name}`" if place == "it" else f"`{name}` of {place}"
        if name not in now:
            yield f"{at} was taken away"
        elif name not in before:
            yield f"{at} is new"
        else:
            yield from _changes(before[name], now[name], at)


def _of_presence(before: Schema, now: Schema, place: str) -> Iterator[str]:
    """Name the fields that stayed and are no longer, or only now, always there."""
    stayed = before.get("properties", {}).keys() & now.get("properties", {}).keys()
    was, is_now = set(before.get("required", ())), set(now.get("required", ()))
    for name in sorted(stayed & (was ^ is_now)):
        told = "may be absent now" if name in was else "must be there now"
        yield f"`{name}` of {place} {told}" if place != "it" else f"`{name}` {told}"

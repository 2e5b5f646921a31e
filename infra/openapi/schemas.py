"""The pydantic models of all routes as one set of shared components."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tradepost.platform.service import RouteSpec

Mode = Literal["validation", "serialization"]
Schema = dict[str, Any]

_COMPONENTS = "#/components/schemas/"


class Schemas:
    """The schema of every model, by where it is used; `components` holds their definitions."""

    def __init__(self, specs: Iterable[RouteSpec]) -> None:
        used: dict[tuple[type[BaseModel], Mode], None] = {}
        for spec in specs:
            for model in (spec.body, spec.query):
                if model is not None:
                    used[model, "validation"] = None
            for model in answers(spec):
                used[model, "serialization"] = None
        by_use, definitions = models_json_schema(list(used), ref_template=_COMPONENTS + "{model}")
        defined = definitions.get("$defs", {})
        names = _short_names(defined)
        self._by_use = {use: _renamed(schema, names) for use, schema in by_use.items()}
        self.components: dict[str, Schema] = {
            names[name]: _renamed(schema, names) for name, schema in sorted(defined.items())
        }

    def of(self, model: type[BaseModel], mode: Mode) -> Schema:
        """Return the reference to a model's component."""
        return self._by_use[model, mode]

    def fields(self, model: type[BaseModel]) -> tuple[dict[str, Schema], set[str]]:
        """Return the fields of a query and the names of those that must be given."""
        reference = self.of(model, "validation")["$ref"]
        schema = self.components[reference.removeprefix(_COMPONENTS)]
        return schema.get("properties", {}), set(schema.get("required", ()))


def answers(spec: RouteSpec) -> list[type[BaseModel]]:
    """List the models that a route's view says it returns, in a `Reply` or as they are."""
    return list(dict.fromkeys(_models(spec.answer)))


def _models(hint: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        yield hint
    for argument in typing.get_args(hint):
        yield from _models(argument)


def _short_names(definitions: dict[str, Schema]) -> dict[str, str]:
    """Name by context what pydantic names by module: `orders__api__Line` is `orders.Line`."""
    names = {}
    for name in definitions:
        first, _, rest = name.partition("__")
        names[name] = f"{first}.{rest.rpartition('__')[2]}" if rest else name
    if len(set(names.values())) < len(names):
        return {name: name for name in definitions}
    return names


def _renamed(schema: Schema, names: dict[str, str]) -> Schema:
    text = json.dumps(schema)
    for long, short in names.items():
        text = text.replace(f'"{_COMPONENTS}{long}"', f'"{_COMPONENTS}{short}"')
    renamed: Schema = json.loads(text)
    return renamed

"""The resources of the API: which app answers a path, the most literal first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

_PARAMETER = re.compile(r"{(\w+)}")


class RouteConflictError(Exception):
    """Two apps declare the same method of the same path."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A path and its methods; each method with its app's name, its app and Chalice's route."""

    path: str
    methods: dict[str, tuple[str, Any, Any]]

    def cors(self) -> Any:
        """Return the CORS settings of the first method that has any."""
        return next((route.cors for _, _, route in self.methods.values() if route.cors), None)


class RouteTable:
    """Every route of every app, mounted at one root."""

    def __init__(self, apps: Mapping[str, Any]) -> None:
        self._literal: dict[str, Resource] = {}
        self._patterns: dict[int, list[tuple[str, re.Pattern[str], Resource]]] = {}
        resources: dict[str, Resource] = {}
        for name, app in apps.items():
            for path, methods in app.routes.items():
                resource = resources.setdefault(path, Resource(path, {}))
                for method, route in methods.items():
                    if method in resource.methods:
                        other = resource.methods[method][0]
                        raise RouteConflictError(
                            f"{method} {path} is declared by {other} and {name}"
                        )
                    resource.methods[method] = (name, app, route)
        for resource in resources.values():
            self._add(resource)

    def find(self, path: str) -> tuple[Resource | None, dict[str, str] | None]:
        """Return the resource of a raw path and the path's decoded parameters, None for none."""
        resource = self._literal.get(path)
        if resource is not None:
            return resource, None
        for literal_start, pattern, candidate in self._patterns.get(path.count("/"), ()):
            if path.startswith(literal_start):
                found = pattern.fullmatch(path)
                if found:
                    parameters = {
                        name: unquote(value, errors="replace")
                        for name, value in found.groupdict().items()
                    }
                    return candidate, parameters
        return None, None

    def _add(self, resource: Resource) -> None:
        if "{" not in resource.path:
            self._literal[resource.path] = resource
            return
        parts = _PARAMETER.split(resource.path)
        pattern = "".join(
            f"(?P<{part}>[^/]+)" if position % 2 else re.escape(part)
            for position, part in enumerate(parts)
        )
        candidates = self._patterns.setdefault(resource.path.count("/"), [])
        candidates.append((parts[0], re.compile(pattern), resource))
        # Literal segments win over parameters, from the left.
        candidates.sort(key=lambda one: [part[:1] == "{" for part in one[2].path.split("/")])

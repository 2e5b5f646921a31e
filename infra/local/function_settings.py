"""The settings of functions, read from `chalice-config/` as packaging reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

# Chalice's own defaults.
TIMEOUT_SECONDS = 60
MEMORY_MB = 128

_EVENT_SUFFIX = {"sqs": "SqsEventSource", "dynamodb": "DynamodbEventSource"}


class FunctionSettings:
    """What `defaults.json`, `<app>/config.json` and `<app>/merge.json` say about an app."""

    def __init__(self, folder: Path, app: str, stage: str) -> None:
        defaults = _read(folder / "defaults.json")
        self._config = _merged(defaults, _read(folder / app / "config.json"))
        self._stage = self._config.get("stages", {}).get(stage, {})
        self._resources = _read(folder / app / "merge.json").get("Resources", {})

    def timeout_seconds(self, function: str) -> float:
        return float(self._find("lambda_timeout", function, TIMEOUT_SECONDS))

    def memory_mb(self, function: str) -> int:
        return int(self._find("lambda_memory_size", function, MEMORY_MB))

    def environment(self) -> dict[str, str]:
        """Return the variables that every function of the app has and that are plain text."""
        variables = {
            **self._config.get("environment_variables", {}),
            **self._stage.get("environment_variables", {}),
        }
        return {name: value for name, value in variables.items() if isinstance(value, str)}

    def event_source(self, function: str, kind: str) -> dict[str, Any]:
        """Return what the merge template says about the `kind` of event source of `function`.

        `kind` is "sqs" or "dynamodb". The logical names are those Chalice generates.
        """
        logical_id = "".join(part.title() for part in re.split(r"[^A-Za-z0-9]+", function))
        events = self._resources.get(logical_id, {}).get("Properties", {}).get("Events", {})
        source = events.get(logical_id + _EVENT_SUFFIX[kind], {})
        properties: dict[str, Any] = source.get("Properties", {})
        return properties

    def _find(self, key: str, function: str, default: Any) -> Any:
        for scope in (
            self._stage.get("lambda_functions", {}).get(function, {}),
            self._stage,
            self._config.get("lambda_functions", {}).get(function, {}),
            self._config,
        ):
            if key in scope:
                return scope[key]
        return default


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merged(below[key], value) if both else value
    return merged

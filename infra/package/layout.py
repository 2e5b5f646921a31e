"""Where a project keeps what packaging reads, and for what it builds."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

Architecture = Literal["x86_64", "arm64"]

_ARCHITECTURE_OF_MACHINE: dict[str, Architecture] = {
    "x86_64": "x86_64",
    "AMD64": "x86_64",
    "aarch64": "arm64",
    "arm64": "arm64",
}


class PackagingError(Exception):
    """The project cannot be packaged as it stands; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A project's folders below its root."""

    root: Path

    @property
    def functions(self) -> Path:
        return self.root / "functions"

    @property
    def config(self) -> Path:
        return self.root / "chalice-config"

    @property
    def templates(self) -> Path:
        return self.root / "infra" / "templates"

    @property
    def layer(self) -> Path:
        return self.root / "layers" / "tradepost" / "python"

    @property
    def lock(self) -> Path:
        return self.root / "requirements.lock"

    @property
    def cache(self) -> Path:
        return self.root / "build" / ".cache"

    def contexts(self) -> list[str]:
        """Name every folder of `functions/` that holds an app, sorted."""
        return sorted(path.parent.name for path in self.functions.glob("*/app.py"))

    def defaults(self) -> dict[str, Any]:
        """Read `chalice-config/defaults.json`."""
        return cast(dict[str, Any], json.loads((self.config / "defaults.json").read_text()))

    def stages(self) -> list[str]:
        """Name the stages that `defaults.json` describes."""
        return sorted(self.defaults().get("stages", {}))


@dataclass(frozen=True, slots=True)
class Target:
    """What the functions run on.

    `python` is the packaging interpreter's own minor version: bytecode of another one would be
    ignored on Lambda, and Chalice names the runtime after the interpreter it runs on.
    `is_this_machine` takes the dependencies as they are installed here: to run, not to deploy.
    """

    architecture: Architecture
    python: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    is_this_machine: bool = False

    @property
    def runtime(self) -> str:
        return f"python{self.python}"

    @property
    def machine(self) -> str:
        return {"x86_64": "x86_64", "arm64": "aarch64"}[self.architecture]


def this_machine() -> Target:
    """Describe the machine that packages, for tests that run what was packaged, without network."""
    return Target(_ARCHITECTURE_OF_MACHINE[platform.machine()], is_this_machine=True)


def configured_target(layout: Layout) -> Target:
    """Read the architecture out of `defaults.json`; Chalice's default is x86_64."""
    return Target(layout.defaults().get("lambda_architecture", "x86_64"))

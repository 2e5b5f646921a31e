"""Which lines of the lock the deployed functions need: the runtime dependencies and theirs."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.package.layout import Layout, PackagingError, Target


def runtime_requirements(layout: Layout, target: Target) -> str:
    """Cut out of the lock what `project.dependencies` comes to on the target, hashes included."""
    declared = tomllib.loads((layout.root / "pyproject.toml").read_text())["project"]
    locked = _locked(layout.lock)
    needed = _closure(declared["dependencies"], _environment(target))
    missing = needed - locked.keys()
    if missing:
        raise PackagingError(f"not in {layout.lock.name}: {', '.join(sorted(missing))}; make lock")
    return "".join(locked[name] for name in sorted(needed))


def copy_installed(requirements: str, folder: Path) -> None:
    """Copy what is installed of the requirements' projects, which are of the lock's versions."""
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", requirements, re.MULTILINE):
        for file in importlib.metadata.files(name) or ():
            # Scripts lie outside of the packages' folder, and bytecode is made anew.
            if ".." in file.parts or file.suffix == ".pyc":
                continue
            copy = folder.joinpath(*file.parts)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), copy)


def _locked(lock: Path) -> dict[str, str]:
    """Map each project's name to its lines: version and hashes, without the marker."""
    blocks = re.split(r"\n(?=\S)", lock.read_text().strip())
    locked: dict[str, str] = {}
    for block in blocks:
        requirement, _, hashes = block.partition("\\\n")
        pinned = requirement.partition(";")[0].strip()
        name = canonicalize_name(pinned.partition("==")[0].partition("[")[0])
        # Whether a line is needed on the target was decided by `_closure`.
        locked[name] = f"{pinned} \\\n{hashes}\n"
    return locked


def _closure(declared: list[str], environment: dict[str, str]) -> set[str]:
    """Follow the metadata of what is installed, which is what the lock names."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(one) for one in declared]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += _required_by(name, extra, environment)
    return {name for name, _ in found}


def _required_by(name: str, extra: str, environment: dict[str, str]) -> Iterator[Requirement]:
    for text in importlib.metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None:
            if not extra:
                yield requirement
        elif requirement.marker.evaluate({**environment, "extra": extra}):
            yield requirement


def _environment(target: Target) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": target.machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{target.python}.0",
        "python_version": target.python,
        "sys_platform": "linux",
    }

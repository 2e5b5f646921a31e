"""The two layers: `deps` (third-party packages, trimmed) and `tradepost` (what contexts share)."""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from infra.package.archive import precompile, write_zip
from infra.package.dependencies import copy_installed, runtime_requirements
from infra.package.layout import Layout, Target

_DEPLOYED_AT = "/opt/python"

# Lambda's Python 3.11 runs on Amazon Linux 2 (glibc 2.26), later ones on 2023 (glibc 2.34).
_GLIBC_MINOR_MAX = {"3.11": 26}
_GLIBC_MINOR_DEFAULT = 34
_GLIBC_MINOR_MIN = 17

# Never read by a function: pip's notes, which differ by machine, assets of a page, and Stripe's
# parameters, which are types alone: half of the largest package there is.
_LEFT_OUT = (
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.js",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.css",
    "boto3/examples",
    "botocore/cacert.pem.orig",
    "bin",
    "stripe/params",
)

_DOCUMENTATION = {"documentation", "documentationUrl"}


def build_deps_layer(layout: Layout, target: Target, archive: Path) -> None:
    """Write the third-party layer, from the cache if the lock and the target are the same."""
    requirements = runtime_requirements(layout, target)
    services = aws_services(layout)
    made_of = [requirements, target.architecture, target.python, *sorted(services)]
    made_of.append(Path(__file__).read_text())
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:24]
    kind = "local" if target.is_this_machine else target.architecture
    cached = layout.cache / f"deps-{target.python}-{kind}-{digest}.zip"
    if not cached.exists():
        with tempfile.TemporaryDirectory() as folder:
            python = Path(folder) / "python"
            if target.is_this_machine:
                copy_installed(requirements, python)
            else:
                _install(requirements, target, python)
            _trim(python, services)
            precompile(python, deployed_at=_DEPLOYED_AT)
            write_zip(Path(folder), cached)
    archive.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(cached, archive)


def build_shared_layer(layout: Layout, archive: Path) -> None:
    """Write the layer of the kernel, the contracts and the platform."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "python"
        shutil.copytree(layout.layer, python, ignore=shutil.ignore_patterns("__pycache__"))
        precompile(python, deployed_at=_DEPLOYED_AT)
        write_zip(Path(folder), archive)


def aws_services(layout: Layout) -> set[str]:
    """Name the services that `tradepost.platform.aws` makes clients of, by boto3's names."""
    module = layout.layer / "tradepost" / "platform" / "aws.py"
    return {
        call.args[0].value
        for call in ast.walk(ast.parse(module.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "_client"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def _install(requirements: str, target: Target, python: Path) -> None:
    wanted = python.parent / "requirements.txt"
    wanted.write_text(requirements)
    newest = _GLIBC_MINOR_MAX.get(target.python, _GLIBC_MINOR_DEFAULT)
    tags = [f"manylinux_2_{n}_{target.machine}" for n in range(newest, _GLIBC_MINOR_MIN - 1, -1)]
    tags += [f"manylinux{name}_{target.machine}" for name in ("2014", "2010", "1")]
    command = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-compile", "--require-hashes", "--only-binary=:all:"]
    command += ["--implementation", "cp", "--python-version", target.python]
    for tag in tags:
        command += ["--platform", tag]
    subprocess.run(  # noqa: S603 - our own interpreter and our own arguments
        [*command, "--target", str(python), "--requirement", str(wanted)], check=True
    )
    wanted.unlink()


def _trim(python: Path, services: set[str]) -> None:
    for pattern in _LEFT_OUT:
        for path in python.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    data = python / "botocore" / "data"
    prefixes = set()
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        if folder.name in services:
            prefixes.add(_trim_service(folder))
        else:
            shutil.rmtree(folder)
    _trim_endpoints(data / "endpoints.json", prefixes)


def _trim_service(folder: Path) -> str:
    """Keep a service's newest version, plain and without documentation; return its endpoint."""
    *older, newest = sorted(path for path in folder.iterdir() if path.is_dir())
    for version in older:
        shutil.rmtree(version)
    endpoint = folder.name
    for path in list(newest.iterdir()):
        content = path.read_bytes()
        path.unlink()
        if path.name.startswith("examples"):
            continue
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        model = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        if plain.name == "service-2.json":
            endpoint = model["metadata"]["endpointPrefix"]
            model = _without_documentation(model)
        plain.write_text(json.dumps(model, separators=(",", ":")))
    return endpoint


def _without_documentation(model: Any) -> Any:
    if isinstance(model, dict):
        return {
            name: _without_documentation(value)
            for name, value in model.items()
            if not (name in _DOCUMENTATION and isinstance(value, str))
        }
    if isinstance(model, list):
        return [_without_documentation(value) for value in model]
    return model


def _trim_endpoints(path: Path, prefixes: set[str]) -> None:
    endpoints = json.loads(path.read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: service for name, service in partition["services"].items() if name in prefixes
        }
    path.write_text(json.dumps(endpoints, separators=(",", ":")))

"""Chalice's own packaging, run on a copy of one context, with settings from `chalice-config/`."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from chalice import Chalice
from chalice.cli.factory import CLIFactory
from chalice.deploy.validate import validate_configuration
from chalice.package import PackageOptions

from infra.cloudformation import Template
from infra.package.layout import Layout, Target

HTTP_HANDLER = "api_handler"


@dataclass(frozen=True, slots=True)
class Function:
    """A function as Chalice names it, and the queue or stream that invokes it, if one does."""

    name: str
    is_authorizer: bool = False
    queue: str | None = None
    stream_of: str | None = None  # a table's short name

    @property
    def logical_id(self) -> str:
        """Chalice's logical name; it renames the function of the routes."""
        if self.name == HTTP_HANDLER:
            return "APIHandler"
        parts = "".join(c if c.isalnum() else " " for c in self.name).split()
        return "".join(part.title() for part in parts)


class _NoSession(PackageOptions):
    """Chalice would open a session, and look for credentials, to learn this one name."""

    def __init__(self) -> None:
        pass

    def service_principal(self, service: str) -> str:
        return f"{service}.amazonaws.com"


class _ContextFactory(CLIFactory):
    """Chalice's factory with settings that lie elsewhere than in the project's `.chalice`."""

    def __init__(self, project: Path, settings: dict[str, Any]) -> None:
        # An environment of its own: a function's variables must not reach the packager.
        super().__init__(str(project), environ={})
        self._settings = settings

    def load_project_config(self) -> dict[str, Any]:
        return self._settings

    def create_package_options(self) -> PackageOptions:
        return _NoSession()

    def load_chalice_app(self, *arguments: Any, **options: Any) -> Chalice:
        with _fresh_app_module():
            return super().load_chalice_app(*arguments, **options)


def load_app(layout: Layout, context: str) -> Chalice:
    """Import a context's app as it will be on Lambda: a module named `app`, its package beside."""
    folder = str(layout.functions / context)
    with _fresh_app_module():
        sys.path.insert(0, folder)
        app: Chalice = importlib.import_module("app").app
        return app


def functions_of(app: Chalice) -> list[Function]:
    """List the functions that an app becomes."""
    functions = [Function(HTTP_HANDLER)] if app.routes else []
    functions += [Function(one.name, is_authorizer=True) for one in app.builtin_auth_handlers]
    functions += [Function(one.name) for one in app.pure_lambda_functions]
    for source in app.event_sources:
        queue = getattr(source, "queue", None) or getattr(source, "queue_arn", None)
        stream = getattr(source, "stream_arn", None)
        stream_of = stream.split("/")[1] if stream else None
        functions.append(Function(source.name, queue=queue, stream_of=stream_of))
    return functions


def settings_of(layout: Layout, context: str) -> dict[str, Any]:
    """Lay a context's settings over the defaults of all."""
    path = layout.config / context / "config.json"
    own = json.loads(path.read_text()) if path.exists() else {}
    named = {"version": "2.0", "app_name": context, "autogen_policy": False}
    return merged(merged(named, layout.defaults()), own)


def package_context(
    layout: Layout,
    context: str,
    stage: str,
    target: Target,
    policies: dict[str, dict[str, Any]],
    work: Path,
) -> tuple[Template, Path]:
    """Let Chalice package one context; return its template and its zip, both below `work`.

    Parameters
    ----------
    policies
        By function, for those whose policy is generated; the others have a file.
    """
    project = work / "project"
    _copy(layout, context, project)
    settings = {**settings_of(layout, context), "lambda_architecture": target.architecture}
    by_function = settings.setdefault("stages", {}).setdefault(stage, {})
    by_function = by_function.setdefault("lambda_functions", {})
    for function, policy in policies.items():
        name = f"policy-{function}.json"
        (project / ".chalice" / name).write_text(json.dumps(policy))
        by_function.setdefault(function, {})["iam_policy_file"] = name
    for path in (layout.config / context).glob("policy-*.json"):
        function = path.stem.removeprefix("policy-")
        by_function.setdefault(function, {})["iam_policy_file"] = path.name
    _run(_ContextFactory(project, settings), stage, project, work / "out")
    template = json.loads((work / "out" / "sam.json").read_text())
    return cast(Template, template), work / "out" / "deployment.zip"


def _copy(layout: Layout, context: str, project: Path) -> None:
    source = layout.functions / context
    generated = shutil.ignore_patterns("__pycache__", ".chalice")
    # Chalice zips `app.py` and lifts what is in `vendor/` to the top, nothing else.
    project.mkdir(parents=True)
    shutil.copy(source / "app.py", project)
    shutil.copytree(source / context, project / "vendor" / context, ignore=generated)
    (project / ".chalice").mkdir()
    for path in (layout.config / context).glob("policy-*.json"):
        shutil.copy(path, project / ".chalice")
    merge = layout.config / context / "merge.json"
    (project / "merge.json").write_text(merge.read_text() if merge.exists() else "{}")


def _run(factory: _ContextFactory, stage: str, project: Path, out: Path) -> None:
    config = factory.create_config_obj(stage)
    # Chalice announces each of its steps on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        # `package` leaves out most of the checks that `deploy` makes.
        validate_configuration(config)
        factory.create_app_packager(
            config,
            factory.create_package_options(),
            "cloudformation",
            "json",
            merge_template=str(project / "merge.json"),
        ).package_app(config, str(out), stage)


@contextlib.contextmanager
def _fresh_app_module() -> Iterator[None]:
    """Let `import app` find this project's; otherwise the first one's answers for all."""
    path_before = list(sys.path)
    app_before = sys.modules.pop("app", None)
    writes_bytecode = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes_bytecode
        sys.path[:] = path_before
        sys.modules.pop("app", None)
        if app_before is not None:
            sys.modules["app"] = app_before


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay one tree of settings over another; lists and plain values are replaced."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        result[key] = merged(below[key], value) if both else value
    return result

"""Everything that is deployed, built into one folder per stage without asking AWS anything.

build/<stage>/root.json             deploys all others
              <template>.json       infra/templates, with its files put in
              gateway.json          the REST API
              <context>.json, .zip  the functions of a context
              layers/*.zip
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from infra.cloudformation import Template
from infra.package.archive import precompile, unzip, write_zip
from infra.package.chalice_project import Function, functions_of, load_app, package_context
from infra.package.context_template import (
    ContextParts,
    arn_output,
    deployed_name,
    finish,
    queue_output,
    stream_output,
)
from infra.package.gateway import ContextApi, authorizer_of, gateway_template, handler_parameter
from infra.package.layers import build_deps_layer, build_shared_layer
from infra.package.layout import Layout, PackagingError, Target
from infra.package.outputs import Infrastructure, read_infrastructure
from infra.package.policies import Grantee, default_policy
from infra.package.root import root_template
from infra.package.source import needs_of
from tradepost.platform.partners import ADMIT, RECOGNISE

_FUNCTION_DEPLOYED_AT = "/var/task"


@dataclass(frozen=True, slots=True)
class Built:
    """Where a stage was built, and what it holds."""

    folder: Path
    templates: list[Path]
    archives: list[Path]


def build(layout: Layout, stage: str, target: Target, folder: Path) -> Built:
    """Build `stage` into `folder`, replacing what is there.

    The result depends on the sources, the lock, the target and the interpreter's minor version
    alone: building twice gives the same bytes.

    Raises
    ------
    PackagingError
        An unknown stage, or a project that does not fit together; the message says how.
    """
    if stage not in layout.stages():
        raise PackagingError(f"no stage {stage} in defaults.json: {', '.join(layout.stages())}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build_deps_layer(layout, target, folder / "layers" / "deps.zip")
    build_shared_layer(layout, folder / "layers" / "tradepost.zip")
    infrastructure = read_infrastructure(layout.templates)
    templates = dict(infrastructure.templates)
    parts = [_context_parts(layout, name, stage, infrastructure) for name in layout.contexts()]
    apis = [_package(layout, part, parts, target, folder) for part in parts]
    home = authorizer_of(apis)
    for part, api in zip(parts, apis, strict=True):
        templates[part.context] = finish(api.raw, _deployed_parts(part, home))
    templates["gateway"] = gateway_template(apis, stage=stage)
    written = [_write(folder / f"{name}.json", content) for name, content in templates.items()]
    children = {name: (f"{name}.json", content) for name, content in templates.items()}
    root = root_template(stage, target, children, _given_by(infrastructure, apis))
    return Built(
        folder,
        templates=[_write(folder / "root.json", root), *written],
        archives=sorted(folder.rglob("*.zip")),
    )


def _context_parts(
    layout: Layout, context: str, stage: str, infrastructure: Infrastructure
) -> ContextParts:
    app = load_app(layout, context)
    lets_partners_in = any(spec.scope is not None for spec in getattr(app, "specs", ()))
    return ContextParts(
        context,
        stage,
        functions_of(app),
        needs_of(layout, context),
        infrastructure,
        lets_partners_in,
    )


def _questions(
    asking: ContextParts, function: Function, parts: list[ContextParts]
) -> tuple[str, ...]:
    """Name the functions that a context's own source names: another's, or its own routes.

    The authorizer asks only who a key is, and only a border that lets keys in asks for more.
    """
    asked = {RECOGNISE} if function.is_authorizer else set(asking.needs.own_texts)
    if asking.lets_partners_in and not function.is_authorizer:
        asked.add(ADMIT)
    return tuple(
        deployed_name(part.stage, part.context, one.name)
        for part in parts
        for one in part.functions
        if f"{part.context}-{one.name}" in asked
    )


def _package(
    layout: Layout,
    parts: ContextParts,
    all_parts: list[ContextParts],
    target: Target,
    folder: Path,
) -> ContextApi:
    """Run Chalice's packaging, and put the zip in place with bytecode added."""
    policies = {
        function.name: default_policy(
            _grantee(parts, function, _questions(parts, function, all_parts)),
            parts.infrastructure,
        )
        for function in parts.functions
        if not (layout.config / parts.context / f"policy-{function.name}.json").exists()
    }
    with tempfile.TemporaryDirectory() as work:
        raw, archive = package_context(
            layout, parts.context, parts.stage, target, policies, Path(work)
        )
        content = Path(work) / "content"
        unzip(archive, content)
        precompile(content, deployed_at=_FUNCTION_DEPLOYED_AT)
        write_zip(content, folder / f"{parts.context}.zip")
    return ContextApi(parts.context, raw, parts.functions)


def _grantee(parts: ContextParts, function: Function, questions: tuple[str, ...]) -> Grantee:
    return Grantee(
        questions=questions,
        deployed_name=deployed_name(parts.stage, parts.context, function.name),
        needs=parts.needs,
        is_authorizer=function.is_authorizer,
        queue_output=queue_output(parts, function),
        stream_output=stream_output(parts, function),
    )


def _deployed_parts(parts: ContextParts, home: tuple[str, Function] | None) -> ContextParts:
    """Leave the authorizer out of every context but its home."""
    deployed = [
        function
        for function in parts.functions
        if not function.is_authorizer or home == (parts.context, function)
    ]
    return replace(parts, functions=deployed)


def _given_by(infrastructure: Infrastructure, apis: list[ContextApi]) -> dict[str, tuple[str, str]]:
    given_by = {output: (name, output) for output, name in infrastructure.given_by.items()}
    for api in apis:
        for function in api.functions:
            parameter = handler_parameter(api.context, function.name)
            given_by[parameter] = (api.context, arn_output(function))
    return given_by


def _write(path: Path, template: Template) -> Path:
    path.write_text(json.dumps(template, indent=2) + "\n")
    return path

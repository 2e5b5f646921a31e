"""What a context's source says about the AWS it needs, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.package.layout import Layout

# The parts of the layer that every function runs: a route's border and the loggers beneath it.
_SHARED_PACKAGE = "tradepost"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a context's functions touch.

    `texts` are the string literals of the context's own code and of the layer's modules that it
    imports, directly or not: a variable's name is always one of them, whether it is read in
    place or from a loop over names. `own_texts` are those of the context alone.
    `required` are the variables whose absence would be a KeyError. `clients` are the makers in
    `tradepost.platform.aws` that the same code names.
    """

    texts: frozenset[str]
    own_texts: frozenset[str]
    required: frozenset[str]
    clients: frozenset[str]


def needs_of(layout: Layout, context: str) -> Needs:
    """Read a context's `app.py`, its package and what they import of the layer."""
    own = [ast.parse(path.read_text()) for path in _own_modules(layout, context)]
    shared = _imported_from_layer(layout, own)
    modules = [*own, *shared]
    return Needs(
        texts=frozenset(text for module in modules for text in _texts(module)),
        own_texts=frozenset(text for module in own for text in _texts(module)),
        required=frozenset(name for module in modules for name in _required(module)),
        clients=frozenset(client for module in modules for client in _clients(module)),
    )


def _own_modules(layout: Layout, context: str) -> list[Path]:
    return sorted((layout.functions / context).rglob("*.py"))


def _imported_from_layer(layout: Layout, modules: list[ast.Module]) -> list[ast.Module]:
    parsed: dict[Path, ast.Module] = {}
    waiting = [name for module in modules for name in _imports(module)]
    while waiting:
        path = _path_in_layer(layout, waiting.pop())
        if path is not None and path not in parsed:
            parsed[path] = ast.parse(path.read_text())
            waiting += _imports(parsed[path])
    return [parsed[path] for path in sorted(parsed)]


def _imports(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            # `from package import module` names a module in second place.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path_in_layer(layout: Layout, name: str) -> Path | None:
    first, *rest = name.split(".")
    if first != _SHARED_PACKAGE:
        return None
    path = layout.layer.joinpath(first, *rest)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def _texts(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _required(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Subscript(
                value=ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))
            ):
                yield name


def _clients(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "aws"
        ):
            yield node.attr

"""The project's files and apps, as the contract tests read them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from infra.package.chalice_project import load_app
from infra.package.layout import Layout

LAYOUT = Layout(Path(__file__).resolve().parents[2])
ROOT = LAYOUT.root
CONTEXTS = LAYOUT.contexts()
LAYER = LAYOUT.layer / "tradepost"


@functools.cache
def app_of(context):
    return load_app(LAYOUT, context)


def specs():
    """Every route of every app, with its context."""
    return [(context, spec) for context in CONTEXTS for spec in app_of(context).specs]


@functools.cache
def parsed(path):
    return ast.parse(path.read_text(), filename=str(path))


def application_modules():
    """The modules that run as functions: the contexts' and the layer's."""
    return sorted([*LAYOUT.functions.rglob("*.py"), *LAYER.rglob("*.py")])


def context_modules():
    return sorted(LAYOUT.functions.rglob("*.py"))


def place(path, node):
    """Say where, as an editor understands it."""
    return f"{path.relative_to(ROOT)}:{node.lineno}"

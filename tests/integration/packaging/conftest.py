"""The project packaged once per session, for the machine that runs the tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.package.build import Built, build
from infra.package.layout import Layout, this_machine

ROOT = Path(__file__).resolve().parents[3]
STAGE = "dev"


@pytest.fixture(scope="session")
def layout():
    return Layout(ROOT)


@pytest.fixture(scope="session")
def built(layout, tmp_path_factory) -> Built:
    return build(layout, STAGE, this_machine(), tmp_path_factory.mktemp("packaged"))


@pytest.fixture(scope="session")
def template(built):
    def read(name):
        return json.loads((built.folder / f"{name}.json").read_text())

    return read


@pytest.fixture(scope="session")
def functions(layout, template):
    """Every packaged function as (context, logical id, properties)."""
    return [
        (context, name, resource["Properties"])
        for context in layout.contexts()
        for name, resource in template(context)["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    ]

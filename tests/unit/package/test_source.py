"""What a context needs is read off its source."""

from __future__ import annotations

import pytest

from infra.package.layout import Layout
from infra.package.source import needs_of


@pytest.fixture
def project(tmp_path):
    """A project with one context, `mugs`, whose modules a test writes."""

    def write(app, layer):
        (tmp_path / "functions" / "mugs").mkdir(parents=True)
        (tmp_path / "functions" / "mugs" / "app.py").write_text(app)
        folder = tmp_path / "layers" / "tradepost" / "python" / "tradepost"
        folder.mkdir(parents=True)
        for name, text in layer.items():
            (folder / f"{name}.py").write_text(text)
        return Layout(tmp_path)

    return write


def test_a_variable_that_the_layer_reads_counts_when_it_is_imported(project):
    layout = project(
        "from tradepost import paging",
        {"paging": "from tradepost.keys import KEY", "keys": "KEY = os.environ['CURSOR_SECRET']"},
    )

    needs = needs_of(layout, "mugs")

    assert "CURSOR_SECRET" in needs.required
    assert "CURSOR_SECRET" not in needs.own_texts


def test_a_module_that_nobody_imports_needs_nothing(project):
    layout = project("", {"keys": "KEY = os.environ['CURSOR_SECRET']"})

    assert needs_of(layout, "mugs").required == frozenset()


def test_a_variable_that_may_be_absent_is_known_and_not_required(project):
    layout = project("for name in ('OLD_KEY',):\n    os.environ.get(name)", {})

    needs = needs_of(layout, "mugs")

    assert "OLD_KEY" in needs.texts
    assert "OLD_KEY" not in needs.required


def test_the_clients_a_context_asks_for_are_named(project):
    layout = project("mailer = SESMailer(aws.ses())", {})

    assert needs_of(layout, "mugs").clients == {"ses"}

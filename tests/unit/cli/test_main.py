"""The commands as they are typed."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from infra.cli.main import app


def test_a_file_that_is_not_there_is_one_line_and_exit_status_2():
    result = CliRunner().invoke(app, ["replay", "no-such-file.csv"])

    assert result.exit_code == 2
    assert result.output == "replay: no-such-file.csv: No such file or directory\n"


def test_a_limit_of_none_at_all_is_refused():
    result = CliRunner().invoke(app, ["replay", "history.csv", "--limit", "0"])

    assert result.exit_code == 2


@pytest.mark.parametrize("address", ["http://[", "ftp://shop.example", "shop.example", "http://"])
@pytest.mark.parametrize("command", ["reconcile", "export"])
def test_an_address_that_cannot_be_one_is_told_at_once(command: str, address: str):
    asked = [command, "--url", address, "--email", "a@b.example", "--password", "p"]
    result = CliRunner().invoke(app, asked)

    assert isinstance(result.exception, SystemExit)
    assert result.exit_code != 0
    assert result.output.splitlines()[-1].startswith(f"{command}: {address} ")

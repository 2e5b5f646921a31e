"""The README's first purchase, run as it is written against the shop that `make run` starts."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.main import app
from tests.system.hearing import consumed_queues

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from infra.cli.main import app; app()"]
    with subprocess.Popen(
        [*command, "dev", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as shop:
        assert shop.stdout is not None
        assert any("The shop is open" in line for line in shop.stdout), "the shop did not open"
        yield f"http://localhost:{port}"
        shop.send_signal(signal.SIGINT)
        assert shop.wait(timeout=10) == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's purchase needs curl")
def test_the_first_purchase_ends_in_a_confirmed_order_a_parcel_and_a_mail(shop_url: str) -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"```sh\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    script = found.group(1).replace("http://localhost:8000", shop_url)

    run = subprocess.run(["sh", "-eu", "-c", script], capture_output=True, text=True, timeout=60)

    assert run.returncode == 0, run.stderr
    assert '"status":"CONFIRMED"' in run.stdout
    assert '"status":"LABELLED"' in run.stdout
    assert "is confirmed" in run.stdout


def test_the_dead_letter_tool_finds_the_shop_that_runs_here(shop_url: str) -> None:
    listed = CliRunner().invoke(app, ["dlq", "list", "--json", "--url", shop_url])
    shown = CliRunner().invoke(app, ["dlq", "show", "orders-facts", "--url", shop_url])

    assert [json.loads(line)["name"] for line in listed.output.splitlines()] == consumed_queues()
    assert (shown.exit_code, shown.output) == (0, "0 shown of about 0 in orders-facts\n")

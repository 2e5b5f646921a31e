"""The model of DynamoDB answers as others do, and holds the same items afterwards.

`DIFFERENTIAL_OPERATIONS=20000` compares more. MiniStack is compared where its command is found, by
PATH or named by `MINISTACK`, and whatever answers under `AWS_ENDPOINT_URL` where that is set.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.local import corrections
from tests.simulation.differential.comparing import (
    client_call,
    differences,
    model,
    written,
)
from tests.simulation.differential.known import KNOWN, MINISTACK, MOTO, unexplained
from tests.simulation.differential.operations import SCHEMA, TABLE, operations

OPERATIONS = int(os.environ.get("DIFFERENTIAL_OPERATIONS", "2000"))
PER_SEED = 100
# Time and again other operations, but the same ones for a number.
FIRST_SEED = int(os.environ.get("SEED", "0"))
ENDPOINT = os.environ.get("AWS_ENDPOINT_URL")
LIMITS = Path(__file__).parents[3] / "docs" / "limits.md"


def compare(client: Any, implementation: str) -> None:
    ours = model()
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + OPERATIONS // PER_SEED):
        found += differences(operations(seed, PER_SEED), ours, client_call(client))
    pages = client.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    theirs = written(item for page in pages for item in page["Items"])

    assert [str(one) for one in unexplained(found, implementation)] == []
    assert written(ours.tables[TABLE]) == theirs


@contextmanager
def table(client: Any) -> Iterator[Any]:
    client.create_table(TableName=TABLE, BillingMode="PAY_PER_REQUEST", **SCHEMA)
    client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1})
    try:
        yield client
    finally:
        client.delete_table(TableName=TABLE)


def client_of(endpoint: str | None = None) -> Any:
    return boto3.client("dynamodb", region_name="eu-west-1", endpoint_url=endpoint)


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", os.environ.get(f"AWS_{name}", "test"))
    monkeypatch.setenv("AWS_ACCOUNT_ID_ENDPOINT_MODE", "disabled")
    boto3.setup_default_session()


def test_the_model_answers_as_moto_does(somebody: None) -> None:
    corrections.install()
    with mock_aws(), table(client_of()) as client:
        compare(client, MOTO)


@pytest.mark.skipif(
    not (os.environ.get("MINISTACK") or shutil.which("ministack")), reason="no ministack command"
)
def test_the_model_answers_as_ministack_does(somebody: None, tmp_path: Path) -> None:
    with ministack(tmp_path) as endpoint, table(client_of(endpoint)) as client:
        compare(client, MINISTACK)


@pytest.mark.skipif(ENDPOINT is None, reason="no AWS_ENDPOINT_URL")
def test_the_model_answers_as_the_named_endpoint_does() -> None:
    with table(client_of(ENDPOINT)) as client:
        compare(client, str(ENDPOINT))


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_a_known_difference_is_told_in_the_limits(known: Any) -> None:
    rows = [line for line in LIMITS.read_text().splitlines() if known.name in line]

    assert [row for row in rows if known.implementation in row]


@contextmanager
def ministack(folder: Path) -> Iterator[str]:
    """Run MiniStack on a free port of the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [os.environ.get("MINISTACK") or "ministack"],
        cwd=folder,
        env={**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        answers(endpoint)
        yield endpoint
    finally:
        process.terminate()
        process.wait(timeout=10)


def answers(endpoint: str) -> None:
    """Wait until something answers there; at most half a minute."""
    for _ in range(60):
        try:
            client_of(endpoint).list_tables()
        except (ClientError, OSError):
            time.sleep(0.5)
        except Exception as error:
            if "Could not connect" not in str(error):
                raise
            time.sleep(0.5)
        else:
            return
    raise TimeoutError(endpoint)

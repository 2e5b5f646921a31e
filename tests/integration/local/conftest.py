"""One small project on the local stack, emptied before each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.local.clock import Clock
from infra.local.stack import LocalStack

SHOP = Path(__file__).parents[2] / "fixtures" / "shop"


@pytest.fixture(scope="module")
def running_stack() -> Iterator[LocalStack]:
    with LocalStack(SHOP, clock=Clock(skips_pauses=True)) as stack:
        yield stack


@pytest.fixture
def stack(running_stack: LocalStack) -> LocalStack:
    running_stack.reset()
    sys.modules["functions_reader_app"].BATCHES.clear()
    return running_stack


@pytest.fixture
def batches(stack: LocalStack) -> list[list[str]]:
    """The batches that the reader's consumer was given."""
    return sys.modules["functions_reader_app"].BATCHES


@pytest.fixture
def dynamodb(stack: LocalStack) -> Any:
    return boto3.client("dynamodb")


@pytest.fixture
def table(stack: LocalStack) -> str:
    return os.environ["COUNTER_TABLE"]

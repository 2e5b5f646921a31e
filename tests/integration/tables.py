"""Tables as the template has them, on moto made safe for threads."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

from infra.cloudformation import load_template
from infra.local import corrections
from tradepost.platform import aws

TEMPLATE = Path(__file__).parents[2] / "infra" / "templates" / "data.yaml"

_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    "STAGE": "test",
}


@functools.cache
def _resources() -> Any:
    return load_template(TEMPLATE)["Resources"]


@contextmanager
def tables(*contexts: str) -> Iterator[Any]:
    """Create the tables of these contexts, named after them; yield a DynamoDB client."""
    corrections.install()
    with patch.dict(os.environ, _ENVIRONMENT), mock_aws():
        aws.forget_clients()
        client = boto3.client("dynamodb")
        for context in contexts:
            properties = _resources()[f"{context.capitalize()}Table"]["Properties"]
            request = {
                name: properties[name]
                for name in (
                    "BillingMode",
                    "KeySchema",
                    "AttributeDefinitions",
                    "GlobalSecondaryIndexes",
                )
                if name in properties
            }
            client.create_table(TableName=context, **request)
        yield client
    aws.forget_clients()

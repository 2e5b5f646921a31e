"""The one place AWS clients come from.

One client per service and process, made when first asked for. Everything that talks to AWS
takes its client from here, so that a simulation can stand behind `set_client_factory`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from tradepost.kernel.clock import utc_now

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

ClientFactory = Callable[[str], Any]

# One layer retries (reliability rule R22): the SDK, three attempts in all, and with time-outs
# that let all three fit into the ten seconds a function has.
_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    # Requests are literal dictionaries, which the tests send with validation on.
    parameter_validation=False,
    max_pool_connections=50,
)


_SECRET_KEPT = timedelta(minutes=5)
_secrets: dict[str, tuple[datetime, dict[str, str]]] = {}


def _boto3_client(service: str) -> Any:
    return boto3.client(cast(Any, service), config=_CONFIG)


_factory: ClientFactory = _boto3_client


def set_client_factory(factory: ClientFactory | None) -> None:
    """Put another maker of clients behind this module; None restores boto3."""
    global _factory
    _factory = factory or _boto3_client
    forget_clients()


def forget_clients() -> None:
    """Drop the clients and secrets made so far, as a test does that changes the world."""
    _client.cache_clear()
    s3_signing_for.cache_clear()
    _secrets.clear()


@functools.cache
def _client(service: str) -> Any:
    return _factory(service)


def dynamodb() -> DynamoDBClient:
    return cast("DynamoDBClient", _client("dynamodb"))


def sns() -> SNSClient:
    return cast("SNSClient", _client("sns"))


def ses() -> SESV2Client:
    return cast("SESV2Client", _client("sesv2"))


def kms() -> KMSClient:
    return cast("KMSClient", _client("kms"))


def functions() -> LambdaClient:
    return cast("LambdaClient", _client("lambda"))


def step_functions() -> SFNClient:
    return cast("SFNClient", _client("stepfunctions"))


def s3() -> Any:
    return _client("s3")


@functools.cache
def s3_signing_for(endpoint: str) -> Any:
    """Make a client whose signed addresses lead to this endpoint; it is never called itself."""
    # The bucket in the path: of a host made of its name, a local endpoint would know nothing.
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=endpoint, config=config)


def secret(secret_id: str) -> dict[str, str]:
    """Read a JSON secret from Secrets Manager, every five minutes anew: it may be rotated."""
    known = _secrets.get(secret_id)
    # A clock that was set back must not keep it for longer.
    if known is not None and abs(utc_now() - known[0]) < _SECRET_KEPT:
        return known[1]
    client = cast("SecretsManagerClient", _client("secretsmanager"))
    stored: dict[str, str] = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
    _secrets[secret_id] = utc_now(), stored
    return stored

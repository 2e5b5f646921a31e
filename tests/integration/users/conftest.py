"""The users app on moto, called as API Gateway calls it."""

from __future__ import annotations

import functools
import importlib.util
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3

# moto first: it patches botocore as it is imported.
import moto
import pytest
import yaml
from moto.core.botocore_stubber import BotocoreStubber

import users.passwords
from tradepost.kernel.clock import set_clock, utc_now
from tradepost.platform import auth, aws
from tradepost.platform.logger import logger

ROOT = Path(__file__).parents[3]
TABLE = "tradepost-test-users"

PASSWORD = "a stony path uphill"


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty AWS with the users table, the signing key and the events topic."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        "STAGE": "test",
        "USERS_TABLE": TABLE,
        "ATTEMPTS_BY_ADDRESS": "1000",
    }.items():
        monkeypatch.setenv(name, value)
    _serialise_moto(monkeypatch)
    with moto.mock_aws():
        aws.dynamodb().create_table(**_table_properties())
        key = aws.kms().create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        topic = aws.sns().create_topic(Name="events")
        monkeypatch.setenv("SIGNING_KEY_ID", key["KeyMetadata"]["KeyId"])
        monkeypatch.setenv("EVENTS_TOPIC_ARN", topic["TopicArn"])
        secret = boto3.client("secretsmanager").create_secret(
            Name="device", SecretString=json.dumps({"key": "d" * 64})
        )
        monkeypatch.setenv("DEVICE_SECRET", secret["ARN"])
        yield
    set_clock(None)
    aws.forget_clients()


def _serialise_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one request at a time into moto, whose DynamoDB is not atomic under threads."""
    unguarded = BotocoreStubber.process_request
    lock = threading.RLock()

    def guarded(self: Any, request: Any) -> Any:
        with lock:
            return unguarded(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", guarded)


@functools.cache
def _table_properties() -> dict[str, Any]:
    class Template(yaml.SafeLoader):
        """CloudFormation's tags are read as the text behind them."""

    Template.add_multi_constructor("!", lambda loader, suffix, node: str(node.value))
    template = yaml.load((ROOT / "infra/templates/data.yaml").read_text(), Template)
    properties = template["Resources"]["UsersTable"]["Properties"]
    taken = ["BillingMode", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes"]
    stream = {"StreamEnabled": True, **properties["StreamSpecification"]}
    return {
        "TableName": TABLE,
        "StreamSpecification": stream,
        **{name: properties[name] for name in taken},
    }


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        code: str = self.body["code"]
        return code


class UsersAPI:
    """One process of the users service: its app, behind a gateway with its authorizer."""

    def __init__(self) -> None:
        spec = importlib.util.spec_from_file_location("users_app", ROOT / "functions/users/app.py")
        assert spec is not None
        assert spec.loader is not None
        self.module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.app = self.module.app

    def __call__(
        self, request: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """Send `request`, such as "POST /v1/users"; headers are named with underscores."""
        method, path = request.split()
        context: dict[str, Any] = {
            "httpMethod": method,
            "resourcePath": path,
            "requestId": "request-1",
            "identity": {"sourceIp": "192.0.2.1"},
        }
        if self.app.routes[path][method].authorizer is not None:
            verified = _authorize(f"Bearer {token}")
            if verified is None:
                return Answer(401, {}, {"code": "unauthorized"})
            context["authorizer"] = verified
        answer = self.app(
            {
                "resource": path,
                "path": path,
                "httpMethod": method,
                "headers": {
                    "content-type": "application/json",
                    **{name.replace("_", "-"): value for name, value in headers.items()},
                },
                "multiValueQueryStringParameters": None,
                "pathParameters": {},
                "stageVariables": {},
                "requestContext": context,
                "body": body if isinstance(body, str) else json.dumps(body),
                "isBase64Encoded": False,
            },
            None,
        )
        text = answer["body"]
        return Answer(answer["statusCode"], answer["headers"], json.loads(text) if text else None)

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        """Call one of the app's other functions as Lambda does."""
        return getattr(self.module, function)(event, None)

    def register(self, email: str = "mia@example.com", **changes: Any) -> Answer:
        body = {"email": email, "password": PASSWORD, "name": "Mia Holmgren", **changes}
        return self("POST /v1/users", body)

    def log_in(self, email: str = "mia@example.com", password: str = PASSWORD) -> Answer:
        return self("POST /v1/sessions", {"email": email, "password": password})

    def refresh(self, token: str, nonce: str | None = None) -> Answer:
        body = {"refresh_token": token} | ({"nonce": nonce} if nonce else {})
        return self("POST /v1/sessions/refresh", body)


def _authorize(authorization: str) -> dict[str, str] | None:
    event = {
        "type": "TOKEN",
        "authorizationToken": authorization,
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:api/v1/GET/v1/users/me",
    }
    try:
        policy = auth.access_token(event, None)
    except Exception as error:
        # API Gateway answers 401 to this message and 500 to any other.
        if str(error) == "Unauthorized":
            return None
        raise
    return {"principalId": policy["principalId"], **policy["context"]}


@pytest.fixture
def later() -> Callable[[timedelta], None]:
    """Move the clock forward; the next test has the machine's own."""

    def advance(by: timedelta) -> None:
        moment = utc_now() + by
        set_clock(lambda: moment)

    return advance


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with the least that argon2 takes, where a test is not about hashes."""
    monkeypatch.setattr(users.passwords, "MEMORY_KIB", 8)
    monkeypatch.setattr(users.passwords, "PASSES", 1)


@pytest.fixture
def api() -> UsersAPI:
    return UsersAPI()


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Run a call once per argument, all at the same moment; return what each gave."""

    def run(call: Callable[[Any], Any], arguments: list[Any]) -> list[Any]:
        results: list[Any] = [None] * len(arguments)
        start = threading.Barrier(len(arguments))

        def one(position: int) -> None:
            start.wait()
            results[position] = call(arguments[position])

        threads = [
            threading.Thread(target=one, args=(position,)) for position in range(len(arguments))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Everything the platform's logger writes during a test."""
    written = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", written)
    return written

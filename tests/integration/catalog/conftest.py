"""The catalogue on moto: its table from the template, its app, and its stream fed by hand."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from catalog.dynamodb import DynamoDBProducts
from catalog.search import DynamoDBSearch
from infra.cloudformation import load_template
from tradepost.kernel.clock import set_clock
from tradepost.platform import aws
from tradepost.platform.dynamodb import from_item

ROOT = Path(__file__).parents[3]
TABLE = "tradepost-test-catalog"
BUCKET = "tradepost-test-pictures"


@functools.cache
def _table() -> dict[str, Any]:
    template = load_template(ROOT / "infra" / "templates" / "data.yaml")
    properties = template["Resources"]["CatalogTable"]["Properties"]
    names = ("BillingMode", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
    return {"TableName": TABLE, **{name: properties[name] for name in names}}


def _load_app(name: str = "functions_catalog_app") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "functions" / "catalog" / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def catalog_app() -> ModuleType:
    return _load_app()


@pytest.fixture(scope="session")
def other_catalog_app() -> ModuleType:
    return _load_app("functions_catalog_app_elsewhere")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
        "CATALOG_TABLE": TABLE,
        "PICTURES_BUCKET": BUCKET,
        "PICTURES_ENDPOINT": "https://uploads.example",
        "CATALOG_CACHE_POLICY": "lfu",
        "CATALOG_CACHE_ENTRIES": "100",
        "CATALOG_CACHE_BYTES": "1000000",
        "CATALOG_CACHE_SECONDS": "30",
        "CATALOG_CACHE_ABSENT_SECONDS": "5",
        "CURSOR_SECRET": "cursor",
        "POWERTOOLS_METRICS_DISABLED": "true",
        "STAGE": "test",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        aws.forget_clients()
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(
            **_table(),
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        boto3.client("secretsmanager").create_secret(
            Name="cursor", SecretString=json.dumps({"key": "a key of more than thirty-two bytes"})
        )
        yield dynamodb
        set_clock(None)
        aws.forget_clients()


@pytest.fixture
def products(client: Any) -> DynamoDBProducts:
    return DynamoDBProducts(client, TABLE)


@pytest.fixture
def index(client: Any) -> DynamoDBSearch:
    return DynamoDBSearch(client, TABLE)


@pytest.fixture
def items(client: Any) -> Callable[..., list[dict[str, Any]]]:
    """All items of the table whose partition begins so, by their keys."""

    def read(prefix: str = "") -> list[dict[str, Any]]:
        pages = client.get_paginator("scan").paginate(TableName=TABLE)
        found = [from_item(item) for page in pages for item in page["Items"]]
        wanted = [item for item in found if item["pk"].startswith(prefix)]
        return sorted(wanted, key=lambda item: (item["pk"], item["sk"]))

    return read


@pytest.fixture
def stream(client: Any) -> Callable[[], list[dict[str, Any]]]:
    """The records of the table's stream since the last call, as Lambda's filter lets them in."""
    streams = boto3.client("dynamodbstreams")
    arn = client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    position = {
        "iterator": streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
    }

    def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            answer = streams.get_records(ShardIterator=position["iterator"])
            position["iterator"] = answer["NextShardIterator"]
            if not answer["Records"]:
                break
            found += answer["Records"]
        return [record for record in found if record["dynamodb"]["Keys"]["sk"]["S"] == "PRODUCT"]

    return read


@pytest.fixture
def shop(client: Any, catalog_app: ModuleType, stream: Any) -> Iterator[Shop]:
    yield from _opened(catalog_app, stream)


@pytest.fixture
def elsewhere(client: Any, other_catalog_app: ModuleType, stream: Any) -> Iterator[Shop]:
    """Another instance of the same functions on the same table, with a memory of its own."""
    yield from _opened(other_catalog_app, stream)


def _opened(module: ModuleType, stream: Any) -> Iterator[Shop]:
    made_once = (module.products, module.index, module.categories, module.pictures, module.answers)
    for made in made_once:
        made.cache_clear()
    yield Shop(module, stream)
    for made in made_once:
        made.cache_clear()


class Shop:
    """The catalogue as its callers meet it."""

    def __init__(self, module: ModuleType, stream: Callable[[], list[dict[str, Any]]]) -> None:
        self._module = module
        self._stream = stream

    def call(
        self,
        method: str,
        resource: str,
        *,
        handle: str | None = None,
        path: dict[str, str] | None = None,
        body: Any = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        role: str = "admin",
    ) -> SimpleNamespace:
        event = {
            "httpMethod": method,
            "resource": resource,
            "path": resource,
            "headers": {"content-type": "application/json", **(headers or {})},
            "multiValueQueryStringParameters": {k: [v] for k, v in (query or {}).items()} or None,
            "pathParameters": path or ({"handle": handle} if handle is not None else None),
            "stageVariables": None,
            "body": json.dumps(body) if body is not None else None,
            "isBase64Encoded": False,
            "requestContext": {
                "resourcePath": resource,
                "httpMethod": method,
                "requestId": "req_test",
                "authorizer": {"principalId": "usr_admin", "role": role},
            },
        }
        answer = self._module.app(event, None)
        text = answer["body"]
        return SimpleNamespace(
            status=answer["statusCode"],
            headers=answer["headers"],
            text=text,
            body=json.loads(text) if text else None,
        )

    def put(self, handle: str, body: dict[str, Any], *, seen: int | None = None) -> SimpleNamespace:
        return self.call(
            "PUT", "/v1/products/{handle}", handle=handle, body=body, headers=_if_match(seen)
        )

    def show(self, handle: str, **sent: Any) -> SimpleNamespace:
        return self.call("GET", "/v1/products/{handle}", handle=handle, **sent)

    def withdraw(self, handle: str, *, seen: int | None = None) -> SimpleNamespace:
        return self.call("DELETE", "/v1/products/{handle}", handle=handle, headers=_if_match(seen))

    def describe(
        self, slug: str, title: str, parent: str | None = None, *, seen: int | None = None
    ) -> SimpleNamespace:
        return self.call(
            "PUT",
            "/v1/categories/{slug}",
            path={"slug": slug},
            body={"title": title, "parent": parent},
            headers=_if_match(seen),
        )

    def forget_category(self, slug: str, *, seen: int | None = None) -> SimpleNamespace:
        return self.call(
            "DELETE", "/v1/categories/{slug}", path={"slug": slug}, headers=_if_match(seen)
        )

    def search(self, **query: Any) -> SimpleNamespace:
        asked = {name: str(value) for name, value in query.items()}
        return self.call("GET", "/v1/products", query=asked)

    def found(self, **query: Any) -> list[str]:
        return [product["handle"] for product in self.search(**query).body["products"]]

    def batch(self, *products: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.call("POST", "/v1/products/batch", body={"products": list(products)})
        assert answer.status == 200, answer.body
        results: list[dict[str, Any]] = answer.body["results"]
        return results

    def index_records(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        answer: dict[str, Any] = self._module.index_products({"Records": records}, None)
        return answer

    def catch_up(self) -> None:
        """Let the index see everything written so far."""
        records = self._stream()
        for start in range(0, len(records), 100):
            assert self.index_records(records[start : start + 100]) == {"batchItemFailures": []}


def _if_match(seen: int | None) -> dict[str, str]:
    return {"if-match": f'"{seen}"'} if seen is not None else {}


@pytest.fixture
def a_product() -> Callable[..., dict[str, Any]]:
    """A product as `PUT` takes it; a test states only what it is about."""

    def build(handle: str | None = None, *, amount: int = 1200, **fields: Any) -> dict[str, Any]:
        sku = fields.pop("sku", f"{handle or 'mug'}-1".upper())
        variant = {"sku": sku, "price": {"amount_minor": amount, "currency": "GBP"}}
        body = {"title": (handle or "mug").replace("-", " ").title(), "variants": [variant]}
        return {**({"handle": handle} if handle else {}), **body, **fields}

    return build

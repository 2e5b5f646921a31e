"""Every packaged function is invoked from its zip and the layers, in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cloudformation import load_template
from infra.package.archive import unzip
from infra.package.chalice_project import load_app
from infra.package.layout import Layout
from tests.integration.packaging.refusing_aws import REFUSAL, refusing_aws
from tradepost.platform.auth import PUBLIC, Role

RUNTIME = Path(__file__).with_name("lambda_runtime.py")
CONTEXTS = Layout(Path(__file__).resolve().parents[3]).contexts()


@pytest.fixture(scope="module")
def layers(built, tmp_path_factory):
    folder = tmp_path_factory.mktemp("opt")
    for name in ("deps", "tradepost"):
        unzip(built.folder / "layers" / f"{name}.zip", folder)
    return folder / "python"


@pytest.fixture(scope="module")
def answers(built, functions, layers, layout, tmp_path_factory):
    """By context and function: what it answered to `_event_for` it."""
    found = {}
    with refusing_aws() as endpoint:
        for context in layout.contexts():
            task = tmp_path_factory.mktemp(context)
            unzip(built.folder / f"{context}.zip", task)
            own = {name: p for owner, name, p in functions if owner == context}
            found[context] = _run(layout, context, own, [str(task), str(layers)], endpoint)
    return found


@pytest.mark.parametrize("context", CONTEXTS)
def test_what_a_function_imports_is_in_its_package(answers, context):
    imports = {
        name: answer
        for name, answer in answers[context].items()
        if name != "outside" and answer.get("error") in ("ImportError", "ModuleNotFoundError")
    }

    assert imports == {}
    assert answers[context]["outside"] == []


def test_every_api_refuses_a_caller_of_another_role_with_a_problem_document(answers):
    apis = {context: own["APIHandler"] for context, own in answers.items() if "APIHandler" in own}

    for context, told in apis.items():
        answer = told["answer"]
        assert answer["statusCode"] == 403, context
        assert answer["headers"]["Content-Type"] == "application/problem+json", context
        assert json.loads(answer["body"])["code"] == "role_forbidden", context


def test_the_authorizer_refuses_what_is_no_token(answers):
    refusals = [own["AccessToken"] for own in answers.values() if "AccessToken" in own]

    assert refusals == [{"error": "UnauthenticatedError", "message": "Unauthorized"}]


def test_a_consumer_hands_back_a_message_it_cannot_read(answers, functions):
    consumers = _by_event_type(functions, "SQS")

    assert {key: answers[key[0]][key[1]]["answer"]["batchItemFailures"] for key in consumers} == {
        key: [{"itemIdentifier": "unreadable"}] for key in consumers
    }


def test_a_stream_function_takes_an_empty_batch(answers, functions):
    readers = _by_event_type(functions, "DynamoDB")

    assert [key for key in readers if "error" in answers[key[0]][key[1]]] == []


def test_a_scheduled_function_gets_as_far_as_aws(answers, functions):
    scheduled = _by_event_type(functions, "Schedule")

    for context, name in scheduled:
        assert REFUSAL in str(answers[context][name]), f"{context} {name}"


def test_a_step_refuses_an_input_without_an_order(answers, functions):
    steps = [
        (context, name)
        for context, name, properties in functions
        if "Events" not in properties and name not in ("APIHandler", "AccessToken")
    ]

    for context, name in steps:
        # A query has no model: it reads the one key it needs, or none and goes on to AWS.
        refusals = ("ValidationError", "KeyError", REFUSAL)
        assert answers[context][name].get("error") in refusals, name


def _by_event_type(functions, event_type):
    return [
        (context, name)
        for context, name, properties in functions
        if any(one["Type"] == event_type for one in properties.get("Events", {}).values())
    ]


def _run(layout, context, functions, path, endpoint):
    variables = {}
    settings = _settings(layout)
    for properties in functions.values():
        for name, value in properties["Environment"]["Variables"].items():
            given = value if isinstance(value, str) else None
            variables[name] = given or settings.get(value["Ref"], f"test-{value['Ref']}")
    told = {
        "path": path,
        "environment": {
            **variables,
            "PAYMENT_PROVIDER": "simulator",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        "invocations": {
            name: {"handler": one["Handler"], "event": _event_for(layout, context, name, one)}
            for name, one in functions.items()
        },
    }
    finished = subprocess.run(
        [sys.executable, "-S", "-I", "-E", str(RUNTIME)],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def _settings(layout):
    """What the deployer may say, as it is if nothing is said."""
    templates = [load_template(path) for path in sorted(layout.templates.glob("*.yaml"))]
    return {
        name: str(parameter["Default"])
        for template in templates
        for name, parameter in template.get("Parameters", {}).items()
        if "Default" in parameter
    }


def _event_for(layout, context, name, properties):
    if name == "APIHandler":
        return _request_of_a_stranger(load_app(layout, context))
    if name == "AccessToken":
        return {
            "type": "TOKEN",
            "authorizationToken": "Bearer nonsense",
            "methodArn": "arn:aws:execute-api:eu-west-1:000000000000:api/dev/GET/v1/orders",
        }
    kinds = {one["Type"] for one in properties.get("Events", {}).values()}
    if "SQS" in kinds:
        return {"Records": [_unreadable_message()]}
    if "DynamoDB" in kinds:
        return {"Records": []}
    if "Schedule" in kinds:
        return json.loads((layout.root / "events/triggers/schedule.json").read_text())
    return {}


def _unreadable_message():
    return {
        "messageId": "unreadable",
        "receiptHandle": "handle",
        "body": "this is not an event",
        "attributes": {},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:queue",
        "awsRegion": "eu-west-1",
    }


def _request_of_a_stranger(app):
    """Ask for the first route that is not everybody's, as a role that may not have it."""
    spec = next(spec for spec in app.specs if spec.roles not in (PUBLIC, frozenset(Role)))
    stranger = next(role for role in Role if role not in spec.roles)
    return {
        "resource": spec.path,
        "path": spec.path,
        "httpMethod": spec.method,
        "headers": {"content-type": "application/json"},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": dict.fromkeys(_names_in(spec.path), "anything"),
        "stageVariables": None,
        "body": "{}",
        "isBase64Encoded": False,
        "requestContext": {
            "resourcePath": spec.path,
            "httpMethod": spec.method,
            "requestId": "request-1",
            "identity": {"sourceIp": "192.0.2.1"},
            "authorizer": {"principalId": "usr_stranger", "role": stranger.value},
        },
    }


def _names_in(path):
    return [part.partition("}")[0] for part in path.split("{")[1:]]

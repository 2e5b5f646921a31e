"""The gateway answers as API Gateway does, with an authorizer that is really asked."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest

from infra.gateway_responses import RESPONSES, as_api_definition
from infra.local.authorizers import is_allowed
from infra.local.gateway import BODY_BYTES_MAX, Request
from infra.local.routes import RouteConflictError, RouteTable


@pytest.fixture
def ask(stack):
    def ask(method, path, *, query="", headers=None, body=b""):
        return stack.gateway.handle(Request(method, path, query, headers or {}, body, "127.0.0.1"))

    return ask


def problem(answer):
    assert ("Content-Type", "application/problem+json") in answer.headers
    return json.loads(answer.body)


def test_a_path_parameter_is_decoded_and_the_authorizers_context_passed_on(ask):
    answer = ask("GET", "/counters/a%2Fb%20c", headers={"authorization": "letmein"})

    assert answer.status == HTTPStatus.OK
    assert json.loads(answer.body) == {"name": "a/b c", "value": 0, "role": "reader"}


def test_a_literal_path_wins_over_a_parameter(ask):
    assert json.loads(ask("GET", "/counters/total").body) == {"total": True}


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (None, 401, "unauthorized"),
        ("forged", 401, "unauthorized"),
        ("stranger", 403, "forbidden"),
        ("broken", 500, "internal_error"),
    ],
)
def test_a_token_that_does_not_pass_is_refused_with_a_problem(ask, token, status, code):
    headers = {"authorization": token} if token else {}

    answer = ask("GET", "/counters/a", headers=headers)

    assert answer.status == status
    told = problem(answer)
    assert (told["code"], told["status"]) == (code, status)
    assert ("X-Request-Id", told["request_id"]) in answer.headers
    assert ("Access-Control-Allow-Origin", "*") in answer.headers


def test_an_authorizers_answer_is_remembered_by_token(stack, ask, monkeypatch):
    ask("GET", "/counters/a", headers={"authorization": "letmein"})
    monkeypatch.delitem(stack.functions.by_name, "tradepost-local-counter-gate")

    answer = ask("GET", "/counters/b", headers={"authorization": "letmein"})

    assert answer.status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("HEAD", "/counters/total"), ("BREW", "/counters"), ("GET", "/%ff%00")],
)
def test_what_does_not_exist_is_not_found(ask, method, path):
    answer = ask(method, path)

    assert answer.status == HTTPStatus.NOT_FOUND
    assert problem(answer)["code"] == "not_found"


def test_a_body_that_is_no_text_reaches_the_function_with_marks_in_it(ask):
    answer = ask("POST", "/counters", headers={"content-type": "application/json"}, body=b"\xff{")

    assert json.loads(answer.body) == {"given": "\ufffd{"}


def test_a_body_over_ten_megabytes_is_refused(ask):
    answer = ask("POST", "/counters", body=b"x" * (BODY_BYTES_MAX + 1))

    assert problem(answer)["code"] == "body_too_large"


def test_a_preflight_is_answered_without_a_token(ask):
    answer = ask("OPTIONS", "/counters/a")

    assert answer.status == HTTPStatus.OK
    assert ("Access-Control-Allow-Methods", "GET,OPTIONS") in answer.headers


def test_many_requests_at_once_get_their_own_answers(ask):
    with ThreadPoolExecutor(16) as threads:
        answers = list(
            threads.map(
                lambda place: ask(
                    "GET", f"/counters/c{place}", headers={"authorization": "letmein"}
                ),
                range(200),
            )
        )

    assert [json.loads(one.body)["name"] for one in answers] == [f"c{n}" for n in range(200)]


def test_it_is_a_wsgi_application(stack):
    started = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/counters/total",
        "CONTENT_LENGTH": "nonsense",
        "HTTP_X_ODD": "1",
        "wsgi.input": io.BytesIO(),
    }

    body = b"".join(
        stack.gateway(environ, lambda status, headers: started.append((status, headers)))
    )

    assert started[0][0] == "200 OK"
    assert json.loads(body) == {"total": True}


def test_two_apps_may_not_declare_the_same_route(stack):
    apps = {"one": stack.functions.apps["reader"], "two": stack.functions.apps["reader"]}

    with pytest.raises(RouteConflictError, match="GET /read"):
        RouteTable(apps)


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([("Allow", "arn:x/local/GET/*")], True),
        ([("Allow", ["arn:x/local/POST/*", "arn:x/*/*/a"])], True),
        ([("Allow", "arn:x/local/*"), ("Deny", "arn:x/local/GET/a")], False),
        ([("Allow", "arn:x/local/POST/*")], False),
        ([], False),
    ],
)
def test_a_policy_allows_unless_it_denies(statements, allowed):
    policy = {
        "Statement": [
            {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
            for effect, resource in statements
        ]
    }

    assert is_allowed(policy, "arn:x/local/GET/a") is allowed


def test_the_api_definition_has_the_gateways_own_answers():
    definition = as_api_definition()

    assert definition.keys() == RESPONSES.keys()
    assert definition["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == 404
    template = json.loads(definition["UNAUTHORIZED"]["responseTemplates"]["application/json"])
    assert template["request_id"] == "$context.requestId"

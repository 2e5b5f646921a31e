"""What goes with every answer, whoever gives it: the app, or the gateway before it."""

from __future__ import annotations

import pytest

from tests.system.routes import NOWHERE, ROUTES, body_of, headers_of, named, role_for
from tests.system.wire import Answer, Wire
from tradepost.platform.auth import Role

Tokens = dict[Role | None, str | None]
Route = tuple[str, str]

CLOSED = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "access-control-allow-origin": "*",
}
PATHS = sorted({path for _, path in ROUTES})
BIG = b"x" * (10 * 1024 * 1024 + 1)


def assert_closed(answer: Answer, *, private: bool) -> None:
    assert {name: answer.headers.get(name) for name in CLOSED} == CLOSED
    assert "access-control-allow-credentials" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert len(answer.headers["x-request-id"]) == 36
    if private:
        assert answer.headers["cache-control"] == "no-store"
    if answer.status >= 400:
        answer.problem()


@pytest.mark.parametrize("route", sorted(ROUTES), ids=named)
def test_every_answer_of_the_app_is_closed_to_sniffing_framing_and_keeping(
    wire: Wire, tokens: Tokens, route: Route
) -> None:
    spec = ROUTES[route]
    path = spec.path.format(**NOWHERE)
    token, headers = tokens[role_for(spec)], headers_of(spec, "headers")

    right = wire.send(spec.method, path, body_of(spec), token=token, headers=headers)
    wrong = wire.send(
        spec.method, path, b"x", token=token, headers={**headers, "Content-Type": "text/plain"}
    )

    # The public keys are for everybody, too, and are kept for as long as they say.
    is_kept = spec.is_cacheable or spec.path == "/.well-known/jwks.json"
    assert_closed(right, private=not is_kept or right.status >= 400)
    assert wrong.status == 415
    assert_closed(wrong, private=True)


@pytest.mark.parametrize(
    "route", sorted(route for route, spec in ROUTES.items() if spec.is_cacheable), ids=named
)
def test_an_answer_that_everybody_may_keep_is_the_same_with_and_without_a_token(
    wire: Wire, tokens: Tokens, route: Route
) -> None:
    path = ROUTES[route].path.format(**NOWHERE)

    answers = [wire.send("GET", path, token=token) for token in tokens.values()]

    told = [
        (answer.status, answer.headers.get("etag"), answer.headers["cache-control"][:15])
        for answer in answers
    ]
    assert len(set(told)) == 1
    assert told[0] in {
        (200, answers[0].headers.get("etag"), "public, max-age"),
        (404, None, "no-store"),
    }


@pytest.mark.parametrize(
    "route", sorted(route for route, spec in ROUTES.items() if spec.body), ids=named
)
def test_every_refusal_of_a_body_is_closed_too(wire: Wire, tokens: Tokens, route: Route) -> None:
    spec = ROUTES[route]
    path = spec.path.format(**NOWHERE)

    for body in (b"{", b'{"role": "admin"}', b" " * (spec.body_bytes_max + 1)):
        answer = wire.send(
            spec.method,
            path,
            body,
            token=tokens[role_for(spec)],
            headers=headers_of(spec, "headers"),
        )

        assert_closed(answer, private=True)


@pytest.mark.parametrize("origin", ["https://shop.example", "null", "https://evil.example"])
def test_every_answer_of_the_gateway_is_closed(wire: Wire, tokens: Tokens, origin: str) -> None:
    refusals = {
        404: wire.send("GET", "/v1/nothing", headers={"Origin": origin}),
        401: wire.send("GET", "/v1/cart", headers={"Origin": origin}),
        413: wire.send(
            "PUT", "/v1/cart", BIG, token=tokens[Role.GUEST], headers={"Origin": origin}
        ),
    }

    for status, answer in refusals.items():
        assert answer.status == status
        assert_closed(answer, private=True)
    assert refusals[401].headers["www-authenticate"] == "Bearer"


def test_a_role_that_is_refused_is_told_so_in_the_same_way(wire: Wire, tokens: Tokens) -> None:
    answer = wire.send("GET", "/v1/staff/orders?status=PLACED", token=tokens[Role.CUSTOMER])

    assert answer.status == 403
    assert_closed(answer, private=True)


def test_every_answer_has_an_id_of_its_own(wire: Wire, tokens: Tokens) -> None:
    sent = {"X-Request-Id": "chosen-by-the-client"}
    answers = [
        wire.send("GET", path, token=token, headers=sent)
        for path in ("/v1/cart", "/v1/products", "/v1/nothing", "/v1/orders/x")
        for token in (None, tokens[Role.GUEST])
    ]

    request_ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(request_ids) == len(answers)
    assert "chosen-by-the-client" not in request_ids


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_another_origin_may_ask_first(wire: Wire, path: str) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }

    answer = wire.send("OPTIONS", path.format(**NOWHERE), headers=asked)

    allowed = set(answer.headers["access-control-allow-headers"].split(","))
    methods = set(answer.headers["access-control-allow-methods"].split(","))
    assert answer.status == 200
    assert answer.body == b""
    assert {"Authorization", "Content-Type", "Idempotency-Key", "If-Match"} <= allowed
    assert methods == {method for method, other in ROUTES if other == path} | {"OPTIONS"}
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in answer.headers
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/v1/orders/a/b/c"])
def test_nobody_may_ask_about_what_is_no_route(wire: Wire, path: str) -> None:
    answer = wire.send("OPTIONS", path)

    assert answer.status == 404
    assert_closed(answer, private=True)

"""Bodies, paths, queries and headers that make no sense: refused, told why, and without a trace."""

from __future__ import annotations

import copy
import functools
import gzip
import json
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import quote

import boto3
import pytest
from pydantic import BaseModel

from tests.system.routes import (
    BODIES,
    NOWHERE,
    ROUTES,
    body_of,
    headers_of,
    named,
    parameters_of,
    role_for,
)
from tests.system.wire import Answer, Wire
from tradepost.platform.auth import Role
from tradepost.platform.service import RouteSpec

Tokens = dict[Role | None, str | None]
Route = tuple[str, str]

WITH_BODY = sorted(BODIES)
WITH_PATH = sorted(route for route, spec in ROUTES.items() if parameters_of(spec))
WITH_QUERY = sorted(route for route, spec in ROUTES.items() if spec.query)
WITH_KEY = sorted(route for route, spec in ROUTES.items() if spec.needs_idempotency_key)
WITH_TAG = sorted(route for route, spec in ROUTES.items() if spec.takes_if_match)

CANARY = "canary-4929-secret"

NOT_JSON = {
    "a word": b"hello",
    "a form": b"email=a%40example.com&password=x",
    "XML": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
    "cut short": b'{"quantity": 1',
    "single quotes": b"{'quantity': 1}",
    "a comma too many": b'{"quantity": 1,}',
    "a comment": b'{"quantity": 1} // one',
    "two documents": b'{"quantity": 1}{"quantity": 2}',
    "nested deep": b"[" * 10_000,
    "nested deep and closed": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "bytes that are no UTF-8": b'{"quantity": \xff\xfe}',
    "UTF-16": '{"quantity": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"quantity": 1}',
    "NUL bytes": b"\x00\x00\x00\x00",
    "compressed": gzip.compress(b'{"quantity": 1}'),
    "a lone surrogate": b'{"quantity": "\\ud800"}',
    "a raw control character": b'{"quantity": "\x01"}',
}
OF_ANOTHER_TYPE = {
    "null": b"null",
    "a list": b"[]",
    "a list of one": b'[{"quantity": 1}]',
    "a text": b'"x"',
    "a number": b"1",
    "true": b"true",
    "not a number": b"NaN",
    "infinity": b"-Infinity",
}

# Raw JSON in the place of a number: each is refused wherever a number stands.
NOT_A_WHOLE_NUMBER = {
    "null": "null",
    "true": "true",
    "a text": '"1"',
    "a fraction": "1.5",
    "a float": "1.0",
    "an exponent": "1e2",
    "not a number": "NaN",
    "infinity": "Infinity",
    "huge": "1" + "0" * 400,
    "longer than Python reads": "1" * 5_000,
    "hugely negative": "-" + "9" * 30,
    "beyond what is exact": str(2**53),
    "a list": "[1]",
    "an object": "{}",
}
# Raw JSON in the place of a text.
NOT_A_TEXT = {
    "true": "true",
    "a number": "7",
    "not a number": "NaN",
    "a list": '["x"]',
    "an object": '{"x": "y"}',
    "NUL": '"a\\u0000b"',
    "an escape sequence": '"a\\u001b[31mb"',
    "a lone surrogate": '"\\udfff"',
}
# Raw JSON in the place of an object or a list.
NOT_A_CONTAINER = {
    "a text": '"x"',
    "a number": "7",
    "true": "true",
    "not a number": "NaN",
    "a list of nulls": "[null]",
    "an object of another kind": '{"$gt": {"": ""}}',
    "nested deep": "[" * 5_000 + "]" * 5_000,
}
# Legal in some places: then they change something; never do they break anything.
ODD_TEXTS = [
    "",
    " ",
    "x" * 100_000,
    "\u202e",
    "\U0001f600" * 300,
    "'; DROP TABLE",
    "=1+1",
    "#",
    "a\n",
]

NOT_ASKED_FOR = {
    "role": "admin",
    "price": 1,
    "status": "CONFIRMED",
    "user_id": "usr_x",
    "customer_id": "usr_x",
    "total": 0,
    "version": 99,
    "__class__": "x",
    "x" * 10_000: 1,
}


def stored() -> dict[str, list[str]]:
    """Read everything that every table holds."""
    client = boto3.client("dynamodb")
    return {
        name: sorted(
            json.dumps(item, sort_keys=True, default=str)
            for page in client.get_paginator("scan").paginate(TableName=name)
            for item in page["Items"]
        )
        for name in client.list_tables()["TableNames"]
    }


def leaves(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Walk a body: each place in it and what stands there, the body itself left out."""
    if at:
        yield at, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*at, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from leaves(inner, (*at, position))


def with_raw(body: dict[str, Any], at: tuple[Any, ...], raw: str) -> bytes:
    """Put raw JSON at a place of the body."""
    changed = copy.deepcopy(body)
    holder = functools.reduce(lambda inner, step: inner[step], at[:-1], changed)
    holder[at[-1]] = "@@raw@@"
    return json.dumps(changed).replace('"@@raw@@"', raw).encode()


def without(body: dict[str, Any], at: tuple[Any, ...]) -> bytes:
    changed = copy.deepcopy(body)
    holder = functools.reduce(lambda inner, step: inner[step], at[:-1], changed)
    del holder[at[-1]]
    return json.dumps(changed).encode()


def refused_products(answer: Answer) -> bool:
    """Tell whether a batch took none of its products, each for a reason it names."""
    results = answer.json().get("results", []) if answer.status == 200 else []
    return bool(results) and all(result.get("outcome") == "refused" for result in results)


class Sender:
    """Sends to one route what is right but for one thing."""

    def __init__(self, wire: Wire, tokens: Tokens, route: Route) -> None:
        self.spec: RouteSpec = ROUTES[route]
        self._wire = wire
        self._token = tokens[role_for(self.spec)]
        self._sent = 0

    def __call__(
        self, body: bytes | None = None, *, path: str | None = None, **headers: str
    ) -> Answer:
        self._sent += 1
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        return self._wire.send(
            self.spec.method,
            path or self.spec.path.format(**NOWHERE),
            body_of(self.spec) if body is None else body,
            token=self._token,
            headers={**headers_of(self.spec, f"bad-input-{self._sent}"), **given},
        )


@pytest.fixture
def send(wire: Wire, tokens: Tokens, route: Route) -> Sender:
    return Sender(wire, tokens, route)


@pytest.fixture
def unchanged(wire: Wire, tokens: Tokens) -> Iterator[None]:
    """Hold that nothing was stored, however much was sent."""
    before = stored()
    yield
    assert stored() == before


def test_every_route_with_a_body_has_one_here() -> None:
    assert set(BODIES) == {route for route, spec in ROUTES.items() if spec.body}


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_the_bodies_here_fit_but_for_what_is_changed(send: Sender, route: Route) -> None:
    model = send.spec.body
    assert model is not None

    model.model_validate_json(body_of(send.spec), strict=True)

    # And every field of the model is there to be changed.
    assert BODIES[route].keys() == model.model_fields.keys()


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_body_that_is_not_json_is_malformed(send: Sender, unchanged: None) -> None:
    for what, body in NOT_JSON.items():
        answer = send(body)

        assert (answer.status, answer.problem()["code"]) == (400, "malformed_json"), what


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_body_of_another_type_does_not_fit(send: Sender, unchanged: None) -> None:
    for what, body in OF_ANOTHER_TYPE.items():
        answer = send(body)

        assert answer.status in (400, 422), what
        assert answer.problem()["code"] in ("malformed_json", "invalid_request"), what


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_value_of_another_type_is_refused_and_nothing_is_stored(
    send: Sender, route: Route, unchanged: None
) -> None:
    for at, value in leaves(BODIES[route]):
        nasty = (
            NOT_A_CONTAINER
            if isinstance(value, dict | list | bool)
            else NOT_A_WHOLE_NUMBER
            if isinstance(value, int)
            else NOT_A_TEXT
        )
        for what, raw in nasty.items():
            if isinstance(value, bool) and raw == "true":
                continue
            if raw == "null" and may_be_null(send.spec.body, at):
                continue
            answer = send(with_raw(BODIES[route], at, raw))

            if refused_products(answer):
                continue
            assert answer.status in (400, 413, 422), (at, what, answer)
            assert answer.problem()["code"] in (
                "malformed_json",
                "invalid_request",
                "body_too_large",
            ), (at, what)


def may_be_null(body: type[BaseModel] | None, at: tuple[str | int, ...]) -> bool:
    """Tell whether null says of one of the body's own fields that it is left out."""
    field = body.model_fields[str(at[0])] if body and len(at) == 1 else None
    return field is not None and type(None) in get_args(field.annotation)


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_an_odd_text_never_breaks_anything(send: Sender, route: Route) -> None:
    for at, value in leaves(BODIES[route]):
        if isinstance(value, str):
            for text in ODD_TEXTS:
                answer = send(with_raw(BODIES[route], at, json.dumps(text)))

                assert answer.status < 500, (at, text[:20], answer)
                if answer.status >= 400:
                    answer.problem()


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_negative_or_huge_quantity_or_amount_is_refused(
    send: Sender, route: Route, unchanged: None
) -> None:
    for at, value in leaves(BODIES[route]):
        if type(value) is int:
            for number in (-(10**12), -1, 2**31, 2**63, 2**64, 10**18):
                # A correction of the stock may be negative, and an amount may be two billion.
                legal = (at[-1] == "delta" and number == -1) or (
                    at[-1] == "amount_minor" and number == 2**31
                )
                if legal:
                    continue
                answer = send(with_raw(BODIES[route], at, str(number)))

                if refused_products(answer):
                    continue
                assert answer.problem()["code"] == "invalid_request", (at, number)


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_field_that_nobody_asked_for_is_refused(
    send: Sender, route: Route, unchanged: None
) -> None:
    body = BODIES[route]
    places = [(), *(at for at, value in leaves(body) if isinstance(value, dict))]
    for at in places:
        if at[-1:] == ("attributes",):
            continue
        for name, value in NOT_ASKED_FOR.items():
            changed = copy.deepcopy(body)
            functools.reduce(lambda inner, step: inner[step], at, changed)[name] = value
            answer = send(json.dumps(changed).encode())

            if refused_products(answer):
                continue
            assert answer.problem()["code"] in ("invalid_request", "body_too_large"), (at, name)
            assert len(answer.body) < 2_000, (at, name[:20])


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_field_that_is_missing_is_named(send: Sender, route: Route) -> None:
    model = send.spec.body
    assert model is not None
    required = {name for name, field in model.model_fields.items() if field.is_required()}

    for name in required:
        problem = send(without(BODIES[route], (name,))).problem()

        assert problem["code"] == "invalid_request", name
        assert {"at": f"/{name}", "problem": "Field required"} in problem["errors"], name


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_body_that_says_a_thing_twice_is_refused(
    send: Sender, route: Route, unchanged: None
) -> None:
    for at, value in [((), BODIES[route]), *leaves(BODIES[route])]:
        if isinstance(value, dict):
            name, first = next(iter(value.items()))
            pair = f"{json.dumps(name)}: {json.dumps(first)}"
            escaped = f'"\\u{ord(name[0]):04x}{name[1:]}": {json.dumps(first)}'
            for other in (pair, escaped):
                twice = json.dumps(value)[:-1] + f", {other}}}"
                answer = send(with_raw(BODIES[route], at, twice) if at else twice.encode())

                assert (answer.status, answer.problem()["code"]) == (400, "malformed_json"), at


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_what_was_sent_is_not_said_back_nor_logged(
    send: Sender, route: Route, caplog: pytest.LogCaptureFixture
) -> None:
    for at, _ in leaves(BODIES[route]):
        for secret in ({"x": CANARY}, [CANARY, 7], CANARY * 5_000):
            answer = send(with_raw(BODIES[route], at, json.dumps(secret)))

            assert answer.status == 200 or CANARY not in answer.body.decode(), at
            assert not refused_products(answer) or CANARY * 20 not in answer.body.decode(), at
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert "request refused" in logged
    assert CANARY not in logged


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_only_json_is_taken(send: Sender, unchanged: None) -> None:
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/octet-stream",
        "application/gzip",
        "image/png",
        "nonsense",
    ):
        answer = send(Content_Type=content_type)

        assert answer.status == 415, content_type
        assert answer.problem()["code"] == "unsupported_media_type", content_type


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_body_beyond_the_limit_is_too_large(send: Sender, unchanged: None) -> None:
    limit = send.spec.body_bytes_max
    for body in (b" " * (limit + 1), b'{"a": "' + b"x" * limit + b'"}'):
        answer = send(body)

        assert (answer.status, answer.problem()["code"]) == (413, "body_too_large")


def test_a_body_beyond_the_gateways_limit_is_too_large(wire: Wire, tokens: Tokens) -> None:
    for method, path in (("PUT", "/v1/cart"), ("POST", "/v1/sessions")):
        answer = wire.send(method, path, b"x" * (10 * 1024 * 1024 + 1), token=tokens[Role.GUEST])

        assert (answer.status, answer.problem()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("route", WITH_BODY, ids=named)
def test_a_compressed_body_is_not_unpacked(send: Sender, unchanged: None) -> None:
    answer = send(gzip.compress(b" " * 10_000_000 + b"{}"), Content_Encoding="gzip")

    assert (answer.status, answer.problem()["code"]) == (400, "malformed_json")


# What can be nobody's name; and what might be one's, or another path.
UNUSABLE_NAMES = {
    "NUL": "%00",
    "a NUL within": "a%00b",
    "a line break": "a%0d%0aSet-Cookie:x",
    "an escape sequence": "a%1b%5b31mb",
    "right to left": "%e2%80%ae",
    "very long": "x" * 10_000,
    "one too long": "x" * 257,
}
ODD_NAMES = {
    "empty": "",
    "no UTF-8": "%ff",
    "half a character": "%e2%82",
    "a parent": "..",
    "a parent, escaped": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "as long as is looked at": "x" * 256,
    "of long characters": quote("\U0001f600" * 256),
    "not ASCII": quote("zażółć"),
    "not ASCII and not escaped": "za\u00df",
    "spaces": "%20%20",
    "a hash": "%23",
    "a hash within": "ORDER%23LINES",
    "a question mark": "a%3fb",
    "a percent sign": "%25",
    "broken escapes": "%zz%1",
    "braces": "%7border_id%7d",
    "quotes": "%22%27--",
    "a star": "*",
    "null": "null",
    "a number": "-1",
}


@pytest.mark.parametrize("route", WITH_PATH, ids=named)
def test_a_path_with_what_can_be_no_name_is_refused(send: Sender, unchanged: None) -> None:
    for parameter in parameters_of(send.spec):
        for what, name in UNUSABLE_NAMES.items():
            answer = send(path=send.spec.path.format(**{**NOWHERE, parameter: name}))

            assert (answer.status, answer.problem()["code"]) == (422, "invalid_request"), what
            assert len(answer.body) < 1_000, what


@pytest.mark.parametrize("route", WITH_PATH, ids=named)
def test_a_path_with_an_odd_name_never_breaks_anything(send: Sender) -> None:
    for parameter in parameters_of(send.spec):
        for what, name in ODD_NAMES.items():
            answer = send(path=send.spec.path.format(**{**NOWHERE, parameter: name}))

            assert answer.status < 500, (what, answer)
            if answer.status >= 400:
                # 403: without its last part, a path may be another route.
                assert answer.status in (403, 404, 409, 422), (what, answer)
                answer.problem()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v2/cart", "/v1/admin", "//", "/%00", "/v1/cart/../.."]
)
def test_what_is_no_route_is_not_found(wire: Wire, method: str, path: str) -> None:
    answer = wire.send(method, path)

    assert answer.status == 404
    if method != "HEAD":
        assert answer.problem()["code"] == "not_found"


@pytest.mark.parametrize("route", sorted(ROUTES), ids=named)
def test_a_method_that_a_path_does_not_have_is_not_found(wire: Wire, route: Route) -> None:
    path = ROUTES[route].path
    had = {method for method, other in ROUTES if other == path}

    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "MOVE"} - had:
        answer = wire.send(method, path.format(**NOWHERE))

        assert (answer.status, answer.problem()["code"]) == (404, "not_found"), method


ODD_QUERIES = {
    "limit": ["0", "-1", "101", "1.5", "ten", "", "1e2", "9" * 400, "NaN", "0x10", "%00", "null"],
    "cursor": ["x", "", ".", "e30.e30.e30", "%00", "%ff", "x" * 3_000, "a.b.c", "null"],
    "order_id": ["", "%00", "x" * 300, "a%1b%5b31mb"],
    "status": ["RUNNING%00", "confirmed", "*", "7"],
    "placed_on": ["yesterday", "2026-13-01", "2026-02-30", "%00", "1e400", "NaN", "", "9" * 400],
    "email": ["%00", "x" * 300],
    "sort": ["price,title", "%00", "-", "PRICE", "__class__"],
    "currency": ["gbp", "GBPX", "%00", ""],
    "category": ["UPPER", "a%23b", "%00", "../x", "-"],
    "price_min": ["-1", "1.5", "x", "9" * 400, "NaN", "Infinity"],
    "price_max": ["-1", "1.5", "x", "9" * 400, "NaN", "Infinity"],
    "q": ["%00", "a%1b%5b31mb", "x" * 201],
    "country": ["gb", "GBR", "%00", "", "*"],
    "region": ["", "%00", "x" * 201],
    "shipping_quote": ["", "x", "%00", "e30.e30.e30", "x" * 3_000],
}
# What a search of staff needs besides, so that it is the odd value that is refused.
ALSO = {
    "/v1/staff/orders": {"limit": "email=a%40b.example", "cursor": "email=a%40b.example"},
    "/v1/cart": {"region": "country=GB", "shipping_quote": "country=GB"},
}


@pytest.mark.parametrize("route", WITH_QUERY, ids=named)
def test_an_odd_query_is_refused(send: Sender, route: Route) -> None:
    model = send.spec.query
    assert model is not None
    for name in model.model_fields:
        also = ALSO.get(send.spec.path, {}).get(name)
        for odd in ODD_QUERIES[name]:
            query = f"{name}={odd}" + (f"&{also}" if also else "")
            answer = send(path=f"{send.spec.path}?{query}")

            assert answer.status in (400, 422), (query, answer)
            assert answer.problem()["code"] in (
                "invalid_request",
                "invalid_cursor",
                "shipping_quote_invalid",
            ), query


@pytest.mark.parametrize("route", WITH_QUERY, ids=named)
def test_a_query_that_nobody_asked_for_is_refused(send: Sender) -> None:
    for query in (
        "customer_id=usr_x",
        "role=admin",
        "Limit=1",
        "limit[]=1",
        "%00=1",
        "__class__=x",
    ):
        answer = send(path=f"{send.spec.path}?{query}")

        assert (answer.status, answer.problem()["code"]) == (422, "invalid_request"), query


@pytest.mark.parametrize("route", WITH_QUERY, ids=named)
def test_a_query_that_says_a_thing_twice_is_refused(send: Sender) -> None:
    answer = send(path=f"{send.spec.path}?limit=1&limit=2")

    problem = answer.problem()
    assert (answer.status, problem["code"]) == (422, "invalid_request")
    assert {"at": "/limit", "problem": "given more than once"} in problem["errors"]


@pytest.mark.parametrize("route", WITH_QUERY, ids=named)
def test_a_query_of_many_odd_characters_never_breaks_anything(send: Sender) -> None:
    for query in (
        "&" * 5_000,
        "=" * 5_000,
        "%",
        "%zz=%zz",
        "a" * 20_000,
        "limit=1;limit=2",
        "\xff",
    ):
        answer = send(path=f"{send.spec.path}?{query}")

        assert answer.status < 500, (query[:20], answer)
        if answer.status >= 400:
            assert len(answer.body) < 2_000
            answer.problem()


@pytest.mark.parametrize(
    "text", ["-", "!!!", " ", "\u202e", "a" * 200, "\U0001f600" * 50, "#", "*", "%"]
)
def test_a_search_for_anything_is_answered(wire: Wire, tokens: Tokens, text: str) -> None:
    answer = wire.send("GET", f"/v1/products?q={quote(text)}")

    assert (answer.status, answer.json()["products"]) == (200, [])


@pytest.mark.parametrize("route", WITH_KEY, ids=named)
def test_an_effect_takes_a_usable_idempotency_key(send: Sender, unchanged: None) -> None:
    for key in ("", " ", "two words", "x" * 256, "tab\t", "k\u00e9y", "a\x00b", "\x1b[31m"):
        answer = send(Idempotency_Key=key)

        assert (answer.status, answer.problem()["code"]) == (400, "invalid_header"), repr(key)


@pytest.mark.parametrize("route", WITH_KEY, ids=named)
def test_an_effect_without_an_idempotency_key_is_refused(
    wire: Wire, tokens: Tokens, route: Route, unchanged: None
) -> None:
    spec = ROUTES[route]

    answer = wire.send(
        spec.method, spec.path.format(**NOWHERE), body_of(spec), token=tokens[role_for(spec)]
    )

    assert (answer.status, answer.problem()["code"]) == (400, "idempotency_key_missing")


@pytest.mark.parametrize("route", WITH_TAG, ids=named)
def test_a_tag_that_was_never_given_out_is_refused(send: Sender, unchanged: None) -> None:
    for tag in (
        "",
        "7",
        '"x"',
        '"-1"',
        '"1.5"',
        '"1", "2"',
        '""',
        f'"{"9" * 400}"',
        '"\u0667"',
        "**",
    ):
        answer = send(If_Match=tag)

        assert (answer.status, answer.problem()["code"]) == (400, "invalid_header"), tag


@pytest.mark.parametrize("route", WITH_TAG, ids=named)
def test_a_tag_of_another_version_changes_nothing(send: Sender, unchanged: None) -> None:
    answer = send(If_Match='"99999999"')

    # 404: what is nowhere has no version.
    assert answer.status in (404, 412, 422), answer
    nowhere = {
        "unknown_sku",
        "product_not_found",
        "webhook_endpoint_not_found",
        "picture_not_found",
        "category_not_found",
        "address_not_found",
    }
    assert answer.problem()["code"] in {"version_mismatch"} | nowhere

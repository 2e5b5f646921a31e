"""Forged, broken and stale tokens: none opens a door, and none breaks the lock."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.gateway_responses import RESPONSES
from infra.local.clock import Clock
from infra.local.gateway import Gateway, Request
from infra.local.stack import LocalStack
from tests.system.routes import CONTEXT_OF, NOWHERE, ROUTES
from tests.system.wire import Answer, Wire
from tradepost.kernel.clock import epoch_seconds, set_clock, utc_now
from tradepost.platform import auth
from tradepost.platform.auth import PUBLIC, Role
from tradepost.platform.cursor import sign_cursor

Tokens = dict[Role | None, str | None]
Claims = dict[str, Any]

# One protected route of each context.
PROTECTED = {
    CONTEXT_OF[route]: spec for route, spec in sorted(ROUTES.items()) if spec.roles != PUBLIC
}

SOMEBODY_ELSES_KEY = generate_private_key(SECP256R1())


def encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def parts(token: str) -> tuple[Claims, Claims, str]:
    header, claims, signature = token.split(".")
    return (
        json.loads(base64.urlsafe_b64decode(header + "==")),
        json.loads(base64.urlsafe_b64decode(claims + "==")),
        signature,
    )


def signed(header: Claims, claims: Any) -> str:
    """Sign as the shop does, with its own key: what only a fault of ours could hand out."""
    message = f"{encoded(header)}.{encoded(claims)}"
    made = boto3.client("kms").sign(
        KeyId=header["kid"],
        Message=message.encode(),
        MessageType="RAW",
        SigningAlgorithm="ECDSA_SHA_256",
    )
    raw = jwt.utils.der_to_raw_signature(made["Signature"], SECP256R1())
    return f"{message}.{encoded(raw)}"


def signed_otherwise(header: Claims, claims: Claims, key: Any, algorithm: str) -> str:
    rest = {name: value for name, value in header.items() if name != "alg"}
    return jwt.encode(claims, key, algorithm=algorithm, headers=rest)


def public_key(encoding: Encoding) -> bytes:
    (key,) = auth.public_keys().values()
    return key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def hmac_with_public_key(header: Claims, claims: Claims, encoding: Encoding) -> str:
    # PyJWT refuses to sign so; an attacker's library does not.
    message = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{message}.{encoded(algorithm.sign(message.encode(), public_key(encoding)))}"


def without(claims: Claims, name: str) -> Claims:
    return {key: value for key, value in claims.items() if key != name}


def tampered(token: str, **claims: Any) -> str:
    header, own, signature = parts(token)
    return f"{encoded(header)}.{encoded({**own, **claims})}.{signature}"


def with_role_twice(token: str) -> str:
    """Name the role twice, the admin's last, as parsers that disagree are tricked."""
    header, claims, signature = parts(token)
    text = json.dumps(claims)[:-1] + ', "role": "admin"}'
    return f"{encoded(header)}.{encoded(text.encode())}.{signature}"


HOUR = 3_600

# From a good token (header, claims, text) to a bad one.
FORGERIES: dict[str, Callable[[Claims, Claims, str], str]] = {
    "no algorithm": lambda h, c, _: f"{encoded({**h, 'alg': 'none'})}.{encoded(c)}.",
    "no algorithm, oddly written": lambda h, c, _: f"{encoded({**h, 'alg': 'nOnE'})}.{encoded(c)}.",
    "no algorithm, old signature": lambda h, c, t: (
        f"{encoded({**h, 'alg': 'none'})}.{encoded(c)}.{parts(t)[2]}"
    ),
    "the public key in PEM as an HMAC secret": lambda h, c, _: hmac_with_public_key(
        h, c, Encoding.PEM
    ),
    "the public key in DER as an HMAC secret": lambda h, c, _: hmac_with_public_key(
        h, c, Encoding.DER
    ),
    "an empty HMAC secret": lambda h, c, _: (
        f"{encoded({**h, 'alg': 'HS256'})}.{encoded(c)}.{encoded(b'')}"
    ),
    "somebody else's key": lambda h, c, _: signed_otherwise(h, c, SOMEBODY_ELSES_KEY, "ES256"),
    "a key that the token brings along": lambda h, c, _: signed_otherwise(
        {
            **h,
            "jwk": jwt.algorithms.ECAlgorithm.to_jwk(SOMEBODY_ELSES_KEY.public_key(), as_dict=True),
        },
        c,
        SOMEBODY_ELSES_KEY,
        "ES256",
    ),
    "a key to be fetched": lambda h, c, _: signed_otherwise(
        {**h, "jku": "https://evil.example/jwks.json"}, c, SOMEBODY_ELSES_KEY, "ES256"
    ),
    "a signature of zeros": lambda h, c, _: f"{encoded(h)}.{encoded(c)}.{encoded(bytes(64))}",
    "another key id": lambda h, c, _: signed_otherwise(
        {**h, "kid": "another"}, c, SOMEBODY_ELSES_KEY, "ES256"
    ),
    "a path as key id": lambda h, c, t: (
        f"{encoded({**h, 'kid': '../../dev/null'})}.{encoded(c)}.{parts(t)[2]}"
    ),
    "a list as key id": lambda h, c, t: f"{encoded({**h, 'kid': [1]})}.{encoded(c)}.{parts(t)[2]}",
    "no key id": lambda h, c, t: f"{encoded(without(h, 'kid'))}.{encoded(c)}.{parts(t)[2]}",
    "another type": lambda h, c, _: signed({**h, "typ": "JWT"}, c),
    "no type": lambda h, c, _: signed(without(h, "typ"), c),
    "a critical extension": lambda h, c, _: signed({**h, "crit": ["exp"]}, c),
    "another issuer": lambda h, c, _: signed(h, {**c, "iss": "tradepost/prod"}),
    "another audience": lambda h, c, _: signed(h, {**c, "aud": "another-api"}),
    "expired": lambda h, c, _: signed(h, {**c, "exp": c["iat"] - 1}),
    "expires as a text": lambda h, c, _: signed(h, {**c, "exp": str(c["exp"])}),
    "never expires": lambda h, c, _: signed(h, {**c, "exp": float("inf")}),
    "not yet": lambda h, c, _: signed(h, {**c, "nbf": c["iat"] + HOUR}),
    "from the future": lambda h, c, _: signed(
        h, {**c, "iat": c["iat"] + HOUR, "exp": c["exp"] + HOUR}
    ),
    "an unknown role": lambda h, c, _: signed(h, {**c, "role": "owner"}),
    "a list of roles": lambda h, c, _: signed(h, {**c, "role": ["customer", "admin"]}),
    "a number as subject": lambda h, c, _: signed(h, {**c, "sub": 7}),
    "claims that are no object": lambda h, c, _: signed(h, [c]),
    **{
        f"no {name}": lambda h, c, _, name=name: signed(h, without(c, name))
        for name in ("aud", "exp", "iat", "iss", "jti", "role", "sub")
    },
    "another role": lambda _h, _c, t: tampered(t, role="admin"),
    "another subject": lambda _h, _c, t: tampered(t, sub="usr_somebodyelse"),
    "the role twice": lambda _h, _c, t: with_role_twice(t),
    "the signature cut short": lambda _h, _c, t: t[:-4],
    "the claims cut short": lambda _h, _c, t: t.rpartition(".")[0][:-9],
    "two parts": lambda _h, _c, t: t.rpartition(".")[0],
    "four parts": lambda _h, _c, t: f"{t}.{t}",
    "five parts, as if encrypted": lambda _h, _c, t: f"{t}.e30.e30",
    "10 kB": lambda h, c, _: signed_otherwise(
        h, {**c, "padding": "x" * 10_000}, SOMEBODY_ELSES_KEY, "ES256"
    ),
    "a header nested deep": lambda _h, c, _t: f"{encoded(b'[' * 2_900)}.{encoded(c)}.AAAA",
    "a header that is no object": lambda _h, c, _t: f"{encoded(b'null')}.{encoded(c)}.AAAA",
    "a header in UTF-16": lambda h, c, _: (
        f"{encoded(json.dumps(h).encode('utf-16'))}.{encoded(c)}.AAAA"
    ),
    "dots": lambda _h, _c, _t: "..",
    "no base64": lambda _h, _c, _t: "!!!.???.***",
    "control characters": lambda _h, _c, t: t + "\x00\x1b",
    "not ASCII": lambda _h, _c, t: t.replace(".", "\u00b7"),
    "nothing": lambda _h, _c, _t: "",
}

HEADERS: dict[str, Callable[[str], str]] = {
    "no scheme": lambda token: token,
    "another scheme": lambda token: f"Basic {token}",
    "the scheme alone": lambda _token: "Bearer",
    "the scheme twice": lambda token: f"Bearer Bearer {token}",
    "two tokens": lambda token: f"Bearer {token}, Bearer {token}",
    "a word behind": lambda token: f"Bearer {token} admin",
    "a tab between": lambda token: f"Bearer\t{token}",
    "a space": lambda _token: " ",
    "nothing": lambda _token: "",
}


def asked(wire: Wire, spec: Any, authorization: str) -> Answer:
    return wire.send(
        spec.method, spec.path.format(**NOWHERE), headers={"Authorization": authorization}
    )


def test_every_context_with_a_protected_route_is_tried_here() -> None:
    assert set(PROTECTED) == {CONTEXT_OF[route] for route in ROUTES}


@pytest.mark.parametrize("context", sorted(PROTECTED))
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_refused_like_no_token(
    wire: Wire, tokens: Tokens, forgery: str, context: str
) -> None:
    good = tokens[sorted(PROTECTED[context].roles)[0]]
    assert good is not None
    header, claims, _ = parts(good)

    forged = FORGERIES[forgery](header, claims, good)
    answer = asked(wire, PROTECTED[context], f"Bearer {forged}")

    assert (answer.status, answer.problem()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not forged or forged not in answer.body.decode()


@pytest.mark.parametrize("context", sorted(PROTECTED))
@pytest.mark.parametrize("form", HEADERS)
def test_a_good_token_in_a_bad_header_is_refused(
    wire: Wire, tokens: Tokens, form: str, context: str
) -> None:
    good = tokens[sorted(PROTECTED[context].roles)[0]]
    assert good is not None

    answer = asked(wire, PROTECTED[context], HEADERS[form](good))

    assert (answer.status, answer.problem()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("context", sorted(PROTECTED))
def test_a_token_made_here_as_the_forgeries_are_is_good(
    wire: Wire, tokens: Tokens, context: str
) -> None:
    """What the forgeries differ from: if this one were refused, they would prove nothing."""
    good = tokens[sorted(PROTECTED[context].roles)[0]]
    assert good is not None
    header, claims, _ = parts(good)

    answer = asked(wire, PROTECTED[context], f"Bearer {signed(header, claims)}")

    assert answer.status not in (401, 403), answer


@pytest.mark.parametrize("context", sorted(PROTECTED))
def test_a_refresh_token_is_no_access_token(wire: Wire, tokens: Tokens, context: str) -> None:
    who = {"email": "customer@example.com", "password": "a long enough password"}
    session = wire.send("POST", "/v1/sessions", json.dumps(who).encode()).json()

    answer = asked(wire, PROTECTED[context], f"Bearer {session['refresh_token']}")

    assert (answer.status, answer.problem()["code"]) == (401, "unauthorized")


def test_a_page_cursor_is_no_access_token(wire: Wire, tokens: Tokens) -> None:
    answer = asked(wire, PROTECTED["orders"], f"Bearer {sign_cursor({'sk': 'x'}, auth.AUDIENCE)}")

    assert (answer.status, answer.problem()["code"]) == (401, "unauthorized")


class ShopClock(Clock):
    """The gateway's cache and the tokens by one clock."""

    def now(self) -> float:
        return utc_now().timestamp()


@pytest.fixture
def later() -> Iterator[Callable[[int], None]]:
    """Let seconds pass at once."""
    start = utc_now()
    passed = [0]

    def advance(seconds: int) -> None:
        passed[0] += seconds
        set_clock(lambda: start + timedelta(seconds=passed[0]))

    advance(0)
    yield advance
    set_clock(None)


def test_an_expired_token_is_refused_once_its_kept_answer_is_over(
    stack: LocalStack, tokens: Tokens, later: Callable[[int], None]
) -> None:
    gateway = Gateway(
        stack.functions,
        stage=stack.stage,
        region=stack.region,
        account_id=stack.account_id,
        responses=RESPONSES,
        clock=ShopClock(),
    )
    header, claims, _ = parts(tokens[Role.CUSTOMER] or "")
    now = epoch_seconds(utc_now())
    token = signed(header, {**claims, "iat": now, "exp": now + 30})

    def status() -> int:
        headers = {"authorization": f"Bearer {token}"}
        return gateway.handle(Request("GET", "/v1/cart", "", headers, b"", "127.0.0.1")).status

    before = status()
    later(61)
    after = status()

    assert (before, after) == (200, 401)

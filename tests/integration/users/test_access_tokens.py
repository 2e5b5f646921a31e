from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tradepost.kernel.clock import epoch_seconds, set_clock, utc_now
from tradepost.platform import auth, aws

from .conftest import UsersAPI


@pytest.fixture
def logged_in(api) -> dict[str, Any]:
    api.register()
    body: dict[str, Any] = api.log_in().body
    return body


def shows_a_profile(api, token: str) -> bool:
    status = api("GET /v1/users/me", token=token).status
    assert status in (200, 401)
    return status == 200


# What is let in


def test_an_access_token_is_an_es256_jwt_of_fifteen_minutes(logged_in):
    token = logged_in["access_token"]

    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})

    (key_id,) = auth.public_keys()
    assert header == {"alg": "ES256", "kid": key_id, "typ": "at+jwt"}
    assert sorted(claims) == ["aud", "exp", "iat", "iss", "jti", "role", "sub"]
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert claims["iss"] == "tradepost/test"
    assert claims["aud"] == "tradepost-api"


def test_anyone_can_check_a_token_with_the_published_keys(api, logged_in):
    answer = api("GET /.well-known/jwks.json")

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (key,) = answer.body["keys"]
    assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert "d" not in key
    checked = jwt.decode(
        logged_in["access_token"],
        jwt.PyJWKSet.from_dict(answer.body)[key["kid"]].key,
        algorithms=["ES256"],
        audience="tradepost-api",
        issuer="tradepost/test",
    )
    assert checked["sub"] == logged_in["user_id"]


def test_two_tokens_of_one_account_differ(api, logged_in):
    assert api.log_in().body["access_token"] != logged_in["access_token"]


def test_a_token_is_good_until_it_expires(api, logged_in):
    start = utc_now()

    set_clock(lambda: start + timedelta(minutes=14))
    assert shows_a_profile(api, logged_in["access_token"])
    set_clock(lambda: start + timedelta(minutes=15, seconds=1))
    assert not shows_a_profile(api, logged_in["access_token"])


def test_a_guest_is_known_but_has_no_profile(api):
    token = api("POST /v1/guests").body["access_token"]

    answer = api("GET /v1/users/me", token=token)

    assert (answer.status, answer.code) == (403, "role_forbidden")


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://kms"),
        ClientError({"Error": {"Code": "KMSInternalException", "Message": ""}}, "Sign"),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "Sign"),
    ],
    ids=["no answer", "fault", "throttled"],
)
def test_when_kms_cannot_sign_the_caller_is_told_to_try_again(api, monkeypatch, error):
    def fail(**_: Any) -> Any:
        raise error

    monkeypatch.setattr(aws.kms(), "sign", fail)

    answer = api("POST /v1/guests")

    assert (answer.status, answer.code) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"


# What is refused


class Forger:
    """Signs what it likes with a key of its own, which a test may have the verifier trust."""

    def __init__(self, user_id: str) -> None:
        self.private_key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = self.private_key.public_key()
        now = epoch_seconds(utc_now())
        self.claims = {
            "aud": "tradepost-api",
            "exp": now + 900,
            "iat": now,
            "iss": "tradepost/test",
            "jti": "jti_1",
            "role": "customer",
            "sub": user_id,
        }
        self.header = {"kid": "trusted", "typ": "at+jwt"}

    def sign(self, changed: dict[str, Any] | None = None, **header_changes: Any) -> str:
        """Sign the claims and the header with some of them changed; None leaves one out."""
        claims = {**self.claims, **(changed or {})}
        header = {**self.header, **header_changes}
        return jwt.encode(
            {name: claim for name, claim in claims.items() if claim is not None},
            self.private_key,
            algorithm="ES256",
            headers={name: value for name, value in header.items() if value is not None},
        )


@pytest.fixture
def forger(logged_in, monkeypatch) -> Forger:
    """A forger who even holds a trusted key, so that a refusal is due to the one thing changed."""
    forger = Forger(logged_in["user_id"])
    monkeypatch.setattr(auth, "public_keys", lambda: {"trusted": forger.public_key})
    return forger


def test_with_nothing_changed_the_forgers_token_is_let_in(api, forger):
    assert shows_a_profile(api, forger.sign())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "tradepost/prod"},
        {"iss": None},
        {"aud": "another-api"},
        {"aud": None},
        {"exp": None},
        {"exp": 1},
        {"exp": "9999999999"},
        {"exp": 9e9},
        {"iat": None},
        {"iat": 9_000_000_000},
        {"nbf": 9_000_000_000},
        {"jti": None},
        {"sub": None},
        {"role": None},
        {"role": "owner"},
    ],
    ids=repr,
)
def test_a_token_with_one_wrong_claim_is_refused(api, forger, claims):
    assert not shows_a_profile(api, forger.sign(claims))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "unknown"},
        {"kid": None},
        {"typ": "JWT"},
        {"typ": "rt+jwt"},
        {"crit": ["x-unknown"], "x-unknown": 1},
    ],
    ids=repr,
)
def test_a_token_with_one_wrong_header_is_refused(api, forger, header):
    assert not shows_a_profile(api, forger.sign(**header))


@pytest.mark.parametrize("parameter", ["jku", "x5u", "jwk"])
def test_a_key_that_the_token_brings_along_is_not_believed(api, forger, parameter, monkeypatch):
    brought = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(forger.public_key))
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    monkeypatch.setattr(auth, "public_keys", lambda: {"trusted": other})

    token = forger.sign(**{parameter: brought})

    assert not shows_a_profile(api, token)


def encoded(part: Any) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_a_token_without_a_signature_is_refused(api, forger, algorithm):
    header = {**forger.header, "alg": algorithm}

    assert not shows_a_profile(api, f"{encoded(header)}.{encoded(forger.claims)}.")


@pytest.mark.parametrize("form", ["pem", "der"])
def test_the_public_key_is_no_shared_secret(api, forger, form):
    encoding = Encoding.PEM if form == "pem" else Encoding.DER
    secret = forger.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{encoded({**forger.header, 'alg': 'HS256'})}.{encoded(forger.claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()

    assert not shows_a_profile(api, f"{signed}.{encoded(signature)}")


def test_a_changed_claim_voids_the_signature(api, forger):
    header, _, signature = forger.sign().split(".")

    token = f"{header}.{encoded({**forger.claims, 'role': 'admin'})}.{signature}"

    assert not shows_a_profile(api, token)


def test_another_signers_signature_is_refused(api, forger, monkeypatch):
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    monkeypatch.setattr(auth, "public_keys", lambda: {"trusted": other})

    assert not shows_a_profile(api, forger.sign())


def test_a_signature_in_kms_own_form_is_refused(api, forger):
    header, claims, signature = forger.sign().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = jwt.utils.raw_to_der_signature(raw, forger.public_key.curve)

    assert not shows_a_profile(api, f"{header}.{claims}.{encoded(der)}")


@pytest.mark.parametrize(
    "spoiled",
    [
        lambda token: "",
        lambda token: token[:-1],
        lambda token: token[:-10],
        lambda token: token.rpartition(".")[0],
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: f"{token}.{token}",
        lambda token: f"{token} {token}",
        lambda token: f"{token},{token}",
        lambda token: token + "A" * 5_000,
        lambda token: token.replace(".", "..", 1),
        lambda token: "é" + token,
    ],
)
def test_a_token_cut_short_or_doubled_is_refused(api, forger, spoiled):
    assert not shows_a_profile(api, spoiled(forger.sign()))


def test_a_refresh_token_is_no_access_token(api, logged_in):
    assert not shows_a_profile(api, logged_in["refresh_token"])


def test_a_token_of_another_stage_is_refused(api, logged_in, monkeypatch):
    monkeypatch.setenv("STAGE", "prod")

    assert not shows_a_profile(api, logged_in["access_token"])


def test_the_key_that_signs_is_changed_and_nobody_notices(monkeypatch):
    """The three deployments of docs/runbooks/rotate-signing-key.md, each with new processes."""
    (old_key,) = auth.public_keys()
    made = aws.kms().create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    new_key = made["KeyMetadata"]["KeyId"]

    def deployed(signing: str, other: str) -> tuple[UsersAPI, set[str]]:
        monkeypatch.setenv("SIGNING_KEY_ID", signing)
        monkeypatch.setenv("SIGNING_KEY_PREVIOUS_ID", other)
        process = UsersAPI()
        keys = process("GET /.well-known/jwks.json").body["keys"]
        return process, {key["kid"] for key in keys}

    def is_good(process: UsersAPI, token: str) -> bool:
        return process("GET /v1/users/me", token=token).status == 200

    first, published = deployed(old_key, "none")
    first.register()
    of_the_old_key = first.log_in().body["access_token"]
    assert published == {old_key}

    second, published = deployed(old_key, new_key)
    assert published == {old_key, new_key}
    assert is_good(second, of_the_old_key)
    assert kid_of(second.log_in().body["access_token"]) == old_key

    third, published = deployed(new_key, old_key)
    of_the_new_key = third.log_in().body["access_token"]
    assert published == {old_key, new_key}
    assert kid_of(of_the_new_key) == new_key
    assert is_good(third, of_the_old_key)
    # Functions change one after the other: one that has not yet believes the new key as well.
    deployed(old_key, new_key)
    assert is_good(second, of_the_new_key)

    last, published = deployed(new_key, "none")
    assert published == {new_key}
    assert is_good(last, of_the_new_key)
    assert not is_good(last, of_the_old_key)


def kid_of(token: str) -> str:
    kid: str = jwt.get_unverified_header(token)["kid"]
    return kid

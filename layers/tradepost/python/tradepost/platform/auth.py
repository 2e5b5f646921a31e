"""Who is calling: access tokens verified, and what each role may reach.

An access token is a JWT signed with ES256 by a KMS key that never leaves KMS. The verifier
needs the public half only, so an endpoint that can check a token cannot make one.

A partner's system shows an API key instead. Which keys there are is users' to say, so users is
asked: once for what the gateway keeps, and by the border of each route that a scope opens.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jwt
from chalice import AuthResponse, Blueprint
from chalice.app import AuthRequest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tradepost.kernel.clock import epoch_seconds, utc_now
from tradepost.kernel.errors import UnauthenticatedError
from tradepost.platform import aws
from tradepost.platform.partners import PartnerKey, Partners

ALGORITHM = "ES256"
AUDIENCE = "tradepost-api"
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068, section 2.1: the `typ` of an access token
TOKEN_BYTES_MAX = 4_096

_CLAIMS_REQUIRED = ["aud", "exp", "iat", "iss", "jti", "role", "sub"]

# What CloudFormation exports must not be empty.
_NO_KEY = "none"

# A signer whose clock runs this far ahead of ours is still believed.
_LEEWAY_SECONDS = 5

# API Gateway keeps an authorizer's answer per token. It must not outlive a short token much.
_AUTHORIZER_TTL_SECONDS = 60


class Role(StrEnum):
    """What a caller is to the shop. A role reaches exactly the routes that name it."""

    GUEST = "guest"
    CUSTOMER = "customer"
    SUPPORT = "support"
    WAREHOUSE = "warehouse"
    ADMIN = "admin"
    PARTNER = "partner"  # somebody's system: its key's scopes say what it reaches


class Scope(StrEnum):
    """What a partner's key opens. A route names the one that admits to it, or none."""

    CATALOG_READ = "catalog:read"
    CATALOG_WRITE = "catalog:write"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    ORDERS_READ = "orders:read"


BUYERS = frozenset({Role.GUEST, Role.CUSTOMER})
STAFF = frozenset({Role.SUPPORT, Role.WAREHOUSE, Role.ADMIN})
EVERYONE_KNOWN = BUYERS | STAFF
PUBLIC: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified subject of a request: `usr_…` an account, `gst_…` a guest, `key_…` a partner."""

    principal_id: str
    role: Role
    scopes: frozenset[str] = frozenset()  # a partner's

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF

    @property
    def sees_all(self) -> bool:
        """Whether a route shows them other people's things, as it does to whom it lets in."""
        return self.is_staff or self.role is Role.PARTNER


def issuer() -> str:
    """Name this installation in its tokens, so that one stage's token is void in another."""
    return f"tradepost/{os.environ['STAGE']}"


def public_keys() -> dict[str, EllipticCurvePublicKey]:
    """Fetch the keys that may have signed a token, by key id, each once per process.

    During a rotation `SIGNING_KEY_PREVIOUS_ID` names the key that signed the older tokens, or
    will sign the next ones; otherwise it is `none`.
    """
    variables = ("SIGNING_KEY_ID", "SIGNING_KEY_PREVIOUS_ID")
    named = [os.environ.get(variable, "") for variable in variables]
    key_ids = [key_id for key_id in named if key_id not in ("", _NO_KEY)]
    return {key_id: _public_key(key_id) for key_id in key_ids}


@functools.cache
def _public_key(key_id: str) -> EllipticCurvePublicKey:
    public_key = load_der_public_key(aws.kms().get_public_key(KeyId=key_id)["PublicKey"])
    assert isinstance(public_key, EllipticCurvePublicKey)
    return public_key


def verify_access_token(token: str) -> Caller:
    """Tell who an access token speaks for.

    Raises
    ------
    jwt.InvalidTokenError
        Forged, expired, of another issuer, audience or type, or not a token at all.
    """
    if len(token) > TOKEN_BYTES_MAX:
        raise jwt.InvalidTokenError("too long")
    header = jwt.get_unverified_header(token)
    key = public_keys().get(header.get("kid", ""))
    if key is None or header.get("typ") != ACCESS_TOKEN_TYPE:
        raise jwt.InvalidTokenError("not an access token of ours")
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=issuer(),
        # PyJWT would read the machine's clock; expiry is checked below against ours.
        options={
            "require": _CLAIMS_REQUIRED,
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    _require_current(claims)
    try:
        role = Role(claims["role"])
    except ValueError as error:
        raise jwt.InvalidTokenError("unknown role") from error
    if role is Role.PARTNER:
        raise jwt.InvalidTokenError("a partner has a key and no token")
    return Caller(principal_id=claims["sub"], role=role)


def _require_current(claims: dict[str, Any]) -> None:
    now = epoch_seconds(utc_now())
    moments = [claims["exp"], claims["iat"], claims.get("nbf", 0)]
    if not all(type(moment) is int for moment in moments):
        raise jwt.InvalidTokenError("not a moment")
    if claims["exp"] <= now:
        raise jwt.ExpiredSignatureError("expired")
    if max(claims["iat"], claims.get("nbf", 0)) > now + _LEEWAY_SECONDS:
        raise jwt.ImmatureSignatureError("from the future")


authorizers = Blueprint(__name__)


@authorizers.authorizer(name="access_token", ttl_seconds=_AUTHORIZER_TTL_SECONDS)
def access_token(request: AuthRequest) -> AuthResponse:
    """Let a valid access token in, to every route: each route's own policy names the roles.

    The answer is cached per token across routes, so it must not depend on the route asked.
    """
    try:
        token = bearer(request.token)
        key = PartnerKey.parse(token)
        if key is not None:
            return _partner(key)
        caller = verify_access_token(token)
    except jwt.InvalidTokenError as error:
        # API Gateway answers 401 to exactly this message, and 500 to any other.
        raise UnauthenticatedError("Unauthorized") from error
    return AuthResponse(
        routes=["*"], principal_id=caller.principal_id, context={"role": caller.role.value}
    )


def bearer(authorization: str) -> str:
    """Take the token out of an `Authorization` header. Raises jwt.InvalidTokenError."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise jwt.InvalidTokenError("not a bearer token")
    return token.strip()


def _partner(key: PartnerKey) -> AuthResponse:
    """Let a key of a partner in. Each route asks again whether it still is one."""
    scopes = Partners(aws.functions(), os.environ["STAGE"]).scopes_of(key)
    if scopes is None:
        raise jwt.InvalidTokenError("not a key of ours")
    return AuthResponse(
        routes=["*"],
        principal_id=key.key_id,
        context={"role": Role.PARTNER.value, "scopes": " ".join(sorted(scopes))},
    )

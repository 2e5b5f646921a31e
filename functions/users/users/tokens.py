"""Access tokens made: JWTs (RFC 9068) signed in KMS, and the keys to check them with (RFC 7517)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm
from jwt.api_jws import PyJWS
from jwt.utils import der_to_raw_signature

from tradepost.kernel.clock import epoch_seconds, utc_now
from tradepost.kernel.errors import UnavailableError
from tradepost.kernel.ids import new_id
from tradepost.platform.auth import ACCESS_TOKEN_TYPE, ALGORITHM, AUDIENCE, Role
from tradepost.platform.dynamodb import unavailable
from users.model import AccountRole
from users.ports import AccessToken

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_WITHOUT_ACCOUNT = {Role.GUEST.value, Role.PARTNER.value}
assert {role.value for role in AccountRole} | _WITHOUT_ACCOUNT == {role.value for role in Role}

# KMS API reference, Sign: "the request can be retried".
_TRANSIENT = frozenset({"DependencyTimeoutException", "KMSInternalException"})


class _SignedByKMS(ECAlgorithm):
    """ES256 as PyJWT knows it, but the key is a KMS key id and the signing happens there."""

    def __init__(self, kms: KMSClient) -> None:
        super().__init__(ECAlgorithm.SHA256, SECP256R1)
        self._kms = kms

    def prepare_key(self, key: Any) -> Any:
        return key

    def sign(self, msg: bytes, key: Any) -> bytes:
        try:
            answer = self._kms.sign(
                KeyId=key, Message=msg, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
            )
        except HTTPClientError as error:
            raise unavailable(error) from error
        except ClientError as error:
            if error.response["Error"]["Code"] in _TRANSIENT:
                raise UnavailableError(error.response["Error"]["Code"]) from error
            raise unavailable(error) from error
        return der_to_raw_signature(answer["Signature"], SECP256R1())


class KMSAccessTokens:
    """Satisfies `ports.AccessTokenIssuer`. The private key never leaves KMS."""

    def __init__(self, kms: KMSClient, signing_key_id: str, issuer: str) -> None:
        self._key_id = signing_key_id
        self._issuer = issuer
        self._jws = PyJWS(algorithms=[])
        self._jws.register_algorithm(ALGORITHM, _SignedByKMS(kms))

    def issue(self, principal_id: str, role: str, lifetime: timedelta) -> AccessToken:
        now = utc_now()
        claims = {
            "aud": AUDIENCE,
            "exp": epoch_seconds(now + lifetime),
            "iat": epoch_seconds(now),
            "iss": self._issuer,
            "jti": new_id("jti"),
            "role": Role(role).value,
            "sub": principal_id,
        }
        text = self._jws.encode(
            json.dumps(claims).encode(),
            self._key_id,
            algorithm=ALGORITHM,
            headers={"kid": self._key_id, "typ": ACCESS_TOKEN_TYPE},
        )
        return AccessToken(text, lifetime)


def jwk_set(public_keys: Mapping[str, EllipticCurvePublicKey]) -> list[dict[str, str]]:
    """Describe keys, given by key id, as the members of a JWK Set."""
    return [
        {**ECAlgorithm.to_jwk(key, as_dict=True), "use": "sig", "alg": ALGORITHM, "kid": key_id}
        for key_id, key in public_keys.items()
    ]

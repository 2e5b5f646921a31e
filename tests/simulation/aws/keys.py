"""KMS keys that sign, and secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.simulation.aws.refusals import NotModelledError, refusal


class KMS:
    """Keys of P-256. The same message has the same signature in every run (RFC 6979)."""

    def __init__(self) -> None:
        self._keys: dict[str, EllipticCurvePrivateKey] = {}

    def create(self, key_id: str) -> None:
        """Make a key; its private half follows from its id, so that each run has the same one."""
        digest = hashlib.sha256(key_id.encode()).digest()
        self._keys[key_id] = derive_private_key(int.from_bytes(digest[1:], "big"), SECP256R1())

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        key = self._keys.get(parameters["KeyId"])
        if key is None:
            raise refusal("NotFoundException", "no such key")
        match operation:
            case "Sign":
                algorithm = ECDSA(SHA256(), deterministic_signing=True)
                return {"Signature": key.sign(parameters["Message"], algorithm)}
            case "GetPublicKey":
                encoded = key.public_key().public_bytes(
                    Encoding.DER, PublicFormat.SubjectPublicKeyInfo
                )
                return {"PublicKey": encoded}
        raise NotModelledError(f"kms.{operation}")


class SecretsManager:
    """Secrets by ARN and by name."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "GetSecretValue":
            raise NotModelledError(f"secretsmanager.{operation}")
        text = self.secrets.get(parameters["SecretId"])
        if text is None:
            raise refusal("ResourceNotFoundException", "no such secret")
        return {"SecretString": text}

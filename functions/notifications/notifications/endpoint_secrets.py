"""The secrets that sign webhooks, derived from one that lies in Secrets Manager."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tradepost.platform import aws

# standardwebhooks.com: a secret has 24 to 64 bytes, and begins with whsec_ where people see it.
_SECRET_BYTES = 32
_PREFIX = "whsec_"


class DerivedSecrets:
    """Satisfies `ports.Secrets`. Nothing secret is kept: the table knows only the generation."""

    def __init__(self, secret_id: str) -> None:
        self._secret_id = secret_id

    def of(self, endpoint_id: str, generation: int) -> str:
        master = aws.secret(self._secret_id)["key"]
        derivation = HKDF(
            algorithm=SHA256(),
            length=_SECRET_BYTES,
            salt=None,
            info=f"tradepost webhook {endpoint_id} {generation}".encode(),
        )
        return _PREFIX + base64.b64encode(derivation.derive(master.encode())).decode()

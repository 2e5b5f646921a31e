"""API keys as the border sees them: read out of a header, and asked of users.

The secret itself stays where it arrived: users is told its digest.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tradepost.kernel.errors import UnauthenticatedError
from tradepost.platform.limiter import TooManyRequestsError
from tradepost.platform.questions import Questions

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# The two questions, which packaging grants: to the authorizer, and to borders that let keys in.
RECOGNISE = "users-recognise_partner"
ADMIT = "users-admit_partner"

_KEY = re.compile(r"tp_([0-9a-hjkmnp-tv-z]{26})_([A-Za-z0-9_-]{43})")


class KeyRefusedError(UnauthenticatedError):
    """It was revoked, or rotated out, while the gateway still knew it."""

    code = "unauthorized"

    def __init__(self) -> None:
        super().__init__("this API key is not good any more")


@dataclass(frozen=True, slots=True)
class PartnerKey:
    """A key as it was shown to us, which need not be one of ours."""

    key_id: str
    digest: str = field(repr=False)  # SHA-256 of its secret, in hexadecimal

    @classmethod
    def parse(cls, token: str) -> PartnerKey | None:
        """Read `tp_<id>_<secret>`; None if it has another shape."""
        found = _KEY.fullmatch(token)
        if found is None:
            return None
        key_id, secret = found.groups()
        return cls(f"key_{key_id}", hashlib.sha256(secret.encode()).hexdigest())


class Partners:
    """Asks users, who keeps the keys and counts what each may do."""

    def __init__(self, client: LambdaClient, stage: str) -> None:
        self._questions = Questions(client, stage)

    def scopes_of(self, key: PartnerKey) -> frozenset[str] | None:
        """Tell what a key opens; None if it is none of ours, or good no more.

        Raises
        ------
        UnavailableError
        """
        answer = self._questions.ask(RECOGNISE, _asked(key))
        return None if answer["scopes"] is None else frozenset(answer["scopes"])

    def admit(self, key: PartnerKey) -> None:
        """Count one request of a key.

        Raises
        ------
        KeyRefusedError
            It is good no more.
        TooManyRequestsError
            There were as many in this minute as it allows.
        UnavailableError
        """
        answer = self._questions.ask(ADMIT, _asked(key))
        if not answer["is_good"]:
            raise KeyRefusedError
        if answer["retry_after_seconds"] is not None:
            raise TooManyRequestsError(answer["retry_after_seconds"])


def _asked(key: PartnerKey) -> dict[str, str]:
    return {"key_id": key.key_id, "digest": key.digest}

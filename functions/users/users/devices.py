"""Devices known again: a token given at a log-in, which says only that one has succeeded here."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import jwt

from tradepost.kernel.clock import epoch_seconds, utc_now
from tradepost.kernel.ids import new_id
from tradepost.platform import aws
from users.model import Account

DEVICE_TOKEN_LENGTH_MAX = 1_024
LIFETIME = timedelta(days=180)

_ALGORITHM = "HS256"
_AUDIENCE = "device"
_CLAIMS = ["aud", "exp", "gen", "jti", "sub"]


class SignedDevices:
    """Satisfies `ports.Devices`. Nothing is stored: a token is void with its password."""

    def issue(self, account: Account) -> str:
        return jwt.encode(
            {
                "aud": _AUDIENCE,
                "exp": epoch_seconds(utc_now() + LIFETIME),
                "gen": account.generation,
                "jti": new_id("dev"),
                "sub": account.user_id,
            },
            _key(),
            algorithm=_ALGORITHM,
        )

    def known(self, token: str | None, account: Account) -> str | None:
        if token is None:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                _key(),
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                # PyJWT would read the machine's clock; expiry is compared with ours.
                options={"require": _CLAIMS, "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            return None
        is_current = claims["exp"] > epoch_seconds(utc_now())
        is_its = (claims["sub"], claims["gen"]) == (account.user_id, account.generation)
        return str(claims["jti"]) if is_current and is_its else None


def _key() -> str:
    return aws.secret(os.environ["DEVICE_SECRET"])["key"]

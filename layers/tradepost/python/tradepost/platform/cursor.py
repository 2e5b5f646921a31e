"""Page cursors: opaque, signed, and good only where they were given out.

A cursor holds the position after the last item of a page, never the partition: that comes from
the request itself, so that a cursor cannot lead into another person's data.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import jwt
from pydantic import Field

from tradepost.kernel.clock import epoch_seconds, utc_now
from tradepost.kernel.errors import InvalidError
from tradepost.platform import aws
from tradepost.platform.bodies import RequestModel

PAGE_SIZE = 20
PAGE_SIZE_MAX = 100
CURSOR_LENGTH_MAX = 2_048

_ALGORITHM = "HS256"
_LIFETIME = timedelta(days=1)
# A page read again has the same cursor, to the byte, until the hour changes.
_HOUR_SECONDS = 3_600


class Page(RequestModel):
    """Which page of a listing is asked for: the first, or what comes after one."""

    limit: int = Field(default=PAGE_SIZE, ge=1, le=PAGE_SIZE_MAX)
    cursor: str | None = Field(default=None, max_length=CURSOR_LENGTH_MAX)


class InvalidCursorError(InvalidError):
    """The cursor is forged, expired, or from another listing."""

    code = "invalid_cursor"


def sign_cursor(position: dict[str, Any] | None, listing: str) -> str | None:
    """Wrap a position of `listing` (the route, the caller and the filters); None ends the list."""
    if position is None:
        return None
    expires_at = epoch_seconds(utc_now() + _LIFETIME)
    expires_at += -expires_at % _HOUR_SECONDS
    return jwt.encode(
        {"at": position, "aud": listing, "exp": expires_at}, _key(), algorithm=_ALGORITHM
    )


def read_cursor(cursor: str | None, listing: str) -> dict[str, Any] | None:
    """Unwrap a cursor that `sign_cursor` made for the same listing; None begins at the start.

    Raises
    ------
    InvalidCursorError
        Forged, expired, or given out by another listing.
    """
    if cursor is None:
        return None
    try:
        claims = jwt.decode(
            cursor,
            _key(),
            algorithms=[_ALGORITHM],
            audience=listing,
            options={"require": ["exp", "aud", "at"], "verify_exp": False},
        )
    except jwt.InvalidTokenError as error:
        raise InvalidCursorError("the cursor is not one of this listing") from error
    if claims["exp"] <= epoch_seconds(utc_now()):
        raise InvalidCursorError("the cursor has expired; begin again")
    position: dict[str, Any] = claims["at"]
    return position


def _key() -> str:
    return aws.secret(os.environ["CURSOR_SECRET"])["key"]

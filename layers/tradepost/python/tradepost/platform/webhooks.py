"""Webhooks, in and out, signed as standardwebhooks.com lays down.

The signature covers the message's id, its time and its raw body. While a secret is rotated both
the new and the old one are believed.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from standardwebhooks.webhooks import Webhook

from tradepost.kernel.errors import UnauthenticatedError
from tradepost.platform.arguments import RawRequest

# standardwebhooks.com, "Verifying webhook authenticity". It holds both ways: a message from the
# future may be replayed for as long as it is ahead.
TOLERANCE = timedelta(minutes=5)

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


class WebhookSignatureError(UnauthenticatedError):
    """Nobody who knows the secret sent this, or not now."""

    code = "invalid_signature"

    def __init__(self) -> None:
        super().__init__("the webhook's signature does not hold")


def believed(stored: Mapping[str, str]) -> list[str]:
    """Choose what to believe of a stored secret: `current`, and `previous` while it is rotated."""
    return [stored[name] for name in ("current", "previous") if name in stored]


def signed_headers(secret: str, message_id: str, body: str, *, at: datetime) -> dict[str, str]:
    """Make the headers a message is sent under. `secret` is base64, with whsec_ or without."""
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(int(at.timestamp())),
        SIGNATURE_HEADER: Webhook(secret).sign(message_id, at.astimezone(UTC), body),
    }


def verify(secrets: Sequence[str], request: RawRequest, *, now: datetime) -> str:
    """Return the id of a message that one of the secrets signed, at most five minutes from now.

    Raises
    ------
    WebhookSignatureError
        Forged, altered, too old, from the future, or not signed at all.
    """
    message_id, at, signatures = _claimed(request.headers)
    if abs(at - now) > TOLERANCE:
        raise WebhookSignatureError
    try:
        body = request.body.decode()
    except UnicodeDecodeError as error:
        raise WebhookSignatureError from error
    # The library's own `verify` reads the machine's clock, and fails on a malformed signature.
    expected = [Webhook(secret).sign(message_id, at, body).encode() for secret in secrets]
    sent = [signature.encode() for signature in signatures.split()]
    if not any(hmac.compare_digest(one, other) for one in expected for other in sent):
        raise WebhookSignatureError
    return message_id


def _claimed(headers: Mapping[str, str]) -> tuple[str, datetime, str]:
    try:
        at = datetime.fromtimestamp(int(headers[TIMESTAMP_HEADER]), UTC)
        return headers[ID_HEADER], at, headers[SIGNATURE_HEADER]
    except (KeyError, ValueError, OverflowError, OSError) as error:
        raise WebhookSignatureError from error

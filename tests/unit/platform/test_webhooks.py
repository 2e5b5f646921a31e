"""A webhook is believed when one who knows the secret signed these bytes, just now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook

from tradepost.platform.arguments import RawRequest
from tradepost.platform.webhooks import TOLERANCE, WebhookSignatureError, signed_headers, verify

SECRET = "c2VjcmV0IG9uZSBvZiB0aGlydHktdHdvIGJ5dGVz"
OLD_SECRET = "c2VjcmV0IHR3byBvZiB0aGlydHktdHdvIGJ5dGVz"
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
BODY = '{"type": "charge.captured"}'


def sent(body: str = BODY, *, secret: str = SECRET, at: datetime = NOW) -> RawRequest:
    return RawRequest(body.encode(), signed_headers(secret, "msg_1", body, at=at))


def test_what_was_signed_with_the_secret_is_believed() -> None:
    assert verify([SECRET], sent(), now=NOW) == "msg_1"


def test_another_implementation_of_the_standard_believes_what_we_sign() -> None:
    now = datetime.now(UTC)

    Webhook(SECRET).verify(BODY, signed_headers(SECRET, "msg_1", BODY, at=now))


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_both_secrets_are_believed_while_one_replaces_the_other(secret: str) -> None:
    assert verify([SECRET, OLD_SECRET], sent(secret=secret), now=NOW) == "msg_1"


def test_a_secret_that_was_replaced_is_believed_no_longer() -> None:
    with pytest.raises(WebhookSignatureError):
        verify([SECRET], sent(secret=OLD_SECRET), now=NOW)


@pytest.mark.parametrize("sign", [-1, 1], ids=["old", "from the future"])
def test_a_message_more_than_five_minutes_from_now_is_refused(sign: int) -> None:
    verify([SECRET], sent(at=NOW + sign * TOLERANCE), now=NOW)

    with pytest.raises(WebhookSignatureError):
        verify([SECRET], sent(at=NOW + sign * (TOLERANCE + timedelta(seconds=1))), now=NOW)


@pytest.mark.parametrize("place", range(len(BODY)))
def test_a_body_with_one_bit_changed_is_refused(place: int) -> None:
    altered = bytearray(BODY.encode())
    altered[place] ^= 1

    with pytest.raises(WebhookSignatureError):
        verify([SECRET], RawRequest(bytes(altered), sent().headers), now=NOW)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "x", "v1", "v1,", "v2,abc", "9" * 40, "é", "\x00"])
def test_a_message_with_a_header_missing_or_malformed_is_refused(
    header: str, value: str | None
) -> None:
    headers = {**sent().headers, header: value}
    given = {name: text for name, text in headers.items() if text is not None}

    with pytest.raises(WebhookSignatureError):
        verify([SECRET], RawRequest(BODY.encode(), given), now=NOW)


def test_a_body_that_is_no_text_is_refused() -> None:
    with pytest.raises(WebhookSignatureError):
        verify([SECRET], RawRequest(b"\xff\xfe", sent().headers), now=NOW)

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tradepost.kernel.ids import new_id
from tradepost.kernel.randomness import random_bytes
from users.sessions import (
    REPLAY_WINDOW,
    SESSION_LIFETIME,
    RefreshToken,
    RefreshTokenInvalidError,
    Session,
)

NOW = datetime(2026, 2, 3, 12, tzinfo=UTC)
NONCE = "a nonce only the client knows"
MOMENT = timedelta(milliseconds=1)


def a_token() -> RefreshToken:
    return RefreshToken(new_id("usr"), new_id("ses"), random_bytes(32))


def test_a_refresh_token_is_read_as_it_was_written():
    token = a_token()

    assert RefreshToken.parse(str(token)) == token


@pytest.mark.parametrize(
    "broken",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text + "\n",
        lambda text: text.replace("usr_", "gst_"),
        lambda text: text.split(".")[2],
        lambda text: f"{text}.{text}",
        lambda text: "eyJhbGciOiJFUzI1NiJ9.e30.c2ln",
    ],
)
def test_what_does_not_have_a_refresh_tokens_shape_is_refused(broken):
    with pytest.raises(RefreshTokenInvalidError):
        RefreshToken.parse(broken(str(a_token())))


def test_a_refresh_token_shows_its_secret_only_when_written_out():
    token = a_token()

    assert str(token).rpartition(".")[2] not in repr(token)
    assert repr(token.secret) not in repr(token)


def test_a_session_keeps_only_a_digest_of_the_secret():
    token = a_token()

    session = Session.opened(token, NOW)

    assert session.digest == token.digest
    assert session.digest != token.secret
    assert token.secret not in vars_of(session)


def vars_of(session: Session) -> list[object]:
    return [getattr(session, name) for name in session.__slots__]


def test_a_session_lives_thirty_days_and_not_a_moment_longer():
    session = Session.opened(a_token(), NOW)

    assert timedelta(days=30) == SESSION_LIFETIME
    assert not session.has_expired(NOW + SESSION_LIFETIME - MOMENT)
    assert session.has_expired(NOW + SESSION_LIFETIME)


def test_each_refresh_begins_the_thirty_days_anew():
    token = a_token()
    later = NOW + timedelta(days=29)

    session = Session.opened(token, NOW)
    refreshed = session.replaced(token, token.successor(random_bytes), None, later)

    assert refreshed.expires_at == later + SESSION_LIFETIME


def test_after_a_refresh_only_the_successor_is_good():
    token = a_token()
    successor = token.successor(random_bytes)

    session = Session.opened(token, NOW).replaced(token, successor, None, NOW)

    assert session.accepts(successor)
    assert not session.accepts(token)


def test_a_lost_answer_is_given_again_within_ten_seconds():
    token = a_token()
    successor = token.successor(random_bytes)

    session = Session.opened(token, NOW).replaced(token, successor, NONCE, NOW)

    assert session.successor_again(token, NONCE, NOW) == successor
    assert session.successor_again(token, NONCE, NOW + REPLAY_WINDOW - MOMENT) == successor


def test_a_lost_answer_is_not_given_to_a_thief_or_later():
    token = a_token()
    successor = token.successor(random_bytes)

    session = Session.opened(token, NOW).replaced(token, successor, NONCE, NOW)

    assert timedelta(seconds=10) == REPLAY_WINDOW
    assert session.successor_again(token, NONCE, NOW + REPLAY_WINDOW) is None
    assert session.successor_again(token, None, NOW) is None
    assert session.successor_again(token, NONCE + "!", NOW) is None
    assert session.successor_again(token.successor(random_bytes), NONCE, NOW) is None


def test_without_a_nonce_no_answer_is_kept():
    token = a_token()

    session = Session.opened(token, NOW).replaced(token, token.successor(random_bytes), None, NOW)

    assert session.kept_answer is None
    assert session.successor_again(token, NONCE, NOW) is None


def test_the_kept_answer_does_not_show_the_successor():
    token = a_token()
    successor = token.successor(random_bytes)

    sealed = token.seal(successor, NONCE)

    assert successor.secret not in sealed
    assert token.unseal(sealed, NONCE) == successor
    assert token.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), NONCE) is None

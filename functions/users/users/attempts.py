"""
How often somebody may try before they have to wait, so that nobody guesses a password and no
stranger can lock its holder out.

A password is tried against a count that belongs to the device, once that has logged in before, and
otherwise to the address that was typed: a stranger who fails on purpose uses up the strangers'
count, which the holder's own devices do not share. After a hundred failures in a row strangers are
refused for that address until somebody logs in or a reset letter, which is always to be had, is
used. Addresses without an account are counted alike, and kept as digests.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta

from tradepost.kernel.clock import Clock
from tradepost.platform.limiter import Limit, Limiter, TooManyRequestsError
from users.api_keys import RATE_WINDOW, APIKey
from users.letters import RESET_LIFETIME
from users.trying import ResetNeededError, digest_of

LOG_INS_MAX = 10
LOG_INS_WINDOW = timedelta(minutes=15)

# NIST SP 800-63B-4, section 3.2.2: no more than 100 consecutive failed attempts.
FAILURES_IN_A_ROW_MAX = 100
_ROW_KEPT = timedelta(days=30)

PASSWORDS_MAX = 10
RESET_LETTERS_MAX = 5
LETTERS_MAX = 5
LETTERS_WINDOW = timedelta(hours=1)
BY_ADDRESS_WINDOW = timedelta(minutes=15)

_LOG_INS = Limit(LOG_INS_MAX, LOG_INS_WINDOW)
_PASSWORDS = Limit(PASSWORDS_MAX, LOG_INS_WINDOW)
_RESET_LETTERS = Limit(RESET_LETTERS_MAX, RESET_LIFETIME)
_LETTERS = Limit(LETTERS_MAX, LETTERS_WINDOW)

# A household or a server has a whole /64 (RFC 6177): its addresses are one.
_IPV6_PREFIX = 64


class CountedAttempts:
    """Satisfies `ports.Attempts`, over one limiter."""

    def __init__(self, limiter: Limiter, now: Clock, *, by_address_max: int) -> None:
        self._limiter = limiter
        self._now = now
        self._by_address = Limit(by_address_max, BY_ADDRESS_WINDOW)

    def by_address(self, client_address: str) -> None:
        self._limiter.admit(
            f"ADDRESS#{digest_of(_network(client_address))}", self._by_address, self._now()
        )

    def log_in(self, subject: str) -> datetime:
        now = self._now()
        self._limiter.admit(f"LOG_IN#{subject}", _LOG_INS, now)
        row = f"FAILURES#{subject}"
        if not self._limiter.admit_in_a_row(row, FAILURES_IN_A_ROW_MAX, _ROW_KEPT, now):
            raise ResetNeededError
        return now

    def succeeded(self, subject: str, counted_at: datetime | None = None) -> None:
        self._limiter.end_row(f"FAILURES#{subject}")
        if counted_at is not None:
            self._limiter.give_back(f"LOG_IN#{subject}", _LOG_INS, counted_at)

    def password(self, user_id: str) -> None:
        self._limiter.admit(f"PASSWORD#{user_id}", _PASSWORDS, self._now())

    def may_write_reset(self, email: str) -> bool:
        try:
            self._limiter.admit(f"RESET#{digest_of(email)}", _RESET_LETTERS, self._now())
        except TooManyRequestsError:
            return False
        return True

    def letter(self, user_id: str) -> None:
        self._limiter.admit(f"LETTER#{user_id}", _LETTERS, self._now())

    def by_key(self, key: APIKey) -> None:
        rate = Limit(key.requests_per_minute, RATE_WINDOW)
        self._limiter.admit(f"KEY#{key.key_id}", rate, self._now())


def _network(client_address: str) -> str:
    try:
        address = ipaddress.ip_address(client_address)
    except ValueError:
        return client_address
    if address.version == 4:
        return client_address
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))

"""The shop over HTTP, as the command line speaks to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

Json = dict[str, Any]
Pause = Callable[[float], None]

# A shop that starts, throttles or restarts answers within this; a broken one does not.
_ATTEMPTS_MAX = 8
_FIRST_PAUSE_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 5.0
_TIMEOUT_SECONDS = 60.0
_RETRY_AFTER_SECONDS_MAX = 60.0

# The same call may succeed later. Every POST sent here has a key or is harmless to repeat.
_WORTH_REPEATING = {429, 502, 503, 504}
_SERVER_ERROR = 500
_UNAUTHORIZED = 401


class ShopRefusedError(Exception):
    """The shop answered with a problem document. The message is one line for a person."""

    def __init__(self, request: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{request}: {status} {code}: {detail}")
        self.status = status
        self.code = code


class ShopUnreachableError(Exception):
    """Nothing answers at the address, or what answers is no shop."""


class Shop:
    """One shop's address, and a pool of connections to it. Used by several threads at once.

    `server_errors` counts every answer of 500 and above, repeated ones included.
    """

    def __init__(
        self,
        url: str,
        *,
        connections: int = 20,
        transport: httpx.BaseTransport | None = None,
        pause: Pause = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._fault = _fault_of(url)
        self.pause = pause
        self.server_errors = 0
        self._counting = threading.Lock()
        self._client = httpx.Client(
            base_url=self.url,
            transport=transport,
            timeout=_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def close(self) -> None:
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        token: str | None = None,
        key: str | None = None,
    ) -> Json:
        """Send one request, repeated while the shop is busy; `key` is its Idempotency-Key.

        Raises
        ------
        ShopRefusedError
            The shop said no.
        ShopUnreachableError
            No shop answered, however often it was asked.
        """
        if self._fault is not None:
            raise ShopUnreachableError(self._fault)
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        wait = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            asked = 0.0
            try:
                answer = self._client.request(method, path, json=body, headers=headers)
            except httpx.InvalidURL as error:
                raise ShopUnreachableError(f"{self.url} is no address: {error}") from error
            except httpx.TransportError as error:
                if attempt == _ATTEMPTS_MAX:
                    raise ShopUnreachableError(f"no shop answers at {self.url}: {error}") from error
            else:
                self._count(answer)
                if answer.status_code not in _WORTH_REPEATING or attempt == _ATTEMPTS_MAX:
                    return _read(f"{method} {path}", answer)
                asked = _retry_after_seconds(answer)
            self.pause(max(wait, asked))
            wait = min(wait * 2, _PAUSE_SECONDS_MAX)
        raise AssertionError("the last attempt returns or raises")

    def _count(self, answer: httpx.Response) -> None:
        if answer.status_code >= _SERVER_ERROR:
            with self._counting:
                self.server_errors += 1


class Session:
    """Somebody at the shop. A token that has expired is replaced once per call, by `log_in`."""

    def __init__(self, shop: Shop, log_in: Callable[[], str]) -> None:
        self.shop = shop
        self._begin = log_in
        self._token: str | None = None

    def log_in(self) -> None:
        """Get a fresh token now. Raises what `Shop.call` raises."""
        self._token = self._begin()

    def call(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None
    ) -> Json:
        """Send one request in this person's name. Raises what `Shop.call` raises."""
        if self._token is None:
            self.log_in()
        try:
            return self.shop.call(method, path, body, token=self._token, key=key)
        except ShopRefusedError as refusal:
            if refusal.status != _UNAUTHORIZED:
                raise
        self.log_in()
        return self.shop.call(method, path, body, token=self._token, key=key)


def session_of(shop: Shop, email: str, password: str) -> Session:
    """Begin a session of an account; it logs in with its first call."""

    def log_in() -> str:
        answer = shop.call("POST", "/v1/sessions", {"email": email, "password": password})
        return str(answer["access_token"])

    return Session(shop, log_in)


def guest_session(shop: Shop) -> Session:
    """Begin a guest's session, with a token of its own."""
    return Session(shop, lambda: str(shop.call("POST", "/v1/guests")["access_token"]))


def _read(request: str, answer: httpx.Response) -> Json:
    try:
        document = answer.json() if answer.content else {}
    except ValueError as error:
        raise ShopUnreachableError(
            f"{request}: {answer.status_code}, and no JSON: is this a shop?"
        ) from error
    if not isinstance(document, dict):
        raise ShopUnreachableError(f"{request}: {answer.status_code}, and no JSON object")
    if answer.is_success:
        return document
    raise ShopRefusedError(
        request,
        answer.status_code,
        str(document.get("code", "unknown")),
        str(document.get("detail", document.get("message", answer.reason_phrase))),
    )


def _fault_of(url: str) -> str | None:
    """Tell why an address can be no shop's, whoever is asked there; None if it may be one."""
    if not url.startswith(("http://", "https://")):
        return f"{url} is no address of a shop: begin it with http://"
    try:
        return None if urlsplit(url).hostname else f"{url} names no shop"
    except ValueError as error:
        return f"{url} is no address: {error}"


def _retry_after_seconds(answer: httpx.Response) -> float:
    """Tell how long the shop asks to be left alone; a date, which it never sends, is no time."""
    told = answer.headers.get("Retry-After", "")
    return min(float(told), _RETRY_AFTER_SECONDS_MAX) if told.isdecimal() else 0.0

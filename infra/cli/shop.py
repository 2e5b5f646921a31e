"""The shop over HTTP, as the command line speaks to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import typer

Json = dict[str, Any]
Pause = Callable[[float], None]
Say = Callable[[str], None]

# A shop that starts, throttles or restarts answers within this; a broken one does not.
_ATTEMPTS_MAX = 8
_FIRST_PAUSE_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 5.0
_TIMEOUT_SECONDS = 60.0
# Nobody should sit before a silent terminal for longer: who is told may come back later.
_RETRY_AFTER_SECONDS_MAX = 60.0
# A person hardly notices less.
_TOLD_FROM_SECONDS = 3.0

# The same call may succeed later. Every POST sent here has a key or is harmless to repeat.
_WORTH_REPEATING = {429, 502, 503, 504}
_SERVER_ERROR = 500
_UNAUTHORIZED = 401
_TOO_MANY = "too_many_requests"
_LOG_IN = "POST /v1/sessions"


class ShopRefusedError(Exception):
    """The shop answered with a problem document. The message is one line for a person."""

    def __init__(self, request: str, status: int, code: str, detail: str) -> None:
        super().__init__(f"{request}: {status} {code}: {detail}")
        self.request = request
        self.status = status
        self.code = code
        self.detail = detail


class ShopAsksToWaitError(ShopRefusedError):
    """The shop asks to be left alone for longer than a command waits."""

    def __init__(self, refusal: ShopRefusedError, asked_seconds: float) -> None:
        super().__init__(refusal.request, refusal.status, refusal.code, refusal.detail)
        self.asked_seconds = asked_seconds

    def __str__(self) -> str:
        return _waits(self.asked_seconds, self)


class ShopUnreachableError(Exception):
    """Nothing answers at the address, or what answers is no shop."""


class ShopInterruptedError(Exception):
    """`Shop.interrupt` was called while a request waited to be repeated."""


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
        pause: Pause | None = None,
        say: Say | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._fault = _fault_of(url)
        self._interrupted = threading.Event()
        self.pause = pause or self._wait
        self._say = say or _say
        self._saying = threading.Lock()
        self._told_until = 0.0
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

    def interrupt(self) -> None:
        """End all pauses, those to come too: who waits gets a ShopInterruptedError.

        A request under way is still answered.
        """
        self._interrupted.set()

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
        ShopAsksToWaitError
            It asks to be left alone for more than a minute.
        ShopUnreachableError
            No shop answered, however often it was asked.
        ShopInterruptedError
            `interrupt` was called before the shop had time for the request.
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
                asked = self._asked(_refusal_of(f"{method} {path}", answer), answer)
            self.pause(max(wait, asked))
            wait = min(wait * 2, _PAUSE_SECONDS_MAX)
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, seconds: float) -> None:
        if self._interrupted.wait(seconds):
            raise ShopInterruptedError("interrupted while the shop was busy")

    def _asked(self, refusal: ShopRefusedError, answer: httpx.Response) -> float:
        """Tell how long the shop asks to be left alone, and say so once, however many ask.

        Raises
        ------
        ShopAsksToWaitError
            It is too long.
        """
        asked = _retry_after_seconds(answer)
        if asked > _RETRY_AFTER_SECONDS_MAX:
            raise ShopAsksToWaitError(refusal, asked)
        if asked >= _TOLD_FROM_SECONDS:
            with self._saying:
                now = time.monotonic()
                if now >= self._told_until:
                    self._told_until = now + asked
                    self._say(_waits(asked, refusal))
        return asked

    def _count(self, answer: httpx.Response) -> None:
        if answer.status_code >= _SERVER_ERROR:
            with self._counting:
                self.server_errors += 1


class Session:
    """Somebody at the shop. A token that has expired is replaced once per call, by `log_in`.

    Used by several threads at once: of those that need a token at the same time one logs in,
    and all get what comes of it.
    """

    def __init__(self, shop: Shop, log_in: Callable[[], str]) -> None:
        self.shop = shop
        self._begin = log_in
        self._token: str | None = None
        self._logging_in = threading.Lock()
        self._failed = 0
        self._failure: Exception | None = None

    def log_in(self) -> None:
        """Get a fresh token now. Raises what `Shop.call` raises."""
        self._other_than(self._token)

    def call(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None
    ) -> Json:
        """Send one request in this person's name. Raises what `Shop.call` raises."""
        token = self._token or self._other_than(None)
        try:
            return self.shop.call(method, path, body, token=token, key=key)
        except ShopRefusedError as refusal:
            if refusal.status != _UNAUTHORIZED:
                raise
        return self.shop.call(method, path, body, token=self._other_than(token), key=key)

    def _other_than(self, token: str | None) -> str:
        """Log in, unless another thread has done so since `token` was the session's."""
        failed = self._failed
        with self._logging_in:
            if self._token is not None and self._token != token:
                return self._token
            if self._failure is not None and self._failed != failed:
                # Every attempt counts against the account: one that waited makes no other.
                raise self._failure
            try:
                self._token = self._begin()
            except Exception as failure:
                self._failed += 1
                self._failure = failure
                raise
            return self._token


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
    raise _refusal_of(request, answer)


def _refusal_of(request: str, answer: httpx.Response) -> ShopRefusedError:
    """Read a refusal; a proxy before a shop that starts sends no problem document."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {}
    return ShopRefusedError(
        request,
        answer.status_code,
        str(document.get("code", "unknown")),
        str(document.get("detail", document.get("message", answer.reason_phrase))),
    )


def _waits(seconds: float, refusal: ShopRefusedError) -> str:
    why = refusal.detail
    if refusal.code == _TOO_MANY:
        why = "too many log-ins" if refusal.request == _LOG_IN else "too many requests"
    return f"the shop asks to wait {seconds:.0f} s: {why}"


def _say(line: str) -> None:
    typer.echo(line, err=True)


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
    return float(told) if told.isdecimal() else 0.0

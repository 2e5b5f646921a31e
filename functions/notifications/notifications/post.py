"""Sending events to addresses that others chose, without being led astray by them."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from notifications.deliveries import ANSWER_LENGTH_MAX, Answer, PublishedEvent
from notifications.endpoints import is_loopback, is_public
from tradepost.kernel.clock import utc_now
from tradepost.platform.webhooks import SIGNATURE_HEADER, signed_headers

# Of connecting, of the handshake, and between two pieces of an answer.
_SILENCE_SECONDS = 3
# Of an attempt in all, however slowly the other side drips.
ATTEMPT_SECONDS = 5
# Four bytes a character at most, in UTF-8.
_ANSWER_BYTES_MAX = 4 * ANSWER_LENGTH_MAX

_PORTS = {"https": 443, "http": 80}

# The IPv4 addresses of a host.
Resolver = Callable[[str, int], list[str]]


# Whatever connecting, sending and reading raise: the other side's doing.
_FAILURES = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)


class _AddressRefusedError(Exception):
    """The host leads to where no event is to be sent."""


class HTTPPost:
    """Satisfies `ports.Post`, over bare connections: no redirect, no proxy, no cookie, no retry.

    A host's addresses are looked up once, all of them must be public, and the connection is made
    to the one that was checked, so that a name cannot lead elsewhere a moment later.
    """

    def __init__(self, *, loopback_allowed: bool, resolver: Resolver | None = None) -> None:
        self._loopback_allowed = loopback_allowed
        self._resolver = resolver or _resolved

    def sign_and_send(self, url: str, event: PublishedEvent, secrets: Sequence[str]) -> Answer:
        headers = _headers(event, secrets)
        began = time.monotonic()
        status_code, text, failure = self._attempt(urlsplit(url), headers, event.body)
        duration = int((time.monotonic() - began) * 1000)
        return Answer(duration, status_code, text, failure)

    def _attempt(
        self, url: SplitResult, headers: dict[str, str], body: str
    ) -> tuple[int | None, str, str | None]:
        try:
            connection = self._connection(url)
        except _AddressRefusedError:
            return None, "", "address_refused"
        except (OSError, UnicodeError):  # nobody knows the name, or it can be none
            return None, "", "unknown_host"
        with _ended_after(ATTEMPT_SECONDS, connection) as ended:
            try:
                connection.request(
                    "POST",
                    url.path + (f"?{url.query}" if url.query else ""),
                    body.encode(),
                    {**headers, "Host": url.netloc},
                    preload_content=False,
                    decode_content=False,
                )
                response = connection.getresponse()
            except _FAILURES as error:
                return None, "", "timeout" if ended.is_set() else _failure(error)
            if ended.is_set():
                # What was cut off among the headers looks like their end.
                return None, "", "timeout"
            return response.status, _beginning(response), None

    def _connection(self, url: SplitResult) -> HTTPConnection:
        host = url.hostname or ""
        port = url.port or _PORTS[url.scheme]
        addresses = self._resolver(host, port)
        at_home = self._loopback_allowed and all(is_loopback(one) for one in addresses)
        if not addresses or not (at_home or all(is_public(one) for one in addresses)):
            raise _AddressRefusedError
        if url.scheme == "http":
            if not at_home:
                raise _AddressRefusedError
            return HTTPConnection(addresses[0], port, timeout=_SILENCE_SECONDS)
        return HTTPSConnection(
            addresses[0],
            port,
            timeout=_SILENCE_SECONDS,
            cert_reqs="CERT_REQUIRED",
            server_hostname=host,
        )


def _headers(event: PublishedEvent, secrets: Sequence[str]) -> dict[str, str]:
    """Sign with every secret: the receiver believes a message if one of the signatures holds."""
    at = utc_now()
    signed = [signed_headers(secret, event.event_id, event.body, at=at) for secret in secrets]
    return {
        **signed[0],
        SIGNATURE_HEADER: " ".join(headers[SIGNATURE_HEADER] for headers in signed),
        "Content-Type": "application/json",
        "User-Agent": "Tradepost-Webhooks/1",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


@contextmanager
def _ended_after(seconds: int, connection: HTTPConnection) -> Iterator[threading.Event]:
    """Cut a connection off when its time is up; close it in any case."""
    ended = threading.Event()

    def cut_off() -> None:
        ended.set()
        # Whoever reads from it wakes up; closing it would not wake them.
        with suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield ended
    finally:
        timer.cancel()
        connection.close()


def _failure(error: Exception) -> str:
    match error:
        # urllib3 counts a refused connection among its time-outs.
        case urllib3.exceptions.NewConnectionError():
            return "connection"
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            return "timeout"
        case ssl.SSLError():
            return "tls"
    return "connection"


def _beginning(response: urllib3.BaseHTTPResponse) -> str:
    """Read the beginning of an answer; one that breaks off was an answer all the same."""
    try:
        read = response.read(_ANSWER_BYTES_MAX, decode_content=False)
    except _FAILURES:
        return ""
    return read.decode(errors="replace")[:ANSWER_LENGTH_MAX]


def _resolved(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]

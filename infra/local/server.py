"""The local stack over HTTP: the API, what is only local under `/_local`, and AWS under `/_aws`."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from waitress.server import create_server

from infra.local import call_counts
from infra.local.controls import Controls
from infra.local.stack import LocalStack

THREADS = 32
CONNECTIONS_MAX = 2_000
# The gateway answers a larger body itself, so the server must let it in.
BODY_BYTES_MAX = 11 * 1024 * 1024
LOOPBACK = frozenset({"127.0.0.1", "::1"})

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Environ = dict[str, Any]
Document = Callable[[str], tuple[str, bytes] | None]


class PortTakenError(Exception):
    """Something else listens there. The message is one line for a person."""


class LocalSite:
    """The WSGI application that `serve` serves.

    Parameters
    ----------
    about
        What `GET /_local` tells besides the stage, the region and AWS's address.
    documents
        Asked in turn for each path that is read: the content type and body, or None.
    administrator
        Whose e-mail and password switch faults on and off; any administrator's token does.
    """

    def __init__(
        self,
        stack: LocalStack,
        aws_endpoint: str,
        *,
        about: Mapping[str, Any] | None = None,
        documents: Sequence[Document] = (),
        administrator: tuple[str, str] | None = None,
    ) -> None:
        self._stack = stack
        self._aws_endpoint = aws_endpoint
        self._further = dict(about or {})
        self._documents = tuple(documents)
        self._controls = Controls(stack, administrator)
        self._aws = DomainDispatcherApplication(create_backend_app)
        self._pages: dict[str, Callable[[Environ], tuple[str, str]]] = {
            "/_local": self._about,
            "/_local/calls": self._calls,
            "/_local/mailbox": self._mailbox,
            "/_local/mailbox.html": self._mailbox_page,
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/_aws" or path.startswith("/_aws/"):
            return self._to_aws(environ, start_response)
        if self._controls.knows(path):
            return self._controls(environ, start_response)
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            found = self._read(path, environ)
            if found is not None:
                return _sent(found, environ, start_response)
        return self._stack.gateway(environ, start_response)

    def _read(self, path: str, environ: Environ) -> tuple[str, bytes] | None:
        page = self._pages.get(path.rstrip("/"))
        if page is not None:
            content_type, text = page(environ)
            return content_type, text.encode()
        for document in self._documents:
            found = document(path)
            if found is not None:
                return found
        return None

    def _about(self, _: Environ) -> tuple[str, str]:
        about = {
            "stage": self._stack.stage,
            "region": self._stack.region,
            "aws_endpoint": self._aws_endpoint,
            **self._further,
        }
        return "application/json", json.dumps(about)

    def _calls(self, _: Environ) -> tuple[str, str]:
        return "application/json", json.dumps(call_counts.counted())

    def _mailbox(self, environ: Environ) -> tuple[str, str]:
        return "application/json", json.dumps(self._stack.mailbox.list(_recipient(environ)))

    def _mailbox_page(self, environ: Environ) -> tuple[str, str]:
        return "text/html; charset=utf-8", self._stack.mailbox.page(_recipient(environ))

    def _to_aws(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # Whoever reaches this may do anything, so nobody from outside may.
        if environ.get("REMOTE_ADDR") not in LOOPBACK:
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        below = dict(environ)
        below["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/_aws") or "/"
        below["RAW_URI"] = environ.get("REQUEST_URI", "").removeprefix("/_aws") or "/"
        below["REQUEST_URI"] = below["RAW_URI"]
        result: Iterable[bytes] = self._aws(below, start_response)
        return result


def listen(host: str, port: int) -> socket.socket:
    """Take the port. Raises PortTakenError."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        # Python's own text says the address a second time.
        reason = os.strerror(error.errno or 0)
        raise PortTakenError(f"cannot listen on {host}:{port}: {reason}") from error


def serve(site: LocalSite, listener: socket.socket) -> None:
    """Serve until interrupted."""
    server = create_server(
        site,
        sockets=[listener],
        threads=THREADS,
        connection_limit=CONNECTIONS_MAX,
        asyncore_use_poll=True,
        max_request_body_size=BODY_BYTES_MAX,
        ident="local",
        clear_untrusted_proxy_headers=True,
    )
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        server.close()


def _sent(
    found: tuple[str, bytes], environ: Environ, start_response: StartResponse
) -> Iterable[bytes]:
    content_type, body = found
    start_response("200 OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body] if environ["REQUEST_METHOD"] == "GET" else [b""]


def _recipient(environ: Environ) -> str | None:
    values = parse_qs(environ.get("QUERY_STRING", "")).get("to")
    return values[-1] if values else None

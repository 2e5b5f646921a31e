"""A merchant's system: a real HTTP server of this machine, which answers as it is told to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; header names are lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Merchant:
    """Where to reach it, what it received, and how it answers: by a status or by a function."""

    url: str
    received: list[Received] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    # In the place of an ordinary answer: is given the connection.
    misbehaves: Callable[[BaseHTTPRequestHandler], None] | None = None

    @property
    def event_ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.received]


@contextmanager
def merchant(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Merchant]:
    """Run a merchant's system for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            system.received.append(Received(self.path, headers, self.rfile.read(length)))
            if system.misbehaves is not None:
                system.misbehaves(self)
                return
            self.send_response(system.status)
            for name, value in system.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(system.body)))
            self.end_headers()
            self.wfile.write(system.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Expect clients that leave in the middle."""

    with Server((host, 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        system = Merchant(f"{scheme}://localhost:{server.server_address[1]}/hooks?shop=1")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield system
        finally:
            server.shutdown()
            thread.join()

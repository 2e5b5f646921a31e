"""Requests as bytes on the wire, which no well-meaning client would send, and what answers them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.stack import LocalStack

# What an answer must never show: whoever is refused learns nothing of how we are built.
_INSIDES = (
    "Traceback",
    'File "',
    "arn:aws",
    "tradepost-local-",
    "botocore",
    "pydantic",
    "dynamodb",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self) -> dict[str, Any]:
        """Return the problem document, which this answer must be to the letter."""
        document: dict[str, Any] = self.json()
        assert self.headers["content-type"] == "application/problem+json", self
        assert document.keys() >= {"type", "title", "status", "detail", "code", "request_id"}, self
        assert document["status"] == self.status, self
        assert document["type"] == f"urn:tradepost:problem:{document['code']}", self
        assert document["request_id"] == self.headers["x-request-id"] != "", self
        assert not [word for word in _INSIDES if word in self.body.decode()], self
        return document


@dataclass(frozen=True, slots=True)
class Wire:
    """The gateway, reached as the local server reaches it."""

    stack: LocalStack

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; `target` is the path and query as they stand in the request line."""
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "REQUEST_URI": target,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        given = {"Content-Type": "application/json"} if body else {}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        for name, text in {**given, **(headers or {})}.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
        started: list[Any] = []
        chunks = self.stack.gateway(
            environ, lambda status, fields: started.extend((status, fields))
        )
        status, fields = started
        return Answer(
            int(status.partition(" ")[0]),
            {name.lower(): text for name, text in fields},
            b"".join(chunks),
        )

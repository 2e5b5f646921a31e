"""The two addresses of the API's description, for a server to answer before the API itself."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable

from infra.openapi.document import generate
from infra.openapi.page import page
from tradepost.platform.service import Service

PAGE_PATH = "/docs"
DOCUMENT_PATH = "/v1/openapi.json"


def documentation(apps: Iterable[Service]) -> Callable[[str], tuple[str, bytes] | None]:
    """Make the function from a path to (content type, body), None for any other path.

    The document is made when first asked for, so that a server's start does not wait for it.
    """
    documented = list(apps)

    @functools.cache
    def answer(path: str) -> tuple[str, bytes] | None:
        if path == DOCUMENT_PATH:
            text = json.dumps(generate(documented), indent=2)
            return "application/json", text.encode()
        if path == PAGE_PATH:
            return "text/html; charset=utf-8", page(generate(documented)).encode()
        return None

    def find(path: str) -> tuple[str, bytes] | None:
        # Only the two paths may fill the cache.
        return answer(path) if path in (PAGE_PATH, DOCUMENT_PATH) else None

    return find

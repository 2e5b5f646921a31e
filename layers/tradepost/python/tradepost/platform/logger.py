"""The logger: JSON lines by Powertools, with the keys of the request at hand on each.

The message is a constant, facts are keys. Keys live in a context variable, because the local
stack answers many requests in one process; on Lambda there is only ever one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger

logger = Logger(service="tradepost", log_uncaught_exceptions=False)


@contextmanager
def log_keys(**keys: str | None) -> Iterator[None]:
    """Put the keys on every line written inside the block; those that are None are left out."""
    logger.thread_safe_append_keys(**{name: key for name, key in keys.items() if key is not None})
    try:
        yield
    finally:
        logger.thread_safe_remove_keys(list(keys))

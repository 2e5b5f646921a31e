"""One lock around every DynamoDB action, because moto has none.

Stock moto reads, checks and writes without a lock: under threads a conditional decrement sells
more than there is and acknowledged writes vanish. Actions do not block, so one lock costs no
waiting worth speaking of.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from moto.dynamodb.responses import DynamoHandler
from moto.dynamodbstreams.responses import DynamoDBStreamsHandler

LOCK = threading.RLock()


def install() -> None:
    """Make every DynamoDB and DynamoDB Streams action happen alone."""
    for handler in (DynamoHandler, DynamoDBStreamsHandler):
        handler.call_action = _alone(handler.call_action)


def _alone(action: Any) -> Any:
    # The answer is serialised inside: it refers to live items.
    @functools.wraps(action)
    def call_action(self: Any) -> Any:
        with LOCK:
            return action(self)

    return call_action

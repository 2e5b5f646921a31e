"""How often the functions called AWS, by service and operation, since the stack started.

botocore emits `before-call` for every call it makes; retries of its own are not counted twice.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from typing import Any

import botocore.handlers

# The names of botocore's events.
_SERVICES = ("dynamodb", "kms", "lambda", "s3", "secrets-manager", "sesv2", "sfn", "sns", "sqs")

_counts: Counter[str] = Counter()
_counting = threading.Lock()


@functools.cache
def install() -> None:
    """Count the calls of all clients made from now on."""
    # botocore asks the handlers of the whole name first, in order, until one answers.
    for service in _SERVICES:
        botocore.handlers.BUILTIN_HANDLERS.insert(0, (f"before-call.{service}", _count))


def counted() -> dict[str, int]:
    """Return the counts, the most frequent first."""
    with _counting:
        return dict(_counts.most_common())


def _count(model: Any, **_: Any) -> None:
    with _counting:
        _counts[f"{model.service_model.service_name}.{model.name}"] += 1

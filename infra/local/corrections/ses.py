"""Sent mail kept whole, because moto drops the text of HTML mail and when it was sent."""

from __future__ import annotations

import json
from typing import Any

from moto.core import utils
from moto.sesv2.responses import SESV2Response

_moto_send = SESV2Response.send_email


def install() -> None:
    """Keep with each message the request it came with."""
    SESV2Response.send_email = _send_email


def _send_email(self: Any) -> Any:
    answer = _moto_send(self)
    message = self.sesv2_backend.core_backend.sent_messages[-1]
    message.sent_at = utils.utcnow()
    message.request = json.loads(self.body)
    return answer

"""Rules whose events reach functions, executions and topics, and whose schedules match no event.

In stock moto PutEvents raises NotImplementedError for such a target, and a rule with a schedule,
having no pattern, matches every event.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from moto.core.utils import utcfromtimestamp
from moto.events.models import Rule

_moto_send = Rule.send_to_targets
_OURS = frozenset({"lambda", "sns", "states"})

# Set by the owner of the functions: takes the target's ARN and the event.
bring: Callable[[str, dict[str, Any]], None] | None = None


def install() -> None:
    """Replace how a rule sends."""
    Rule.send_to_targets = _send


def _send(self: Any, original_event: Any, transform_input: bool = True) -> None:
    if self.scheduled_expression and not self.event_pattern.dump():
        return
    ours = [target for target in self.targets if target["Arn"].split(":", 3)[2] in _OURS]
    if ours and self.event_pattern.matches_event(original_event):
        event = dict(original_event)
        if not isinstance(event.get("time"), str):
            event["time"] = f"{utcfromtimestamp(event['time']):%Y-%m-%dT%H:%M:%SZ}"
        for target in ours:
            if bring is None:
                raise LookupError("nobody brings events")
            bring(target["Arn"], event)
    rest = copy.copy(self)
    rest.targets = [target for target in self.targets if target not in ours]
    _moto_send(rest, original_event, transform_input)

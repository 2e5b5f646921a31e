"""SES: mail that was sent, kept to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulation.aws.refusals import NotModelledError


class SES:
    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "SendEmail":
            raise NotModelledError(f"sesv2.{operation}")
        self.sent.append(parameters)
        return {"MessageId": f"mail-{len(self.sent)}"}

    def subjects(self) -> list[str]:
        return [one["Content"]["Simple"]["Subject"]["Data"] for one in self.sent]

"""What users publishes. The aggregate is the account."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class UserRegisteredV1(Event):
    """Somebody opened an account. Name and e-mail are asked of users, never broadcast."""

    TYPE: ClassVar[str] = "user.registered.v1"

    type: Literal["user.registered.v1"] = "user.registered.v1"
    user_id: str

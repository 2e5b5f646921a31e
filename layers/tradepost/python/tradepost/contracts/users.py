"""What users publishes. The aggregate is the account."""

from __future__ import annotations

from typing import ClassVar, Literal

from tradepost.contracts.event import Event


class UserRegisteredV1(Event):
    """Somebody opened an account. Name and e-mail are asked of users, never broadcast."""

    TYPE: ClassVar[str] = "user.registered.v1"

    type: Literal["user.registered.v1"] = "user.registered.v1"
    user_id: str


class UserLetterDueV1(Event):
    """Something is to be told to a person that no event may hold: the letter is asked of users.

    It is stated for an address without an account, too, so that nobody can tell the two apart:
    then there is no such user, and nothing to write.
    """

    TYPE: ClassVar[str] = "user.letter_due.v1"

    type: Literal["user.letter_due.v1"] = "user.letter_due.v1"
    user_id: str
    letter_id: str


class UserErasedV1(Event):
    """An account is gone: whoever keeps anything of this person forgets who it was."""

    TYPE: ClassVar[str] = "user.erased.v1"

    type: Literal["user.erased.v1"] = "user.erased.v1"
    user_id: str

"""What users reads of the functions' input that operators and other contexts call."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from users.model import AccountRole


class RoleGrant(BaseModel):
    """An operator's order: the account of `email` is `role` from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: str = Field(repr=False)
    role: AccountRole


class ContactQuestion(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: str

"""What users reads of the functions' input that operators and other contexts call."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from users.model import AccountRole


class RoleGrant(BaseModel):
    """An operator's order: the account of `email` is `role` from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: str = Field(repr=False)
    role: AccountRole
    # The operator knows the holder: nobody has to have confirmed the address.
    vouched: bool = False


class LetterQuestion(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: str
    letter_id: str


class PartnerQuestion(BaseModel):
    """`digest` is the SHA-256 of the secret that was shown, in hexadecimal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_id: str
    digest: str = Field(repr=False, pattern=r"^[0-9a-f]{64}$")

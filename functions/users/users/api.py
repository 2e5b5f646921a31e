"""Users' bodies and answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tradepost.platform.bodies import RequestModel, View, shown_as
from users.model import EMAIL_BYTES_MAX, NAME_LENGTH_MAX, Account
from users.password_policy import PASSWORD_BYTES_MAX
from users.ports import AccessToken
from users.sessions import REPLAY_WINDOW
from users.use_cases import LoggedIn

# Leading spaces are part of a password, so it is the one text that is not trimmed.
_Password = Annotated[
    str,
    StringConstraints(strip_whitespace=False),
    Field(min_length=1, max_length=PASSWORD_BYTES_MAX, repr=False),
]
_Email = Annotated[str, Field(min_length=3, max_length=EMAIL_BYTES_MAX, repr=False)]
# No control characters and no line breaks: a name is put into e-mails.
_Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=NAME_LENGTH_MAX,
        pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$",
        repr=False,
    ),
]
_RefreshToken = Annotated[str, Field(min_length=1, max_length=200, repr=False)]

# RFC 6750: how the access token is sent, `Authorization: Bearer …`.
_SCHEME: Literal["Bearer"] = "Bearer"


# For whoever tries the API: the README's customer.
_CREDENTIALS = {"email": "ada@example.com", "password": "correct horse battery"}


class Registration(RequestModel):
    """A password has at least 15 characters and at most 1,024 bytes; nothing else is asked."""

    model_config = shown_as(**_CREDENTIALS, name="Ada")

    email: _Email
    password: _Password
    name: _Name


class Credentials(RequestModel):
    model_config = shown_as(**_CREDENTIALS)

    email: _Email
    password: _Password


class Refresh(RequestModel):
    refresh_token: _RefreshToken
    nonce: str | None = Field(
        default=None,
        min_length=16,
        max_length=128,
        repr=False,
        description=(
            "Random, fresh for each refresh. A client whose answer was lost sends the same body "
            f"again within {REPLAY_WINDOW.seconds} seconds and gets the same refresh token."
        ),
    )


class LogOut(RequestModel):
    refresh_token: _RefreshToken


class Rename(RequestModel):
    name: _Name


class Registered(View):
    user_id: str
    email: str
    name: str

    @classmethod
    def of(cls, account: Account) -> Registered:
        return cls(user_id=account.user_id, email=account.email, name=account.name)


class Tokens(View):
    """`expires_in` is the access token's lifetime in seconds."""

    access_token: str
    token_type: Literal["Bearer"] = _SCHEME
    expires_in: int
    refresh_token: str
    user_id: str
    role: str

    @classmethod
    def of(cls, logged_in: LoggedIn) -> Tokens:
        return cls(
            access_token=logged_in.access_token.text,
            expires_in=_seconds(logged_in.access_token),
            refresh_token=str(logged_in.refresh_token),
            user_id=logged_in.user_id,
            role=logged_in.role,
        )


class Guest(View):
    """`expires_in` is in seconds. There is no refresh: a guest who stays away is a new guest."""

    access_token: str
    token_type: Literal["Bearer"] = _SCHEME
    expires_in: int
    guest_id: str

    @classmethod
    def of(cls, guest_id: str, token: AccessToken) -> Guest:
        return cls(access_token=token.text, expires_in=_seconds(token), guest_id=guest_id)


class Profile(View):
    """An account as its holder sees it. `version` is also the ETag."""

    user_id: str
    email: str
    name: str
    role: str
    version: int

    @classmethod
    def of(cls, account: Account) -> Profile:
        return cls(
            user_id=account.user_id,
            email=account.email,
            name=account.name,
            role=account.role,
            version=account.version,
        )


class PublicKey(View):
    """A JSON Web Key (RFC 7517) on the curve P-256 (RFC 7518, section 6.2)."""

    kty: str
    crv: str
    x: str
    y: str
    use: str
    alg: str
    kid: str


class PublicKeys(View):
    keys: list[PublicKey]


def _seconds(token: AccessToken) -> int:
    return int(token.lifetime.total_seconds())

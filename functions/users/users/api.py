"""Users' bodies and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tradepost.platform.auth import Scope
from tradepost.platform.bodies import Address, RequestModel, View, shown_as
from users import api_keys
from users.address_book import AddressBook, KeptAddress
from users.api_keys import APIKey, APIKeyStatus
from users.devices import DEVICE_TOKEN_LENGTH_MAX
from users.model import EMAIL_BYTES_MAX, NAME_LENGTH_MAX, Account
from users.password_policy import PASSWORD_BYTES_MAX
from users.ports import AccessToken
from users.sessions import REPLAY_WINDOW
from users.use_cases import Export, LoggedIn, NewKey

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

_Code = Annotated[str, Field(min_length=1, max_length=200, repr=False)]

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
    device_token: str | None = Field(
        default=None,
        min_length=1,
        max_length=DEVICE_TOKEN_LENGTH_MAX,
        repr=False,
        description=(
            "The latest that this device was given. Whoever has one is not held up by what "
            "strangers try with the same e-mail."
        ),
    )


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


class EmailConfirmation(RequestModel):
    """The code of a letter that we sent to the address."""

    code: _Code


class EmailChange(RequestModel):
    email: _Email
    password: _Password


class PasswordChange(RequestModel):
    """Every session ends but the one whose refresh token is shown."""

    password: _Password
    new_password: _Password
    refresh_token: str | None = Field(default=None, min_length=1, max_length=200, repr=False)


class ResetRequest(RequestModel):
    model_config = shown_as(email="ada@example.com")

    email: _Email


class Reset(RequestModel):
    """The code of a letter that we sent because somebody asked for a new password."""

    code: _Code
    new_password: _Password


class Proof(RequestModel):
    """The password once more, for what a stolen token must not do."""

    password: _Password


class NewAddress(RequestModel):
    address: Address
    is_default: bool = Field(default=False, description="The first address is the default anyway.")


class NewAPIKey(RequestModel):
    model_config = shown_as(name="Warehouse of Whitby", scopes=["stock:write"])

    name: Annotated[str, Field(min_length=1, max_length=api_keys.NAME_LENGTH_MAX)]
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    requests_per_minute: int = Field(default=600, ge=1, le=api_keys.RATE_MAX)


class Accepted(View):
    """The same for everybody who asks: what follows, follows by mail."""

    accepted: bool = True


class DeviceToken(View):
    """This device's new token: those given out before are void with the old password."""

    device_token: str


class AddressView(View):
    """One address of the caller's book. `version` is also the ETag."""

    address_id: str
    address: dict[str, str]
    is_default: bool
    version: int

    @classmethod
    def of(cls, book: AddressBook, kept: KeptAddress) -> AddressView:
        return cls(
            address_id=kept.address_id,
            address=kept.address,
            is_default=kept.address_id == book.default_id,
            version=kept.version,
        )


class AddressBookView(View):
    addresses: list[AddressView]

    @classmethod
    def of(cls, book: AddressBook) -> AddressBookView:
        return cls(addresses=[AddressView.of(book, kept) for kept in book.addresses])


class APIKeyView(View):
    """A partner's key without its secret."""

    key_id: str
    name: str
    scopes: list[str]
    requests_per_minute: int
    status: APIKeyStatus
    created_at: datetime
    revoked_at: datetime | None
    previous_secret_until: datetime | None

    @classmethod
    def of(cls, key: APIKey, at: datetime) -> APIKeyView:
        return cls(
            key_id=key.key_id,
            name=key.name,
            scopes=sorted(key.scopes),
            requests_per_minute=key.requests_per_minute,
            status=key.status,
            created_at=key.created_at,
            revoked_at=key.revoked_at,
            previous_secret_until=key.previous_good_until(at),
        )


class APIKeyList(View):
    keys: list[APIKeyView]


class NewAPIKeyView(View):
    """`api_key` is shown this once."""

    api_key: str = Field(repr=False)
    key: APIKeyView

    @classmethod
    def of_new(cls, new: NewKey, at: datetime) -> NewAPIKeyView:
        return cls(api_key=new.text, key=APIKeyView.of(new.key, at))


class ExportView(View):
    """All that the shop holds of the caller, by who holds it."""

    account: dict[str, Any]
    addresses: list[AddressView]
    contexts: dict[str, Any]

    @classmethod
    def of(cls, export: Export) -> ExportView:
        account = export.account
        return cls(
            account={
                **Profile.of(account).model_dump(),
                "registered_at": account.registered_at.isoformat(),
            },
            addresses=AddressBookView.of(export.book).addresses,
            contexts=dict(export.elsewhere),
        )


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
    device_token: str | None = Field(default=None, description="Told at a log-in.")

    @classmethod
    def of(cls, logged_in: LoggedIn) -> Tokens:
        return cls(
            access_token=logged_in.access_token.text,
            expires_in=_seconds(logged_in.access_token),
            refresh_token=str(logged_in.refresh_token),
            user_id=logged_in.user_id,
            role=logged_in.role,
            device_token=logged_in.device_token,
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
    email_verified: bool
    version: int

    @classmethod
    def of(cls, account: Account) -> Profile:
        return cls(
            user_id=account.user_id,
            email=account.email,
            name=account.name,
            role=account.role,
            email_verified=account.is_verified,
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

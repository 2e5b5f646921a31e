"""What people do with their accounts, and operators with their roles."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradepost.contracts.event import event_id
from tradepost.contracts.users import UserRegisteredV1
from tradepost.kernel.clock import Clock
from tradepost.kernel.ids import NewId
from users.letters import LetterKind
from users.model import (
    Account,
    AccountNotFoundError,
    AccountRole,
    EmailUnverifiedError,
    VersionMismatchError,
    normalised_email,
)
from users.password_policy import acceptable_password
from users.ports import AccountRepository, PasswordHasher
from users.use_cases.writing import due_letter


@dataclass(frozen=True, slots=True)
class Registration:
    """What a person types to open an account, as typed."""

    email: str = field(repr=False)
    password: str = field(repr=False)
    name: str = field(repr=False)


def register(
    registration: Registration,
    *,
    correlation_id: str,
    accounts: AccountRepository,
    passwords: PasswordHasher,
    now: Clock,
    new_id: NewId,
) -> Account:
    """Open a customer's account. The address is its natural key: one account each.

    Raises
    ------
    InvalidEmailError, PasswordRefusedError
        Nothing was looked up.
    EmailTakenError
        The address has an account, perhaps from this very request sent before: log in.
    """
    email = normalised_email(registration.email)
    password = acceptable_password(registration.password, email=email)
    account = Account(
        user_id=new_id("usr"),
        email=email,
        name=registration.name,
        password_hash=passwords.hash(password),
        role=AccountRole.CUSTOMER,
        registered_at=now(),
    )
    event = UserRegisteredV1(
        event_id=event_id(UserRegisteredV1.TYPE, account.user_id, account.version),
        occurred_at=account.registered_at,
        correlation_id=correlation_id,
        version=account.version,
        user_id=account.user_id,
    )
    welcome = due_letter(
        account, LetterKind.WELCOME, correlation_id=correlation_id, now=now, new_id=new_id
    )
    accounts.add(account, event, welcome)
    return account


def rename(
    user_id: str, name: str, expected_version: int | None, *, accounts: AccountRepository
) -> Account:
    """Change the name on an account. The name it has already changes nothing.

    Raises
    ------
    AccountNotFoundError
        The account is gone; the access token outlived it.
    VersionMismatchError
        It is not at `expected_version` (None: whatever it is at), or changed while we decided.
    """
    account = accounts.get(user_id)
    if expected_version not in (None, account.version):
        raise VersionMismatchError
    if account.name == name:
        return account
    renamed = account.renamed(name)
    accounts.save(renamed)
    return renamed


def grant_role(
    email: str, role: AccountRole, *, vouched: bool = False, accounts: AccountRepository
) -> Account:
    """Give the account of an address another role. The role it has already changes nothing.

    It reaches the holder with the next access token. Whoever registers types an address, and it
    need not be theirs: somebody must have shown that it is, or the operator vouches for it.

    Raises
    ------
    InvalidEmailError, AccountNotFoundError
        Register first.
    EmailUnverifiedError
        Confirm the address first.
    VersionMismatchError
        The account changed while we decided. Nothing was written; the call may be repeated.
    """
    account = accounts.by_email(normalised_email(email))
    if account is None:
        raise AccountNotFoundError
    if account.role is role:
        return account
    if role is not AccountRole.CUSTOMER and not (account.is_verified or vouched):
        raise EmailUnverifiedError
    granted = account.granted(role)
    accounts.save(granted)
    return granted

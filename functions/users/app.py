"""Users over HTTP, for operators, and for the contexts that must write to somebody."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent

from tradepost.kernel.clock import utc_now
from tradepost.kernel.ids import new_id
from tradepost.kernel.randomness import random_bytes
from tradepost.platform import auth, aws, outbox
from tradepost.platform.arguments import IfMatch
from tradepost.platform.auth import PUBLIC, STAFF, Caller, Role
from tradepost.platform.logger import logger
from tradepost.platform.service import Reply, Service
from users import use_cases
from users.api import (
    Credentials,
    Guest,
    LogOut,
    Profile,
    PublicKey,
    PublicKeys,
    Refresh,
    Registered,
    Registration,
    Rename,
    Tokens,
)
from users.dynamodb import DynamoDBAccounts, DynamoDBSessions
from users.messages import ContactQuestion, RoleGrant
from users.model import (
    AccountNotFoundError,
    CredentialsError,
    EmailTakenError,
    InvalidEmailError,
    VersionMismatchError,
)
from users.password_policy import PasswordRefusedError
from users.passwords import Argon2Passwords
from users.sessions import RefreshTokenInvalidError, RefreshTokenReusedError
from users.tokens import KMSAccessTokens, jwk_set

app = Service("users")

_ACCOUNT_HOLDERS = STAFF | {Role.CUSTOMER}

# A key is added well before it signs and stays until its last token has expired.
_KEYS_CACHE_CONTROL = "public, max-age=300"


@functools.cache
def accounts() -> DynamoDBAccounts:
    return DynamoDBAccounts(aws.dynamodb(), os.environ["USERS_TABLE"])


@functools.cache
def sessions() -> DynamoDBSessions:
    return DynamoDBSessions(aws.dynamodb(), os.environ["USERS_TABLE"])


@functools.cache
def passwords() -> Argon2Passwords:
    return Argon2Passwords()


@functools.cache
def access_tokens() -> KMSAccessTokens:
    return KMSAccessTokens(aws.kms(), os.environ["SIGNING_KEY_ID"], auth.issuer())


@app.post(
    "/v1/users",
    roles=PUBLIC,
    status=201,
    refusals=(InvalidEmailError, PasswordRefusedError, EmailTakenError),
    repeatable="the e-mail is the key: a repeat changes nothing and is told to log in instead",
)
def register(body: Registration, correlation_id: str) -> Registered:
    """Open a customer's account. An address has one account, however it is written."""
    account = use_cases.register(
        use_cases.Registration(body.email, body.password, body.name),
        correlation_id=correlation_id,
        accounts=accounts(),
        passwords=passwords(),
        now=utc_now,
        new_id=new_id,
    )
    return Registered.of(account)


@app.post(
    "/v1/sessions",
    roles=PUBLIC,
    status=201,
    refusals=(InvalidEmailError, CredentialsError),
    repeatable="each log-in is a session of its own; one whose answer was lost is never used",
)
def log_in(body: Credentials) -> Tokens:
    """Log in. An unknown address and a wrong password are answered alike."""
    logged_in = use_cases.log_in(
        body.email,
        body.password,
        accounts=accounts(),
        sessions=sessions(),
        passwords=passwords(),
        access_tokens=access_tokens(),
        now=utc_now,
        new_id=new_id,
        random_bytes=random_bytes,
    )
    logger.info("logged in", user_id=logged_in.user_id, role=logged_in.role)
    return Tokens.of(logged_in)


@app.post(
    "/v1/sessions/refresh",
    roles=PUBLIC,
    refusals=(RefreshTokenInvalidError, RefreshTokenReusedError),
    repeatable="with the same nonce within ten seconds it gives the same refresh token again",
)
def refresh(body: Refresh) -> Tokens:
    """Trade a refresh token for new tokens. A second use of one ends its session."""
    logged_in = use_cases.refresh(
        body.refresh_token,
        body.nonce,
        accounts=accounts(),
        sessions=sessions(),
        access_tokens=access_tokens(),
        now=utc_now,
        random_bytes=random_bytes,
    )
    return Tokens.of(logged_in)


@app.post(
    "/v1/sessions/logout",
    roles=PUBLIC,
    status=204,
    refusals=(RefreshTokenInvalidError,),
    repeatable="a session that has ended stays ended",
)
def log_out(body: LogOut) -> None:
    """Log out: no refresh token of this session is good from now on."""
    use_cases.log_out(body.refresh_token, sessions=sessions())


@app.post(
    "/v1/guests",
    roles=PUBLIC,
    status=201,
    repeatable="nothing is stored: a repeat makes another guest, and the first is never used",
)
def become_guest() -> Guest:
    """Become a guest, with a cart and a checkout but no account."""
    guest_id, token = use_cases.become_guest(access_tokens=access_tokens(), new_id=new_id)
    return Guest.of(guest_id, token)


@app.get("/v1/users/me", roles=_ACCOUNT_HOLDERS, refusals=(AccountNotFoundError,))
def profile(caller: Caller) -> Reply[Profile]:
    """Show the caller's account."""
    return _versioned(Profile.of(accounts().get(caller.principal_id)))


@app.patch(
    "/v1/users/me",
    roles=_ACCOUNT_HOLDERS,
    refusals=(AccountNotFoundError, VersionMismatchError),
)
def rename(body: Rename, caller: Caller, if_match: IfMatch | None) -> Reply[Profile]:
    """Change the name on the caller's account."""
    account = use_cases.rename(caller.principal_id, body.name, if_match, accounts=accounts())
    return _versioned(Profile.of(account))


@app.get("/.well-known/jwks.json", roles=PUBLIC)
def public_keys() -> Reply[PublicKeys]:
    """Publish the keys that access tokens are signed with."""
    keys = [PublicKey(**key) for key in jwk_set(auth.public_keys())]
    return Reply(PublicKeys(keys=keys), headers={"Cache-Control": _KEYS_CACHE_CONTROL})


@app.lambda_function(name="grant_role")
def grant_role(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Give an account a role. There is no route to it: calling it takes IAM rights."""
    order = RoleGrant.model_validate(event)
    account = use_cases.grant_role(order.email, order.role, accounts=accounts())
    logger.info("role granted", user_id=account.user_id, role=account.role)
    return {"user_id": account.user_id, "role": account.role.value}


@app.lambda_function(name="contact")
def contact(event: dict[str, Any], _context: object) -> dict[str, str | None]:
    """Tell where to write to an account's holder; a null e-mail if there is no such account."""
    question = ContactQuestion.model_validate(event)
    try:
        account = accounts().get(question.user_id)
    except AccountNotFoundError:
        return {"email": None}
    return {"email": account.email, "name": account.name}


@app.on_dynamodb_record(
    # Packaging puts the table's own stream here; see chalice-config/users/merge.json.
    stream_arn="arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/placeholder",
    name="relay",
    batch_size=100,
)
def relay(event: DynamoDBEvent) -> dict[str, Any]:
    """Publish the events that changes left in the outbox."""
    return outbox.relay(
        event.to_dict(),
        table=os.environ["USERS_TABLE"],
        topic_arn=os.environ["EVENTS_TOPIC_ARN"],
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> int:
    """Publish what the relay missed."""
    return outbox.relay_overdue(
        table=os.environ["USERS_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"]
    )


def _versioned(profile: Profile) -> Reply[Profile]:
    return Reply(profile, headers={"ETag": f'"{profile.version}"'})

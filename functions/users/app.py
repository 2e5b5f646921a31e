"""Users over HTTP, for operators, for the gateway, and for those who must write to somebody."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent

from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import DomainError, IdempotencyMismatchError, StaleError
from tradepost.kernel.ids import derived_id, new_id
from tradepost.kernel.randomness import random_bytes
from tradepost.platform import auth, aws, outbox
from tradepost.platform.arguments import ClientAddress, IdempotencyKey, IfMatch
from tradepost.platform.auth import PUBLIC, STAFF, Caller, Role
from tradepost.platform.due import DueIndex
from tradepost.platform.dynamodb import passing_faults_named
from tradepost.platform.erasures import Erasures
from tradepost.platform.idempotency import fingerprint
from tradepost.platform.limiter import Limiter, TooManyRequestsError
from tradepost.platform.logger import logger
from tradepost.platform.questions import Questions
from tradepost.platform.service import Reply, Service
from users import use_cases
from users.address_book import (
    AddressBook,
    AddressChangedError,
    AddressLimitError,
    AddressNotFoundError,
)
from users.api import (
    Accepted,
    AddressBookView,
    AddressView,
    APIKeyList,
    APIKeyView,
    Credentials,
    DeviceToken,
    EmailChange,
    EmailConfirmation,
    ExportView,
    Guest,
    LogOut,
    NewAddress,
    NewAPIKey,
    NewAPIKeyView,
    PasswordChange,
    Profile,
    Proof,
    PublicKey,
    PublicKeys,
    Refresh,
    Registered,
    Registration,
    Rename,
    Reset,
    ResetRequest,
    Tokens,
)
from users.api_keys import (
    APIKeyLimitError,
    APIKeyNotFoundError,
    APIKeyRevokedError,
    APIKeyRotatingError,
)
from users.attempts import CountedAttempts, ResetNeededError
from users.devices import SignedDevices
from users.dynamodb import (
    DynamoDBAccounts,
    DynamoDBAddressBooks,
    DynamoDBAPIKeys,
    DynamoDBLetters,
    DynamoDBSessions,
)
from users.holdings import AskedContexts, ExportTooLargeError
from users.letters import CodeInvalidError
from users.messages import LetterQuestion, PartnerQuestion, RoleGrant
from users.model import (
    AccountNotFoundError,
    CredentialsError,
    EmailTakenError,
    InvalidEmailError,
    PasswordWrongError,
    VersionMismatchError,
)
from users.password_policy import PasswordRefusedError
from users.passwords import Argon2Passwords
from users.sessions import RefreshTokenInvalidError, RefreshTokenReusedError
from users.tokens import KMSAccessTokens, jwk_set

app = Service("users")

_ACCOUNT_HOLDERS = STAFF | {Role.CUSTOMER}
_ADMINS = {Role.ADMIN}

_PROOF_REFUSALS = (AccountNotFoundError, PasswordWrongError, TooManyRequestsError)
_BOOK_REFUSALS = (AddressNotFoundError, AddressChangedError, StaleError)

# A key is added well before it signs and stays until its last token has expired.
_KEYS_CACHE_CONTROL = "public, max-age=300"


@functools.cache
def accounts() -> DynamoDBAccounts:
    return DynamoDBAccounts(aws.dynamodb(), os.environ["USERS_TABLE"])


@functools.cache
def sessions() -> DynamoDBSessions:
    return DynamoDBSessions(aws.dynamodb(), os.environ["USERS_TABLE"])


@functools.cache
def letters() -> DynamoDBLetters:
    return DynamoDBLetters(aws.dynamodb(), os.environ["USERS_TABLE"])


@functools.cache
def address_books() -> DynamoDBAddressBooks:
    return DynamoDBAddressBooks(aws.dynamodb(), os.environ["USERS_TABLE"])


@functools.cache
def api_keys() -> DynamoDBAPIKeys:
    return DynamoDBAPIKeys(aws.dynamodb(), os.environ["USERS_TABLE"])


@functools.cache
def erasures() -> Erasures:
    index = DueIndex("due", bucket="due_for", moment="due_at")
    return Erasures(aws.dynamodb(), os.environ["USERS_TABLE"], index)


def attempts() -> CountedAttempts:
    return CountedAttempts(
        Limiter(aws.dynamodb(), os.environ["USERS_TABLE"]),
        utc_now,
        by_address_max=int(os.environ["ATTEMPTS_BY_ADDRESS"]),
    )


@functools.cache
def devices() -> SignedDevices:
    return SignedDevices()


@functools.cache
def elsewhere() -> AskedContexts:
    return AskedContexts(Questions(aws.functions(), os.environ["STAGE"]))


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
    refusals=(InvalidEmailError, PasswordRefusedError, EmailTakenError, TooManyRequestsError),
    repeatable="the e-mail is the key: a repeat changes nothing and is told to log in instead",
)
def register(body: Registration, correlation_id: str, client_address: ClientAddress) -> Registered:
    """Open a customer's account. An address has one account, however it is written.

    A letter asks its reader to confirm the address; the account can be used before.
    """
    attempts().by_address(client_address)
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
    refusals=(InvalidEmailError, CredentialsError, TooManyRequestsError, ResetNeededError),
    repeatable="each log-in is a session of its own; one whose answer was lost is never used",
)
def log_in(body: Credentials, client_address: ClientAddress) -> Tokens:
    """Log in. An unknown address and a wrong password are answered alike.

    Whoever fails too often waits, or sets a new password by e-mail. A device that has logged in
    before shows its token, and waits for its own failures only.
    """
    attempts().by_address(client_address)
    logged_in = use_cases.log_in(
        body.email,
        body.password,
        body.device_token,
        attempts=attempts(),
        devices=devices(),
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


@app.post(
    "/v1/me/email-confirmation",
    roles=_ACCOUNT_HOLDERS,
    status=202,
    refusals=(AccountNotFoundError, TooManyRequestsError),
    repeatable="each letter's code is good until one is used",
)
def ask_for_email_confirmation(caller: Caller, correlation_id: str) -> Accepted:
    """Have another letter sent to the account's address, with a code that confirms it."""
    use_cases.ask_for_confirmation(
        caller.principal_id,
        correlation_id=correlation_id,
        accounts=accounts(),
        letters=letters(),
        attempts=attempts(),
        now=utc_now,
        new_id=new_id,
    )
    return Accepted()


@app.post(
    "/v1/email-confirmations",
    roles=PUBLIC,
    refusals=(CodeInvalidError, EmailTakenError, VersionMismatchError, TooManyRequestsError),
    repeatable="a code is good once: whoever repeats it is told that it is used",
)
def confirm_email(
    body: EmailConfirmation, correlation_id: str, client_address: ClientAddress
) -> Profile:
    """Show that an address is yours, by the code of a letter to it. A new one is yours then."""
    attempts().by_address(client_address)
    account = use_cases.confirm_email(
        body.code,
        correlation_id=correlation_id,
        accounts=accounts(),
        letters=letters(),
        now=utc_now,
        new_id=new_id,
    )
    return Profile.of(account)


@app.post(
    "/v1/me/email",
    roles=_ACCOUNT_HOLDERS,
    status=202,
    refusals=(InvalidEmailError, *_PROOF_REFUSALS),
    repeatable="each letter's code is good until one is used",
)
def change_email(body: EmailChange, caller: Caller, correlation_id: str) -> Accepted:
    """Have a letter sent to another address of yours; its code puts it in the old one's place.

    The old address is told of it, now and then.
    """
    use_cases.change_email(
        caller.principal_id,
        body.email,
        body.password,
        correlation_id=correlation_id,
        accounts=accounts(),
        letters=letters(),
        passwords=passwords(),
        attempts=attempts(),
        now=utc_now,
        new_id=new_id,
    )
    return Accepted()


@app.post(
    "/v1/me/password",
    roles=_ACCOUNT_HOLDERS,
    refusals=(
        PasswordRefusedError,
        RefreshTokenInvalidError,
        VersionMismatchError,
        *_PROOF_REFUSALS,
    ),
    repeatable="the second time the old password is wrong",
)
def change_password(body: PasswordChange, caller: Caller, correlation_id: str) -> DeviceToken:
    """Change your password. Every other session ends, and you are told by mail."""
    account = use_cases.change_password(
        caller.principal_id,
        body.password,
        body.new_password,
        body.refresh_token,
        correlation_id=correlation_id,
        accounts=accounts(),
        sessions=sessions(),
        passwords=passwords(),
        attempts=attempts(),
        now=utc_now,
        new_id=new_id,
    )
    logger.info("password changed", user_id=account.user_id)
    return DeviceToken(device_token=devices().issue(account))


@app.post(
    "/v1/password-resets",
    roles=PUBLIC,
    status=202,
    refusals=(InvalidEmailError, TooManyRequestsError),
    repeatable="each letter's code is good until one is used",
)
def request_password_reset(
    body: ResetRequest, correlation_id: str, client_address: ClientAddress
) -> Accepted:
    """Ask for a letter with which a new password can be set. Unknown addresses are told alike."""
    attempts().by_address(client_address)
    use_cases.request_reset(
        body.email,
        correlation_id=correlation_id,
        accounts=accounts(),
        letters=letters(),
        attempts=attempts(),
        now=utc_now,
        new_id=new_id,
    )
    return Accepted()


@app.post(
    "/v1/password-resets/completion",
    roles=PUBLIC,
    refusals=(CodeInvalidError, PasswordRefusedError, VersionMismatchError, TooManyRequestsError),
    repeatable="a code is good once: whoever repeats it is told that it is used",
)
def reset_password(body: Reset, correlation_id: str, client_address: ClientAddress) -> DeviceToken:
    """Set a new password with the code of a letter. Every session ends: log in with it."""
    attempts().by_address(client_address)
    account = use_cases.reset_password(
        body.code,
        body.new_password,
        correlation_id=correlation_id,
        accounts=accounts(),
        letters=letters(),
        passwords=passwords(),
        attempts=attempts(),
        now=utc_now,
        new_id=new_id,
    )
    logger.info("password reset", user_id=account.user_id)
    return DeviceToken(device_token=devices().issue(account))


@app.get("/v1/addresses", roles={Role.CUSTOMER})
def list_addresses(caller: Caller) -> AddressBookView:
    """List the addresses you keep, the oldest first."""
    return AddressBookView.of(address_books().get(caller.principal_id))


@app.post(
    "/v1/addresses",
    roles={Role.CUSTOMER},
    status=201,
    refusals=(AddressLimitError, IdempotencyMismatchError, StaleError),
)
def add_address(
    body: NewAddress, caller: Caller, idempotency_key: IdempotencyKey
) -> Reply[AddressView]:
    """Keep another address. The first one is the default."""
    address_id = derived_id("adr", caller.principal_id, idempotency_key)
    book = use_cases.add_address(
        caller.principal_id,
        address_id,
        body.address.filled_in(),
        as_default=body.is_default,
        fingerprint=fingerprint(body),
        books=address_books(),
    )
    return _address(book, address_id)


@app.get("/v1/addresses/{address_id}", roles={Role.CUSTOMER}, refusals=(AddressNotFoundError,))
def get_address(address_id: str, caller: Caller) -> Reply[AddressView]:
    """Show one of your addresses."""
    return _address(address_books().get(caller.principal_id), address_id)


@app.put("/v1/addresses/{address_id}", roles={Role.CUSTOMER}, refusals=_BOOK_REFUSALS)
def change_address(
    address_id: str, body: NewAddress, caller: Caller, if_match: IfMatch | None
) -> Reply[AddressView]:
    """Write one of your addresses anew. The default stays it until another one is made it."""
    book = use_cases.change_address(
        caller.principal_id,
        address_id,
        body.address.filled_in(),
        as_default=body.is_default,
        version=if_match,
        books=address_books(),
    )
    return _address(book, address_id)


@app.delete(
    "/v1/addresses/{address_id}", roles={Role.CUSTOMER}, status=204, refusals=_BOOK_REFUSALS
)
def remove_address(address_id: str, caller: Caller, if_match: IfMatch | None) -> None:
    """Strike one of your addresses out. What was sent there stays with its order."""
    use_cases.remove_address(
        caller.principal_id, address_id, version=if_match, books=address_books()
    )


@app.post(
    "/v1/me/export",
    roles=_ACCOUNT_HOLDERS,
    refusals=(ExportTooLargeError, *_PROOF_REFUSALS),
    repeatable="it changes nothing",
)
def export_account(body: Proof, caller: Caller) -> ExportView:
    """Take along all that the shop holds of you."""
    export = use_cases.export_account(
        caller.principal_id,
        body.password,
        accounts=accounts(),
        books=address_books(),
        elsewhere=elsewhere(),
        passwords=passwords(),
        attempts=attempts(),
    )
    logger.info("account exported", user_id=caller.principal_id)
    return ExportView.of(export)


@app.delete(
    "/v1/me",
    roles=_ACCOUNT_HOLDERS,
    status=202,
    refusals=(VersionMismatchError, *_PROOF_REFUSALS),
)
def erase_account(body: Proof, caller: Caller, correlation_id: str) -> Accepted:
    """Close your account for good, and be forgotten.

    It is gone at once. What runs for you is finished first: an order keeps what its parcel needs
    until it is over. What the law has us keep stays without your name.
    """
    use_cases.erase_account(
        caller.principal_id,
        body.password,
        correlation_id=correlation_id,
        accounts=accounts(),
        erasures=erasures(),
        passwords=passwords(),
        attempts=attempts(),
        now=utc_now,
    )
    logger.info("account erased", user_id=caller.principal_id)
    return Accepted()


@app.post(
    "/v1/api-keys",
    roles=_ADMINS,
    status=201,
    refusals=(APIKeyLimitError,),
    repeatable="it makes another key: one whose answer was lost is listed, and can be revoked",
)
def create_api_key(body: NewAPIKey, caller: Caller) -> NewAPIKeyView:
    """Make an API key for a partner's system. It is shown now and not again."""
    new = use_cases.create_api_key(
        body.name,
        frozenset(body.scopes),
        body.requests_per_minute,
        created_by=caller.principal_id,
        keys=api_keys(),
        now=utc_now,
        new_id=new_id,
        random_bytes=random_bytes,
    )
    logger.info("api key created", key_id=new.key.key_id, user_id=caller.principal_id)
    return NewAPIKeyView.of_new(new, utc_now())


@app.get("/v1/api-keys", roles=_ADMINS)
def list_api_keys() -> APIKeyList:
    """List the partners' keys, the revoked ones too."""
    return APIKeyList(keys=[APIKeyView.of(key, utc_now()) for key in api_keys().all()])


@app.post(
    "/v1/api-keys/{key_id}/rotation",
    roles=_ADMINS,
    refusals=(APIKeyNotFoundError, APIKeyRevokedError, APIKeyRotatingError, StaleError),
    repeatable="it makes another secret, and the partner's own stays good for its day",
)
def rotate_api_key(key_id: str, caller: Caller) -> NewAPIKeyView:
    """Give a key another secret; the one before stays good for a day."""
    new = use_cases.rotate_api_key(key_id, keys=api_keys(), now=utc_now, random_bytes=random_bytes)
    logger.info("api key rotated", key_id=key_id, user_id=caller.principal_id)
    return NewAPIKeyView.of_new(new, utc_now())


@app.delete(
    "/v1/api-keys/{key_id}",
    roles=_ADMINS,
    status=204,
    refusals=(APIKeyNotFoundError, StaleError),
)
def revoke_api_key(key_id: str, caller: Caller) -> None:
    """Let nobody use a key any more, from the next request on."""
    use_cases.revoke_api_key(key_id, keys=api_keys(), now=utc_now)
    logger.info("api key revoked", key_id=key_id, user_id=caller.principal_id)


@app.get("/.well-known/jwks.json", roles=PUBLIC)
def public_keys() -> Reply[PublicKeys]:
    """Publish the keys that access tokens are signed with."""
    keys = [PublicKey(**key) for key in jwk_set(auth.public_keys())]
    return Reply(PublicKeys(keys=keys), headers={"Cache-Control": _KEYS_CACHE_CONTROL})


@app.lambda_function(name="grant_role")
def grant_role(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Give an account a role. There is no route to it: calling it takes IAM rights."""
    order = RoleGrant.model_validate(event)
    account = use_cases.grant_role(
        order.email, order.role, vouched=order.vouched, accounts=accounts()
    )
    logger.info("role granted", user_id=account.user_id, role=account.role)
    return {"user_id": account.user_id, "role": account.role.value}


@app.lambda_function(name="letter")
def letter(event: dict[str, Any], _context: object) -> dict[str, str | None]:
    """Tell what a letter that is due says, and to whom; a null e-mail if to nobody.

    The code in it is drawn now and told this once.
    """
    question = LetterQuestion.model_validate(event)
    with passing_faults_named():
        written = use_cases.write_letter(
            question.user_id,
            question.letter_id,
            accounts=accounts(),
            letters=letters(),
            now=utc_now,
            random_bytes=random_bytes,
        )
    if written is None:
        return {"email": None}
    return {
        "email": written.email,
        "name": written.name,
        "kind": written.kind.value,
        "code": written.code,
    }


@app.lambda_function(name="recognise_partner")
def recognise_partner(event: dict[str, Any], _context: object) -> dict[str, list[str] | None]:
    """Tell the gateway what a key opens; null if it is none of ours, or good no more."""
    question = PartnerQuestion.model_validate(event)
    with passing_faults_named():
        key = use_cases.recognise_partner(
            question.key_id, bytes.fromhex(question.digest), keys=api_keys(), now=utc_now
        )
    return {"scopes": sorted(key.scopes) if key else None}


@app.lambda_function(name="admit_partner")
def admit_partner(event: dict[str, Any], _context: object) -> dict[str, bool | int | None]:
    """Count a partner's request; tell whether the key is good, and how long to wait if it must."""
    question = PartnerQuestion.model_validate(event)
    try:
        with passing_faults_named():
            use_cases.admit_partner(
                question.key_id,
                bytes.fromhex(question.digest),
                keys=api_keys(),
                attempts=attempts(),
                now=utc_now,
            )
    except TooManyRequestsError as refusal:
        return {"is_good": True, "retry_after_seconds": refusal.retry_after_seconds}
    except DomainError:
        return {"is_good": False, "retry_after_seconds": None}
    return {"is_good": True, "retry_after_seconds": None}


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_erasures")
def sweep_erasures(_event: CloudWatchEvent) -> int:
    """Remove what is left of those whose account is gone."""
    return use_cases.sweep_erasures(accounts=accounts(), erasures=erasures(), now=utc_now)


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


def _address(book: AddressBook, address_id: str) -> Reply[AddressView]:
    kept = book.get(address_id)
    return Reply(AddressView.of(book, kept), headers={"ETag": f'"{kept.version}"'})


def _versioned(profile: Profile) -> Reply[Profile]:
    return Reply(profile, headers={"ETag": f'"{profile.version}"'})

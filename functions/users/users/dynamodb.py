"""
The `users` table.

    pk               sk               item          attributes
    USER#<user id>   ACCOUNT          account       user_id, email, name, password_hash, role,
                                                    registered_at, version
    EMAIL#<address>  CLAIM            e-mail claim  user_id
    USER#<user id>   SESSION#<id>     session       user_id, session_id, digest, version,
                                                    expires_at (seconds since 1970),
                                                    answered_at, sealed_successor
    USER#<user id>   OUTBOX#<id>      event         see tradepost.platform.outbox

DynamoDB cannot make an attribute unique, a key it can: the claim is what makes an address one
account's. Both are written in one transaction. Everything of a person but the claim lies in one
partition, where it can be exported and erased.

Items are written whole. So a write that the SDK repeats, because the answer to the first was
lost, finds exactly its own item in the way, and counts as done.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError

from tradepost.contracts.users import UserRegisteredV1
from tradepost.kernel.clock import epoch_seconds, from_text, to_text
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, failed_conditions, from_item, to_item, unavailable
from tradepost.platform.outbox import outbox_put
from users.model import (
    Account,
    AccountNotFoundError,
    AccountRole,
    EmailTakenError,
    VersionMismatchError,
)
from users.sessions import KeptAnswer, Session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_AS_READ = "#version = :version_read"

# Nobody's id: read in place of the account that an unknown address does not have.
_NOBODY = "nobody"


class _Table:
    """Reads and writes of whole items."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def read(self, key: dict[str, str]) -> Item | None:
        # Consistent: an access decision follows.
        try:
            answer = self._client.get_item(
                TableName=self._name, Key=to_item(key), ConsistentRead=True
            )
        except (ClientError, HTTPClientError) as error:
            raise unavailable(error) from error
        return from_item(answer["Item"]) if "Item" in answer else None

    def write(self, put: dict[str, Any]) -> Item | None:
        """Write one item; return the stored one, `{}` if there is none, if it forbade that."""
        try:
            self._client.put_item(**put)
        except HTTPClientError as error:
            raise unavailable(error) from error
        except ClientError as error:
            return failed_conditions(error)[0]
        return None

    def write_all(self, puts: list[Any]) -> list[Item | None]:
        """Write all or nothing; tell of each write what `write` tells."""
        try:
            self._client.transact_write_items(TransactItems=puts)
        except HTTPClientError as error:
            raise unavailable(error) from error
        except ClientError as error:
            return failed_conditions(error)
        return [None] * len(puts)

    def delete(self, key: dict[str, str]) -> None:
        try:
            # unconditional: a session is ended whatever it has become.
            self._client.delete_item(TableName=self._name, Key=to_item(key))
        except (ClientError, HTTPClientError) as error:
            raise unavailable(error) from error

    def put_new(self, item: Item) -> dict[str, Any]:
        return self._put(item, {"ConditionExpression": _IS_NEW})

    def put_next(self, item: Item) -> dict[str, Any]:
        """Build the write of the version that follows the one read."""
        condition = {
            "ConditionExpression": _IS_AS_READ,
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": to_item({":version_read": item["version"] - 1}),
        }
        return self._put(item, condition)

    def _put(self, item: Item, condition: dict[str, Any]) -> dict[str, Any]:
        return {
            "TableName": self._name,
            "Item": to_item(item),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **condition,
        }


class DynamoDBAccounts:
    """The accounts, over one table. Satisfies `ports.AccountRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = _Table(client, table)
        self._table_name = table

    def add(self, account: Account, event: UserRegisteredV1) -> None:
        claim = {**_claim_key(account.email), "user_id": account.user_id}
        claim_in_the_way, *_ = self._table.write_all(
            [
                {"Put": self._table.put_new(claim)},
                {"Put": self._table.put_new(_account_item(account))},
                outbox_put(self._table_name, _user_pk(account.user_id), event),
            ]
        )
        if claim_in_the_way not in (None, claim):
            raise EmailTakenError

    def get(self, user_id: str) -> Account:
        item = self._table.read(_account_key(user_id))
        if item is None:
            raise AccountNotFoundError
        return _to_account(item)

    def by_email(self, email: str) -> Account | None:
        claim = self._table.read(_claim_key(email))
        item = self._table.read(_account_key(claim["user_id"] if claim else _NOBODY))
        return _to_account(item) if item else None

    def save(self, account: Account) -> None:
        item = _account_item(account)
        in_the_way = self._table.write(self._table.put_next(item))
        if in_the_way not in (None, item):
            raise VersionMismatchError


class DynamoDBSessions:
    """The sessions, over the same table. Satisfies `ports.SessionRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = _Table(client, table)

    def add(self, session: Session) -> None:
        item = _session_item(session)
        in_the_way = self._table.write(self._table.put_new(item))
        if in_the_way not in (None, item):
            raise StaleError("the session id is in use")

    def find(self, user_id: str, session_id: str) -> Session | None:
        item = self._table.read(_session_key(user_id, session_id))
        return _to_session(item) if item else None

    def replace(self, session: Session) -> None:
        item = _session_item(session)
        in_the_way = self._table.write(self._table.put_next(item))
        if in_the_way not in (None, item):
            raise StaleError("the session was refreshed or ended meanwhile")

    def end(self, user_id: str, session_id: str) -> None:
        # No condition: whatever its state, it ends, and `replace` cannot bring it back.
        self._table.delete(_session_key(user_id, session_id))


def _user_pk(user_id: str) -> str:
    return f"USER#{user_id}"


def _account_key(user_id: str) -> dict[str, str]:
    return {"pk": _user_pk(user_id), "sk": "ACCOUNT"}


def _claim_key(email: str) -> dict[str, str]:
    return {"pk": f"EMAIL#{email}", "sk": "CLAIM"}


def _session_key(user_id: str, session_id: str) -> dict[str, str]:
    return {"pk": _user_pk(user_id), "sk": f"SESSION#{session_id}"}


def _account_item(account: Account) -> Item:
    return {
        **_account_key(account.user_id),
        "user_id": account.user_id,
        "email": account.email,
        "name": account.name,
        "password_hash": account.password_hash,
        "role": account.role.value,
        "registered_at": to_text(account.registered_at),
        "version": account.version,
    }


def _to_account(item: Item) -> Account:
    return Account(
        user_id=item["user_id"],
        email=item["email"],
        name=item["name"],
        password_hash=item["password_hash"],
        role=AccountRole(item["role"]),
        registered_at=from_text(item["registered_at"]),
        version=item["version"],
    )


def _session_item(session: Session) -> Item:
    item: Item = {
        **_session_key(session.user_id, session.session_id),
        "user_id": session.user_id,
        "session_id": session.session_id,
        "digest": session.digest,
        "version": session.version,
        "expires_at": epoch_seconds(session.expires_at),
    }
    if session.kept_answer is None:
        return item
    return {
        **item,
        "answered_at": to_text(session.kept_answer.given_at),
        "sealed_successor": session.kept_answer.sealed_successor,
    }


def _to_session(item: Item) -> Session:
    kept_answer = None
    if "sealed_successor" in item:
        kept_answer = KeptAnswer(from_text(item["answered_at"]), item["sealed_successor"])
    return Session(
        user_id=item["user_id"],
        session_id=item["session_id"],
        digest=item["digest"],
        version=item["version"],
        expires_at=datetime.fromtimestamp(item["expires_at"], UTC),
        kept_answer=kept_answer,
    )

"""Accounts and sessions in the `users` table, which `users.dynamodb` draws."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tradepost.contracts.users import UserErasedV1, UserRegisteredV1
from tradepost.kernel.clock import (
    epoch_seconds,
    from_text,
    from_text_if_any,
    to_text,
    to_text_if_any,
)
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item, delete_all
from tradepost.platform.erasures import Erasures
from tradepost.platform.outbox import outbox_put
from users.dynamodb.letters import letter_item, letter_key
from users.dynamodb.table import Table, user_pk
from users.letters import CodeInvalidError, Letter
from users.model import (
    Account,
    AccountNotFoundError,
    AccountRole,
    EmailTakenError,
    VersionMismatchError,
)
from users.ports import DueLetter
from users.sessions import KeptAnswer, Session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Nobody's id: read in place of the account that an unknown address does not have.
_NOBODY = "nobody"


class DynamoDBAccounts:
    """The accounts, over one table. Satisfies `ports.AccountRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)
        self._client = client
        self._table_name = table

    def add(
        self, account: Account, event: UserRegisteredV1, letter: DueLetter | None = None
    ) -> None:
        claim = _claim_item(account)
        claim_in_the_way, *_ = self._table.write_all(
            [
                {"Put": self._table.put_new(claim)},
                {"Put": self._table.put_new(_account_item(account))},
                outbox_put(self._table_name, user_pk(account.user_id), event),
                *(self._letter(letter) if letter else ()),
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

    def save_proven(
        self,
        account: Account,
        *,
        used: Letter | None = None,
        previous_email: str | None = None,
        letters: Sequence[DueLetter] = (),
        kept: Session | None = None,
    ) -> None:
        item = _account_item(account)
        claim = _claim_item(account)
        writes: list[Any] = [{"Put": self._table.put_next(item)}]
        if previous_email is not None:
            writes += [
                {"Put": self._table.put_new(claim)},
                {"Delete": self._table.delete_there(_claim_key(previous_email))},
            ]
        if used is not None:
            used_key = letter_key(used.user_id, used.letter_id)
            writes.append({"Delete": self._table.delete_there(used_key)})
        if kept is not None:
            writes.append({"Put": self._table.put_next(_session_item(kept))})
        for letter in letters:
            writes += self._letter(letter)
        account_in_the_way, *others = self._table.write_all(writes)
        if account_in_the_way == item:
            # The SDK sent it again, because the answer to the first was lost.
            return
        if previous_email is not None and others[0] not in (None, claim):
            raise EmailTakenError
        if used is not None and others[2 if previous_email is not None else 0] is not None:
            raise CodeInvalidError
        if account_in_the_way is not None or any(other is not None for other in others):
            raise VersionMismatchError

    def erase(self, account: Account, event: UserErasedV1, erasures: Erasures) -> None:
        account_in_the_way, *_ = self._table.write_all(
            [
                {"Delete": self._table.delete_read(_account_item(account))},
                {"Delete": self._table.delete_there(_claim_key(account.email))},
                erasures.put(account.user_id, event.occurred_at),
                outbox_put(self._table_name, user_pk(account.user_id), event),
            ]
        )
        if account_in_the_way is not None:
            raise VersionMismatchError

    def erase_rest(self, user_id: str) -> int:
        items = self._table.partition(user_pk(user_id))
        # An event still has to be told; the relay deletes it.
        keys = [
            {"pk": item["pk"], "sk": item["sk"]}
            for item in items
            if not item["sk"].startswith("OUTBOX#")
        ]
        delete_all(self._client, self._table_name, keys)
        return len(keys)

    def _letter(self, letter: DueLetter) -> list[Any]:
        return [
            {"Put": self._table.put_new(letter_item(letter.letter))},
            outbox_put(self._table_name, user_pk(letter.letter.user_id), letter.event),
        ]


class DynamoDBSessions:
    """The sessions, over the same table. Satisfies `ports.SessionRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)

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


def _account_key(user_id: str) -> dict[str, str]:
    return {"pk": user_pk(user_id), "sk": "ACCOUNT"}


def _claim_key(email: str) -> dict[str, str]:
    return {"pk": f"EMAIL#{email}", "sk": "CLAIM"}


def _claim_item(account: Account) -> Item:
    return {**_claim_key(account.email), "user_id": account.user_id}


def _session_key(user_id: str, session_id: str) -> dict[str, str]:
    return {"pk": user_pk(user_id), "sk": f"SESSION#{session_id}"}


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
        "email_verified_at": to_text_if_any(account.email_verified_at),
        "generation": account.generation,
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
        email_verified_at=from_text_if_any(item.get("email_verified_at")),
        generation=item.get("generation", 1),
    )


def _session_item(session: Session) -> Item:
    item: Item = {
        **_session_key(session.user_id, session.session_id),
        "user_id": session.user_id,
        "session_id": session.session_id,
        "digest": session.digest,
        "version": session.version,
        "expires_at": epoch_seconds(session.expires_at),
        "generation": session.generation,
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
        generation=item.get("generation", 1),
    )

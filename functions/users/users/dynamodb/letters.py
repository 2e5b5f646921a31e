"""
Letters in the `users` table, which `users.dynamodb` draws.

    USER#<user id>   LETTER#<id>   user_id, letter_id, kind, generation, to, sent_to, digests,
                                   version, expires_at (seconds since 1970)

A letter for an address without an account lies under a user id that nobody has.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tradepost.kernel.clock import epoch_seconds
from tradepost.kernel.errors import StaleError
from tradepost.platform.dynamodb import Item
from tradepost.platform.outbox import outbox_put
from users.dynamodb.table import Table, user_pk
from users.letters import Letter, LetterKind
from users.ports import DueLetter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class DynamoDBLetters:
    """Satisfies `ports.LetterRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._table = Table(client, table)
        self._table_name = table

    def add(self, *letters: DueLetter) -> None:
        writes = [
            write
            for due in letters
            for write in (
                {"Put": self._table.put_new(letter_item(due.letter))},
                outbox_put(self._table_name, user_pk(due.letter.user_id), due.event),
            )
        ]
        # What is in the way is the same: its id is fresh.
        self._table.write_all(writes)

    def find(self, user_id: str, letter_id: str) -> Letter | None:
        item = self._table.read(letter_key(user_id, letter_id))
        return _to_letter(item) if item else None

    def save(self, letter: Letter) -> None:
        item = letter_item(letter)
        in_the_way = self._table.write(self._table.put_next(item))
        if in_the_way not in (None, item):
            raise StaleError("the letter was written or used meanwhile")


def letter_key(user_id: str, letter_id: str) -> dict[str, str]:
    return {"pk": user_pk(user_id), "sk": f"LETTER#{letter_id}"}


def letter_item(letter: Letter) -> Item:
    return {
        **letter_key(letter.user_id, letter.letter_id),
        "user_id": letter.user_id,
        "letter_id": letter.letter_id,
        "kind": letter.kind.value,
        "generation": letter.generation,
        "to": letter.to,
        "sent_to": letter.sent_to,
        "digests": list(letter.digests),
        "version": letter.version,
        "expires_at": epoch_seconds(letter.expires_at),
    }


def _to_letter(item: Item) -> Letter:
    return Letter(
        user_id=item["user_id"],
        letter_id=item["letter_id"],
        kind=LetterKind(item["kind"]),
        expires_at=datetime.fromtimestamp(item["expires_at"], UTC),
        generation=item["generation"],
        to=item["to"],
        sent_to=item["sent_to"],
        digests=tuple(item["digests"]),
        version=item["version"],
    )
